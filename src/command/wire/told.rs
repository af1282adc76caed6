//! Progress, results, summaries and refusals out.

use adapter_api::{CommandStatus, Outcome};
use serde_json::{Value as Json, json};

use super::{lease::terms, parameters_json, time_text, without_nulls};
use crate::{
    command::{Cancelled, Refusal, RefusalCode, Request},
    journal::{BatchRow, CommandRow},
};

/// The word for a status on the wire: a waiting command is told as accepted.
pub const fn status_word(status: CommandStatus) -> &'static str {
    match status {
        CommandStatus::Pending => "accepted",
        other => other.as_str(),
    }
}

/// A progress message.
pub fn progress(row: &CommandRow) -> Json {
    let at = row.events.last().map(|event| time_text(event.at));
    without_nulls(json!({
        "id": row.id,
        "deviceId": row.device.as_str(),
        "command": row.command,
        "correlationId": row.correlation_id,
        "batchId": row.batch_id,
        "source": row.source.as_str(),
        "owner": row.owner,
        "status": status_word(row.status),
        "at": at,
        "attempts": row.attempts,
    }))
}

/// A result, also of a command that has not ended yet.
pub fn result(row: &CommandRow) -> Json {
    let duration = row.completed_at.zip(row.executed_at).map(|(end, start)| (end - start).max(0));
    without_nulls(json!({
        "id": row.id,
        "correlationId": row.correlation_id,
        "batchId": row.batch_id,
        "deviceId": row.device.as_str(),
        "command": row.command,
        "parameters": parameters_json(&row.parameters),
        "priority": row.priority.as_str(),
        "source": row.source.as_str(),
        "owner": row.owner,
        "status": status_word(row.status),
        "outcome": row.outcome.map(Outcome::as_str),
        "verified": row.verified,
        "written": row.written,
        "requested": row.requested.as_ref().map(parameters_json),
        "observed": row.observed.as_ref().map(parameters_json),
        "effect": row.effect,
        "supersededBy": row.superseded_by,
        "reverts": row.reverts,
        "lease": row.lease.as_ref().map(terms),
        "attempts": row.attempts,
        "error": row.error.as_ref().map(|(code, message)| json!({"code": code, "message": message})),
        "acceptedAt": time_text(row.accepted_at),
        "scheduledAt": row.scheduled_at.map(time_text),
        "expiresAt": time_text(row.expires_at),
        "executedAt": row.executed_at.map(time_text),
        "completedAt": row.completed_at.map(time_text),
        "duration": duration,
    }))
}

/// What came of a cancellation: the command as it stands.
pub fn cancelled(cancelled: &Cancelled) -> Json {
    let word = match cancelled {
        Cancelled::Now(_) => "cancelled",
        Cancelled::TooLate(_) => "too_late",
        Cancelled::Ended(_) => "ended",
    };
    let mut json = result(cancelled.row());
    json["cancel"] = json!(word);
    json
}

/// The summary of a batch.
pub fn batch(row: &BatchRow) -> Json {
    json!({
        "batchId": row.id,
        "total": row.total,
        "completed": row.completed,
        "failed": row.failed,
        "timeout": row.timeout,
        "cancelled": row.cancelled,
    })
}

/// A refusal, told like a result. `request` is what could be understood of it.
pub fn refusal(refusal: &Refusal, request: Option<&Request>) -> Json {
    let outcome = match refusal.code {
        RefusalCode::Expired => Outcome::Expired,
        _ => Outcome::Rejected,
    };
    without_nulls(json!({
        "id": request.and_then(|request| request.id.as_deref()),
        "correlationId": request.and_then(|request| request.correlation_id.as_deref()),
        "batchId": request.and_then(|request| request.batch_id.as_deref()),
        "deviceId": request.map(|request| request.device.as_str()),
        "command": request.map(|request| request.command.as_str()),
        "owner": request.map(|request| request.owner.as_str()),
        "status": outcome.status().as_str(),
        "outcome": outcome.as_str(),
        "error": {"code": refusal.code.as_str(), "message": refusal.message},
    }))
}

/// A refusal to cancel the command with this id.
pub fn cancel_refusal(refused: &Refusal, id: &str) -> Json {
    json!({"id": id, "cancel": "refused", "error": {"code": refused.code.as_str(), "message": refused.message}})
}
