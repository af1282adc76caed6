//! One lease: who holds a setpoint, and how long the device's own timer is to run.

use std::time::Duration;

use adapter_api::{CommandSource, DeviceId, Moment, Priority};

use super::view::LeaseLost;
use crate::{
    command::{Refusal, RefusalCode, wire},
    journal::{CommandRow, Reply, Step},
};

/// The longest time that a device's own revert timer is set to: so long it goes on by itself when
/// the gateway is dead.
pub const TIMER_MOST: Duration = Duration::from_secs(120);
/// The shortest pause between two writes of a setpoint that is held.
pub(in crate::command) const REWRITE_LEAST: u64 = 2_000;
/// A device and its setpoint group.
pub(in crate::command) type Setpoint = (DeviceId, String);

/// A setpoint that is held.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::command) struct Lease {
    pub owner: String,
    pub source: CommandSource,
    pub priority: Priority,
    /// Id of the command that holds it.
    pub id: String,
    /// What is held.
    pub step: Step,
    /// What gives it back.
    pub revert: Step,
    /// Since when, wall ms.
    pub since: i64,
    /// Since when, monotonic ms.
    pub from: u64,
    /// Until when, monotonic ms of this boot.
    pub ends: u64,
    /// Where the holder wants its answers.
    pub reply: Option<Reply>,
    /// How often the device had dropped it and it was set again.
    pub dropped: u32,
    /// When it is written again, monotonic ms; none for what wears out.
    pub rewrite_at: Option<u64>,
    /// The device had dropped it: the next write sets it again, without looking first.
    pub set_again: bool,
}

/// When a command was to be executed, to tell the newer of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command) struct Age {
    /// When it was asked for, wall ms; none for at once.
    pub scheduled: Option<i64>,
    /// Wall ms.
    pub accepted: i64,
    /// The journal's number; 0 before there is one.
    pub number: u64,
}

impl Age {
    pub fn of(row: &CommandRow) -> Self {
        Self { scheduled: row.scheduled_at, accepted: row.accepted_at, number: row.number }
    }

    /// By their numbers, because clocks are set; only what was asked for at a time goes by that.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let number = |age: &Self| if age.number == 0 { u64::MAX } else { age.number };
        let due = |age: &Self| age.scheduled.unwrap_or(age.accepted).max(age.accepted);
        match (self.scheduled, other.scheduled) {
            (None, None) => number(self) > number(other),
            _ => (due(self), number(self)) > (due(other), number(other)),
        }
    }
}

/// The newest command that may have reached the device.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::command) struct Latest {
    pub age: Age,
    pub priority: Priority,
    pub id: String,
}

/// A setpoint is being given back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reverting {
    /// Id of the command that does it.
    pub id: String,
    /// In words.
    pub reason: String,
    /// Since when, monotonic ms: what was given to its adapter before does not end it.
    pub decided: u64,
}

/// How a command may have reached the device.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::command) struct Write {
    /// What was written.
    pub step: Step,
    /// Is it certain?
    pub proven: bool,
    /// When it was given to its adapter first, monotonic ms; 0 when that was before a start of the
    /// gateway.
    pub began: u64,
    /// From when on its lease counts, monotonic ms.
    pub started: u64,
    /// Did it depend on what the device showed (`toggle`)? Then it is nobody's newer command.
    pub relative: bool,
    /// May it be written again without wear?
    pub volatile: bool,
    /// The most that the device's own timer is given; none: as long as any.
    pub timer_most: Option<Duration>,
}

/// The time that the device's own timer gets when so much of a lease is left. `most`: as long as the device
/// lets it be.
pub(in crate::command) fn timer(left_ms: u64, most: Option<Duration>) -> Duration {
    let most = most.unwrap_or(TIMER_MOST).min(TIMER_MOST);
    Duration::from_millis(left_ms).min(most).max(Duration::from_secs(1))
}

/// When a setpoint that is held is written again, as [`timer`].
pub(in crate::command) fn rewrite_at(now: u64, ends: u64, most: Option<Duration>) -> Option<u64> {
    let left = ends.saturating_sub(now);
    let timer = u64::try_from(timer(left, most).as_millis()).unwrap_or(u64::MAX);
    let half = timer / 2;
    // Near the end the device's own timer, where it lasts until then, and the revert do what is to be done.
    (half >= REWRITE_LEAST || left > timer.max(REWRITE_LEAST)).then(|| now + half.max(REWRITE_LEAST))
}

/// The refusal of whoever may not set what another holds.
pub(in crate::command) fn held_by(
    owner: &str,
    priority: Priority,
    until: i64,
    (device, group): &Setpoint,
) -> Refusal {
    let until = wire::time_text(until);
    let message = format!(
        "`{group}` of `{device}` is held by {owner} until {until}; wait, or send with a priority above {priority}"
    );
    Refusal::new(RefusalCode::Held, message)
}

/// That a holder lost its setpoint.
pub(in crate::command) fn lost(setpoint: &Setpoint, lease: &Lease, reason: String, now: Moment) -> LeaseLost {
    LeaseLost {
        at: now.wall_ms,
        device: setpoint.0.clone(),
        group: setpoint.1.clone(),
        owner: lease.owner.clone(),
        id: lease.id.clone(),
        command: lease.step.command.clone(),
        reason,
        reply: lease.reply.clone(),
    }
}

/// A monotonic time on the wall clock as it goes now.
pub(super) fn wall(mono: u64, now: Moment) -> i64 {
    let left = mono.saturating_sub(now.mono_ms);
    now.wall_ms.saturating_add(i64::try_from(left).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_written_again_at_half_of_the_devices_timer_and_every_two_seconds_at_most() {
        let of = |left_ms: u64, most: Option<u64>| {
            let most = most.map(Duration::from_secs);
            (timer(left_ms, most).as_millis() as u64, rewrite_at(1_000, 1_000 + left_ms, most))
        };
        assert_eq!(of(3_600_000, None), (120_000, Some(61_000)));
        assert_eq!(of(60_000, None), (60_000, Some(31_000)));
        assert_eq!(of(3_600_000, Some(10)), (10_000, Some(6_000)));
        assert_eq!(of(3_600_000, Some(600)), (120_000, Some(61_000)), "never longer than any");
        assert_eq!(of(3_600_000, Some(3)), (3_000, Some(3_000)), "no more often");
        assert_eq!(of(3_500, Some(10)), (3_500, None), "the device's own timer ends it");
        assert_eq!(of(3_500, Some(3)), (3_000, Some(3_000)), "it does not last until then");
        assert_eq!(of(500, Some(10)), (1_000, None));
    }
}
