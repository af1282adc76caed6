//! Devices and their latest values over HTTP.

use std::collections::BTreeMap;

use adapter_api::{Bounds, CommandSpec, Counter, ParameterKind, Value as Point};
use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{Api, answer::unknown_device};
use crate::{
    command::{LeaseView, wire},
    journal::{DeviceRow, Stored},
};

pub(super) async fn list(State(api): State<Api>) -> Response {
    let leases = api.commands.leases().borrow().clone();
    let devices: Vec<_> = api.devices.all().iter().map(|row| device(&api, row, &leases)).collect();
    Json(json!({"devices": devices})).into_response()
}

pub(super) async fn one(State(api): State<Api>, Path(id): Path<String>) -> Response {
    match api.devices.get(&id) {
        Some(row) => {
            let leases = api.commands.leases().borrow().clone();
            Json(device(&api, &row, &leases)).into_response()
        }
        None => unknown_device(&api, &id),
    }
}

fn device(api: &Api, row: &DeviceRow, leases: &[LeaseView]) -> Value {
    let info = &row.info;
    let latest = api.live.device(info.id.as_str());
    let availability = row.availability.map_or("unknown", adapter_api::Availability::as_str);
    json!({
        "id": info.id.as_str(),
        "name": info.name,
        "type": info.device_type.as_str(),
        "role": info.role.as_str(),
        "usage": info.usage.map(adapter_api::Usage::as_str),
        "adapter": row.adapter,
        "profile": info.profile,
        "manufacturer": info.manufacturer,
        "model": info.model,
        "serial": info.serial,
        "firmware": info.firmware,
        "maxPower": info.max_power,
        "capacity": info.capacity,
        "control": info.control,
        "bounds": bounds(info.bounds),
        "lease": leases.iter().filter(|view| view.device == info.id).filter_map(holder).collect::<Vec<_>>(),
        "availability": availability,
        "counts": counts(&api.devices.counts(info.id.as_str())),
        "problem": row.problem.as_ref().map(ToString::to_string),
        "commands": info.commands.iter().map(command).collect::<Vec<_>>(),
        "latest": latest.as_ref().map(reading),
    })
}

/// How often what went wrong, since the start of the process; what never happened is left out.
fn counts(counted: &BTreeMap<Counter, u64>) -> Value {
    counted.iter().map(|(what, times)| (what.as_str().to_owned(), json!(times))).collect::<Map<_, _>>().into()
}

/// W; null: as far as the device goes.
fn bounds(bounds: Bounds) -> Value {
    json!({
        "maxImport": bounds.import,
        "maxExport": bounds.export,
        "chargePower": bounds.charge,
        "dischargePower": bounds.discharge,
    })
}

/// Who holds a setpoint; none when it is free.
fn holder(view: &LeaseView) -> Option<Value> {
    let mut holder = wire::lease_state(view.holder.as_ref()?);
    holder["setpoint"] = json!(view.group);
    Some(holder)
}

fn command(spec: &CommandSpec) -> Value {
    let parameters: Map<String, Value> = spec
        .parameters
        .iter()
        .map(|parameter| {
            let allowed = match &parameter.kind {
                ParameterKind::Number { min, max, unit, .. } => {
                    let max = (*max < f64::MAX).then_some(*max);
                    json!({"min": min, "max": max, "unit": &**unit})
                }
                ParameterKind::Word(words) => json!(words.iter().map(|word| &**word).collect::<Vec<_>>()),
                ParameterKind::Bool => json!([true, false]),
            };
            (parameter.name.to_string(), allowed)
        })
        .collect();
    json!({
        "command": &*spec.name,
        "parameters": parameters,
        "persistent": spec.persistent,
        "leased": spec.leased,
        "safe": spec.safe.as_ref().map(wire::parameters_json),
        "local": spec.local,
    })
}

pub(super) fn reading(stored: &Stored) -> Value {
    let points: Map<String, Value> = stored
        .reading
        .points
        .iter()
        .filter(|(_, value)| !matches!(value, Point::Number(number) if !number.is_finite()))
        .map(|(name, value)| (name.to_string(), wire::json(value)))
        .collect();
    let kwh = |wh: Option<u64>| wh.map(|wh| wh as f64 / 1000.0);
    json!({
        "number": stored.number,
        "timestamp": wire::time_text(stored.reading.measured_at.wall_ms),
        "quality": stored.reading.quality.as_str(),
        "source": stored.reading.source.as_str(),
        "points": points,
        "energy": {
            "consumed": kwh(stored.energy.consumed.increment),
            "produced": kwh(stored.energy.produced.increment),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_is_counted_under_its_word() {
        assert_eq!(counts(&BTreeMap::new()), json!({}));
        let both = [(Counter::FailedPolls, 3), (Counter::MissedPolls, 12)].into();
        assert_eq!(counts(&both), json!({"failedPolls": 3, "missedPolls": 12}));
    }
}
