//! The ledger of setpoints. Pure: the caller brings the clock and the commands.
//!
//! Whatever may have reached the device counts as applied, so that it is given back at the end;
//! what certainly did not changes nothing. A lease that ended stays until its setpoint was given
//! back, but holds nobody off any more.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use adapter_api::{Moment, Outcome, Priority};

use super::{
    terms::{Age, Latest, Lease, Reverting, Setpoint, Write, held_by, lost, rewrite_at, wall},
    view::{Holder, LeaseLost, LeaseView, Refused, Writer},
};
use crate::{
    command::Refusal,
    journal::{CommandRow, LeaseTerms},
};

/// Writers and refusals that are remembered of each setpoint.
const REMEMBERED: usize = 5;
/// Drops that are mended. A device that drops its setpoint again does not want it.
const DROPS_MENDED: u32 = 1;

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Account {
    pub held: Option<Lease>,
    pub reverting: Option<Reverting>,
    /// The newest of each urgency, without those that a more urgent one is newer than: four at most.
    pub latest: Vec<Latest>,
    pub writers: VecDeque<Writer>,
    pub refusals: VecDeque<Refused>,
}

/// What a command that may have reached the device changed.
#[derive(Debug, Default, PartialEq)]
pub(in crate::command) struct Applied {
    /// A holder lost its setpoint.
    pub lost: Option<LeaseLost>,
    /// Id of the command that was to give the setpoint back and has no reason any more.
    pub pointless: Option<String>,
}

/// All setpoints that were held or written.
#[derive(Debug, Default)]
pub(in crate::command) struct Ledger {
    pub(super) accounts: BTreeMap<Setpoint, Account>,
}

impl Ledger {
    /// What is held of a setpoint, also while it is being given back.
    pub fn lease(&self, setpoint: &Setpoint) -> Option<&Lease> {
        self.accounts.get(setpoint)?.held.as_ref()
    }

    /// Who holds a setpoint.
    pub fn holder(&self, setpoint: &Setpoint) -> Option<&Lease> {
        let account = self.accounts.get(setpoint)?;
        account.held.as_ref().filter(|_| account.reverting.is_none())
    }

    /// Why this owner may not set it now, if so.
    pub fn refusal(
        &self,
        setpoint: &Setpoint,
        owner: &str,
        priority: Priority,
        now: Moment,
    ) -> Option<Refusal> {
        let lease = self.holder(setpoint)?;
        let free = lease.owner == owner || priority > lease.priority || lease.ends <= now.mono_ms;
        (!free).then(|| held_by(&lease.owner, lease.priority, wall(lease.ends, now), setpoint))
    }

    /// Somebody was refused.
    pub fn refused(&mut self, setpoint: &Setpoint, refused: Refused) {
        remember(&mut self.account(setpoint).refusals, refused);
    }

    /// A command on the setpoint ended.
    pub fn wrote(&mut self, setpoint: &Setpoint, row: &CommandRow, outcome: Outcome, at: i64) {
        let writer = Writer {
            at,
            owner: row.owner.clone(),
            id: row.id.clone(),
            command: row.command.clone(),
            parameters: row.parameters.clone(),
            outcome,
        };
        remember(&mut self.account(setpoint).writers, writer);
    }

