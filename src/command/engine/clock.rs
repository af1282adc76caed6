//! Somebody set the clock.

use adapter_api::{Moment, Purpose};

use super::{Engine, admit::waiting_entry};
use crate::command::queue::Phase;

/// A clock that moves by less is only being trimmed.
const CLOCK_SET_MS: u64 = 2_000;

impl Engine {
    /// The wall clock was set: what was asked for at a time, and what waited over a restart, goes by
    /// what it says now.
    pub(super) fn look_at_clock(&mut self, now: Moment) {
        let clock = now.wall_ms.saturating_sub(i64::try_from(now.mono_ms).unwrap_or(i64::MAX));
        if clock.abs_diff(self.clock) < CLOCK_SET_MS {
            return;
        }
        self.clock = clock;
        self.ledger.clock_was_set(now.wall_ms);
        let by_wall = self.queue.all().filter(|entry| entry.by_wall && entry.phase == Phase::Waiting);
        let times: Vec<_> = by_wall
            .map(|entry| {
                let fresh = waiting_entry(entry.row.clone(), now);
                (entry.row.number, fresh.due, fresh.deadline)
            })
            .collect();
        for (number, due, deadline) in times {
            self.queue.change(number, |entry| {
                entry.deadline = deadline;
                if entry.row.attempts == 0 && entry.purpose == Purpose::Execute {
                    entry.due = due;
                }
            });
        }
    }
}
