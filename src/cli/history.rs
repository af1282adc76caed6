//! `maestro history <device>`.

use std::{process::ExitCode, time::SystemTime};

use adapter_api::Span;
use serde_json::Value;

use super::{client::Client, say, say_json, shown::shown, table::table};

#[derive(clap::Args)]
pub struct Arguments {
    /// The device's id.
    device: String,
    /// How far back, like 10m, 6h or 7d.
    #[arg(long, default_value = "1h")]
    last: Span,
    /// Points to show, comma separated; the main ones unless said.
    #[arg(long, value_delimiter = ',')]
    points: Vec<String>,
    /// Most rows.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Hourly average, least and greatest instead of readings.
    #[arg(long)]
    hours: bool,
}

const MAIN_POINTS: [&str; 5] =
    ["activePower", "batteryLevel", "voltage", "energyConsumedTotal", "energyProducedTotal"];

pub async fn run(client: &Client, arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let from = now.saturating_sub(arguments.last.0).as_millis();
    let what = if arguments.hours { "hours" } else { "history" };
    let path = format!("/v1/devices/{}/{what}?from={from}&limit={}", arguments.device, arguments.limit);
    let body = client.get(&path).await?.body()?;
    if json {
        say_json(&body);
    } else if arguments.hours {
        hours(&body, arguments);
    } else {
        readings(&body, arguments);
    }
    Ok(ExitCode::SUCCESS)
}

fn readings(body: &Value, arguments: &Arguments) {
    let readings = body["readings"].as_array().map_or(&[][..], Vec::as_slice);
    let has = |point: &&str| readings.iter().any(|reading| !reading["points"][*point].is_null());
    let points: Vec<&str> = if arguments.points.is_empty() {
        MAIN_POINTS.iter().copied().filter(has).collect()
    } else {
        arguments.points.iter().map(String::as_str).collect()
    };
    let rows: Vec<_> = readings
        .iter()
        .map(|reading| {
            let cells = points.iter().map(|point| match &reading["points"][*point] {
                Value::Null => "-".to_owned(),
                value => shown(value),
            });
            [shown(&reading["timestamp"]), shown(&reading["quality"])].into_iter().chain(cells).collect()
        })
        .collect();
    let head: Vec<_> = ["TIME", "QUALITY"].into_iter().chain(points).collect();
    say(&table(&head, &rows));
    say(&format!("{} readings of the last {}", rows.len(), arguments.last));
}

fn hours(body: &Value, arguments: &Arguments) {
    let hours = body["hours"].as_array().map_or(&[][..], Vec::as_slice);
    let wanted = |row: &&Value| {
        arguments.points.is_empty()
            || row["point"].as_str().is_some_and(|point| arguments.points.iter().any(|p| p == point))
    };
    let rows: Vec<_> = hours
        .iter()
        .filter(wanted)
        .map(|row| ["hour", "point", "count", "average", "min", "max"].map(|key| shown(&row[key])).to_vec())
        .collect();
    say(&table(&["HOUR", "POINT", "COUNT", "AVERAGE", "MIN", "MAX"], &rows));
}
