//! A newer command makes an older one of its setpoint pointless, unless that one is more urgent. It is
//! looked at whenever one is accepted, comes due, waits again or would be taken.

use std::sync::Arc;

use adapter_api::{Moment, Purpose};

use super::Engine;
use crate::{
    command::{
        lease::{Age, Setpoint},
        queue::{Entry, Phase},
        state,
    },
    journal::CommandRow,
};

impl Engine {
    /// What waits for the same setpoint and is older, as it ends. It is not taken from here on.
    pub(super) fn supersede_older(
        &mut self,
        setpoint: &Setpoint,
        newer: &CommandRow,
        now: Moment,
    ) -> Vec<Arc<CommandRow>> {
        let age = Age::of(newer);
        let older = self.queue.of_device(&setpoint.0).filter(|entry| {
            entry.phase == Phase::Waiting
                && is_ahead(entry, now)
                && entry.row.priority <= newer.priority
                && age.is_newer_than(&Age::of(&entry.row))
                && self.competes(&entry.row, setpoint)
        });
        let rows: Vec<_> =
            older.map(|entry| Arc::new(state::supersede(&entry.row, &newer.id, now))).collect();
        for row in &rows {
            self.queue.change(row.number, |entry| entry.phase = Phase::Committing);
        }
        rows
    }

    /// Id of a newer command of the same setpoint that is as urgent at least: it was executed, or it
    /// is on its way.
    pub(super) fn newer_than(&self, row: &CommandRow, now: Moment) -> Option<String> {
        let setpoint = self.setpoint(row).filter(|setpoint| self.competes(row, setpoint))?;
        let age = Age::of(row);
        if let Some(executed) = self.ledger.newer_than(&setpoint, row) {
            return Some(executed.to_owned());
        }
        let newer = self.queue.of_device(&row.device).find(|entry| {
            entry.phase != Phase::Committing
                && (entry.phase != Phase::Waiting
                    || is_ahead(entry, now) && self.may_start(entry, now).is_ok())
                && entry.row.priority >= row.priority
                && Age::of(&entry.row).is_newer_than(&age)
                && self.competes(&entry.row, &setpoint)
        });
        newer.map(|entry| entry.row.id.clone())
    }

    /// Does it set this, and is it neither relative nor what gives it back?
    fn competes(&self, row: &CommandRow, setpoint: &Setpoint) -> bool {
        let spec = self.spec(row).filter(|spec| !spec.relative && row.reverts.is_none());
        spec.is_some_and(|spec| spec.group.as_deref() == Some(&*setpoint.1))
    }

    /// A command that was asked for later is due now.
    pub(super) fn came_due(&mut self, number: u64, now: Moment) {
        let Some(entry) = self.queue.get(number) else { return };
        let row = entry.row.clone();
        let asked_for_later = row.scheduled_at.is_some() && row.attempts == 0;
        if !asked_for_later || entry.phase != Phase::Waiting || entry.purpose != Purpose::Execute {
            return;
        }
        let Some(setpoint) = self.setpoint(&row) else { return };
        if let Err(refusal) = self.may_set(&setpoint, &row, now) {
            self.refused(&setpoint, &row, &refusal, now);
            return self.end(state::refuse(&row, &refusal, now), &[]);
        }
        self.supersede_now(&setpoint, &row, now);
    }

    /// Ends what a command that is kept already makes pointless.
    pub(super) fn supersede_now(&mut self, setpoint: &Setpoint, row: &CommandRow, now: Moment) {
        if self.competes(row, setpoint) {
            for older in self.supersede_older(setpoint, row, now) {
                self.end((*older).clone(), &[]);
            }
        }
    }
}

/// Is it to be executed as soon as possible? Between retries it is, and while it waits for a disk that did not
/// take that it starts; what was asked for later is not before its time, and what is in doubt is read back first.
fn is_ahead(entry: &Entry, now: Moment) -> bool {
    let asked_for_now = entry.row.scheduled_at.is_none_or(|at| at <= now.wall_ms);
    let due = entry.due <= now.mono_ms || entry.row.attempts > 0 || asked_for_now;
    due && entry.purpose == Purpose::Execute
}
