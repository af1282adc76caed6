//! The one task that owns the queue. It never writes to a device and never waits for the disk:
//! commits run beside it, and a command whose commit is on the way rests.

use std::{collections::HashMap, sync::Arc, time::Duration};

use adapter_api::{Clock, CommandStatus, DeviceId, Moment, Purpose, WriteOutcome};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Notice,
    handle::{Commands, Settings, Shared},
    messages::{Key, Message, Reserved, Taken},
    queue::{Entry, Phase, Queue, Target},
    state::{self, Next},
};
use crate::{
    devices::Devices,
    journal::{CommandRow, Journal, JournalError},
};

/// Requests, takes and outcomes on their way to the dispatcher. Every command in an adapter's
/// hands holds one place for its outcome, so this is also the most commands in flight.
const MESSAGES: usize = 1024;
/// Notices that a slow door may lag behind; it finds results in the journal after that.
const NOTICES: usize = 1024;
/// How long the read-back of what was in flight at a crash may wait for its device.
const DOUBT_WAIT_MS: u64 = 300_000;
/// Pause before a commit is tried again: the disk was full or failed.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// Commands that have not ended, at most: a sender that never stops must not fill the memory of a
/// small machine (about 1 kB each).
const QUEUED: usize = 20_000;

/// Owns the commands; run it as one worker.
pub struct Dispatcher {
    shared: Arc<Shared>,
    messages: mpsc::Receiver<Message>,
    devices: watch::Receiver<u64>,
    queue: Queue,
    targets: HashMap<DeviceId, Target>,
    reserved: HashMap<Key, Vec<oneshot::Sender<()>>>,
    commits: JoinSet<Arc<CommandRow>>,
}

impl Dispatcher {
    /// Starts from what the journal holds: commands in flight are read back, waiting ones wait on.
    pub fn new(
        settings: Settings,
        journal: Journal,
        devices: Devices,
        clock: Clock,
        in_flight: Vec<CommandRow>,
        waiting: Vec<CommandRow>,
    ) -> (Self, Commands) {
        let (sender, messages) = mpsc::channel(MESSAGES);
        let now = clock.now();
        let mut queue = Queue::default();
        for row in in_flight {
            tracing::info!(command = row.number, id = row.id, "command was in flight and will be read back");
            let entry = waiting_entry(Arc::new(row), now);
            let doubt_until = now.mono_ms + DOUBT_WAIT_MS;
            queue.insert(Entry { purpose: Purpose::ReadBack, due: 0, doubt_until, ..entry });
        }
        for row in waiting {
            queue.insert(waiting_entry(Arc::new(row), now));
        }
        let shared = Arc::new(Shared {
            messages: sender,
            notices: broadcast::Sender::new(NOTICES),
            wake: watch::Sender::new(0),
            journal,
            devices: devices.clone(),
            clock,
            settings,
        });
        let mut changes = devices.changes();
        changes.mark_changed();
        let dispatcher = Self {
            shared: shared.clone(),
            messages,
            devices: changes,
            queue,
            targets: HashMap::new(),
            reserved: HashMap::new(),
            commits: JoinSet::new(),
        };
        (dispatcher, Commands { shared })
    }

    /// Runs until shutdown, and then until everything that ended is on disk. What waits stays in
    /// the journal for the next start.
    pub async fn run(mut self, shutdown: CancellationToken) {
        enum Turn {
            Stop,
            Message(Option<Message>),
            Committed(Option<Arc<CommandRow>>),
            Devices,
            Time,
        }
        loop {
            let wait = self.until_change();
            let turn = tokio::select! {
                message = self.messages.recv() => Turn::Message(message),
                Some(commit) = self.commits.join_next() => Turn::Committed(commit.ok()),
                Ok(()) = self.devices.changed() => Turn::Devices,
                () = tokio::time::sleep(wait) => Turn::Time,
                () = shutdown.cancelled() => Turn::Stop,
            };
            match turn {
                Turn::Stop => break,
                Turn::Message(Some(message)) => self.handle(message),
                Turn::Message(None) => break,
                Turn::Committed(row) => self.committed(row),
                Turn::Devices => self.retarget(),
                // A pause or a schedule is over: an adapter may take it now.
                Turn::Time => self.wake(),
            }
            self.expire_overdue();
        }
        // Adapters have stopped before this worker is asked to: their last outcomes are here.
        while let Ok(message) = self.messages.try_recv() {
            self.handle(message);
        }
        while let Some(commit) = self.commits.join_next().await {
            self.committed(commit.ok());
        }
    }

    fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    fn until_change(&self) -> Duration {
        let now = self.now().mono_ms;
        let at = self.queue.next_change(now).unwrap_or(now + 3_600_000);
        Duration::from_millis(at.saturating_sub(now).max(1))
    }

    fn wake(&self) {
        self.shared.wake.send_modify(|turn| *turn += 1);
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Reserve { keys, redelivered, reply } => {
                let _ = reply.send(self.reserve(keys, redelivered));
            }
            Message::Release { keys, row } => {
                if let Some(row) = row {
                    self.queue.insert(waiting_entry(row, self.now()));
                    self.wake();
                }
                for key in keys {
                    // Dropping the senders wakes who waits for this key.
                    self.reserved.remove(&key);
                }
            }
            Message::Find { id, reply } => {
                let _ = reply.send(self.queue.find(|row| row.id == id).cloned());
            }
            Message::Take { adapter, reply } => {
                let taken = self.take(&adapter);
                let number = taken.as_ref().map(|taken| taken.row.number);
                if let (Err(_), Some(number)) = (reply.send(taken), number) {
                    self.not_taken(number);
                }
            }
            Message::NotTaken { number } => self.not_taken(number),
            Message::Settled { number, outcome: Some(outcome) } => self.settled(number, outcome),
            Message::Settled { number, outcome: None } => self.let_fall(number),
        }
    }

    fn reserve(&mut self, keys: Vec<Key>, redelivered: bool) -> Reserved {
        if self.queue.len() + self.reserved.len() >= QUEUED {
            return Reserved::Full;
        }
        for key in &keys {
            if let Some(waiters) = self.reserved.get_mut(key) {
                let (done, wait) = oneshot::channel();
                waiters.push(done);
                return Reserved::Wait(wait);
            }
            let live = self.queue.find(|row| match key {
                Key::Id(id) => row.id == *id,
                Key::Message(message) => redelivered && row.redelivery.as_ref() == Some(message),
            });
            if let Some(row) = live {
                return Reserved::Live(row.clone());
            }
        }
        for key in keys {
            self.reserved.insert(key, Vec::new());
        }
        Reserved::Free
    }

    fn take(&mut self, adapter: &str) -> Option<Taken> {
        let now = self.now();
        let (number, unit) = self.queue.take(adapter, now.mono_ms, &self.targets)?;
        let entry = self.queue.get(number)?;
        let (purpose, due) = (entry.purpose, entry.due);
        let row = match purpose {
            Purpose::Execute => Arc::new(state::start(&entry.row, now)),
            Purpose::ReadBack => entry.row.clone(),
        };
        let verify_for = self.shared.devices.get(row.device.as_str()).and_then(|device| {
            device.info.commands.iter().find(|spec| *spec.name == *row.command).map(|spec| spec.verify_for)
        });
        self.queue.update(number, row.clone(), Phase::Flying(unit.clone()), due);
        Some(Taken { row, unit, purpose, verify_for: verify_for.unwrap_or_default() })
    }

    /// `executing` could not be made durable: as if it had never been taken.
    fn not_taken(&mut self, number: u64) {
        let now = self.now();
        let Some(entry) = self.queue.get(number) else { return };
        let mut row = (*entry.row).clone();
        if entry.purpose == Purpose::Execute {
            row.status = CommandStatus::Pending;
            row.attempts = row.attempts.saturating_sub(1);
            row.events.pop();
        }
        let due = now.mono_ms + u64::try_from(COMMIT_AGAIN.as_millis()).unwrap_or(u64::MAX);
        self.queue.update(number, Arc::new(row), Phase::Waiting, due);
    }

    /// Its adapter ended with it in its hands: what became of it is read from the device, by the
    /// next run of the adapter or, at a stop, of the gateway.
    fn let_fall(&mut self, number: u64) {
        self.queue.doubt(number, self.now().mono_ms + DOUBT_WAIT_MS);
        self.wake();
    }

    fn settled(&mut self, number: u64, outcome: WriteOutcome) {
        let now = self.now();
        let Some(entry) = self.queue.get(number) else { return };
        let device = self.shared.devices.get(entry.row.device.as_str());
        let spec = device
            .as_ref()
            .and_then(|device| device.info.commands.iter().find(|spec| *spec.name == *entry.row.command));
        let idempotent = spec.is_some_and(|spec| spec.idempotent);
        let left = Duration::from_millis(entry.deadline.saturating_sub(now.mono_ms));
        if let WriteOutcome::NotApplied { reason, sent: false } = &outcome
            && !self.shared.devices.is_online(entry.row.device.as_str())
        {
            let row = state::wait_for_device(&entry.row, reason, now);
            return self.commit(row, now.mono_ms);
        }
        match state::settle(&entry.row, outcome, idempotent, left, now) {
            Next::Ended(row) => self.commit(row, now.mono_ms),
            Next::Again(row, delay) => {
                let due = now.mono_ms + u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                self.commit(row, due);
            }
        }
        // Its unit is free.
        self.wake();
    }

    /// Makes a new state durable beside this task; it is tried until the disk takes it.
    fn commit(&mut self, row: CommandRow, due: u64) {
        let row = Arc::new(row);
        self.queue.update(row.number, row.clone(), Phase::Committing, due);
        let journal = self.shared.journal.clone();
        self.commits.spawn(async move {
            while let Err(error) = journal.update_command((*row).clone()).await {
                // A journal that stopped takes nothing; a command that it no longer has needs nothing.
                if matches!(error, JournalError::Stopped | JournalError::NoSuchCommand(_)) {
                    break;
                }
                tokio::time::sleep(COMMIT_AGAIN).await;
            }
            row
        });
    }

    fn committed(&mut self, row: Option<Arc<CommandRow>>) {
        let Some(row) = row else { return };
        if row.outcome.is_some() {
            self.queue.remove(row.number);
            let _ = self.shared.notices.send(Notice::Result(row));
        } else {
            self.queue.waits_again(row.number);
        }
        self.wake();
    }

    fn expire_overdue(&mut self) {
        let now = self.now();
        for number in self.queue.overdue(now.mono_ms) {
            let Some(entry) = self.queue.get(number) else { continue };
            if entry.purpose == Purpose::ReadBack {
                let reason = "its device did not come back to be read after the gateway ended".to_owned();
                self.settled(number, WriteOutcome::Unknown { reason });
            } else {
                let problem = self.shared.devices.get(entry.row.device.as_str()).and_then(|row| row.problem);
                self.commit(state::expire(&entry.row, problem.as_ref(), now), now.mono_ms);
            }
        }
    }

    /// Devices came, went or changed.
    fn retarget(&mut self) {
        let rows = self.shared.devices.all();
        self.targets = rows
            .iter()
            .map(|row| {
                let online = self.shared.devices.is_online(row.info.id.as_str());
                let target = Target { adapter: row.adapter.clone(), unit: row.info.unit.clone(), online };
                (row.info.id.clone(), target)
            })
            .collect();
        // `control` may have been taken away while a command waited.
        let forbidden = |command: &CommandRow| {
            rows.iter().any(|row| {
                let harmless =
                    row.info.commands.iter().any(|spec| *spec.name == *command.command && spec.harmless);
                row.info.id == command.device && !row.info.control && !harmless
            })
        };
        for number in self.queue.waiting(forbidden) {
            let reason = "`control` was switched off for the device while the command waited".to_owned();
            self.settled(number, WriteOutcome::Rejected { reason });
        }
        self.wake();
    }
}

fn waiting_entry(row: Arc<CommandRow>, now: Moment) -> Entry {
    let in_ms = |wall: i64| u64::try_from(wall.saturating_sub(now.wall_ms)).unwrap_or(0);
    let due = row.scheduled_at.map_or(0, |at| now.mono_ms + in_ms(at));
    let deadline = now.mono_ms.saturating_add(in_ms(row.expires_at));
    // After a restart it is as old as the journal says.
    let waited = u64::try_from(now.wall_ms.saturating_sub(row.accepted_at)).unwrap_or(0);
    let since = due.max(now.mono_ms.saturating_sub(waited));
    Entry { row, purpose: Purpose::Execute, phase: Phase::Waiting, since, due, deadline, doubt_until: 0 }
}
