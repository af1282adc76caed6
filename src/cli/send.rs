//! `maestro send <device> <command> [key=value…]`.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use super::{client::Client, devices::shown, say, say_json};

/// Longest that one request waits; the daemon answers earlier when the command has ended.
const WAIT: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct Arguments {
    /// The device's id.
    device: String,
    /// The command, like set_battery_mode; `maestro devices <id>` shows what a device takes.
    command: String,
    /// Its parameters, like mode=charge power=2000.
    parameters: Vec<String>,
    /// low, normal, high or critical.
    #[arg(long)]
    priority: Option<String>,
    /// An id of yours: the same one is executed once.
    #[arg(long)]
    id: Option<String>,
    /// Seconds that it may wait for its device.
    #[arg(long)]
    expires_in: Option<f64>,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

pub async fn run(client: &Client, arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let body = body(arguments)?;
    let answer = client.post(&format!("/v1/devices/{}/commands", arguments.device), &body).await?;
    let accepted = answer.status == StatusCode::ACCEPTED;
    let mut result = if json && !answer.status.is_success() {
        say_json(&answer.body);
        return Ok(ExitCode::FAILURE);
    } else {
        answer.body()?
    };
    let id = result["id"].as_str().context("the gateway's answer has no id")?.to_owned();
    if accepted && !json {
        say(&format!("accepted as {id}"));
    }
    while !arguments.no_wait && result["outcome"].is_null() {
        let path = format!("/v1/commands/{id}?wait={}", WAIT.as_secs());
        result = client.get(&path).await?.body()?;
    }
    if json {
        say_json(&result);
    } else {
        say(&told(&result));
    }
    let good = matches!(result["status"].as_str(), Some("completed" | "accepted" | "executing"));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn body(arguments: &Arguments) -> anyhow::Result<Value> {
    let mut parameters = Map::new();
    for given in &arguments.parameters {
        let Some((key, text)) = given.split_once('=') else {
            bail!("`{given}` is no parameter; write key=value, like power=2000");
        };
        // Numbers, true and false are what they look like; everything else is text.
        let value = match serde_json::from_str::<Value>(text) {
            Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
            _ => json!(text),
        };
        parameters.insert(key.to_owned(), value);
    }
    let mut body = Map::from_iter([
        ("command".to_owned(), json!(arguments.command)),
        ("parameters".to_owned(), Value::Object(parameters)),
        ("source".to_owned(), json!("user")),
    ]);
    let optional = [
        ("priority", arguments.priority.as_ref().map(|word| json!(word))),
        ("id", arguments.id.as_ref().map(|id| json!(id))),
        ("expiresIn", arguments.expires_in.map(|seconds| json!(seconds))),
    ];
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Ok(Value::Object(body))
}

/// One line that says how it ended and what the device shows.
fn told(result: &Value) -> String {
    let status = result["status"].as_str().unwrap_or("unknown");
    let mut line = match result["outcome"].as_str() {
        Some(outcome) if outcome != "done" => format!("{status} ({outcome})"),
        _ => status.to_owned(),
    };
    match (result["verified"].as_bool(), result["written"].as_bool()) {
        (_, Some(false)) if status == "completed" => line.push_str(", nothing had to be written"),
        (Some(true), _) => line.push_str(", verified by a fresh read"),
        (Some(false), _) => line.push_str(", accepted by the device, not verified"),
        (None, _) => {}
    }
    if let Some(observed) = result["observed"].as_object() {
        let shown: Vec<_> = observed.iter().map(|(key, value)| format!("{key}={}", shown(value))).collect();
        line.push_str(&format!("; the device shows {}", shown.join(" ")));
    }
    if let Some(message) = result["error"]["message"].as_str() {
        line.push_str(&format!(": {message}"));
    }
    line
}
