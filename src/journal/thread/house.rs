//! When the journal's thread keeps house, and one step of it. What goes is in [`tidy`].

use std::time::{Duration, Instant};

use super::Thread;
use crate::journal::{
    command_batch, command_table, hour_of,
    tidy::{self, Rules},
};

/// How often it looks for what can be deleted and for hours that are over.
const TIDY: Duration = Duration::from_secs(60);
/// Between two steps of deleting, so that commands get in between.
const TIDY_STEP: Duration = Duration::from_millis(100);
/// Hours of readings that age may delete within one hour. A clock that is wrong for a while then
/// costs a day of the oldest readings at most, not all of them.
const AGED_PER_HOUR: u32 = 24;

/// Commands younger than this stay also when there is no room, ms: their ids must be remembered.
const COMMANDS_KEPT: i64 = 24 * 3_600_000;

/// When to keep house.
pub(in crate::journal) struct House {
    pub(super) tidy_at: Instant,
    aged: u32,
    aged_since: Instant,
    /// Readings are being dropped that MongoDB does not have.
    dropping: bool,
}

impl House {
    pub fn new(now: Instant) -> Self {
        Self { tidy_at: now, aged: 0, aged_since: now, dropping: false }
    }
}

impl Thread {
    pub(super) fn tidy(&mut self, now: Instant) {
        if now < self.house.tidy_at {
            return;
        }
        self.house.tidy_at = now + TIDY;
        let wall = self.writer.clock.now().wall_ms;
        self.compactor.wake(hour_of(wall));
        match self.tidy_step(wall, now) {
            Ok(true) => self.house.tidy_at = now + TIDY_STEP,
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "keeping house failed; it is tried again"),
        }
    }

    /// Deletes a little. True when there is more.
    fn tidy_step(&mut self, wall: i64, now: Instant) -> rusqlite::Result<bool> {
        let (rules, rev) = (self.rules, self.writer.rev);
        let house = &mut self.house;
        let mut again = tidy::forget_delivered(&mut self.writer.db, rules.uplink)?;
        if now.duration_since(house.aged_since) >= Duration::from_secs(3600) {
            (house.aged, house.aged_since) = (0, now);
        }
        let may_age = house.aged < AGED_PER_HOUR;
        let retention_ms = if may_age { rules.retention_ms } else { i64::MAX };
        // Commands nobody will ask for again go before any reading does.
        if tidy::is_over(&self.writer.db, rules)?
            && command_table::prune(&self.writer.db, wall.saturating_sub(COMMANDS_KEPT), rev, rules.uplink)?
                > 0
        {
            return Ok(true);
        }
        let pruned = tidy::prune(&mut self.writer.db, Rules { retention_ms, ..rules }, wall)?;
        house.aged += u32::from(pruned.aged);
        again |= pruned.again;
        if pruned.undelivered > 0 && !house.dropping {
            tracing::error!(
                readings = pruned.undelivered,
                "readings that MongoDB does not have are dropped, oldest first: bring the database back or raise `[journal] max_size`"
            );
        }
        if house.dropping && pruned == tidy::Pruned::default() {
            tracing::info!("no more readings are dropped before MongoDB has them");
        }
        house.dropping = pruned.undelivered > 0 || (house.dropping && pruned.again);
        if may_age {
            let before = wall.saturating_sub(rules.retention_ms);
            let gone = command_table::prune(&self.writer.db, before, rev, rules.uplink)?;
            again |= gone == command_table::PRUNED_MAX;
            command_batch::prune(&self.writer.db, before)?;
        }
        Ok(again)
    }
}
