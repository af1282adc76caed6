//! What goes on when a commit is on disk, or could not be.

use std::sync::Arc;

use adapter_api::{Moment, UnitId};

use super::{Action, Engine, TAKE_AGAIN_MS, Taken, Ticket, Token};
use crate::{
    command::{
        Accepted, Cancelled, Notice, Refusal,
        lease::Setpoint,
        queue::{Entry, Phase},
        state,
        wear::Register,
    },
    journal::{Change, CommandRow, JournalError, Step},
};

/// What a commit is for.
pub(super) enum Pending {
    /// A new command, and those that it supersedes.
    Accept {
        to: Token,
        entry: Box<Entry>,
        superseded: Vec<Arc<CommandRow>>,
        /// It is made `executing` along with it; this unit waits for it.
        starts: Option<UnitId>,
        setpoint: Option<Setpoint>,
    },
    /// `executing`.
    Start { to: Token, number: u64 },
    /// A relative command's target.
    Resolve { to: Token, number: u64, row: Arc<CommandRow> },
    /// Its end.
    End(Arc<CommandRow>),
    /// It waits again.
    Again(u64),
    /// Taken back.
    Cancel { to: Token, row: Arc<CommandRow> },
    /// What gives a setpoint back.
    Revert { entry: Box<Entry>, setpoint: Setpoint },
    /// A batch begins.
    BatchBegin { to: Token, id: String },
    /// A batch was taken in whole.
    BatchComplete(String),
    /// Only notes.
    Notes,
}

impl Engine {
    pub(super) fn commit(
        &mut self,
        pending: Pending,
        changes: Vec<Change>,
        setpoints: Vec<Setpoint>,
        registers: Vec<Register>,
        must: bool,
    ) {
        self.tickets += 1;
        let ticket = self.tickets;
        self.leases_changed |= !setpoints.is_empty();
        self.pending.insert(ticket, pending);
        self.out.push(Action::Commit { ticket, changes, setpoints, registers, must });
    }

    /// A command ended: durably, and then it is told. `registers` are the wear that it cost.
    pub(super) fn end(&mut self, row: CommandRow, registers: &[Register]) {
        let row = Arc::new(row);
        let setpoints: Vec<_> = self.setpoint(&row).into_iter().collect();
        self.queue.change(row.number, |entry| {
            (entry.row, entry.phase) = (row.clone(), Phase::Committing);
        });
        let changes = vec![Change::Update((*row).clone())];
        self.commit(Pending::End(row), changes, setpoints, registers.to_vec(), true);
    }

    /// A command waits again until `due`.
    pub(super) fn again(&mut self, row: CommandRow, due: u64) {
        let number = row.number;
        let changes = vec![Change::Update(row.clone())];
        self.queue.change(number, |entry| {
            (entry.row, entry.phase, entry.due) = (Arc::new(row), Phase::Committing, due);
            entry.marked = false;
        });
        self.commit(Pending::Again(number), changes, Vec::new(), Vec::new(), true);
    }

