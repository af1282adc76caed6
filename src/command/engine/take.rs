//! An adapter is ready for a command: who goes next, and how it is asked.

use std::{sync::Arc, time::Duration};

use adapter_api::{Asked, CommandSpec, DeviceId, Moment, Purpose, UnitId, Wear};

use super::{Action, Engine, Pending, Taken, Token, Upkeep, What};
use crate::{
    command::{
        Notice, Refusal,
        lease::timer,
        queue::{Entry, Phase},
        state, wire,
    },
    journal::{Change, CommandRow, Step},
};

impl Engine {
    /// An adapter asks for a command; the answer is an [`Action::Hand`], after the commit.
    pub fn take(&mut self, adapter: &str, to: Token, now: Moment) {
        self.time(now);
        if let Some(taken) = self.next_upkeep(adapter, now) {
            return self.hand(to, taken);
        }
        while let Some((number, unit)) = self.next_command(adapter) {
            let Some(entry) = self.queue.get(number) else { break };
            let row = entry.row.clone();
            if entry.purpose == Purpose::Execute
                && let Some(newer) = self.pointless(&row, now)
            {
                self.end(state::supersede(&row, &newer, now), &[]);
                continue;
            }
            if let Err(refusal) = self.may_start(entry, now) {
                if let Some(setpoint) = self.setpoint(&row) {
                    self.refused(&setpoint, &row, &refusal, now);
                }
                self.end(state::refuse(&row, &refusal, now), &[]);
                continue;
            }
            return self.start_command(number, unit, to, now);
        }
        self.out.push(Action::Hand(to, None));
    }

    pub(super) fn is_free(&self, unit: &UnitId) -> bool {
        !self.queue.is_busy(unit) && !self.upkeep.contains_key(unit)
    }

    fn next_command(&self, adapter: &str) -> Option<(u64, UnitId)> {
        let unit = |device: &DeviceId| {
            let device = self.devices.get(device)?;
            let unit = &device.info.unit;
            let takes = device.online && device.adapter == adapter && self.is_free(unit);
            takes.then(|| unit.clone())
        };
        if !self.closed.as_ref().is_some_and(|(scope, _)| scope.holds(Some(adapter))) {
            return self.queue.next(unit);
        }
        // Only what gives back still goes.
        let reverts = self.queue.all().filter(|entry| {
            entry.row.reverts.is_some() && entry.phase == Phase::Waiting && entry.due <= self.queue.now()
        });
        let next = reverts.filter_map(|entry| {
            let order = (entry.purpose == Purpose::Execute, entry.row.number);
            Some((order, unit(&entry.row.device)?))
        });
        next.min_by_key(|(order, _)| *order).map(|((_, number), unit)| (number, unit))
    }

    /// Id of what made it pointless since it was accepted.
    fn pointless(&self, row: &CommandRow, now: Moment) -> Option<String> {
        if row.reverts.is_none() {
            return self.newer_than(row, now);
        }
        let needed = self.ledger.reverting().any(|(_, id)| id == row.id);
        let latest = || Some(self.ledger.latest(&self.setpoint(row)?)?.id.clone());
        (!needed).then(|| latest().unwrap_or_default())
    }

    pub(super) fn may_start(&self, entry: &Entry, now: Moment) -> Result<(), Refusal> {
        let row = &entry.row;
        if entry.purpose == Purpose::ReadBack || row.reverts.is_some() {
            return Ok(());
        }
        let Some(setpoint) = self.setpoint(row) else { return Ok(()) };
        self.ledger.refusal(&setpoint, &row.owner, row.priority, now).map_or(Ok(()), Err)
    }

    fn start_command(&mut self, number: u64, unit: UnitId, to: Token, now: Moment) {
        let Some(entry) = self.queue.get(number) else { return };
        let (row, mut purpose, mut marked) = (entry.row.clone(), entry.purpose, entry.marked);
        if purpose == Purpose::ReadBack && self.never_resolved(&row) {
            // Nothing was sent before its target was known.
            (purpose, marked) = (Purpose::Execute, true);
        }
        if let Some(setpoint) = self.setpoint(&row) {
            self.stop_watching(&setpoint);
        }
        let row = match purpose {
            Purpose::Execute => Arc::new(state::start(&row, now)),
            Purpose::ReadBack | Purpose::Renew => row,
        };
        self.queue.change(number, |entry| {
            (entry.row, entry.phase, entry.purpose) = (row.clone(), Phase::Flying(unit), purpose);
            if purpose == Purpose::Execute {
                entry.started = now.mono_ms;
            }
            entry.marked = false;
            entry.other_boot &= purpose == Purpose::ReadBack;
        });
        if marked || purpose != Purpose::Execute {
            return self.hand_command(to, number, now);
        }
        let changes = vec![Change::Update((*row).clone())];
        self.commit(Pending::Start { to, number }, changes, Vec::new(), Vec::new(), false);
    }

    /// Nothing was sent of it, because its target is not known.
    pub(super) fn never_resolved(&self, row: &CommandRow) -> bool {
        self.spec(row).is_some_and(|spec| spec.relative) && state::resolved(row).is_none()
    }

