//! The life of one command, pure: a request becomes a row, a row starts, an outcome ends it or
//! sends it back. The caller brings the clock, the journal and the chance.

mod revert;

use std::time::Duration;

use adapter_api::{CommandStatus, Moment, Outcome, Problem, Value, WriteOutcome};
use backon::{BackoffBuilder, ExponentialBuilder};

pub(super) use self::revert::revert;
use self::revert::settle_revert;
use super::{Refusal, RefusalCode, Request};
use crate::journal::{CommandRow, Event, LeaseTerms, Step};

/// Retries unless the asker says otherwise.
const DEFAULT_RETRIES: u32 = 3;
/// First and longest pause before a retry.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Events that are kept of one command: the first and the latest ones.
const EVENTS: (usize, usize) = (4, 28);
/// Who acts when nobody asked.
pub(super) const GATEWAY: &str = "gateway";

/// What comes after an outcome.
#[derive(Debug)]
pub(super) enum Next {
    /// The command ended.
    Ended(CommandRow),
    /// It goes back to the queue for a while.
    Again(CommandRow, Duration),
}

/// Makes the row of an admitted request.
pub(super) fn accept(
    request: Request,
    expires_in: Duration,
    lease: Option<LeaseTerms>,
    now: Moment,
) -> Result<CommandRow, Refusal> {
    // A sender whose clock runs ahead must not buy more time with it.
    let asked = request.issued_at.map_or(now.wall_ms, |issued| issued.min(now.wall_ms));
    let from = request.scheduled_at.unwrap_or(asked);
    let lasts = request.expires_in.unwrap_or(expires_in);
    let expires_at = from.saturating_add(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX));
    if expires_at <= now.wall_ms {
        return Err(Refusal::new(
            RefusalCode::Expired,
            format!(
                "it expired {} ms ago: raise expiresIn, or set the sender's clock",
                now.wall_ms.saturating_sub(expires_at)
            ),
        ));
    }
    let status = CommandStatus::Pending;
    let accepted =
        Event { at: now.wall_ms, status, by: request.owner.clone(), reason: "accepted".to_owned() };
    Ok(CommandRow {
        number: 0,
        id: request.id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        device: adapter_api::DeviceId::new(&request.device)
            .map_err(|error| Refusal::new(RefusalCode::UnknownDevice, error.to_string()))?,
        command: request.command,
        parameters: request.parameters,
        priority: request.priority,
        source: request.source,
        owner: request.owner,
        status,
        outcome: None,
        correlation_id: request.correlation_id,
        batch_id: request.batch_id,
        issued_at: request.issued_at,
        accepted_at: now.wall_ms,
        scheduled_at: request.scheduled_at,
        expires_at,
        executed_at: None,
        completed_at: None,
        attempts: 0,
        max_retries: request.max_retries.unwrap_or(DEFAULT_RETRIES),
        verified: None,
        written: None,
        requested: None,
        observed: None,
        error: None,
        superseded_by: None,
        lease,
        effect: None,
        reverts: None,
        reply: request.reply,
        redelivery: request.redelivery,
        told: !request.tell,
        events: vec![accepted],
    })
}

/// It goes to an adapter now.
pub(super) fn start(row: &CommandRow, now: Moment) -> CommandRow {
    let mut row = row.clone();
    row.status = CommandStatus::Executing;
    row.executed_at = row.executed_at.or(Some(now.wall_ms));
    row.attempts += 1;
    note(&mut row, now, "");
    row
}

/// What an adapter's outcome means. `left` is the time to the expiry; `idempotent` says whether it
/// may be sent again when it had been sent once.
pub(super) fn settle(
    row: &CommandRow,
    outcome: WriteOutcome,
    idempotent: bool,
    left: Duration,
    now: Moment,
) -> Next {
    let mut row = row.clone();
    if row.reverts.is_some() {
        return settle_revert(row, outcome, now);
    }
    match outcome {
        WriteOutcome::Done { observed, verified, written } => {
            row.observed = (!observed.0.is_empty()).then_some(observed);
            row.verified = Some(verified);
            row.written = Some(written);
            end(row, Outcome::Done, None, now)
        }
        WriteOutcome::Mismatch { requested, observed } => {
            row.requested = Some(requested);
            row.observed = Some(observed);
            row.written = Some(true);
            let message = "the device took the command and shows something else";
            end(row, Outcome::Mismatch, Some(("mismatch", message.to_owned())), now)
        }
        WriteOutcome::Rejected { reason } => end(row, Outcome::Rejected, Some(("rejected", reason)), now),
        WriteOutcome::Unknown { reason } => end(row, Outcome::Unknown, Some(("unknown", reason)), now),
        WriteOutcome::NotApplied { reason, sent } => {
            let delay = pause(row.attempts, RETRY);
            if row.attempts > row.max_retries || (sent && !idempotent) || delay >= left {
                return end(row, Outcome::Unreachable, Some(("unreachable", reason)), now);
            }
            row.status = CommandStatus::Pending;
            note(&mut row, now, &reason);
            Next::Again(row, delay)
        }
    }
}

