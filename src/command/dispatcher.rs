//! The one task that owns the engine: it brings the clock, the journal, the registry and the
//! readings, and does what the engine says. It never writes to a device and waits for no commit: they
//! go out in order, and come back when they are durable. It waits for room at the journal alone.

mod act;
mod commits;
mod mail;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use adapter_api::{Availability, Clock};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::commits::{COMMIT_AGAIN, Commit};
use super::{
    Cancelled, Refusal,
    engine::{Device, Engine, Known, Ticket, Token},
    handle::{Commands, Settings, Shared},
    messages::{Admission, Hands, Key, Message},
};
use crate::{
    devices::Devices,
    journal::{BatchRow, Journal, JournalError},
    live::Live,
};

/// Requests, takes and outcomes on their way to the dispatcher. Every command in an adapter's
/// hands holds one place for its outcome, so this is also the most commands in flight.
const MESSAGES: usize = 1024;
/// Notices that a slow door may lag behind; it finds results in the journal after that.
const NOTICES: usize = 1024;
/// The longest sleep: whatever was missed is found then.
const LOOK_AGAIN_MS: u64 = 3_600_000;

/// Who waits for an answer of the engine.
enum Asker {
    Admission(Vec<Key>, oneshot::Sender<Admission>),
    Take(mpsc::OwnedPermit<Message>, oneshot::Sender<Option<Hands>>),
    Cancel(oneshot::Sender<Option<Result<Cancelled, Refusal>>>),
    Kept(oneshot::Sender<bool>),
}

/// Owns the commands; run it as one worker.
pub struct Dispatcher {
    shared: Arc<Shared>,
    messages: mpsc::Receiver<Message>,
    devices: watch::Receiver<u64>,
    live: Live,
    readings: watch::Receiver<u64>,
    engine: Engine,
    askers: HashMap<Token, Asker>,
    tokens: Token,
    reserved: HashMap<Key, Vec<oneshot::Sender<()>>>,
    commits: JoinSet<(Ticket, Result<Vec<u64>, JournalError>)>,
    /// Commits on their way that must be made.
    must: HashMap<Ticket, Commit>,
    /// Those that the disk did not take, in order, and why.
    failed: BTreeMap<Ticket, Commit>,
    failing: Option<JournalError>,
    retry_at: Option<Instant>,
    batches: JoinSet<Option<BatchRow>>,
    closing: Vec<oneshot::Sender<()>>,
}

enum Turn {
    Stop,
    Message(Option<Message>),
    Committed(Ticket, Result<Vec<u64>, JournalError>),
    Batch(Option<BatchRow>),
    Devices,
    Readings,
    Time,
}

impl Dispatcher {
    /// Starts from what the journal holds.
    pub fn new(
        settings: Settings,
        journal: Journal,
        devices: Devices,
        live: Live,
        clock: Clock,
        known: Known,
    ) -> (Self, Commands) {
        let (sender, messages) = mpsc::channel(MESSAGES);
        let engine = Engine::start(settings.clone(), clock.boot(), known, clock.now());
        let mut changes = devices.changes();
        changes.mark_changed();
        let shared = Arc::new(Shared {
            messages: sender,
            notices: broadcast::Sender::new(NOTICES),
            wake: watch::Sender::default(),
            urgent: watch::Sender::default(),
            leases: watch::Sender::default(),
            journal,
            devices,
            clock,
            settings,
        });
        let dispatcher = Self {
            shared: shared.clone(),
            messages,
            devices: changes,
            readings: live.changes(),
            live,
            engine,
            askers: HashMap::new(),
            tokens: 0,
            reserved: HashMap::new(),
            commits: JoinSet::new(),
            must: HashMap::new(),
            failed: BTreeMap::new(),
            failing: None,
            retry_at: None,
            batches: JoinSet::new(),
            closing: Vec::new(),
        };
        (dispatcher, Commands { shared })
    }

