//! `maestro commands --follow`: what happens, line by line.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;

use crate::cli::{
    client::{Client, escaped},
    complain,
    events::{Event, Events},
    say,
    shown::{cell, command},
};

pub async fn run(client: &Client, device: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let of_device = device.map(|device| format!("?device={}", escaped(device))).unwrap_or_default();
    let mut stream = client.stream(&format!("/v1/commands/events{of_device}")).await?;
    let mut events = Events::default();
    while let Some(bytes) = stream.chunk().await.context("the connection to the gateway broke")? {
        for event in events.take(&bytes) {
            if json {
                say(&serde_json::json!({"event": event.name, "data": event.data}).to_string());
            } else {
                say(&line(&event));
            }
        }
    }
    complain("the gateway stops; start this again when it is back");
    Ok(ExitCode::SUCCESS)
}

fn line(event: &Event) -> String {
    let data = &event.data;
    let at = cell(data.get("at").or_else(|| data.get("completedAt")).unwrap_or(&Value::Null));
    let who = format!("{} {} by {}", cell(&data["deviceId"]), command(data), cell(&data["owner"]));
    match event.name.as_str() {
        "result" => {
            let why = data["error"]["message"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
            format!("{at}  {who}  {} ({}){why}", cell(&data["status"]), cell(&data["outcome"]))
        }
        "lease_lost" => format!("{at}  {who}  lost {}: {}", cell(&data["setpoint"]), cell(&data["reason"])),
        "batch" => format!(
            "batch {}: {} of {} completed, {} failed, {} too late, {} cancelled",
            cell(&data["batchId"]),
            cell(&data["completed"]),
            cell(&data["total"]),
            cell(&data["failed"]),
            cell(&data["timeout"]),
            cell(&data["cancelled"])
        ),
        "lagged" => format!("{} events were lost: this reads too slowly", cell(&data["missed"])),
        name => format!("{at}  {who}  {name}, id {}", cell(&data["id"])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_event_is_one_line() {
        let event = |name: &str, data: Value| line(&Event { name: name.into(), data });
        let data = json!({"id": "i", "deviceId": "roof", "command": "refresh", "owner": "cli:anna", "at": "t",
            "completedAt": "e", "status": "failed", "outcome": "rejected", "error": {"message": "no"},
            "setpoint": "power", "reason": "taken over"});
        assert_eq!(event("accepted", data.clone()), "t  roof refresh by cli:anna  accepted, id i");
        assert_eq!(event("result", data.clone()), "t  roof refresh by cli:anna  failed (rejected): no");
        assert_eq!(event("lease_lost", data), "t  roof refresh by cli:anna  lost power: taken over");
        let batch =
            json!({"batchId": "b", "total": 4, "completed": 1, "failed": 2, "timeout": 1, "cancelled": 0});
        assert_eq!(event("batch", batch), "batch b: 1 of 4 completed, 2 failed, 1 too late, 0 cancelled");
    }
}
