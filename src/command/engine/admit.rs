//! A request becomes a command, or is refused.

use std::{sync::Arc, time::Duration};

use adapter_api::{DeviceInfo, Moment, Purpose, UnitId};

use super::{Action, Device, Engine, Pending, QUEUED, Token};
use crate::{
    command::{
        Refusal, RefusalCode, Refused, Request, admission,
        lease::{Setpoint, held_by},
        queue::{Entry, Phase},
        state, wire,
    },
    journal::{Change, CommandRow, DeviceRow, LeaseTerms},
};

impl Engine {
    /// Takes a request; its answer is an [`Action::Answer`], after the commit. `row` is its device
    /// as the registry has it.
    pub fn admit(
        &mut self,
        request: Request,
        device: Option<&DeviceRow>,
        known: impl FnOnce() -> Vec<String>,
        to: Token,
        now: Moment,
    ) {
        self.time(now);
        if let Err(refusal) = self.try_admit(request, device, known, to, now) {
            self.out.push(Action::Answer(to, Err(refusal)));
        }
    }

    fn try_admit(
        &mut self,
        request: Request,
        device: Option<&DeviceRow>,
        known: impl FnOnce() -> Vec<String>,
        to: Token,
        now: Moment,
    ) -> Result<(), Refusal> {
        if let Some((scope, reason)) = &self.closed
            && scope.holds(device.map(|row| row.adapter.as_str()))
        {
            let message = format!("{reason}; send it again in a moment");
            return Err(Refusal::new(RefusalCode::Stopping, message));
        }
        let spec = admission::check(&request, device, known)?;
        let info = &device.map(|row| &row.info).expect("it was checked with its device");
        let lease = admission::terms(&request, spec, info, self.settings.battery_lease)?;
        let (tell, reply) = (request.tell, request.reply.clone());
        let row = state::accept(request, self.settings.expires_in, lease, now)?;
        let later = row.scheduled_at.is_some_and(|at| at > now.wall_ms);
        let setpoint = spec.group.as_ref().map(|group| (info.id.clone(), group.to_string()));
        if let Some(setpoint) = setpoint.as_ref().filter(|_| !later) {
            self.may_set(setpoint, &row, now)
                .inspect_err(|refusal| self.refused(setpoint, &row, refusal, now))?;
        }
        self.rate.check(&info.id, &row.owner, now.mono_ms).map_err(|wait| {
            let at = wire::time_text(now.wall_ms.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX)));
            let limit = self.settings.rate_limit;
            let message = format!(
                "{} sent {limit} commands to `{}` within a minute; the next one is taken at {at}. Send fewer, or raise `[commands] rate_limit`",
                row.owner, info.id
            );
            Refusal::new(RefusalCode::RateLimited, message)
        })?;
        if self.queue.len() + self.pending.len() >= QUEUED {
            let message = "too many commands wait for their devices; send fewer, or with a shorter expiresIn";
            return Err(Refusal::new(RefusalCode::Busy, message));
        }
        self.rate.count(&info.id, &row.owner, now.mono_ms);
        let superseded = match &setpoint {
            Some(setpoint) if !later && !spec.relative => self.supersede_older(setpoint, &row, now),
            _ => Vec::new(),
        };
        let starts = if later { None } else { self.starts_at_once(info) };
        let mut entry = waiting_entry(Arc::new(row), now);
        entry.marked = starts.is_some();
        let inserted = if entry.marked { state::start(&entry.row, now) } else { (*entry.row).clone() };
        let mut changes = vec![Change::Insert(inserted)];
        changes.extend(superseded.iter().map(|row| Change::Update((**row).clone())));
        if let Some(id) = entry.row.batch_id.clone() {
            *self.batches.entry(id.clone()).or_default() += 1;
            // One that was sent by itself is a batch of all that carry its id.
            if !self.open_batches.contains_key(&id) {
                changes.push(Change::BatchJoin { id, reply, tell });
            }
        }
        self.starting.extend(starts.clone());
        let pending = Pending::Accept { to, entry: Box::new(entry), superseded, starts, setpoint };
        self.commit(pending, changes, Vec::new(), Vec::new(), false);
        Ok(())
    }

    /// May it set this now? Nobody else may hold it, nor be about to.
    pub(super) fn may_set(&self, setpoint: &Setpoint, row: &CommandRow, now: Moment) -> Result<(), Refusal> {
        if let Some(refusal) = self.ledger.refusal(setpoint, &row.owner, row.priority, now) {
            return Err(refusal);
        }
        let about_to_hold = |other: &CommandRow| {
            let holds = other.lease.is_some() && other.id != row.id;
            holds && other.owner != row.owner && other.priority >= row.priority
        };
        let waiting = self.queue.of_device(&setpoint.0).filter(|entry| {
            let ahead = entry.phase != Phase::Waiting || entry.due <= now.mono_ms || entry.row.attempts > 0;
            ahead && entry.row.outcome.is_none() && self.setpoint(&entry.row).as_ref() == Some(setpoint)
        });
        let accepting = self.pending.values().filter_map(|pending| match pending {
            Pending::Accept { entry, setpoint: Some(of), .. }
                if of == setpoint && entry.due <= now.mono_ms =>
            {
                Some(&entry.row)
            }
            _ => None,
        });
        let mut ahead = waiting.map(|entry| &entry.row).chain(accepting);
        match ahead.find(|other| about_to_hold(other)) {
            Some(other) => Err(held_by(&other.owner, other.priority, until(other, now), setpoint)),
            None => Ok(()),
        }
    }

    pub(super) fn refused(&mut self, setpoint: &Setpoint, row: &CommandRow, refusal: &Refusal, now: Moment) {
        let (owner, command, reason) = (row.owner.clone(), row.command.clone(), refusal.message.clone());
        self.ledger.refused(setpoint, Refused { at: now.wall_ms, owner, command, reason });
        self.leases_changed = true;
    }

    /// The unit on which it goes first and at once.
    fn starts_at_once(&self, info: &DeviceInfo) -> Option<UnitId> {
        let device: &Device = self.devices.get(&info.id)?;
        let unit = &device.info.unit;
        let waits = |device| {
            self.queue
                .of_device(device)
                .any(|entry| entry.phase == Phase::Waiting && entry.due <= self.queue.now() || entry.marked)
        };
        let free = device.online
            && self.is_free(unit)
            && !self.starting.contains(unit)
            && !self.units.get(unit).into_iter().flatten().any(waits);
        free.then(|| unit.clone())
    }
}

