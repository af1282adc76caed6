//! `maestro leases [device]`: who holds which setpoint, and how it came to that.

use std::process::ExitCode;

use serde_json::Value;

use super::{
    client::Client,
    say, say_json,
    shown::{cell, command, list, span},
    table::table,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Of one device; of all of them unless said.
    device: Option<String>,
}

pub async fn run(client: &Client, arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let mut body = client.get("/v1/leases").await?.body()?;
    if let (Some(device), Some(leases)) = (&arguments.device, body["leases"].as_array_mut()) {
        leases.retain(|lease| lease["deviceId"] == **device);
    }
    if json {
        say_json(&body);
        return Ok(ExitCode::SUCCESS);
    }
    let now = jiff::Timestamp::now().as_second();
    let stories: Vec<_> = list(&body, "leases").iter().map(|lease| story(lease, now)).collect();
    if stories.is_empty() {
        say("nobody holds a setpoint, and nobody wrote one yet; `maestro send … --lease 60` does");
    } else {
        say(&stories.join("\n\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// One setpoint: its holder, what comes after, who wrote it, who was refused.
fn story(lease: &Value, now: i64) -> String {
    let mut lines = vec![format!("{}  {}", cell(&lease["deviceId"]), cell(&lease["setpoint"]))];
    match &lease["holder"] {
        Value::Null => lines.push("  free: anyone may write it".to_owned()),
        holder => lines.extend(held(holder, now)),
    }
    let rows =
        |key: &str, row: fn(&Value) -> Vec<String>| list(lease, key).iter().map(row).collect::<Vec<_>>();
    let writers = rows("writers", |writer| {
        vec![cell(&writer["at"]), cell(&writer["owner"]), command(writer), cell(&writer["outcome"])]
    });
    if !writers.is_empty() {
        lines.push("  written by, newest last".to_owned());
        lines.extend(indented(&table(&["TIME", "OWNER", "COMMAND", "OUTCOME"], &writers)));
    }
    let refusals = rows("refusals", |refused| {
        vec![
            cell(&refused["at"]),
            cell(&refused["owner"]),
            cell(&refused["command"]),
            cell(&refused["reason"]),
        ]
    });
    if !refusals.is_empty() {
        lines.push("  refused, newest last".to_owned());
        lines.extend(indented(&table(&["TIME", "OWNER", "COMMAND", "WHY"], &refusals)));
    }
    lines.join("\n")
}

fn held(holder: &Value, now: i64) -> Vec<String> {
    let until = holder["until"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let left = until.map_or(0, |until| until.as_second() - now);
    let left = if left > 0 { format!("{} from now", span(left)) } else { "it is over".to_owned() };
    let mut lines = vec![
        format!(
            "  held by     {} ({}, {}) since {}",
            cell(&holder["owner"]),
            cell(&holder["source"]),
            cell(&holder["priority"]),
            cell(&holder["since"])
        ),
        format!("  with        {}, id {}", command(holder), cell(&holder["id"])),
        format!("  until       {}, {left}", cell(&holder["until"])),
        format!("  afterwards  {}", command(&holder["revert"])),
    ];
    if let Some(why) = holder["reverting"].as_str() {
        lines.push(format!("  reverting   {why}"));
    }
    match holder["dropped"].as_u64() {
        None | Some(0) => {}
        Some(1) => lines.push("  set again   once, because the device had dropped it".to_owned()),
        Some(times) => lines.push(format!("  set again   {times} times, because the device had dropped it")),
    }
    lines
}

fn indented(text: &str) -> Vec<String> {
    text.lines().map(|line| format!("    {line}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_story_of_a_setpoint_names_holder_writers_and_who_was_refused() {
        let auto = json!({"command": "set_battery_mode", "parameters": {"mode": "auto"}});
        let lease = json!({"deviceId": "roof-battery", "setpoint": "battery",
            "holder": {"owner": "mqtt:night", "source": "automation", "priority": "high", "id": "i",
                "command": "set_battery_mode", "parameters": {"mode": "charge", "power": 2000},
                "since": "1970-01-01T00:00:01.000Z", "until": "1970-01-01T00:02:05.000Z", "revert": auto,
                "dropped": 2},
            "writers": [{"at": "w", "owner": "cli:anna", "id": "h", "command": "set_battery_mode",
                "parameters": {"mode": "hold"}, "outcome": "done"}],
            "refusals": [{"at": "r", "owner": "http:day", "command": "set_battery_mode",
                "reason": "held by mqtt:night until 00:02"}]});
        let text = story(&lease, 60);
        for words in [
            "roof-battery  battery",
            "held by     mqtt:night (automation, high)",
            "set_battery_mode mode=charge power=2000, id i",
            "1 min 5 s from now",
            "afterwards  set_battery_mode mode=auto",
            "set again   2 times",
            "cli:anna  set_battery_mode mode=hold  done",
            "http:day  set_battery_mode  held by mqtt:night until 00:02",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        let over = story(&lease, 200);
        assert!(over.contains("it is over"), "{over}");
        let free = story(&json!({"deviceId": "roof", "setpoint": "power", "writers": [], "refusals": []}), 0);
        assert_eq!(free, "roof  power\n  free: anyone may write it");
    }
}