    /// A command may have reached the device.
    pub fn applied(&mut self, setpoint: &Setpoint, row: &CommandRow, write: Write, now: Moment) -> Applied {
        let account = self.account(setpoint);
        let latest = Latest { age: Age::of(row), priority: row.priority, id: row.id.clone() };
        if !write.relative {
            note_latest(&mut account.latest, latest);
        }
        // Known from before a crash: its time goes on, or is over.
        if row.lease.is_some() && account.held.as_ref().is_some_and(|held| held.id == row.id) {
            return Applied::default();
        }
        let gives_back = account.held.as_ref().is_some_and(|held| held.revert == write.step);
        // Without a lease of its own it releases nobody and replaces no revert, unless it is proven and
        // was given to its adapter after that was decided.
        let decided = account.reverting.as_ref().is_some_and(|reverting| reverting.decided >= write.began);
        let unproven = !write.proven && (account.reverting.is_some() || gives_back);
        if row.lease.is_none() && (unproven || decided) {
            return Applied::default();
        }
        let pointless = account.reverting.take().map(|reverting| reverting.id);
        let before = account.held.take();
        // A lease that is being given back is nobody's.
        let holder = before.filter(|_| pointless.is_none());
        let (terms, ends) = match (&row.lease, &holder) {
            (Some(LeaseTerms { lasts_ms, revert }), _) => {
                (Some(revert.clone()), write.started.saturating_add(*lasts_ms))
            }
            (None, Some(_)) if gives_back => (None, 0),
            // Without a lease of its own it gets the remaining time.
            (None, Some(held)) => (Some(held.revert.clone()), held.ends),
            (None, None) => (None, 0),
        };
        let lost = holder.filter(|held| held.owner != row.owner).map(|held| {
            let reason = format!("{} took it with priority {}", row.owner, row.priority);
            lost(setpoint, &held, reason, now)
        });
        account.held = terms.map(|revert| Lease {
            owner: row.owner.clone(),
            source: row.source,
            priority: row.priority,
            id: row.id.clone(),
            step: write.step,
            revert,
            since: now.wall_ms,
            from: now.mono_ms,
            ends,
            reply: row.reply.clone(),
            dropped: 0,
            rewrite_at: rewrite_at(now.mono_ms, ends, write.timer_most).filter(|_| write.volatile),
            set_again: false,
        });
        Applied { lost, pointless }
    }

    /// The newest command that may have reached the device.
    pub fn latest(&self, setpoint: &Setpoint) -> Option<&Latest> {
        let newer = |one: &&Latest, other: &&Latest| one.age.is_newer_than(&other.age);
        self.latest_of(setpoint).reduce(|one, other| if newer(&one, &other) { one } else { other })
    }

    /// Id of a newer command that is as urgent at least and may have reached the device.
    pub fn newer_than(&self, setpoint: &Setpoint, row: &CommandRow) -> Option<&str> {
        let age = Age::of(row);
        let is_newer = |latest: &&Latest| {
            latest.priority >= row.priority && latest.age.is_newer_than(&age) && latest.id != row.id
        };
        self.latest_of(setpoint).find(is_newer).map(|latest| &*latest.id)
    }

    fn latest_of(&self, setpoint: &Setpoint) -> impl Iterator<Item = &Latest> {
        self.accounts.get(setpoint).into_iter().flat_map(|account| &account.latest)
    }

    /// The time of whoever holds it is over.
    pub fn end(&mut self, setpoint: &Setpoint, now: u64) {
        if let Some(lease) = self.lease_mut(setpoint) {
            (lease.ends, lease.rewrite_at) = (now, None);
        }
    }

    /// Leases whose time is over and whose setpoints are not being given back yet.
    pub fn over(&self, now: u64) -> Vec<Setpoint> {
        let over = self.held().filter(|(_, lease)| lease.ends <= now);
        over.map(|(setpoint, _)| setpoint.clone()).collect()
    }

    /// All that is held.
    pub fn held(&self) -> impl Iterator<Item = (&Setpoint, &Lease)> {
        self.accounts.iter().filter_map(|(setpoint, account)| {
            Some((setpoint, account.held.as_ref().filter(|_| account.reverting.is_none())?))
        })
    }

    /// Setpoints that are being given back, by which command.
    pub fn reverting(&self) -> impl Iterator<Item = (&Setpoint, &str)> {
        self.accounts
            .iter()
            .filter_map(|(setpoint, account)| Some((setpoint, account.reverting.as_ref()?.id.as_str())))
    }

    /// The setpoint is given back from now on by the command with this id.
    pub fn revert(&mut self, setpoint: &Setpoint, id: &str, reason: &str, now: u64) {
        let reverting = Reverting { id: id.to_owned(), reason: reason.to_owned(), decided: now };
        self.account(setpoint).reverting = Some(reverting);
    }

    /// The command that was to give it back is not there.
    pub fn not_reverting(&mut self, setpoint: &Setpoint) {
        self.account(setpoint).reverting = None;
    }

    /// It was given back by the command with this id.
    pub fn reverted(&mut self, setpoint: &Setpoint, id: &str) {
        let account = self.account(setpoint);
        if account.reverting.as_ref().is_some_and(|reverting| reverting.id == id) {
            (account.held, account.reverting) = (None, None);
        }
    }

