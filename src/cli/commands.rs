//! `maestro commands`.

mod follow;
mod stats;

use std::{process::ExitCode, time::SystemTime};

use adapter_api::Span;
use serde_json::Value;

use super::{
    client::{Client, escaped},
    say, say_json,
    shown::{cell, command, list},
    table::table,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Of one device.
    #[arg(long)]
    device: Option<String>,
    /// With one status: pending, executing, completed, failed, timeout, cancelled.
    #[arg(long)]
    status: Option<String>,
    /// With one outcome, like done, rejected, mismatch, expired or superseded.
    #[arg(long)]
    outcome: Option<String>,
    /// With one name, like set_battery_mode.
    #[arg(long)]
    command: Option<String>,
    /// From one kind of asker, like user, automation or schedule.
    #[arg(long)]
    source: Option<String>,
    /// Of one owner, like cli:anna.
    #[arg(long)]
    owner: Option<String>,
    /// With one correlation id.
    #[arg(long)]
    correlation: Option<String>,
    /// Of one batch.
    #[arg(long)]
    batch: Option<String>,
    /// Accepted at this time or later, like 2026-01-31T12:00:00Z.
    #[arg(long)]
    since: Option<String>,
    /// Accepted at this time or earlier.
    #[arg(long)]
    until: Option<String>,
    /// Accepted within the last 10m, 24h or 7d.
    #[arg(long, conflicts_with = "since")]
    last: Option<Span>,
    /// Most rows.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// How they did, by source and device, instead of each of them.
    #[arg(long)]
    stats: bool,
    /// Show what happens from now on, of all devices or of --device, until Ctrl-C.
    #[arg(
        long,
        conflicts_with_all = ["status", "outcome", "command", "source", "owner", "correlation", "batch", "since", "until", "last", "stats"]
    )]
    follow: bool,
}

pub async fn run(client: &Client, arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    if arguments.follow {
        return follow::run(client, arguments.device.as_deref(), json).await;
    }
    let query = query(arguments)?;
    if arguments.stats {
        let body = client.get(&format!("/v1/commands/stats?{query}")).await?.body()?;
        if json {
            say_json(&body)
        } else {
            say(&stats::shown(&body))
        }
        return Ok(ExitCode::SUCCESS);
    }
    let body = client.get(&format!("/v1/commands?{query}")).await?.body()?;
    if json {
        say_json(&body);
        return Ok(ExitCode::SUCCESS);
    }
    let commands = list(&body, "commands");
    let rows: Vec<_> = commands.iter().map(row).collect();
    say(&table(&["ACCEPTED", "DEVICE", "COMMAND", "OWNER", "STATUS", "OUTCOME", "ID", "ERROR"], &rows));
    if commands.len() >= arguments.limit {
        say(&format!(
            "the newest {}; --limit shows more, --last 24h and the other filters fewer",
            arguments.limit
        ));
    }
    if commands.iter().any(|command| command["status"] == "accepted") {
        say("what is accepted waits for its device or its time; `maestro cancel <ID>` takes it back");
    }
    Ok(ExitCode::SUCCESS)
}

fn query(arguments: &Arguments) -> anyhow::Result<String> {
    let since = match arguments.last {
        Some(last) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
            Some(now.saturating_sub(last.0).as_millis().to_string())
        }
        None => arguments.since.clone(),
    };
    let filters = [
        ("device", &arguments.device),
        ("status", &arguments.status),
        ("outcome", &arguments.outcome),
        ("command", &arguments.command),
        ("source", &arguments.source),
        ("owner", &arguments.owner),
        ("correlationId", &arguments.correlation),
        ("batchId", &arguments.batch),
        ("since", &since),
        ("until", &arguments.until),
    ];
    let mut query = format!("limit={}", arguments.limit);
    for (key, value) in filters {
        if let Some(value) = value {
            query.push_str(&format!("&{key}={}", escaped(value)));
        }
    }
    Ok(query)
}

fn row(told: &Value) -> Vec<String> {
    vec![
        cell(&told["acceptedAt"]),
        cell(&told["deviceId"]),
        command(told),
        cell(&told["owner"]),
        cell(&told["status"]),
        cell(&told["outcome"]),
        cell(&told["id"]),
        cell(&told["error"]["message"]),
    ]
}
