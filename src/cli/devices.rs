//! `maestro devices [id]`.

use std::process::ExitCode;

use serde_json::Value;

use super::{
    client::{Client, escaped},
    say, say_json,
    shown::{command, list as rows, shown},
    table::table,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// One device's id; all of them unless said.
    device: Option<String>,
}

pub async fn run(client: &Client, arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let path = arguments
        .device
        .as_ref()
        .map_or("/v1/devices".to_owned(), |id| format!("/v1/devices/{}", escaped(id)));
    let body = client.get(&path).await?.body()?;
    match (&arguments.device, json) {
        (_, true) => say_json(&body),
        (None, false) => list(&body),
        (Some(_), false) => one(&body),
    }
    Ok(ExitCode::SUCCESS)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("-")
}

fn list(body: &Value) {
    let devices = body["devices"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<_> = devices
        .iter()
        .map(|device| {
            let power = device["latest"]["points"]["activePower"].as_f64();
            vec![
                text(device, "id").to_owned(),
                text(device, "name").to_owned(),
                text(device, "type").to_owned(),
                text(device, "availability").to_owned(),
                power.map_or("-".to_owned(), |watts| format!("{watts:.0} W")),
                if commandable(device) { "yes" } else { "no" }.to_owned(),
                text(device, "problem").to_owned(),
            ]
        })
        .collect();
    say(&table(&["DEVICE", "NAME", "TYPE", "STATE", "POWER", "CONTROL", "PROBLEM"], &rows));
}

/// Does it take anything but `refresh`, and may it?
fn commandable(device: &Value) -> bool {
    let commands = device["commands"].as_array().map_or(&[][..], Vec::as_slice);
    device["control"] == true && commands.iter().any(|command| command["command"] != "refresh")
}

fn one(device: &Value) {
    let product = format!("{} {}", text(device, "manufacturer"), text(device, "model"));
    say(&format!("{}  {} ({product})", text(device, "id"), text(device, "name")));
    say(&format!("state    {}", text(device, "availability")));
    if let Some(problem) = device["problem"].as_str() {
        say(&format!("problem  {problem}"));
    }
    for went_wrong in [polls(device), disbelieved(device)].into_iter().flatten() {
        say(&went_wrong);
    }
    say(&format!("profile  {}, adapter {}", text(device, "profile"), text(device, "adapter")));
    let latest = &device["latest"];
    if let Some(points) = latest["points"].as_object() {
        say(&format!("reading  {} ({})", text(latest, "timestamp"), belief(latest)));
        let rows: Vec<_> = points.iter().map(|(name, value)| vec![name.clone(), shown(value)]).collect();
        say(&table(&["POINT", "VALUE"], &rows));
    }
    for holder in rows(device, "lease") {
        let (owner, until) = (text(holder, "owner"), text(holder, "until"));
        say(&format!("held     {} by {owner} until {until}: {}", text(holder, "setpoint"), command(holder)));
    }
    let commands = device["commands"].as_array().map_or(&[][..], Vec::as_slice);
    if device["control"] != true {
        say("commands refresh only: control = true is not set for this device");
    }
    commands.iter().for_each(|command| say(&taken(command)));
}

/// How far a reading is to be believed; where it does not come from the device, that too.
fn belief(reading: &Value) -> String {
    let quality = text(reading, "quality");
    match reading["source"].as_str().filter(|source| *source != "device") {
        Some(source) => format!("{quality}, {source}"),
        None => quality.to_owned(),
    }
}

/// How often it could not be read, and why; none while that never happened.
fn polls(device: &Value) -> Option<String> {
    let counted = [("failedPolls", "came to nothing"), ("missedPolls", "missed because its link was busy")];
    Some(format!("polls    {}, since the gateway started", counts(device, &counted)?))
}

/// What it said and was not believed; none while that never happened.
fn disbelieved(device: &Value) -> Option<String> {
    let counted = [
        ("outOfRange", "out of range"),
        ("sentinels", "missing that had been there"),
        ("fallingCounters", "with a counter that had fallen"),
        ("leaps", "with a counter that had leapt"),
    ];
    Some(format!("ignored  {}, since the gateway started", counts(device, &counted)?))
}

fn counts(device: &Value, counted: &[(&str, &str)]) -> Option<String> {
    let words: Vec<_> = counted
        .iter()
        .filter_map(|(key, words)| Some((device["counts"][*key].as_u64().filter(|times| *times > 0)?, words)))
        .map(|(times, words)| format!("{times} {words}"))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// A command that a device takes, with what is special about it.
fn taken(command: &Value) -> String {
    let parameters = command["parameters"].as_object().into_iter().flatten();
    let parameters = parameters.map(|(name, allowed)| format!(" {name}={allowed}"));
    let special = [
        ("leased", "holds its setpoint"),
        ("persistent", "wears the device, so it is written seldom"),
        ("local", "by this machine's socket only"),
    ];
    let special: Vec<_> =
        special.into_iter().filter(|(key, _)| command[key] == true).map(|(_, words)| words).collect();
    let special = if special.is_empty() { String::new() } else { format!(" ({})", special.join(", ")) };
    format!("command  {}{}{special}", text(command, "command"), parameters.collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_not_believed_is_shown_in_words() {
        let shown = |counts: Value| disbelieved(&json!({ "counts": counts }));
        assert_eq!(shown(json!({"failedPolls": 3})), None);
        assert_eq!(
            shown(json!({"outOfRange": 2, "sentinels": 1, "fallingCounters": 12, "leaps": 3})).as_deref(),
            Some(
                "ignored  2 out of range, 1 missing that had been there, 12 with a counter that had fallen, \
                 3 with a counter that had leapt, since the gateway started"
            )
        );
    }

    #[test]
    fn a_reading_that_is_not_the_devices_own_says_so() {
        assert_eq!(belief(&json!({"quality": "good", "source": "device"})), "good");
        assert_eq!(belief(&json!({"quality": "fair", "source": "estimated"})), "fair, estimated");
    }

    #[test]
    fn polls_that_went_wrong_are_shown_and_what_never_happened_is_not() {
        let shown = |counts: Value| polls(&json!({ "counts": counts }));
        assert_eq!(shown(json!({})), None);
        assert_eq!(
            shown(json!({"failedPolls": 3, "missedPolls": 12})).as_deref(),
            Some(
                "polls    3 came to nothing, 12 missed because its link was busy, since the gateway started"
            )
        );
        let missed = shown(json!({"failedPolls": 0, "missedPolls": 1}));
        assert_eq!(
            missed.as_deref(),
            Some("polls    1 missed because its link was busy, since the gateway started")
        );
    }
}
