//! Devices, their latest values and their history over HTTP.

use adapter_api::{CommandSpec, DeviceId, ParameterKind, Value as Point};
use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Api, journal_problem, unknown_device};
use crate::{
    command::wire,
    journal::{DeviceRow, Stored},
};

pub(super) async fn list(State(api): State<Api>) -> Response {
    let devices: Vec<_> = api.devices.all().iter().map(|row| device(&api, row)).collect();
    Json(json!({"devices": devices})).into_response()
}

pub(super) async fn one(State(api): State<Api>, Path(id): Path<String>) -> Response {
    match api.devices.get(&id) {
        Some(row) => Json(device(&api, &row)).into_response(),
        None => unknown_device(&api, &id),
    }
}

fn device(api: &Api, row: &DeviceRow) -> Value {
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
        "availability": availability,
        "problem": row.problem.as_ref().map(ToString::to_string),
        "commands": info.commands.iter().map(command).collect::<Vec<_>>(),
        "latest": latest.as_ref().map(reading),
    })
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
    json!({"command": &*spec.name, "parameters": parameters})
}

fn reading(stored: &Stored) -> Value {
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
        "points": points,
        "energy": {
            "consumed": kwh(stored.energy.consumed.increment),
            "produced": kwh(stored.energy.produced.increment),
        },
    })
}

/// Rows in one answer: more would not fit a small machine's memory; ask for a later `from`.
const MAX_ROWS: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    from: Option<i64>,
    to: Option<i64>,
    limit: Option<usize>,
}

pub(super) async fn history(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(range): Query<Range>,
) -> Response {
    let Ok(device) = DeviceId::new(&id) else { return unknown_device(&api, &id) };
    let limit = range.limit.unwrap_or(1000).min(MAX_ROWS);
    let (from, to) = (range.from.unwrap_or(0), range.to.unwrap_or(i64::MAX));
    match api.journal.reader().history(&device, from, to, limit).await {
        Ok(rows) if rows.is_empty() && api.devices.get(&id).is_none() => unknown_device(&api, &id),
        Ok(rows) => Json(json!({"readings": rows.iter().map(reading).collect::<Vec<_>>()})).into_response(),
        Err(error) => journal_problem(&error),
    }
}

pub(super) async fn hours(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(range): Query<Range>,
) -> Response {
    let Ok(device) = DeviceId::new(&id) else { return unknown_device(&api, &id) };
    let (from, to) = (range.from.unwrap_or(0), range.to.unwrap_or(i64::MAX));
    match api.journal.reader().hours(&device, from, to).await {
        Ok(rows) => {
            // The newest, as many as are asked for.
            let limit = range.limit.unwrap_or(MAX_ROWS).min(MAX_ROWS);
            let hours: Vec<_> = rows[rows.len().saturating_sub(limit)..]
                .iter()
                .map(|row| {
                    json!({
                        "hour": wire::time_text(row.hour),
                        "point": row.point.as_str(),
                        "count": row.n,
                        "average": row.avg,
                        "min": row.min,
                        "max": row.max,
                    })
                })
                .collect();
            Json(json!({"hours": hours})).into_response()
        }
        Err(error) => journal_problem(&error),
    }
}
