//! The life of one command, pure: a request becomes a row, a row starts, an outcome ends it or
//! sends it back. The caller brings the clock, the journal and the chance.

use std::time::Duration;

use adapter_api::{CommandStatus, Moment, Outcome, Problem, WriteOutcome};
use backon::{BackoffBuilder, ExponentialBuilder};

use super::{Refusal, RefusalCode, Request};
use crate::journal::{CommandRow, Event};

/// Retries unless the asker says otherwise.
const DEFAULT_RETRIES: u32 = 3;
/// First and longest pause before a retry.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What comes after an outcome.
#[derive(Debug)]
pub(super) enum Next {
    /// The command ended.
    Ended(CommandRow),
    /// It goes back to the queue for a while.
    Again(CommandRow, Duration),
}

/// Makes the row of an admitted request.
pub(super) fn accept(request: Request, expires_in: Duration, now: Moment) -> Result<CommandRow, Refusal> {
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
            let delay = pause(row.attempts);
            if row.attempts > row.max_retries || (sent && !idempotent) || delay >= left {
                return end(row, Outcome::Unreachable, Some(("unreachable", reason)), now);
            }
            row.status = CommandStatus::Pending;
            note(&mut row, now, &reason);
            Next::Again(row, delay)
        }
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
    match end(row.clone(), Outcome::Expired, Some(("expired", message)), now) {
        Next::Ended(row) | Next::Again(row, _) => row,
    }
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
    let by = "gateway".to_owned();
    row.events.push(Event { at: now.wall_ms, status: row.status, by, reason: reason.to_owned() });
}

/// Exponential with jitter, so that commands that failed together do not come back together.
fn pause(attempt: u32) -> Duration {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(RETRY.0)
        .with_max_delay(RETRY.1)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build();
    pauses.take(attempt.max(1) as usize).last().unwrap_or(RETRY.1)
}

#[cfg(test)]
mod tests {
    use adapter_api::Parameters;

    use super::*;

    const NOW: Moment = Moment { wall_ms: 1_000_000, mono_ms: 5_000 };
    const MINUTE: Duration = Duration::from_secs(60);

    fn request() -> Request {
        Request::new("roof", "refresh", Parameters::default(), "test:me")
    }

    fn started() -> CommandRow {
        start(&accept(request(), MINUTE, NOW).unwrap(), NOW)
    }

    fn not_applied(sent: bool) -> WriteOutcome {
        WriteOutcome::NotApplied { reason: "busy".into(), sent }
    }

    #[test]
    fn expiry_counts_from_the_schedule_else_the_senders_clock_else_now() {
        let at = |scheduled_at, issued_at| {
            accept(Request { scheduled_at, issued_at, ..request() }, MINUTE, NOW).map(|row| row.expires_at)
        };
        assert_eq!(at(None, None).unwrap(), 1_060_000);
        assert_eq!(at(None, Some(990_000)).unwrap(), 1_050_000);
        assert_eq!(at(None, Some(9_000_000)).unwrap(), 1_060_000, "a clock ahead buys no time");
        assert_eq!(at(Some(2_000_000), Some(0)).unwrap(), 2_060_000);
        assert_eq!(at(None, Some(900_000)).unwrap_err().code, RefusalCode::Expired);
    }

    #[test]
    fn what_was_certainly_not_applied_is_retried_until_the_retries_or_the_time_are_used() {
        let mut row = started();
        for _ in 0..3 {
            let Next::Again(again, delay) = settle(&row, not_applied(false), false, MINUTE, NOW) else {
                panic!("{row:?}")
            };
            assert!(delay >= RETRY.0);
            row = start(&again, NOW);
        }
        let Next::Ended(row) = settle(&row, not_applied(false), false, MINUTE, NOW) else { panic!() };
        assert_eq!((row.status, row.outcome), (CommandStatus::Failed, Some(Outcome::Unreachable)));
        let Next::Ended(row) = settle(&started(), not_applied(false), true, Duration::from_millis(1), NOW)
        else {
            panic!("a retry past the expiry")
        };
        assert_eq!(row.outcome, Some(Outcome::Unreachable));
    }

    #[test]
    fn what_may_have_been_sent_is_repeated_only_when_that_is_harmless() {
        assert!(matches!(settle(&started(), not_applied(true), true, MINUTE, NOW), Next::Again(..)));
        assert!(matches!(settle(&started(), not_applied(true), false, MINUTE, NOW), Next::Ended(_)));
        let unknown = WriteOutcome::Unknown { reason: "no answer".into() };
        let Next::Ended(row) = settle(&started(), unknown, true, MINUTE, NOW) else { panic!() };
        assert_eq!((row.status, row.outcome), (CommandStatus::Failed, Some(Outcome::Unknown)));
    }
}
