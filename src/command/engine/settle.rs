//! What an adapter's outcome means.

use std::time::Duration;

use adapter_api::{Moment, Outcome, Purpose, WriteOutcome};

use super::{
    Action, DOUBT_WAIT_MS, Engine, Pending, What,
    take::{register, step_of},
    watch::Watch,
};
use crate::{
    command::{
        Notice,
        effect::Expected,
        lease::{REWRITE_LEAST, Setpoint, TIMER_MOST, Write, rewrite_at},
        queue::Phase,
        state::{self, Next},
        wear::Register,
    },
    journal::{CommandRow, Step},
};

/// Pause before a setpoint that could not be written again is tried again.
const UPKEEP_AGAIN_MS: u64 = 5_000;
/// Pause before an adapter that fell while it read a command back gets it again.
const LOOK_AGAIN_MS: u64 = 2_000;

/// Did a command reach its device?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Yes,
    Perhaps,
    No,
}

impl Reached {
    fn by(outcome: &WriteOutcome) -> Self {
        match outcome {
            WriteOutcome::Done { .. } => Self::Yes,
            WriteOutcome::Mismatch { .. } | WriteOutcome::Unknown { .. } => Self::Perhaps,
            WriteOutcome::Rejected { .. } | WriteOutcome::NotApplied { .. } => Self::No,
        }
    }
}

impl Engine {
    /// An adapter put down what it had; no outcome when it let it fall. `wore`: it has told that some of what it
    /// wrote wears out.
    pub fn settled(&mut self, what: What, outcome: Option<WriteOutcome>, wore: bool, now: Moment) {
        if wore {
            self.wore_partly(&what, now);
        }
        let device = match &what {
            What::Command(number) => self.queue.get(*number).map(|entry| entry.row.device.clone()),
            What::Upkeep((device, _)) => Some(device.clone()),
        };
        match (what, outcome) {
            (What::Command(number), Some(outcome)) => self.settled_command(number, outcome, now),
            (What::Command(number), None) => self.let_fall(number, now),
            (What::Upkeep(setpoint), outcome) => self.settled_upkeep(&setpoint, outcome, now),
        }
        if let Some(device) = device {
            self.wake(&device);
        }
        self.time(now);
    }

    /// An adapter went away before it got what was taken for it.
    pub fn not_taken(&mut self, what: What, now: Moment) {
        match what {
            What::Command(number) => self.not_started(number, true, now.mono_ms, now),
            What::Upkeep(setpoint) => {
                self.upkeep.retain(|_, held| held.setpoint != setpoint);
                self.wake(&setpoint.0);
            }
        }
    }

    /// Its adapter ended with it in its hands: what became of it is read from the device, by the
    /// next run of the adapter or, at a stop, of the gateway.
    fn let_fall(&mut self, number: u64, now: Moment) {
        self.queue.change(number, |entry| {
            // An adapter that falls over the looking itself must not do so for ever.
            if entry.purpose == Purpose::ReadBack {
                entry.due = now.mono_ms + LOOK_AGAIN_MS;
            } else {
                (entry.due, entry.doubt_until) = (0, now.mono_ms + DOUBT_WAIT_MS);
            }
            (entry.phase, entry.purpose) = (Phase::Waiting, Purpose::ReadBack);
        });
    }

