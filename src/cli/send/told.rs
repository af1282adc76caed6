//! What a sender is told: what happened, and what to do next. Pure.

use serde_json::Value;

use crate::cli::shown::{cell, command, shown};

/// It is on disk.
pub fn accepted(result: &Value) -> String {
    let id = cell(&result["id"]);
    match result["scheduledAt"].as_str() {
        Some(at) => format!("accepted as {id}\nit starts at {at}; `maestro cancel {id}` takes it back"),
        None => format!("accepted as {id}"),
    }
}

/// How it ended, what the device shows, and what follows from it.
pub fn ended(result: &Value) -> String {
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
    let next = next(result);
    if next.is_empty() { line } else { format!("{line}\n{}", next.join("\n")) }
}

fn next(result: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if result["effect"] == false {
        lines.push("the battery's power did not follow; look at the device itself".to_owned());
    }
    let lease = &result["lease"];
    if result["status"] == "completed" && lease.is_object() {
        lines.push(format!(
            "it holds the setpoint for {} s, then comes {}; send it again to hold it longer, `maestro leases` shows it",
            shown(&lease["seconds"]),
            command(&lease["revert"])
        ));
    }
    if let Some(newer) = result["supersededBy"].as_str() {
        lines.push(format!("a newer command for the same setpoint took its place: {newer}"));
    }
    lines
}

/// What to do about a refusal whose own words leave that open.
pub fn remedy(answer: &Value) -> Option<&'static str> {
    match answer["error"]["code"].as_str()? {
        "held" => Some("refused; `maestro leases` shows who holds it, and a higher --priority takes it over"),
        "no_revert" => Some("refused; say with --revert what gives the setpoint back"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sender_learns_what_happened_and_what_comes_next() {
        let revert = json!({"command": "set_battery_mode", "parameters": {"mode": "auto"}});
        let result = json!({"id": "i", "status": "completed", "outcome": "done", "verified": true, "written": true,
            "observed": {"mode": "charge"}, "effect": false, "lease": {"seconds": 60, "revert": revert}});
        let text = ended(&result);
        assert!(
            text.starts_with("completed, verified by a fresh read; the device shows mode=charge\n"),
            "{text}"
        );
        assert!(text.contains("power did not follow"), "{text}");
        assert!(text.contains("for 60 s, then comes set_battery_mode mode=auto"), "{text}");
        let failed = json!({"status": "cancelled", "outcome": "superseded", "supersededBy": "n", "lease": {"seconds": 60}});
        let text = ended(&failed);
        assert!(
            text.starts_with("cancelled (superseded)\n") && text.ends_with("took its place: n"),
            "{text}"
        );
        assert_eq!(
            ended(&json!({"status": "completed", "outcome": "done", "written": false})),
            "completed, nothing had to be written"
        );
    }

    #[test]
    fn what_starts_later_says_how_to_take_it_back() {
        let text = accepted(&json!({"id": "i", "scheduledAt": "t"}));
        assert!(text.contains("starts at t") && text.contains("maestro cancel i"), "{text}");
        assert_eq!(accepted(&json!({"id": "i"})), "accepted as i");
        let held = json!({"error": {"code": "held", "message": "held by mqtt:night"}});
        assert!(remedy(&held).unwrap().contains("maestro leases"));
        assert_eq!(remedy(&json!({"status": "accepted"})), None);
    }
}
