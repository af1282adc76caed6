//! The journal and the uplink in this process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use adapter_api::{Clock, DeviceId, Moment, Reading};
use maestro_gateway::{
    journal::{self, Journal, Stored},
    mongo::Settings,
    uplink::{Identity, Uplink, UplinkHandle, UplinkStatus},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::rows::{START, device, reading};
use crate::parts::until_true;

/// A journal of three devices in folders of its own.
pub struct Home {
    pub journal: Journal,
    latest: Arc<Mutex<BTreeMap<DeviceId, Stored>>>,
    _folder: TempDir,
}

impl Home {
    /// With readings 1 to `count`.
    pub async fn new(count: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = journal::Settings {
            data_dir: folder.path().join("data"),
            runtime_dir: folder.path().join("run"),
            group: Duration::from_millis(50),
            retention: Duration::from_secs(30 * 86_400),
            max_size: 1 << 30,
        };
        let begin = std::time::Instant::now();
        let clock = Clock::new("boot", move || {
            let ms = begin.elapsed().as_millis() as u64;
            Moment { wall_ms: START + ms as i64, mono_ms: ms }
        });
        let latest: Arc<Mutex<BTreeMap<DeviceId, Stored>>> = Arc::default();
        let taken = Arc::clone(&latest);
        let opened = Journal::open(&settings, clock, move |all: &[Stored]| {
            let all = all.iter().map(|stored| (stored.reading.device.clone(), stored.clone()));
            taken.lock().unwrap().extend(all);
        });
        let home = Self { journal: opened.unwrap().journal, latest, _folder: folder };
        for id in ["roof", "grid", "battery"] {
            home.journal.save_device(device(id)).await.unwrap();
        }
        home.append(1, count).await;
        home
    }

    /// Readings with these numbers, committed.
    pub async fn append(&self, from: u64, to: u64) {
        let all: Vec<Reading> = (from..=to).map(reading).collect();
        for some in all.chunks(1_000) {
            self.journal.publish_durable(some.to_vec()).await.unwrap();
        }
        assert_eq!(self.journal.reader().last_number().await.unwrap(), to);
    }

    /// What the next start takes as delivered.
    pub async fn cursor(&self) -> u64 {
        self.journal.reader().cursor("mongodb.measurements").await.unwrap()
    }
}

/// An uplink at work.
pub struct Running {
    handle: UplinkHandle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub fn start(home: &Home, settings: Settings) -> Self {
        let latest = Arc::clone(&home.latest);
        let latest = Arc::new(move || latest.lock().unwrap().values().cloned().collect());
        let identity = Identity {
            gateway_id: "home-1".to_owned(),
            user_id: Some("owner".to_owned()),
            device_prefix: None,
        };
        let uplink = Uplink::new(home.journal.clone(), settings, identity, latest);
        let (handle, shutdown) = (uplink.handle(), CancellationToken::new());
        let task = tokio::spawn(uplink.run(shutdown.clone()));
        Self { handle, shutdown, task }
    }

    pub fn status(&self) -> UplinkStatus {
        self.handle.status()
    }

    pub async fn connected(&self) {
        until_true("it is connected", || self.status().connected).await;
    }

    pub async fn delivered(&self, number: u64) {
        until_true(&format!("reading {number} is delivered"), || self.status().delivered_number >= number)
            .await;
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(30), self.task).await.unwrap().unwrap();
    }
}