    pub(super) fn settled_command(&mut self, number: u64, outcome: WriteOutcome, now: Moment) {
        let Some(entry) = self.queue.get(number) else { return };
        let (row, cancelled_by) = (entry.row.clone(), entry.cancelled_by.clone());
        let (started, deadline, purpose) = (entry.started, entry.deadline, entry.purpose);
        let idempotent = self.spec(&row).is_some_and(|spec| spec.idempotent);
        // What was in flight once may have been sent, whatever is said of the looking.
        let outcome = match outcome {
            WriteOutcome::NotApplied { reason, sent } => {
                let in_doubt = purpose == Purpose::ReadBack && !idempotent && !self.never_resolved(&row);
                WriteOutcome::NotApplied { reason, sent: sent || in_doubt }
            }
            outcome => outcome,
        };
        let left = Duration::from_millis(deadline.saturating_sub(now.mono_ms));
        let registers = self.count_wear(&row, &outcome, now);
        if let WriteOutcome::NotApplied { reason, sent } = &outcome {
            if let Some(by) = cancelled_by {
                return self.end(state::cancel(&row, &by, now), &registers);
            }
            let online = self.devices.get(&row.device).is_some_and(|device| device.online);
            if !sent && !online {
                return self.again(state::wait_for_device(&row, reason, now), now.mono_ms);
            }
        }
        let reached = Reached::by(&outcome);
        // What was asked for is another thing once the device's own view of it is kept.
        let step = state::resolved(&row).unwrap_or_else(|| step_of(&row));
        match state::settle(&row, outcome, idempotent, left, now) {
            Next::Ended(row) => self.ended_by_adapter(row, step, reached, registers, started, now),
            Next::Again(row, delay) => {
                let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                self.again(row, now.mono_ms.saturating_add(delay));
                if !registers.is_empty() {
                    self.commit(Pending::Notes, Vec::new(), Vec::new(), registers, true);
                }
            }
        }
    }

    /// Some of what was written wears out. That counts whatever becomes of the command, and whoever wanted it.
    fn wore_partly(&mut self, what: &What, now: Moment) {
        let register = match what {
            What::Command(number) => self.queue.get(*number).and_then(|entry| {
                let spec = self.spec(&entry.row).filter(|spec| spec.wears && !spec.persistent)?;
                Some(register(&entry.row, spec))
            }),
            What::Upkeep(setpoint) => Some(setpoint.clone()),
        };
        if let Some(register) = register {
            self.wear.count(&register, now.wall_ms);
            self.commit(Pending::Notes, Vec::new(), Vec::new(), vec![register], true);
        }
    }

    /// Every attempt that may have written wears, not only the last one.
    fn count_wear(&mut self, row: &CommandRow, outcome: &WriteOutcome, now: Moment) -> Vec<Register> {
        let may_have_written = match outcome {
            WriteOutcome::Done { written, .. } => *written,
            WriteOutcome::NotApplied { sent, .. } => *sent,
            WriteOutcome::Mismatch { .. } | WriteOutcome::Unknown { .. } => true,
            WriteOutcome::Rejected { .. } => false,
        };
        let spec = self.spec(row).filter(|spec| spec.persistent && may_have_written);
        let register = spec.map(|spec| register(row, spec));
        if let Some(register) = &register {
            self.wear.count(register, now.wall_ms);
        }
        register.into_iter().collect()
    }

    fn ended_by_adapter(
        &mut self,
        row: CommandRow,
        step: Step,
        reached: Reached,
        registers: Vec<Register>,
        started: u64,
        now: Moment,
    ) {
        if let (Some(setpoint), Some(outcome)) = (self.setpoint(&row), row.outcome) {
            self.ledger.wrote(&setpoint, &row, outcome, now.wall_ms);
            if reached != Reached::No {
                self.applied(&setpoint, &row, step, reached == Reached::Yes, started, now);
            }
            if outcome == Outcome::Done && self.watch(&row, &setpoint, now) {
                // Its lease is durable from here on, its result when the battery has followed.
                return self.commit(Pending::Notes, Vec::new(), vec![setpoint], registers, true);
            }
        }
        self.end(row, &registers);
    }