    /// A commit is on disk, with one number for each of its changes; or it could not be made, which
    /// those that must be made never say.
    pub fn committed(&mut self, ticket: Ticket, result: Result<Vec<u64>, JournalError>, now: Moment) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        match pending {
            Pending::Accept { to, entry, superseded, starts, setpoint } => {
                if let Some(unit) = starts {
                    self.starting.remove(&unit);
                }
                match result {
                    Ok(numbers) => {
                        let number = numbers.first().copied().unwrap_or_default();
                        self.accepted(to, *entry, number, superseded, setpoint, now);
                    }
                    Err(error) => {
                        for row in superseded {
                            self.queue.change(row.number, |entry| entry.phase = Phase::Waiting);
                        }
                        self.batch_left(entry.row.batch_id.as_deref());
                        self.out.push(Action::Answer(to, Err(Refusal::not_kept(&error))));
                    }
                }
            }
            Pending::Start { to, number } => match result {
                Ok(_) => self.hand_command(to, number, now),
                Err(_) => {
                    self.not_started(number, false, now.mono_ms + TAKE_AGAIN_MS, now);
                    self.out.push(Action::Hand(to, None));
                }
            },
            Pending::Resolve { to, number, row } => {
                if result.is_ok() {
                    self.queue.change(number, |entry| entry.row = row);
                }
                self.out.push(Action::Kept(to, result.is_ok()));
            }
            Pending::End(row) => self.ended(row),
            Pending::Again(number) => self.waits_again(number, now),
            Pending::Cancel { to, row } => match result {
                Ok(_) => {
                    self.out.push(Action::Cancelled(to, Some(Ok(Cancelled::Now(row.clone())))));
                    self.ended(row);
                }
                Err(error) => {
                    self.queue.change(row.number, |entry| entry.phase = Phase::Waiting);
                    self.out.push(Action::Cancelled(to, Some(Err(Refusal::not_kept(&error)))));
                }
            },
            Pending::Revert { mut entry, setpoint } => {
                self.unkept.remove(&setpoint);
                let number = result.ok().and_then(|numbers| numbers.first().copied()).unwrap_or_default();
                entry.row = Arc::new(CommandRow { number, ..(*entry.row).clone() });
                self.queue.insert(*entry);
                self.wake(&setpoint.0);
            }
            Pending::BatchBegin { to, id } => {
                if result.is_err() {
                    self.batch_taken_in(&id);
                }
                self.out.push(Action::Kept(to, result.is_ok()));
            }
            Pending::BatchComplete(id) => self.batch_taken_in(&id),
            Pending::Notes => {}
        }
        self.time(now);
    }

    fn accepted(
        &mut self,
        to: Token,
        mut entry: Entry,
        number: u64,
        superseded: Vec<Arc<CommandRow>>,
        setpoint: Option<Setpoint>,
        now: Moment,
    ) {
        let due = entry.due <= now.mono_ms;
        let row = Arc::new(CommandRow { number, ..(*entry.row).clone() });
        entry.row = row.clone();
        self.queue.insert(entry);
        for row in superseded {
            self.ended(row);
        }
        self.out.push(Action::Answer(to, Ok(Accepted::New(row.clone()))));
        self.out.push(Action::Notice(Notice::Progress(row.clone())));
        // Older ones may have been on their way to the disk when this one was admitted.
        if let Some(setpoint) = setpoint.filter(|_| due) {
            self.supersede_now(&setpoint, &row, now);
        }
        self.wake(&row.device);
    }

    fn ended(&mut self, row: Arc<CommandRow>) {
        self.queue.remove(row.number);
        self.out.push(Action::Notice(Notice::Result(row.clone())));
        self.batch_left(row.batch_id.as_deref());
        self.wake(&row.device);
    }

    fn waits_again(&mut self, number: u64, now: Moment) {
        let Some(entry) = self.queue.get(number) else { return };
        let row = entry.row.clone();
        if let Some(by) = entry.cancelled_by.clone() {
            return self.end(state::cancel(&row, &by, now), &[]);
        }
        if let Some(newer) = self.newer_than(&row, now) {
            return self.end(state::supersede(&row, &newer, now), &[]);
        }
        self.queue.change(number, |entry| {
            (entry.phase, entry.purpose) = (Phase::Waiting, adapter_api::Purpose::Execute);
        });
        self.wake(&row.device);
    }

    /// An adapter did not get what was taken for it. `marked` when the journal has it as executing.
    pub(super) fn not_started(&mut self, number: u64, marked: bool, due: u64, now: Moment) {
        self.queue.change(number, |entry| {
            if entry.purpose == adapter_api::Purpose::Execute {
                let mut row = (*entry.row).clone();
                row.status = adapter_api::CommandStatus::Pending;
                row.attempts = row.attempts.saturating_sub(1);
                row.events.pop();
                entry.row = Arc::new(row);
                entry.marked = marked;
            }
            (entry.phase, entry.due) = (Phase::Waiting, due);
        });
        let entry = self.queue.get(number).filter(|entry| entry.purpose == adapter_api::Purpose::Execute);
        if let Some((row, by)) =
            entry.and_then(|entry| Some((entry.row.clone(), entry.cancelled_by.clone()?)))
        {
            self.end(state::cancel(&row, &by, now), &[]);
        }
        if let Some(device) = self.queue.get(number).map(|entry| entry.row.device.clone()) {
            self.wake(&device);
        }
    }

    /// A relative command comes to this; it is kept before anything is sent.
    pub fn resolve(&mut self, number: u64, step: &Step, to: Token, now: Moment) {
        let Some(entry) = self.queue.get(number) else {
            return self.out.push(Action::Kept(to, false));
        };
        let row = Arc::new(state::resolve(&entry.row, step, now));
        let changes = vec![Change::Update((*row).clone())];
        self.commit(Pending::Resolve { to, number, row }, changes, Vec::new(), Vec::new(), false);
    }

    /// A batch begins: its summary waits until it was taken in whole.
    pub fn batch_begin(&mut self, id: &str, begin: Change, to: Token) {
        *self.open_batches.entry(id.to_owned()).or_default() += 1;
        let pending = Pending::BatchBegin { to, id: id.to_owned() };
        self.commit(pending, vec![begin], Vec::new(), Vec::new(), false);
    }

    /// A batch was taken in whole.
    pub fn batch_complete(&mut self, id: &str, complete: Change) {
        self.commit(Pending::BatchComplete(id.to_owned()), vec![complete], Vec::new(), Vec::new(), true);
    }

    fn batch_taken_in(&mut self, id: &str) {
        if let Some(open) = self.open_batches.get_mut(id) {
            *open -= 1;
            if *open == 0 {
                self.open_batches.remove(id);
            }
        }
        self.check_batch(id);
    }

    /// One of its commands ended, or was not accepted after all.
    fn batch_left(&mut self, id: Option<&str>) {
        let Some(id) = id else { return };
        if let Some(live) = self.batches.get_mut(id) {
            *live -= 1;
            if *live == 0 {
                self.batches.remove(id);
            }
        }
        self.check_batch(id);
    }

    fn check_batch(&mut self, id: &str) {
        if !self.batches.contains_key(id) && !self.open_batches.contains_key(id) {
            self.out.push(Action::CheckBatch(id.to_owned()));
        }
    }

    pub(super) fn hand(&mut self, to: Token, taken: Taken) {
        self.out.push(Action::Hand(to, Some(Box::new(taken))));
    }
}