/// A newer command of its setpoint made it pointless.
pub(super) fn supersede(row: &CommandRow, newer: &str, now: Moment) -> CommandRow {
    let mut row = row.clone();
    row.superseded_by = Some(newer.to_owned());
    let message = format!("the newer command {newer} sets the same");
    ended(end(row, Outcome::Superseded, Some(("superseded", message)), now))
}

/// Somebody took it back.
pub(super) fn cancel(row: &CommandRow, by: &str, now: Moment) -> CommandRow {
    let message = format!("cancelled by {by}");
    ended(end(row.clone(), Outcome::Cancelled, Some(("cancelled", message)), now))
}

/// It may not be executed any more, although it was accepted.
pub(super) fn refuse(row: &CommandRow, refusal: &Refusal, now: Moment) -> CommandRow {
    let error = (refusal.code.as_str(), refusal.message.clone());
    ended(end(row.clone(), Outcome::Rejected, Some(error), now))
}

/// A relative command came to this one.
pub(super) fn resolve(row: &CommandRow, target: &Step, now: Moment) -> CommandRow {
    let mut row = row.clone();
    let mut requested = target.parameters.clone();
    requested.0.insert(TARGET.into(), Value::from(target.command.as_str()));
    row.requested = Some(requested);
    note(&mut row, now, &format!("comes to {}", target.command));
    row
}

/// What a relative command came to, if it was resolved. It is kept as `requested`, with the
/// command's name beside its parameters, so that everyone sees what was sent.
pub(super) fn resolved(row: &CommandRow) -> Option<Step> {
    let mut parameters = row.requested.clone()?;
    let command = parameters.0.remove(TARGET)?.text()?.to_owned();
    Some(Step { command, parameters })
}

const TARGET: &str = "command";

fn ended(next: Next) -> CommandRow {
    match next {
        Next::Ended(row) | Next::Again(row, _) => row,
    }
}

/// Its device turned out to be away before a byte left: it waits for it, and no retry is used.
pub(super) fn wait_for_device(row: &CommandRow, reason: &str, now: Moment) -> CommandRow {
    let mut row = row.clone();
    row.status = CommandStatus::Pending;
    row.attempts = row.attempts.saturating_sub(1);
    note(&mut row, now, reason);
    row
}

/// Nobody came for it in time; `why` is what is wrong with its device, if that is known.
pub(super) fn expire(row: &CommandRow, why: Option<&Problem>, now: Moment) -> CommandRow {
    let message = match why {
        Some(problem) => format!("its device did not answer before it expired: {problem}"),
        None => "nobody could execute it before it expired".to_owned(),
    };
    ended(end(row.clone(), Outcome::Expired, Some(("expired", message)), now))
}

fn end(mut row: CommandRow, outcome: Outcome, error: Option<(&str, String)>, now: Moment) -> Next {
    row.status = outcome.status();
    row.outcome = Some(outcome);
    row.completed_at = Some(now.wall_ms);
    let reason = error.as_ref().map(|(_, message)| message.clone()).unwrap_or_default();
    row.error = error.map(|(code, message)| (code.to_owned(), message));
    note(&mut row, now, &reason);
    Next::Ended(row)
}

fn note(row: &mut CommandRow, now: Moment, reason: &str) {
    let by = GATEWAY.to_owned();
    row.events.push(Event { at: now.wall_ms, status: row.status, by, reason: reason.to_owned() });
    let (first, last) = EVENTS;
    if row.events.len() > first + last {
        row.events.remove(first);
    }
}

/// Exponential with jitter, so that commands that failed together do not come back together.
fn pause(attempt: u32, (least, most): (Duration, Duration)) -> Duration {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(least)
        .with_max_delay(most)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build();
    // Beyond some doublings it is the longest anyway.
    pauses.take(attempt.clamp(1, 16) as usize).last().unwrap_or(most)
}

#[cfg(test)]
mod tests;
