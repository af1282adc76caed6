//! A device's past over HTTP.

use adapter_api::DeviceId;
use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Api,
    answer::{Asked, journal_problem, unknown_device},
    devices::reading,
};
use crate::command::wire;

/// Rows in one answer: more would not fit a small machine's memory; ask for a later `from`.
const MAX_ROWS: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    from: Option<i64>,
    to: Option<i64>,
    limit: Option<usize>,
}

pub(super) async fn readings(
    State(api): State<Api>,
    Path(id): Path<String>,
    Asked(range): Asked<Range>,
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
    Asked(range): Asked<Range>,
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
