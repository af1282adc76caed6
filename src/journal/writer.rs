//! Takes readings, numbers them, and commits. Owns the database's only writing connection, the
//! pending file and all state that a commit moves on. Knows no channel and no thread.

mod commit;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use adapter_api::{Clock, DeviceId, Reading};
use rusqlite::Connection;

use super::{
    JournalError,
    disbelief::Disbelief,
    energy::{Meter, Traits},
    group::Group,
    held::Held,
    hour_of,
    latest::Latest,
    mail::Health,
    payload,
    pending::Pending,
    record::Stored,
    schema,
    switches::Switches,
};

/// How long readings wait for their commit while the pending file takes none.
const UNSECURED_GROUP: Duration = Duration::from_secs(1);
/// Readings that may be held while commits fail, in bytes of the pending file; in memory they take
/// some ten times that. Above it no more are taken, and adapters wait.
const HELD_MAX: usize = 4 << 20;

pub(super) struct Writer {
    pub path: PathBuf,
    pub db: Connection,
    pub pending: Pending,
    pub clock: Clock,
    pub group_time: Duration,
    pub next: u64,
    pub rev: u64,
    pub held: Vec<Held>,
    pub latest: Latest,
    boot: Arc<str>,
    group: Group,
    held_bytes: usize,
    traits: HashMap<DeviceId, Traits>,
    meters: HashMap<DeviceId, Meter>,
    pub disbelief: Disbelief,
    switches: Switches,
    told: BTreeSet<u64>,
    batches_told: BTreeSet<(String, i64)>,
    cursors: BTreeMap<String, u64>,
    clean: Option<bool>,
    /// Nothing was committed yet since the start.
    fresh: bool,
    /// Why commits fail, and when the next one is tried.
    failing: Option<(JournalError, Instant)>,
    /// The pending file does not take what is appended.
    unsecured: bool,
    committed_at: Option<i64>,
}

impl Writer {
    pub fn new(
        path: PathBuf,
        db: Connection,
        pending: Pending,
        clock: Clock,
        group_time: Duration,
    ) -> Result<Self, JournalError> {
        let wrong = |error| JournalError::sqlite(&path, error);
        let next = schema::next_number(&db).map_err(wrong)?;
        let rev = schema::last_rev(&db).map_err(wrong)?;
        let boot = Arc::from(clock.boot());
        Ok(Self {
            path,
            db,
            pending,
            clock,
            group_time,
            next,
            rev,
            held: Vec::new(),
            latest: Latest::new(),
            boot,
            group: Group::default(),
            held_bytes: 0,
            traits: HashMap::new(),
            meters: HashMap::new(),
            disbelief: Disbelief::default(),
            switches: Switches::default(),
            told: BTreeSet::new(),
            batches_told: BTreeSet::new(),
            cursors: BTreeMap::new(),
            clean: None,
            fresh: true,
            failing: None,
            unsecured: false,
            committed_at: None,
        })
    }

    /// Numbers readings, gives them their energy and secures them against a crash.
    pub fn take(&mut self, readings: Vec<Reading>, durable: usize, taken: &mut dyn FnMut(&[Stored])) {
        let hour = hour_of(self.clock.now().wall_ms);
        let count = readings.len();
        // Each of them is looked at, so that all positions are known afterwards.
        let turned = readings.iter().filter(|reading| self.switches.turned(reading)).count() > 0;
        let stored: Vec<Stored> = readings.into_iter().map(|reading| self.number(reading)).collect();
        let record = payload::content(&stored);
        self.held_bytes += record.len();
        self.secure(&record);
        taken(&stored);
        let boot = &self.boot;
        self.held.extend(stored.into_iter().map(|stored| Held { stored, boot: boot.clone(), hour }));
        self.group.add(Instant::now(), count, durable);
        if turned {
            self.group.hurry();
        }
    }

    fn number(&mut self, reading: Reading) -> Stored {
        let meter = match self.meters.get_mut(&reading.device) {
            Some(meter) => meter,
            None => {
                let latest = self.latest.get(&reading.device);
                let meter = latest.map_or_else(Meter::default, |(latest, boot)| {
                    Meter::recovered(latest, *boot == self.boot)
                });
                self.meters.entry(reading.device.clone()).or_insert(meter)
            }
        };
        let traits = self.traits.get(&reading.device).copied().unwrap_or_default();
        let energy = meter.take(traits, &reading);
        self.disbelief.count(&reading.device, meter.doubted());
        let number = self.next;
        self.next += 1;
        Stored { number, reading, energy }
    }

    fn secure(&mut self, record: &[u8]) {
        match self.pending.append(&self.boot, record) {
            Ok(()) if self.unsecured => {
                self.unsecured = false;
                tracing::info!("the pending file takes readings again");
            }
            Ok(()) => {}
            Err(error) => {
                if !self.unsecured {
                    tracing::error!(%error, "the pending file cannot be written; readings are committed each second. Free room in the runtime folder");
                }
                self.unsecured = true;
            }
        }
    }

    /// What decides how a device's readings count.
    pub fn know(&mut self, device: &DeviceId, traits: Traits) {
        self.traits.insert(device.clone(), traits);
    }

    /// The broker has this result; written with the next commit.
    pub fn told(&mut self, number: u64) {
        self.told.insert(number);
        self.group.add_lazy(Instant::now());
    }

    /// Likewise the summary of this end of a batch.
    pub fn batch_told(&mut self, id: String, at: i64) {
        self.batches_told.insert((id, at));
        self.group.add_lazy(Instant::now());
    }

    /// A cursor moved; written with the next commit.
    pub fn cursor(&mut self, name: String, value: u64) {
        self.cursors.insert(name, value);
        self.group.add_lazy(Instant::now());
    }

    /// Whether the end is an ordered one; written with the next commit.
    pub fn mark_clean(&mut self, clean: bool) {
        self.clean = Some(clean);
        self.group.add_lazy(Instant::now());
    }

    /// When the next commit is due.
    pub fn due_at(&self) -> Option<Instant> {
        if let Some((_, retry_at)) = &self.failing {
            return Some(*retry_at);
        }
        if self.full() {
            return Some(Instant::now());
        }
        // Without the pending file a crash costs what is held: little, and still not a commit each.
        let group = if self.unsecured { self.group_time.min(UNSECURED_GROUP) } else { self.group_time };
        self.group.due_at(group)
    }

    /// What is held is of another hour than what comes now. While commits fail it has to wait.
    pub fn hour_is_over(&self) -> bool {
        let hour = hour_of(self.clock.now().wall_ms);
        self.failing.is_none() && self.held.last().is_some_and(|held| held.hour != hour)
    }

    /// No more readings may be taken until a commit works.
    pub fn full(&self) -> bool {
        self.held_bytes >= HELD_MAX
    }

    /// Commits fail at present.
    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    pub fn health(&self) -> Health {
        Health {
            held: self.held.len() as u64,
            failing: self.failing.as_ref().map(|(error, _)| error.to_string()),
            committed_at: self.committed_at,
        }
    }
}