    /// It is durably `executing`: the adapter gets it.
    pub(super) fn hand_command(&mut self, to: Token, number: u64, now: Moment) {
        let Some(entry) = self.queue.get(number) else { return self.out.push(Action::Hand(to, None)) };
        let Phase::Flying(unit) = &entry.phase else { return self.out.push(Action::Hand(to, None)) };
        let row = &entry.row;
        let spec = self.spec(row);
        let resolved = state::resolved(row);
        let relative = resolved.is_none() && spec.is_some_and(|spec| spec.relative);
        let step = resolved.unwrap_or_else(|| step_of(row));
        let asked = Asked {
            number,
            device: row.device.clone(),
            unit: unit.clone(),
            purpose: entry.purpose,
            verify_for: spec.map(|spec| spec.verify_for).unwrap_or_default(),
            timer: self.timer_of(row, &step, now),
            wear: self.wear_of(row, spec, now),
            relative,
            command: Arc::from(step.command.as_str()),
            parameters: step.parameters,
        };
        let row = row.clone();
        self.hand(to, Taken { what: What::Command(number), asked });
        self.out.push(Action::Notice(Notice::Progress(row)));
    }

    /// What the device's own timer is set to: while a lease holds, it ends with it at the latest.
    fn timer_of(&self, row: &CommandRow, step: &Step, now: Moment) -> Option<Duration> {
        if row.reverts.is_some() {
            return None;
        }
        let most = self.spec(row).and_then(|spec| spec.timer_most);
        if let Some(terms) = &row.lease {
            return Some(timer(terms.lasts_ms, most));
        }
        let holder = self.ledger.holder(&self.setpoint(row)?)?;
        (holder.revert != *step).then(|| timer(holder.ends.saturating_sub(now.mono_ms), most))
    }

    fn wear_of(&self, row: &CommandRow, spec: Option<&CommandSpec>, now: Moment) -> Wear {
        let Some(spec) = spec else { return Wear::None };
        // What gives back is free.
        let next = match row.reverts {
            Some(_) => None,
            None => self.wear.check(&register(row, spec), now.wall_ms).err().map(wire::time_text),
        };
        let (name, device) = (&spec.name, &row.device);
        match next {
            _ if !spec.persistent => partly(spec, next.map(|next| {
                format!(
                    "some of what `{name}` sets on `{device}` wears out and has been written often enough; the next \
                     change of it is taken at {next}"
                )
            })),
            None => Wear::Allowed,
            Some(next) => Wear::Spent(format!(
                "what `{name}` sets on `{device}` wears out and has been written often enough; the next change is \
                 taken at {next}"
            )),
        }
    }

    /// A setpoint that is due to be written again, before the device's own timer ends; or to be given
    /// back although the disk does not take that.
    fn next_upkeep(&mut self, adapter: &str, now: Moment) -> Option<Taken> {
        let rewrites = self.ledger.to_rewrite(now.mono_ms);
        let unkept = self.unkept.iter().filter(|(_, at)| **at <= now.mono_ms);
        let due = unkept.map(|(setpoint, _)| setpoint.clone()).chain(rewrites);
        let (setpoint, unit) = due
            .filter_map(|setpoint| {
                let device = self.devices.get(&setpoint.0)?;
                let unit = &device.info.unit;
                let takes = device.online && device.adapter == adapter && self.is_free(unit);
                (takes && !self.is_in_doubt(unit)).then(|| (setpoint, unit.clone()))
            })
            .next()?;
        let lease = self.ledger.lease(&setpoint)?;
        let gives_back = self.unkept.contains_key(&setpoint);
        let (step, purpose) = match (gives_back, lease.set_again) {
            (true, _) => (&lease.revert, Purpose::Execute),
            (false, true) => (&lease.step, Purpose::Execute),
            (false, false) => (&lease.step, Purpose::Renew),
        };
        let spec = self.spec_of(&setpoint.0, step);
        let most = spec.and_then(|spec| spec.timer_most);
        let timer = (!gives_back).then(|| timer(lease.ends.saturating_sub(now.mono_ms), most));
        let asked = Asked {
            number: 0,
            device: setpoint.0.clone(),
            unit: unit.clone(),
            command: Arc::from(step.command.as_str()),
            parameters: step.parameters.clone(),
            purpose,
            verify_for: spec.map(|spec| spec.verify_for).unwrap_or_default(),
            timer,
            // Only what is volatile is written again, and what gives back is free.
            wear: spec.map_or(Wear::None, |spec| partly(spec, None)),
            relative: false,
        };
        self.upkeep.insert(unit, Upkeep { setpoint: setpoint.clone(), gives_back });
        Some(Taken { what: What::Upkeep(setpoint), asked })
    }

    /// Was something in flight on the unit, and is not settled yet? That goes before all else.
    fn is_in_doubt(&self, unit: &UnitId) -> bool {
        let devices = self.units.get(unit).into_iter().flatten();
        devices
            .flat_map(|device| self.queue.of_device(device))
            .any(|entry| entry.purpose == Purpose::ReadBack)
    }
}

/// How far a command may write what wears out, where not all of it does; free unless there is a reason.
fn partly(spec: &CommandSpec, spent: Option<String>) -> Wear {
    if spec.wears && !spec.persistent { Wear::Partly(spent) } else { Wear::None }
}

/// What a command asks for.
pub(super) fn step_of(row: &CommandRow) -> Step {
    Step { command: row.command.clone(), parameters: row.parameters.clone() }
}

/// What a command wears: its setpoint, the point that it names, or itself.
pub(super) fn register(row: &CommandRow, spec: &CommandSpec) -> (DeviceId, String) {
    let name = spec.group.as_deref().or_else(|| row.parameters.word("point")).unwrap_or(&spec.name);
    (row.device.clone(), name.to_owned())
}
