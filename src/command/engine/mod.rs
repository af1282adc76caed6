//! All that is known about commands, as one value with rules. Pure: it is told what happened, with
//! the time, and says what is to be done as [`Action`]s; the dispatcher does it. A property test
//! plays with it against a model (`tests`).
//!
//! What is not on disk has not happened: a step that others hear of (accepted, executing, ended) is
//! first an [`Action::Commit`], and goes on in [`Engine::committed`].

mod admit;
mod cancel;
mod clock;
mod commit;
mod lease;
mod settle;
mod start;
mod supersede;
mod take;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use adapter_api::{Asked, CommandSpec, DeviceId, DeviceInfo, Moment, Problem, Purpose, UnitId, WriteOutcome};

pub use self::start::Known;
use self::{commit::Pending, watch::Watch};
use super::{
    Accepted, Cancelled, LeaseView, Notice, Refusal, RefusalCode, Settings, admission,
    lease::{Ledger, Setpoint},
    queue::{Phase, Queue},
    rate::Rate,
    state,
    wear::{Register, WearGuard},
};
use crate::journal::{Change, CommandRow, Step};

/// Commands that have not ended, at most: a sender that never stops must not fill the memory of a
/// small machine (about 1 kB each).
const QUEUED: usize = 20_000;
/// How long the read-back of what was in flight may wait for its device.
const DOUBT_WAIT_MS: u64 = 300_000;
/// Pause before a command whose `executing` could not be made durable is taken again.
const TAKE_AGAIN_MS: u64 = 1_000;

/// Names a question of the dispatcher, which gets one answer.
pub(super) type Token = u64;
/// Names a commit.
pub(super) type Ticket = u64;

/// What is to be done.
pub(super) enum Action {
    /// Write these together, and tell [`Engine::committed`]. The notes of setpoints and registers
    /// are made when it is sent, so that the last one that is sent is how things stand.
    Commit {
        ticket: Ticket,
        changes: Vec<Change>,
        setpoints: Vec<Setpoint>,
        registers: Vec<Register>,
        /// Try until the disk takes it: it has happened already.
        must: bool,
    },
    /// The answer to an admission.
    Answer(Token, Result<Accepted, Refusal>),
    /// The answer to an adapter that asked for a command.
    Hand(Token, Option<Box<Taken>>),
    /// The answer to a cancellation; none when no command here has the id.
    Cancelled(Token, Option<Result<Cancelled, Refusal>>),
    /// The answer to who keeps something: could it be kept?
    Kept(Token, bool),
    Notice(Notice),
    /// A batch may have ended.
    CheckBatch(String),
    /// This adapter may find something to do; none: each of them may.
    Wake(Option<String>),
}

/// A command for an adapter, durably `executing`.
#[derive(Debug)]
pub(super) struct Taken {
    pub what: What,
    pub asked: Asked,
}

/// What an adapter has in its hands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// A command, by its number.
    Command(u64),
    /// A setpoint that is written again because it is held.
    Upkeep(Setpoint),
}

/// A device as commands see it.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub info: Arc<DeviceInfo>,
    pub adapter: String,
    pub online: bool,
    pub problem: Option<Problem>,
}

/// Whose setpoints are given back, because nobody will be there to do it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Adapters(HashSet<String>),
}

impl Scope {
    fn holds(&self, adapter: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Adapters(names) => adapter.is_some_and(|adapter| names.contains(adapter)),
        }
    }
}

/// A setpoint is written without a command of its own.
struct Upkeep {
    setpoint: Setpoint,
    /// It is given back before that is on disk.
    gives_back: bool,
}

pub(super) struct Engine {
    settings: Settings,
    boot: Arc<str>,
    queue: Queue,
    ledger: Ledger,
    rate: Rate,
    wear: WearGuard,
    devices: HashMap<DeviceId, Device>,
    units: HashMap<UnitId, Vec<DeviceId>>,
    pending: HashMap<Ticket, Pending>,
    tickets: Ticket,
    /// Units whose next command is being accepted and made `executing` in one.
    starting: HashSet<UnitId>,
    /// Units on which a setpoint is being written again.
    upkeep: HashMap<UnitId, Upkeep>,
    watches: BTreeMap<u64, Watch>,
    /// Wall time ahead of monotonic time as it was looked at last, ms.
    clock: i64,
    /// When everything was looked at last, monotonic ms.
    looked: u64,
    /// Setpoints whose revert is not on disk yet, and when they are given back without waiting for it.
    unkept: HashMap<Setpoint, u64>,
    /// Adapters that take nothing new, and why.
    closed: Option<(Scope, String)>,
    /// Commands of a batch that have not ended.
    batches: HashMap<String, usize>,
    /// Batches that are being taken in.
    open_batches: HashMap<String, usize>,
    out: Vec<Action>,
    leases_changed: bool,
}