    /// Runs until shutdown, and then until everything that ended is on disk. What waits stays in
    /// the journal for the next start.
    pub async fn run(mut self, shutdown: CancellationToken) {
        self.perform().await;
        loop {
            let wait = self.until_change();
            let turn = tokio::select! {
                message = self.messages.recv() => Turn::Message(message),
                Some(Ok((ticket, result))) = self.commits.join_next() => Turn::Committed(ticket, result),
                Some(batch) = self.batches.join_next() => Turn::Batch(batch.ok().flatten()),
                Ok(()) = self.devices.changed() => Turn::Devices,
                Ok(()) = self.readings.changed(), if self.engine.wants_readings() => Turn::Readings,
                () = tokio::time::sleep(wait) => Turn::Time,
                () = shutdown.cancelled() => Turn::Stop,
            };
            match turn {
                Turn::Stop | Turn::Message(None) => break,
                Turn::Message(Some(message)) => self.handle(message),
                Turn::Committed(ticket, result) => self.committed(ticket, result),
                Turn::Batch(batch) => self.told_batch(batch),
                Turn::Devices => self.look_at_devices(),
                Turn::Readings => {
                    self.engine.readings(|id| self.live.device(id.as_str()), self.shared.clock.now())
                }
                Turn::Time => {
                    self.engine.time(self.shared.clock.now());
                    self.wake(None);
                }
            }
            if self.retry_at.is_some_and(|at| at <= Instant::now()) {
                self.retry().await;
            }
            self.perform().await;
        }
        self.finish().await;
    }

    /// What is in the mail and on its way to the disk is finished; adapters have stopped before.
    async fn finish(&mut self) {
        self.engine.stop_all_watches();
        self.perform().await;
        while let Ok(message) = self.messages.try_recv() {
            self.handle(message);
            self.perform().await;
        }
        loop {
            while let Some(Ok((ticket, result))) = self.commits.join_next().await {
                self.committed(ticket, result);
                self.perform().await;
            }
            if self.failed.is_empty() {
                break;
            }
            tokio::time::sleep(COMMIT_AGAIN).await;
            self.retry().await;
        }
    }

    fn until_change(&self) -> Duration {
        let now = self.shared.clock.now();
        let at = self.engine.next_change().unwrap_or(now.mono_ms + LOOK_AGAIN_MS);
        let change = Duration::from_millis(at.saturating_sub(now.mono_ms).clamp(1, LOOK_AGAIN_MS));
        let retry = self.retry_at.map(|at| at.saturating_duration_since(Instant::now()));
        retry.map_or(change, |retry| retry.min(change))
    }

    fn wake(&self, adapter: Option<String>) {
        self.shared.wake.send_modify(|turns| turns.turn(adapter));
    }

    fn look_at_devices(&mut self) {
        let rows = self.shared.devices.all();
        let devices = rows.into_iter().map(|row| Device {
            online: row.availability == Some(Availability::Online),
            info: Arc::new(row.info),
            adapter: row.adapter,
            problem: row.problem,
        });
        self.engine.devices_changed(devices.collect(), self.shared.clock.now());
    }

    /// Does what the engine says, until it says nothing more.
    async fn perform(&mut self) {
        loop {
            let actions = self.engine.actions();
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.act(action).await;
            }
        }
        let now = self.shared.clock.now();
        if let Some(leases) = self.engine.changed_leases(now) {
            self.shared.leases.send_replace(Arc::new(leases));
        }
        let urgent = self.engine.urgent_units();
        let changed = self.shared.urgent.send_if_modified(|units| {
            let changed = *units != urgent;
            *units = urgent;
            changed
        });
        if changed {
            // Whoever waits for a backoff to end looks again.
            self.wake(None);
        }
        if !self.closing.is_empty() && self.engine.is_given_back() {
            for reply in self.closing.drain(..) {
                let _ = reply.send(());
            }
        }
    }
}
