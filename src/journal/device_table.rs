//! Rows of the table `device`: what is asked for with `sqlite3` in columns, the rest of what the
//! adapter announced as JSON in `info`, with the names that are written out below. Spans in ms, bounds
//! in W. What version 1 did not write (`bounds`; of a command `persistent`, `leased`, `safe`,
//! `relative`, `local`) may be missing: nothing, or false.

use std::{sync::Arc, time::Duration};

use adapter_api::{
    Availability, Bounds, CapabilityInfo, CommandSpec, DeviceId, DeviceInfo, ParameterKind, ParameterSpec,
    Problem, UnitId,
};
use rusqlite::{Connection, Row, params};
use serde_json::{Value as Json, json};

use super::{
    command_table::{maybe, parsed},
    json,
    record::DeviceRow,
};

/// Inserts or replaces a device.
pub(super) fn save(db: &Connection, device: &DeviceRow) -> rusqlite::Result<()> {
    let problem = device.problem.as_ref();
    db.prepare_cached(
        "INSERT INTO device(id, adapter, availability, problem, remedy, seen_at, info)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT(id) DO UPDATE SET adapter = ?2, availability = ?3, problem = ?4, remedy = ?5,
           seen_at = ?6, info = ?7",
    )?
    .execute(params![
        device.info.id.as_str(),
        device.adapter,
        device.availability.map(Availability::as_str),
        problem.map(|problem| &problem.what),
        problem.map(|problem| &problem.remedy),
        device.seen_at,
        info(&device.info).to_string(),
    ])
    .map(drop)
}

/// All devices, by id. One that an older or newer version wrote in a way that makes no sense here
/// is left out with a warning: its adapter announces it again.
pub(super) fn all(db: &Connection) -> rusqlite::Result<Vec<DeviceRow>> {
    let mut statement = db.prepare_cached(
        "SELECT id, adapter, availability, problem, remedy, seen_at, info FROM device ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        match of_row(row) {
            Ok(device) => devices.push(device),
            Err(error) => {
                let id: String = row.get(0)?;
                tracing::warn!(device = id, %error, "a kept device makes no sense and is left out");
            }
        }
    }
    Ok(devices)
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<DeviceRow> {
    let id = parsed(row, 0, |text| DeviceId::new(text).ok())?;
    let what: Option<String> = row.get(3)?;
    let remedy: Option<String> = row.get(4)?;
    Ok(DeviceRow {
        adapter: row.get(1)?,
        availability: maybe(row, 2, to_availability)?,
        problem: what.zip(remedy).map(|(what, remedy)| Problem { what, remedy }),
        seen_at: row.get(5)?,
        info: parsed(row, 6, |text| to_info(id, &serde_json::from_str(text).ok()?))?,
    })
}

fn to_availability(text: &str) -> Option<Availability> {
    [Availability::Online, Availability::Offline].into_iter().find(|state| state.as_str() == text)
}

fn info(info: &DeviceInfo) -> Json {
    let capability = |capability: &CapabilityInfo| {
        json!({
            "kind": capability.kind.as_str(),
            "commands": texts(&capability.commands),
            "range": capability.range.map(|(min, max, step)| [min, max, step]),
        })
    };
    json!({
        "unit": info.unit.as_str(), "name": info.name, "type": info.device_type.as_str(),
        "protocol": info.protocol.as_str(), "role": info.role.as_str(),
        "usage": info.usage.map(|usage| usage.as_str()), "profile": info.profile,
        "manufacturer": info.manufacturer, "model": info.model, "serial": info.serial,
        "firmware": info.firmware, "max_power": info.max_power, "capacity": info.capacity,
        "phases": info.phases, "room": info.room, "location": info.location,
        "capabilities": info.capabilities.iter().map(capability).collect::<Vec<_>>(),
        "commands": info.commands.iter().map(command).collect::<Vec<_>>(),
        "control": info.control, "interval": ms(info.interval), "bounds": bounds(info.bounds),
    })
}

fn to_info(id: DeviceId, json: &Json) -> Option<DeviceInfo> {
    let capability = |json: &Json| {
        let range = json.get("range").and_then(Json::as_array);
        let range = range.map(|range| range.iter().filter_map(Json::as_f64).collect::<Vec<_>>());
        Some(CapabilityInfo {
            kind: text(json, "kind")?.parse().ok()?,
            commands: to_texts(json, "commands")?,
            range: range.and_then(|range| <[f64; 3]>::try_from(range).ok()).map(Into::into),
        })
    };
    let all = |name| json.get(name).and_then(Json::as_array);
    Some(DeviceInfo {
        id,
        unit: UnitId::from(text(json, "unit")?),
        name: text(json, "name")?.to_owned(),
        device_type: text(json, "type")?.parse().ok()?,
        protocol: text(json, "protocol")?.parse().ok()?,
        role: text(json, "role")?.parse().ok()?,
        usage: text(json, "usage").and_then(|usage| usage.parse().ok()),
        profile: text(json, "profile")?.to_owned(),
        manufacturer: text(json, "manufacturer")?.to_owned(),
        model: text(json, "model")?.to_owned(),
        serial: text(json, "serial").map(str::to_owned),
        firmware: text(json, "firmware").map(str::to_owned),
        max_power: json.get("max_power").and_then(Json::as_f64),
        capacity: json.get("capacity").and_then(Json::as_f64),
        phases: u8::try_from(json.get("phases")?.as_u64()?).ok()?,
        room: text(json, "room").map(str::to_owned),
        location: text(json, "location").map(str::to_owned),
        capabilities: all("capabilities")?.iter().map(capability).collect::<Option<_>>()?,
        commands: all("commands")?.iter().map(to_command).collect::<Option<_>>()?,
        control: json.get("control")?.as_bool()?,
        interval: to_ms(json, "interval")?,
        bounds: to_bounds(json.get("bounds")),
    })
}

