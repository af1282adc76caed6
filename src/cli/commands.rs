//! `maestro commands`.

use std::process::ExitCode;

use serde_json::Value;

use super::{client::Client, devices::shown, say, say_json, table::table};

#[derive(clap::Args)]
pub struct Arguments {
    /// Of one device.
    #[arg(long)]
    device: Option<String>,
    /// With one status: pending, executing, completed, failed, timeout, cancelled.
    #[arg(long)]
    status: Option<String>,
    /// Of one owner, like cli:anna.
    #[arg(long)]
    owner: Option<String>,
    /// Most rows.
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

pub async fn run(client: &Client, arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let filters = [("device", &arguments.device), ("status", &arguments.status), ("owner", &arguments.owner)];
    let mut path = format!("/v1/commands?limit={}", arguments.limit);
    for (key, value) in filters {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", escaped(value)));
        }
    }
    let body = client.get(&path).await?.body()?;
    if json {
        say_json(&body);
        return Ok(ExitCode::SUCCESS);
    }
    let commands = body["commands"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<_> = commands.iter().map(row).collect();
    say(&table(&["ACCEPTED", "DEVICE", "COMMAND", "OWNER", "STATUS", "OUTCOME", "ERROR"], &rows));
    Ok(ExitCode::SUCCESS)
}

fn row(command: &Value) -> Vec<String> {
    let cell = |value: &Value| if value.is_null() { "-".to_owned() } else { shown(value) };
    let parameters = command["parameters"].as_object().map(|parameters| {
        parameters.iter().map(|(key, value)| format!(" {key}={}", shown(value))).collect::<String>()
    });
    vec![
        cell(&command["acceptedAt"]),
        cell(&command["deviceId"]),
        format!("{}{}", cell(&command["command"]), parameters.unwrap_or_default()),
        cell(&command["owner"]),
        cell(&command["status"]),
        cell(&command["outcome"]),
        cell(&command["error"]["message"]),
    ]
}

/// The few characters that would end a query's value.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' | b'/' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
