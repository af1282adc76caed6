//! `maestro cancel <id>`.

use std::process::ExitCode;

use serde_json::Value;

use super::{
    client::{Client, escaped},
    say, say_json,
    shown::{cell, command},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// The command's id, as `maestro send` said it and `maestro commands` lists it.
    id: String,
}

pub async fn run(client: &Client, arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let answer = client.delete(&format!("/v1/commands/{}", escaped(&arguments.id))).await?;
    let good = answer.status.is_success();
    // A command that was not cancelled is told as well, with how it stands.
    let result = if answer.body["cancel"].is_string() && answer.body["status"].is_string() || json {
        answer.body
    } else {
        answer.body()?
    };
    if json {
        say_json(&result);
    } else {
        say(&told(&result));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What happened, and what to do next.
fn told(result: &Value) -> String {
    let what = format!("{} on {}", command(result), cell(&result["deviceId"]));
    match result["cancel"].as_str() {
        Some("cancelled") => format!("cancelled: {what}; it waited, and nothing more is sent to the device"),
        Some("too_late") => format!(
            "too late: {what} is being executed; it is not tried again. To undo it, send the opposite; \
             `maestro commands --device {}` shows how it ended",
            cell(&result["deviceId"])
        ),
        _ => format!(
            "too late: {what} ended as {} ({}) at {}; to undo it, send the opposite",
            cell(&result["status"]),
            cell(&result["outcome"]),
            cell(&result["completedAt"])
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cancellation_says_what_happened() {
        let result = |cancel: &str| {
            told(&json!({"cancel": cancel, "deviceId": "roof", "command": "refresh", "status": "failed",
                "outcome": "rejected", "completedAt": "t"}))
        };
        assert!(result("cancelled").starts_with("cancelled: refresh on roof"));
        assert!(
            result("too_late").contains("is being executed") && result("too_late").contains("--device roof")
        );
        assert!(result("ended").contains("ended as failed (rejected) at t"));
    }
}