impl Engine {
    /// What is to be done since this was asked last.
    pub fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.out)
    }

    /// The ledger for doors, when it changed.
    pub fn changed_leases(&mut self, now: Moment) -> Option<Vec<LeaseView>> {
        std::mem::take(&mut self.leases_changed).then(|| self.ledger.views(now))
    }

    /// The notes of a commit as things stand now.
    pub fn notes(&self, setpoints: &[Setpoint], registers: &[Register]) -> Vec<Change> {
        let leases = setpoints.iter().map(|setpoint| self.ledger.note(setpoint, &self.boot));
        leases.chain(registers.iter().map(|register| self.wear.note(register))).collect()
    }

    /// A command that has not ended.
    pub fn find(&self, id: &str) -> Option<&Arc<CommandRow>> {
        self.queue.by_id(id).map(|entry| &entry.row)
    }

    /// A command that has not ended and came in this very message.
    pub fn find_message(&self, message: &str) -> Option<&Arc<CommandRow>> {
        self.queue.by_message(message).map(|entry| &entry.row)
    }

    /// Units whose device has a setpoint to give back.
    pub fn urgent_units(&self) -> HashSet<UnitId> {
        let devices = self.ledger.reverting().filter_map(|((device, _), _)| self.devices.get(device));
        devices.map(|device| device.info.unit.clone()).collect()
    }

    /// When something changes by time alone, monotonic ms.
    pub fn next_change(&self) -> Option<u64> {
        let times = [self.queue.next_change(), self.next_write(), self.next_watch()];
        times.into_iter().flatten().min()
    }

    /// The next end of a lease or write of a setpoint after the last look.
    fn next_write(&self) -> Option<u64> {
        let unkept = self.unkept.values().copied().filter(|at| *at > self.looked);
        unkept.chain(self.ledger.next_change(self.looked)).min()
    }

    /// Devices came, went or changed.
    pub fn devices_changed(&mut self, devices: Vec<Device>, now: Moment) {
        let devices = devices.into_iter().map(|device| (device.info.id.clone(), device)).collect();
        let before = std::mem::replace(&mut self.devices, devices);
        self.units.clear();
        for (id, device) in &self.devices {
            self.units.entry(device.info.unit.clone()).or_default().push(id.clone());
        }
        // What may be commanded, and how far, may have changed while commands waited. What gives back
        // still may.
        let changed = |row: &CommandRow| {
            let old = before.get(&row.device).map(|device| &device.info);
            self.devices.get(&row.device).filter(|new| old.is_none_or(|old| **old != *new.info))
        };
        let waiting = self.queue.all().filter(|entry| {
            entry.phase == Phase::Waiting && entry.purpose == Purpose::Execute && entry.row.reverts.is_none()
        });
        let refused: Vec<_> = waiting
            .filter_map(|entry| {
                let refusal = admission::check_again(&changed(&entry.row)?.info, &entry.row).err()?;
                // What a device does not know today it may know again when it has found itself.
                let known = refusal.code != RefusalCode::UnknownCommand;
                known.then(|| (entry.row.clone(), refusal))
            })
            .collect();
        for (row, refusal) in refused {
            self.end(state::refuse(&row, &refusal, now), &[]);
        }
        self.out.push(Action::Wake(None));
        self.time(now);
    }

    /// Time passed, or something happened that may have changed what is due.
    pub fn time(&mut self, now: Moment) {
        self.look_at_clock(now);
        let due = self.queue.advance(now.mono_ms);
        if !due.is_empty() || self.next_write().is_some_and(|at| at <= now.mono_ms) {
            self.out.push(Action::Wake(None));
        }
        self.looked = now.mono_ms;
        // The newest first: it makes the others pointless at once.
        for number in due.into_iter().rev() {
            self.came_due(number, now);
        }
        for number in self.queue.overdue(now.mono_ms) {
            self.overdue(number, now);
        }
        self.look_at_watches(now);
        self.look_at_leases(now);
    }

    fn overdue(&mut self, number: u64, now: Moment) {
        let Some(entry) = self.queue.get(number) else { return };
        if entry.purpose == Purpose::ReadBack {
            let reason = "its device did not come back to be read after the gateway ended".to_owned();
            return self.settled_command(number, WriteOutcome::Unknown { reason }, now);
        }
        let problem = self.devices.get(&entry.row.device).and_then(|device| device.problem.as_ref());
        self.end(state::expire(&entry.row, problem, now), &[]);
    }

    /// The adapter of a device may find something to do.
    fn wake(&mut self, device: &DeviceId) {
        let adapter = self.devices.get(device).map(|device| device.adapter.clone());
        self.out.push(Action::Wake(adapter));
    }

    fn spec(&self, row: &CommandRow) -> Option<&CommandSpec> {
        self.spec_named(&row.device, &row.command)
    }

    fn spec_of(&self, device: &DeviceId, step: &Step) -> Option<&CommandSpec> {
        self.spec_named(device, &step.command)
    }

    fn spec_named(&self, device: &DeviceId, command: &str) -> Option<&CommandSpec> {
        let info = &self.devices.get(device)?.info;
        info.commands.iter().find(|spec| *spec.name == *command)
    }

    fn setpoint(&self, row: &CommandRow) -> Option<Setpoint> {
        let group = self.spec(row)?.group.as_deref()?;
        Some((row.device.clone(), group.to_owned()))
    }
}