    fn applied(
        &mut self,
        setpoint: &Setpoint,
        row: &CommandRow,
        step: Step,
        proven: bool,
        started: u64,
        now: Moment,
    ) {
        if row.reverts.is_some() {
            return self.ledger.reverted(setpoint, &row.id);
        }
        let spec = self.spec(row);
        let persistent = spec.is_some_and(|spec| spec.persistent);
        let relative = spec.is_some_and(|spec| spec.relative);
        let timer_most = spec.and_then(|spec| spec.timer_most);
        // What was in flight at a crash holds from its proof on.
        let (began, started) = (started, if started == 0 { now.mono_ms } else { started });
        let over = self.queue.get(row.number).is_some_and(|entry| entry.other_boot);
        let write = Write { step, proven, began, started, relative, volatile: !persistent, timer_most };
        let applied = self.ledger.applied(setpoint, row, write, now);
        if over {
            self.ledger.end(setpoint, now.mono_ms);
        }
        if let Some(lost) = applied.lost {
            tracing::info!(
                device = %lost.device, setpoint = lost.group, owner = lost.owner, reason = lost.reason,
                "a lease was lost"
            );
            self.out.push(Action::Notice(Notice::LeaseLost(lost.into())));
        }
        if applied.pointless.is_some() {
            self.unkept.remove(setpoint);
        }
        // What is not waiting finds out when it would be taken.
        let revert = applied.pointless.and_then(|id| self.queue.by_id(&id));
        if let Some(revert) = revert.filter(|entry| entry.phase == Phase::Waiting) {
            let revert = revert.row.clone();
            self.end(state::supersede(&revert, &row.id, now), &[]);
        }
    }

    /// Starts to watch whether the battery follows. False when there is nothing to see.
    fn watch(&mut self, row: &CommandRow, setpoint: &Setpoint, now: Moment) -> bool {
        let expected = Expected::of(&row.command, &row.parameters, row.observed.as_ref());
        let Some(expected) = expected.filter(|_| row.reverts.is_none() && self.closed.is_none()) else {
            return false;
        };
        self.queue.change(row.number, |entry| entry.phase = Phase::Watching);
        self.watches.insert(row.number, Watch::new(row.clone(), setpoint.clone(), expected, now));
        true
    }

    /// When half of the device's own timer is over, and the most that it is given.
    fn half_of_timer(&self, setpoint: &Setpoint, now: Moment) -> (Option<u64>, Option<Duration>) {
        let Some(lease) = self.ledger.lease(setpoint) else { return (None, None) };
        let most = self.spec_of(&setpoint.0, &lease.step).and_then(|spec| spec.timer_most);
        (rewrite_at(now.mono_ms, lease.ends, most), most)
    }

    fn settled_upkeep(&mut self, setpoint: &Setpoint, outcome: Option<WriteOutcome>, now: Moment) {
        let gave_back = self.upkeep.values().any(|held| held.setpoint == *setpoint && held.gives_back);
        self.upkeep.retain(|_, held| held.setpoint != *setpoint);
        let (half, most) = self.half_of_timer(setpoint, now);
        let again = now.mono_ms + UPKEEP_AGAIN_MS;
        // Half of a device's short timer is gone already, and the try itself took its time.
        let is_short = most.is_some_and(|most| most < TIMER_MOST);
        let soon = now.mono_ms + REWRITE_LEAST;
        let before_it_ends = if is_short { soon } else { half.unwrap_or(u64::MAX).min(again) };
        if gave_back {
            if let Some(at) = self.unkept.get_mut(setpoint) {
                let done = matches!(outcome, Some(WriteOutcome::Done { .. }));
                *at = if done { u64::MAX } else { again };
            }
            return;
        }
        match outcome {
            Some(WriteOutcome::Done { .. }) => self.ledger.rewritten(setpoint, now.mono_ms, most),
            Some(WriteOutcome::Mismatch { .. } | WriteOutcome::Rejected { .. }) => {
                if self.ledger.dropped(setpoint, now.mono_ms) {
                    tracing::warn!(
                        device = %setpoint.0, setpoint = setpoint.1,
                        "the device dropped a setpoint that is held; it is set again"
                    );
                    self.commit(Pending::Notes, Vec::new(), vec![setpoint.clone()], Vec::new(), true);
                } else {
                    self.give_up(setpoint, "the device dropped it again after it was set again", now);
                }
            }
            // Nobody knows, or the device is away: its own timer runs meanwhile.
            Some(WriteOutcome::NotApplied { .. } | WriteOutcome::Unknown { .. }) | None => {
                self.ledger.rewrite_later(setpoint, before_it_ends);
            }
        }
    }
}