fn bounds(bounds: Bounds) -> Json {
    let Bounds { import, export, charge, discharge } = bounds;
    json!({"import": import, "export": export, "charge": charge, "discharge": discharge})
}

fn to_bounds(json: Option<&Json>) -> Bounds {
    let bound = |name| json?.get(name)?.as_f64();
    Bounds {
        import: bound("import"),
        export: bound("export"),
        charge: bound("charge"),
        discharge: bound("discharge"),
    }
}

fn command(command: &CommandSpec) -> Json {
    json!({
        "name": &*command.name,
        "parameters": command.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "exactly_one": texts(&command.exactly_one), "group": command.group.as_deref(),
        "idempotent": command.idempotent, "harmless": command.harmless,
        "capability": command.capability.as_str(), "verify_for": ms(command.verify_for),
        "persistent": command.persistent, "leased": command.leased,
        "safe": command.safe.as_ref().map(json::object),
        "relative": command.relative, "local": command.local,
        "wears": command.wears, "timer_most": command.timer_most.map(ms),
    })
}

fn to_command(json: &Json) -> Option<CommandSpec> {
    let is = |name| json.get(name).and_then(Json::as_bool).unwrap_or(false);
    Some(CommandSpec {
        name: Arc::from(text(json, "name")?),
        parameters: json.get("parameters")?.as_array()?.iter().map(to_parameter).collect::<Option<_>>()?,
        exactly_one: to_texts(json, "exactly_one")?,
        group: text(json, "group").map(Arc::from),
        idempotent: json.get("idempotent")?.as_bool()?,
        harmless: json.get("harmless")?.as_bool()?,
        capability: text(json, "capability")?.parse().ok()?,
        verify_for: to_ms(json, "verify_for")?,
        persistent: is("persistent"),
        wears: is("wears"),
        leased: is("leased"),
        safe: json.get("safe").and_then(json::of_object),
        relative: is("relative"),
        local: is("local"),
        timer_most: to_ms(json, "timer_most"),
    })
}

fn parameter(parameter: &ParameterSpec) -> Json {
    let kind = match &parameter.kind {
        ParameterKind::Number { min, max, step, unit } => {
            json!({"min": min, "max": max, "step": step, "unit": &**unit})
        }
        ParameterKind::Word(words) => json!({"words": texts(words)}),
        ParameterKind::Bool => json!("bool"),
    };
    json!({"name": &*parameter.name, "required": parameter.required, "kind": kind})
}

fn to_parameter(json: &Json) -> Option<ParameterSpec> {
    let kind = json.get("kind")?;
    let number = |name| kind.get(name).and_then(Json::as_f64);
    let kind = if kind.as_str() == Some("bool") {
        ParameterKind::Bool
    } else if let Some(words) = to_texts(kind, "words") {
        ParameterKind::Word(words)
    } else {
        ParameterKind::Number {
            // JSON has no infinity: a bound that is missing is none.
            min: number("min").unwrap_or(f64::NEG_INFINITY),
            max: number("max").unwrap_or(f64::INFINITY),
            step: number("step")?,
            unit: Arc::from(text(kind, "unit")?),
        }
    };
    Some(ParameterSpec {
        name: Arc::from(text(json, "name")?),
        required: json.get("required")?.as_bool()?,
        kind,
    })
}

fn text<'a>(json: &'a Json, name: &str) -> Option<&'a str> {
    json.get(name)?.as_str()
}

fn texts(texts: &[Arc<str>]) -> Vec<&str> {
    texts.iter().map(|text| &**text).collect()
}

fn to_texts(json: &Json, name: &str) -> Option<Vec<Arc<str>>> {
    json.get(name)?.as_array()?.iter().map(|text| text.as_str().map(Arc::from)).collect()
}

fn ms(span: Duration) -> u64 {
    span.as_millis() as u64
}

fn to_ms(json: &Json, name: &str) -> Option<Duration> {
    json.get(name)?.as_u64().map(Duration::from_millis)
}
