//! `maestro send <device> <command> [key=value…]`.

mod told;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    client::{Client, escaped},
    say, say_json,
};

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
    /// Hold the setpoint for so many seconds against others; send it again to hold it longer.
    #[arg(long, value_name = "SECONDS")]
    lease: Option<f64>,
    /// What gives the setpoint back, like 'set_battery_mode mode=auto'; the device's safe command
    /// unless said.
    #[arg(long, value_name = "COMMAND", requires = "lease")]
    revert: Option<String>,
    /// Not before this time, like 2026-01-31T12:00:00Z. Nobody waits for its end then.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// A correlation id of yours, repeated in the result.
    #[arg(long)]
    correlation: Option<String>,
    /// A batch id of yours, to find what belongs together.
    #[arg(long)]
    batch: Option<String>,
    /// Who asks; the user at this terminal unless said. Two automations of one user hold against
    /// each other by this name.
    #[arg(long)]
    owner: Option<String>,
    /// Do not wait for the end.
    #[arg(long)]
    no_wait: bool,
}

pub async fn run(client: &Client, arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let body = body(arguments)?;
    let answer = client.post(&format!("/v1/devices/{}/commands", escaped(&arguments.device)), &body).await?;
    let accepted = answer.status == StatusCode::ACCEPTED;
    if json && !answer.status.is_success() {
        say_json(&answer.body);
        return Ok(ExitCode::FAILURE);
    }
    let mut result = match told::remedy(&answer.body) {
        Some(remedy) => answer.body().with_context(|| remedy)?,
        None => answer.body()?,
    };
    let id = result["id"].as_str().context("the gateway's answer has no id")?.to_owned();
    if accepted && !json {
        say(&told::accepted(&result));
    }
    let waits = !arguments.no_wait && arguments.at.is_none();
    while waits && result["outcome"].is_null() {
        let path = format!("/v1/commands/{}?wait={}", escaped(&id), WAIT.as_secs());
        result = client.get(&path).await?.body()?;
    }
    if json {
        say_json(&result);
    } else if waits || !accepted {
        say(&told::ended(&result));
    }
    let good = matches!(result["status"].as_str(), Some("completed" | "accepted" | "executing"));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn body(arguments: &Arguments) -> anyhow::Result<Value> {
    let given = parameters(arguments.parameters.iter().map(String::as_str))?;
    let mut body = Map::from_iter([
        ("command".to_owned(), json!(arguments.command)),
        ("parameters".to_owned(), Value::Object(given)),
        ("source".to_owned(), json!("user")),
    ]);
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    let optional = [
        ("priority", text(&arguments.priority)),
        ("id", text(&arguments.id)),
        ("expiresIn", arguments.expires_in.map(|seconds| json!(seconds))),
        ("lease", lease(arguments)?),
        ("scheduledAt", text(&arguments.at)),
        ("correlationId", text(&arguments.correlation)),
        ("batchId", text(&arguments.batch)),
        ("owner", text(&arguments.owner)),
    ];
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Ok(Value::Object(body))
}

fn lease(arguments: &Arguments) -> anyhow::Result<Option<Value>> {
    let Some(seconds) = arguments.lease else { return Ok(None) };
    let mut lease = json!({"seconds": seconds});
    if let Some(revert) = &arguments.revert {
        let mut words = revert.split_whitespace();
        let command =
            words.next().context("--revert is empty: write a command, like 'set_battery_mode mode=auto'")?;
        lease["revert"] = json!({"command": command, "parameters": parameters(words)?});
    }
    Ok(Some(lease))
}

fn parameters<'a>(given: impl Iterator<Item = &'a str>) -> anyhow::Result<Map<String, Value>> {
    let mut parameters = Map::new();
    for given in given {
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
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn sent(line: &str) -> anyhow::Result<Value> {
        let words = line.split('|').map(str::to_owned);
        body(&Line::try_parse_from(["send".to_owned()].into_iter().chain(words))?.arguments)
    }

    #[test]
    fn options_become_the_keys_of_a_command() {
        let line = "roof-battery|set_battery_mode|mode=charge|power=2000|--lease|60|--revert|set_battery_mode  mode=auto\
                    |--at|2026-01-31T12:00:00Z|--correlation|c|--batch|b|--owner|night|--priority|high";
        let revert = json!({"command": "set_battery_mode", "parameters": {"mode": "auto"}});
        let expected = json!({"command": "set_battery_mode", "parameters": {"mode": "charge", "power": 2000},
            "source": "user", "lease": {"seconds": 60.0, "revert": revert}, "scheduledAt": "2026-01-31T12:00:00Z",
            "correlationId": "c", "batchId": "b", "owner": "night", "priority": "high"});
        assert_eq!(sent(line).unwrap(), expected);
        let plain = json!({"command": "refresh", "parameters": {}, "source": "user"});
        assert_eq!(sent("roof|refresh").unwrap(), plain);
    }

    #[test]
    fn a_revert_without_a_lease_or_a_command_is_refused() {
        assert!(sent("roof|refresh|--revert|refresh").unwrap_err().to_string().contains("--lease"));
        assert!(
            sent("roof|refresh|--lease|60|--revert| ").unwrap_err().to_string().contains("--revert is empty")
        );
        assert!(
            sent("roof|refresh|--lease|60|--revert|x y")
                .unwrap_err()
                .to_string()
                .contains("`y` is no parameter")
        );
    }
}
