//! Commands that there were, and how they did.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Api,
    answer::{Asked, journal_problem, malformed, unknown_command},
    filter::Wanted,
};
use crate::{
    command::{Notice, wire},
    journal::CommandStats,
};

/// Longest that a request may wait for a command's end.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// How often a waiting request looks by itself, should a notice have been missed.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    wait: Option<f64>,
}

pub(super) async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
    Asked(query): Asked<Wait>,
) -> Response {
    let wait = Duration::try_from_secs_f64(query.wait.unwrap_or(0.0)).unwrap_or_default().min(MAX_WAIT);
    let deadline = tokio::time::Instant::now() + wait;
    let mut notices = api.commands.notices();
    loop {
        let Some(row) = api.commands.find(&id).await else { return unknown_command(&id) };
        if row.outcome.is_some() || tokio::time::Instant::now() >= deadline || api.stopping.is_cancelled() {
            return Json(wire::result(&row)).into_response();
        }
        let look_again = (tokio::time::Instant::now() + LOOK).min(deadline);
        let ended = async {
            loop {
                match notices.recv().await {
                    Ok(Notice::Result(row)) if row.id == id => break,
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        };
        tokio::select! {
            () = ended => {}
            () = tokio::time::sleep_until(look_again) => {}
            () = api.stopping.cancelled() => {}
        }
    }
}

pub(super) async fn list(State(api): State<Api>, Asked(wanted): Asked<Wanted>) -> Response {
    let filter = match wanted.filter() {
        Ok(filter) => filter,
        Err(message) => return malformed(message),
    };
    match api.journal.reader().commands(filter).await {
        Ok(rows) => {
            let rows: Vec<Value> = rows.iter().map(wire::result).collect();
            Json(json!({"commands": rows})).into_response()
        }
        Err(error) => journal_problem(&error),
    }
}

pub(super) async fn stats(State(api): State<Api>, Asked(wanted): Asked<Wanted>) -> Response {
    let filter = match wanted.filter() {
        Ok(filter) => filter,
        Err(message) => return malformed(message),
    };
    match api.journal.reader().command_stats(filter).await {
        Ok(stats) => Json(summed(&stats)).into_response(),
        Err(error) => journal_problem(&error),
    }
}

/// By source and device, and all together.
fn summed(stats: &[CommandStats]) -> Value {
    let rows = stats.iter().map(|one| {
        let mut row = numbers([one]);
        row["source"] = json!(one.source.as_str());
        row["device"] = json!(one.device.as_str());
        row
    });
    json!({"stats": rows.collect::<Vec<_>>(), "total": numbers(stats)})
}

/// The success rate counts those that ended by themselves: what somebody took back was no failure.
/// Both it and the mean are null where there is nothing to count.
fn numbers<'a>(stats: impl IntoIterator<Item = &'a CommandStats> + Clone) -> Value {
    let sum = |of: fn(&CommandStats) -> u64| stats.clone().into_iter().map(of).sum::<u64>();
    let (completed, failed, timeout) =
        (sum(|one| one.completed), sum(|one| one.failed), sum(|one| one.timeout));
    let ended = completed + failed + timeout;
    let answered = |one: &CommandStats| (one.completed + one.failed) as f64;
    let means = stats.clone().into_iter().filter_map(|one| Some((one.mean_response_ms?, answered(one))));
    let (time, count) =
        means.fold((0.0, 0.0), |(time, all), (mean, count)| (time + mean * count, all + count));
    let rounded = |value: f64, digits: f64| (value * digits).round() / digits;
    json!({
        "total": sum(|one| one.total),
        "completed": completed,
        "failed": failed,
        "timeout": timeout,
        "cancelled": sum(|one| one.cancelled),
        "open": sum(|one| one.open),
        "successRate": (ended > 0).then(|| rounded(completed as f64 / ended as f64, 10_000.0)),
        "meanResponseMs": (count > 0.0).then(|| rounded(time / count, 10.0)),
    })
}

#[cfg(test)]
mod tests {
    use adapter_api::{CommandSource, DeviceId};

    use super::*;

    fn stats(device: &str, counts: [u64; 5], mean_response_ms: Option<f64>) -> CommandStats {
        let [completed, failed, timeout, cancelled, open] = counts;
        CommandStats {
            source: CommandSource::Automation,
            device: DeviceId::new(device).unwrap(),
            total: counts.iter().sum(),
            completed,
            failed,
            timeout,
            cancelled,
            open,
            mean_response_ms,
        }
    }

    #[test]
    fn success_and_response_time_are_summed_over_sources_and_devices() {
        let json = summed(&[
            stats("roof", [3, 1, 0, 5, 1], Some(100.0)),
            stats("house", [0, 0, 1, 0, 0], None),
            stats("attic", [1, 0, 0, 0, 0], Some(350.0)),
        ]);
        let roof = json!({"source": "automation", "device": "roof", "total": 10, "completed": 3, "failed": 1,
            "timeout": 0, "cancelled": 5, "open": 1, "successRate": 0.75, "meanResponseMs": 100.0});
        assert_eq!(json["stats"][0], roof);
        assert_eq!(
            (&json["stats"][1]["successRate"], &json["stats"][1]["meanResponseMs"]),
            (&json!(0.0), &Value::Null)
        );
        let total = json!({"total": 12, "completed": 4, "failed": 1, "timeout": 1, "cancelled": 5, "open": 1,
            "successRate": 0.6667, "meanResponseMs": 150.0});
        assert_eq!(json["total"], total);
        assert_eq!(summed(&[])["total"]["successRate"], Value::Null);
    }
}
