//! The journal against real files and a real SQLite.

mod batches;
mod changes;
mod commands;
mod damage;
mod energy;
mod filters;
mod history;
mod migration;
mod readings;

use std::{
    collections::BTreeMap,
    future::Future,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use adapter_api::{
    Clock, CommandSource, CommandStatus, DeviceId, MeasurementSource, Moment, Parameters, PointId, Priority,
    Quality, Reading, Value,
};
use tempfile::TempDir;

use super::{CommandRow, Event, Journal, JournalError, Opened, Recovery, Settings, Stored};

const START: i64 = 1_700_000_400_000;
const HOUR: i64 = 3_600_000;

/// Folders, and a clock that stands until it is moved.
struct Home {
    folder: TempDir,
    settings: Settings,
    now: Arc<AtomicI64>,
    taken: Arc<Mutex<Vec<u64>>>,
    boot: &'static str,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            data_dir: folder.path().join("data"),
            runtime_dir: folder.path().join("run"),
            group: Duration::from_secs(3600),
            retention: Duration::from_secs(30 * 86_400),
            max_size: 1 << 30,
        };
        Self { folder, settings, now: Arc::new(AtomicI64::new(START)), taken: Arc::default(), boot: "one" }
    }

    fn try_open(&self) -> Result<Opened, JournalError> {
        let (now, taken) = (self.now.clone(), self.taken.clone());
        let clock = Clock::new(self.boot, move || {
            let wall_ms = now.load(Ordering::SeqCst);
            Moment { wall_ms, mono_ms: (wall_ms - START) as u64 + 60_000 }
        });
        Journal::open(&self.settings, clock, move |stored| {
            taken.lock().unwrap().extend(stored.iter().map(|stored| stored.number));
        })
    }

    /// Opens; waits for the lock of a journal that was dropped, whose thread may still be ending.
    fn open(&self) -> (Journal, Recovery) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.try_open() {
                Ok(opened) => return (opened.journal, opened.recovery),
                Err(JournalError::Locked { .. }) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn database(&self) -> std::path::PathBuf {
        self.settings.data_dir.join("journal.db")
    }

    fn pending(&self) -> std::path::PathBuf {
        self.settings.runtime_dir.join("pending")
    }

    fn sql<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        rusqlite::Connection::open(self.database()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn advance(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Waits until it is so.
async fn until<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn reading(device: &str, wall_ms: i64, power: f64) -> Reading {
    let points = vec![
        (PointId::from("activePower"), Value::Number(power)),
        (PointId::from("operatingState"), Value::from("normal")),
    ];
    Reading {
        device: DeviceId::new(device).unwrap(),
        points,
        quality: Quality::Good,
        source: MeasurementSource::Device,
        measured_at: Moment { wall_ms, mono_ms: (wall_ms - START + 60_000) as u64 },
    }
}

fn numbers(stored: &[Stored]) -> Vec<u64> {
    stored.iter().map(|stored| stored.number).collect()
}

fn command(id: &str) -> CommandRow {
    let parameters = BTreeMap::from([("power".into(), Value::Number(-2000.0)), ("on".into(), true.into())]);
    CommandRow {
        number: 0,
        id: id.to_owned(),
        device: DeviceId::new("roof").unwrap(),
        command: "set_battery_power".to_owned(),
        parameters: Parameters(parameters),
        priority: Priority::High,
        source: CommandSource::Automation,
        owner: "mqtt:night-charge".to_owned(),
        status: CommandStatus::Pending,
        outcome: None,
        correlation_id: Some("corr".to_owned()),
        batch_id: None,
        issued_at: None,
        accepted_at: START,
        scheduled_at: None,
        expires_at: START + 60_000,
        executed_at: None,
        completed_at: None,
        attempts: 0,
        max_retries: 3,
        verified: None,
        written: None,
        requested: None,
        observed: None,
        error: None,
        superseded_by: None,
        lease: None,
        effect: None,
        reverts: None,
        reply: None,
        redelivery: None,
        told: false,
        events: vec![Event {
            at: START,
            status: CommandStatus::Pending,
            by: "mqtt:night-charge".to_owned(),
            reason: String::new(),
        }],
    }
}