    /// What the command with this id was to give back stays as it is: nobody is there to take it.
    /// Returns the setpoints.
    pub fn not_given_back(&mut self, id: &str) -> Vec<Setpoint> {
        let of: Vec<_> =
            self.reverting().filter(|(_, by)| *by == id).map(|(setpoint, _)| setpoint.clone()).collect();
        for setpoint in &of {
            self.reverted(setpoint, id);
        }
        of
    }

    /// Setpoints that are due to be written again.
    pub fn to_rewrite(&self, now: u64) -> Vec<Setpoint> {
        let due = self.held().filter(|(_, lease)| lease.rewrite_at.is_some_and(|at| at <= now));
        due.map(|(setpoint, _)| setpoint.clone()).collect()
    }

    /// It was written again. `most`: the most that the device's own timer is given.
    pub fn rewritten(&mut self, setpoint: &Setpoint, now: u64, most: Option<Duration>) {
        if let Some(lease) = self.lease_mut(setpoint) {
            (lease.rewrite_at, lease.set_again) = (rewrite_at(now, lease.ends, most), false);
        }
    }

    /// Writing it again did not work out; it is tried once more at that time.
    pub fn rewrite_later(&mut self, setpoint: &Setpoint, at: u64) {
        if let Some(lease) = self.lease_mut(setpoint) {
            lease.rewrite_at = Some(at);
        }
    }

    /// The device shows something else. True when it is set again, false when that was done before.
    pub fn dropped(&mut self, setpoint: &Setpoint, now: u64) -> bool {
        let Some(lease) = self.lease_mut(setpoint) else { return false };
        lease.dropped += 1;
        let mends = lease.dropped <= DROPS_MENDED && !lease.set_again;
        (lease.set_again, lease.rewrite_at) = (mends, mends.then_some(now));
        mends
    }

    fn lease_mut(&mut self, setpoint: &Setpoint) -> Option<&mut Lease> {
        self.accounts.get_mut(setpoint)?.held.as_mut()
    }

    /// The next end or write, monotonic ms, after the time that was looked at last: what was due then
    /// waits for an adapter or for a command.
    pub fn next_change(&self, looked: u64) -> Option<u64> {
        let times = self.held().flat_map(|(_, lease)| [Some(lease.ends), lease.rewrite_at]);
        times.flatten().filter(|at| *at > looked).min()
    }

    /// The wall clock was set: nothing that was done is in the future.
    pub fn clock_was_set(&mut self, wall: i64) {
        for latest in self.accounts.values_mut().flat_map(|account| &mut account.latest) {
            latest.age.scheduled = latest.age.scheduled.map(|at| at.min(wall));
            latest.age.accepted = latest.age.accepted.min(wall);
        }
    }

    /// As doors show it.
    pub fn views(&self, now: Moment) -> Vec<LeaseView> {
        let view = |((device, group), account): (&Setpoint, &Account)| LeaseView {
            device: device.clone(),
            group: group.clone(),
            holder: account.held.as_ref().map(|lease| Holder {
                owner: lease.owner.clone(),
                source: lease.source,
                priority: lease.priority,
                id: lease.id.clone(),
                step: lease.step.clone(),
                since: lease.since,
                until: wall(lease.ends, now),
                revert: lease.revert.clone(),
                reverting: account.reverting.as_ref().map(|reverting| reverting.reason.clone()),
                dropped: lease.dropped,
            }),
            writers: account.writers.iter().cloned().collect(),
            refusals: account.refusals.iter().cloned().collect(),
        };
        self.accounts.iter().map(view).collect()
    }

    fn account(&mut self, setpoint: &Setpoint) -> &mut Account {
        self.accounts.entry(setpoint.clone()).or_default()
    }
}

/// One less urgent makes none of the more urgent ones forgotten: what is older than those must not undo them.
fn note_latest(known: &mut Vec<Latest>, new: Latest) {
    if known.iter().any(|known| known.priority >= new.priority && !new.age.is_newer_than(&known.age)) {
        return;
    }
    known.retain(|known| known.priority > new.priority || !new.age.is_newer_than(&known.age));
    known.push(new);
}

fn remember<T>(list: &mut VecDeque<T>, new: T) {
    list.push_back(new);
    while list.len() > REMEMBERED {
        list.pop_front();
    }
}
