//! The life of a command that gives a setpoint back: nobody asked for it, it never expires, and it is
//! tried until it is proven.

use std::time::Duration;

use adapter_api::{CommandSource, CommandStatus, DeviceId, Moment, Outcome, Priority, WriteOutcome};

use super::{GATEWAY, Next, end, note, pause};
use crate::journal::{CommandRow, Event, Step};

/// First and longest pause before it is tried again. It never ends, so it must not wear the disk
/// either.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// A device that cannot be read back is believed when it took it so often.
const UNVERIFIED: u32 = 3;
/// It does not expire: 2100-01-01, which every reader of times can show.
const NEVER: i64 = 4_102_444_800_000;

/// The command that gives a setpoint back, after the command with the id `held`.
pub(in crate::command) fn revert(
    device: &DeviceId,
    step: &Step,
    held: &str,
    reason: &str,
    now: Moment,
) -> CommandRow {
    let status = CommandStatus::Pending;
    let event = Event { at: now.wall_ms, status, by: GATEWAY.to_owned(), reason: reason.to_owned() };
    CommandRow {
        number: 0,
        id: uuid::Uuid::now_v7().to_string(),
        device: device.clone(),
        command: step.command.clone(),
        parameters: step.parameters.clone(),
        priority: Priority::Critical,
        source: CommandSource::System,
        owner: GATEWAY.to_owned(),
        status,
        outcome: None,
        correlation_id: None,
        batch_id: None,
        issued_at: None,
        accepted_at: now.wall_ms,
        scheduled_at: None,
        expires_at: NEVER,
        executed_at: None,
        completed_at: None,
        attempts: 0,
        max_retries: 0,
        verified: None,
        written: None,
        requested: None,
        observed: None,
        error: None,
        superseded_by: None,
        lease: None,
        effect: None,
        reverts: Some(held.to_owned()),
        reply: None,
        redelivery: None,
        told: true,
        events: vec![event],
    }
}

/// Giving a setpoint back ends well or is tried again.
pub(super) fn settle_revert(mut row: CommandRow, outcome: WriteOutcome, now: Moment) -> Next {
    let reason = match outcome {
        // The device took it and was not heard of again: only what cannot be read at all is believed.
        WriteOutcome::Done { verified: false, .. } if row.attempts < UNVERIFIED => {
            "the device took it, and no fresh read proves it".to_owned()
        }
        WriteOutcome::Done { observed, verified, written } => {
            row.observed = (!observed.0.is_empty()).then_some(observed);
            (row.verified, row.written) = (Some(verified), Some(written));
            return end(row, Outcome::Done, None, now);
        }
        WriteOutcome::Mismatch { requested, observed } => {
            (row.requested, row.observed) = (Some(requested), Some(observed));
            "the device took it and shows something else".to_owned()
        }
        WriteOutcome::Rejected { reason }
        | WriteOutcome::Unknown { reason }
        | WriteOutcome::NotApplied { reason, .. } => reason,
    };
    let delay = pause(row.attempts, RETRY);
    row.status = CommandStatus::Pending;
    note(&mut row, now, &reason);
    Next::Again(row, delay)
}
