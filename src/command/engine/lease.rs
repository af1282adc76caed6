//! Setpoints are given back: at the end of their lease, and before nobody is there to do it.

use std::{collections::HashSet, sync::Arc};

use adapter_api::{Moment, Purpose};

use super::{Action, Engine, Pending, Scope, admit::waiting_entry};
use crate::{
    command::{
        Notice,
        lease::{Setpoint, lost},
        queue::{Entry, Phase},
        state,
    },
    journal::Change,
};

/// A full disk must not keep a battery charging: after this time a setpoint is given back although
/// that is not on disk yet. It is done again when it is.
const DISK_WAIT_MS: u64 = 2_000;

impl Engine {
    /// Gives back what is over, and what is held where nobody will be.
    pub(super) fn look_at_leases(&mut self, now: Moment) {
        for setpoint in self.ledger.over(now.mono_ms) {
            if !self.holder_comes(&setpoint, now) {
                self.revert(&setpoint, "its lease ended", now);
            }
        }
        let Some((scope, reason)) = self.closed.clone() else { return };
        let held = self.ledger.held().filter(|((device, _), _)| {
            scope.holds(self.devices.get(device).map(|device| device.adapter.as_str()))
        });
        let held: Vec<_> = held.map(|(setpoint, _)| setpoint.clone()).collect();
        for setpoint in held {
            self.give_up(&setpoint, &reason, now);
        }
    }

    /// Is a command on its way that goes on holding the setpoint, or that is being executed on it?
    fn holder_comes(&self, setpoint: &Setpoint, now: Moment) -> bool {
        let Some(lease) = self.ledger.holder(setpoint) else { return false };
        let renews = |entry: &Entry| {
            let owns = entry.row.owner == lease.owner && entry.row.lease.is_some();
            owns && entry.deadline > now.mono_ms && (entry.due <= now.mono_ms || entry.row.attempts > 0)
        };
        let waits = self.queue.of_device(&setpoint.0).any(|entry| {
            let comes = match &entry.phase {
                Phase::Flying(_) => true,
                Phase::Waiting | Phase::Committing => entry.row.outcome.is_none() && renews(entry),
                Phase::Watching => false,
            };
            comes && entry.row.reverts.is_none() && self.setpoint(&entry.row).as_ref() == Some(setpoint)
        });
        waits
            || self.pending.values().any(|pending| match pending {
                Pending::Accept { entry, setpoint: Some(of), .. } => of == setpoint && renews(entry),
                _ => false,
            })
    }

    /// The holder loses its setpoint before its time, and is told.
    pub(super) fn give_up(&mut self, setpoint: &Setpoint, reason: &str, now: Moment) {
        let Some(lease) = self.ledger.holder(setpoint) else { return };
        let notice = lost(setpoint, lease, reason.to_owned(), now);
        self.out.push(Action::Notice(Notice::LeaseLost(notice.into())));
        self.revert(setpoint, reason, now);
    }

    /// Starts to give a setpoint back.
    pub(super) fn revert(&mut self, setpoint: &Setpoint, reason: &str, now: Moment) {
        let Some(lease) = self.ledger.holder(setpoint) else { return };
        let row = state::revert(&setpoint.0, &lease.revert, &lease.id, reason, now);
        tracing::info!(
            device = %setpoint.0, setpoint = setpoint.1, owner = lease.owner, reason,
            "a setpoint is given back"
        );
        self.ledger.revert(setpoint, &row.id, reason, now.mono_ms);
        self.unkept.insert(setpoint.clone(), now.mono_ms + DISK_WAIT_MS);
        let changes = vec![Change::Insert(row.clone())];
        let entry = Box::new(waiting_entry(Arc::new(row), now));
        let pending = Pending::Revert { entry, setpoint: setpoint.clone() };
        self.commit(pending, changes, vec![setpoint.clone()], Vec::new(), true);
    }

    /// From here on these adapters take nothing new, and what is held there is given back.
    pub fn close(&mut self, scope: Scope, reason: &str, now: Moment) {
        self.closed = Some((scope, reason.to_owned()));
        self.stop_all_watches();
        self.time(now);
        self.out.push(Action::Wake(None));
    }

    /// Adapters take new commands again.
    pub fn reopen(&mut self, now: Moment) {
        self.closed = None;
        self.time(now);
        self.out.push(Action::Wake(None));
    }

    /// Is everything given back where it was to be?
    pub fn is_given_back(&self) -> bool {
        let Some((scope, _)) = &self.closed else { return true };
        let inside = |device| {
            scope.holds(self.devices.get(device).map(|device: &super::Device| device.adapter.as_str()))
        };
        let flies = |entry: &Entry| {
            let holds = entry.row.lease.is_some() || entry.row.reverts.is_some();
            holds && matches!(entry.phase, Phase::Flying(_))
        };
        let held = self.ledger.held().any(|((device, _), _)| inside(device));
        let reverting = self.ledger.reverting().any(|((device, _), _)| inside(device));
        !held && !reverting && !self.queue.all().any(|entry| inside(&entry.row.device) && flies(entry))
    }

    /// After a start: reverts that were decided go on, and those of another boot begin.
    pub(super) fn recover_leases(&mut self, rebooted: HashSet<Setpoint>, now: Moment) {
        let missing: Vec<_> = self
            .ledger
            .reverting()
            .filter(|(_, id)| self.queue.by_id(id).is_none())
            .map(|(setpoint, _)| setpoint.clone())
            .collect();
        for setpoint in missing {
            self.ledger.not_reverting(&setpoint);
            self.revert(&setpoint, "its lease ended", now);
        }
        for setpoint in rebooted {
            // What was in flight decides first: it may be the holder's own newer command.
            if !self
                .queue
                .all()
                .any(|entry| entry.purpose == Purpose::ReadBack && entry.row.device == setpoint.0)
            {
                self.revert(&setpoint, "the machine was started again", now);
            }
        }
    }
}