/// An entry for what waits, as old as the journal says.
pub(super) fn waiting_entry(row: Arc<CommandRow>, now: Moment) -> Entry {
    let in_ms = |wall: i64| u64::try_from(wall.saturating_sub(now.wall_ms)).unwrap_or(0);
    let due = row.scheduled_at.map_or(0, |at| now.mono_ms + in_ms(at));
    let deadline = match row.reverts {
        Some(_) => u64::MAX,
        None => now.mono_ms.saturating_add(in_ms(row.expires_at)),
    };
    let waited = u64::try_from(now.wall_ms.saturating_sub(row.accepted_at)).unwrap_or(0);
    let since = due.max(now.mono_ms.saturating_sub(waited));
    let row_by_wall = row.scheduled_at.is_some();
    Entry {
        row,
        purpose: Purpose::Execute,
        phase: Phase::Waiting,
        since,
        due,
        deadline,
        doubt_until: 0,
        marked: false,
        cancelled_by: None,
        started: 0,
        other_boot: false,
        by_wall: row_by_wall,
    }
}

/// Until when a command that does not hold yet may come to hold, wall ms.
fn until(row: &CommandRow, now: Moment) -> i64 {
    let lasts = row
        .lease
        .as_ref()
        .map_or(Duration::ZERO, |LeaseTerms { lasts_ms, .. }| Duration::from_millis(*lasts_ms));
    now.wall_ms.saturating_add(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX))
}
