//! Journal, registry, dispatcher and door in this process; the adapter is played.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use adapter_api::{
    Availability, Clock, DeviceId, MeasurementSource, Moment, OutletPort, Problem, Quality, Reading,
};
use maestro_gateway::{
    command::{self, Commands, Dispatcher},
    devices::{Devices, DevicesOutlet},
    journal::{self, CommandFilter, Journal},
    live::Live,
    mqtt_api::{MqttApi, Settings},
};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::adapter::{adapter, info};
use crate::parts::{Peer, until};

pub struct Door {
    _folder: Arc<TempDir>,
    journal: Journal,
    devices: Devices,
    live: Live,
    commands: Commands,
    clock: Clock,
    gate: watch::Sender<bool>,
    taken: Arc<AtomicUsize>,
    executed: Arc<AtomicUsize>,
    stop: CancellationToken,
    door: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    _others: Arc<Others>,
}

struct Others(Vec<JoinHandle<()>>);

impl Drop for Others {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Door {
    /// Everything new, with the door at this broker.
    pub async fn open(port: u16) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = journal::Settings {
            data_dir: folder.path().join("data"),
            runtime_dir: folder.path().join("run"),
            group: Duration::from_secs(10),
            retention: Duration::from_secs(86_400),
            max_size: 100_000_000,
        };
        let started = std::time::Instant::now();
        let clock = Clock::new("boot", move || Moment {
            wall_ms: jiff::Timestamp::now().as_millisecond(),
            mono_ms: u64::try_from(started.elapsed().as_millis()).unwrap() + 1_000_000,
        });
        let live = Live::new(vec![]);
        let taken = live.clone();
        let opened = Journal::open(&settings, clock.clone(), move |stored| taken.apply(stored)).unwrap();
        let journal = opened.journal;
        let devices = Devices::new(journal.clone(), clock.clone());
        devices.configure("fake", vec![info("roof", true), info("locked", false)], &[], &[]).await;
        outlet(&devices).availability(DeviceId::new("roof").unwrap(), Availability::Online).await;
        let settings = command::Settings {
            expires_in: Duration::from_secs(60),
            rate_limit: 0,
            battery_lease: Duration::from_secs(3600),
            wear: command::WearLimits { gap: Duration::ZERO, per_day: 1_000_000 },
        };
        let known = command::Known::default();
        let (dispatcher, commands) =
            Dispatcher::new(settings, journal.clone(), devices.clone(), live.clone(), clock.clone(), known);
        let gate = watch::Sender::new(true);
        let (taken, executed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let adapter = adapter(commands.port("fake"), gate.subscribe(), taken.clone(), executed.clone());
        let others = vec![tokio::spawn(dispatcher.run(CancellationToken::new())), tokio::spawn(adapter)];
        let closed = Self {
            _folder: Arc::new(folder),
            journal,
            devices,
            live,
            commands,
            clock,
            gate,
            taken,
            executed,
            stop: CancellationToken::new(),
            door: tokio::sync::Mutex::new(None),
            _others: Arc::new(Others(others)),
        };
        closed.reopened(port).await
    }

    /// The same house with a new door. Returns when it is connected.
    pub async fn reopened(self, port: u16) -> Self {
        let settings = Settings { url: format!("mqtt://127.0.0.1:{port}"), ..Settings::default() };
        let door = MqttApi::new(
            settings,
            "test",
            Duration::from_secs(60),
            self.commands.clone(),
            self.devices.clone(),
            self.live.clone(),
            self.journal.clone(),
        );
        let stop = CancellationToken::new();
        let peer = Peer::connect(port, &["maestro/status"]).await;
        let task = tokio::spawn(door.run(stop.clone()));
        // The live message: a retained one may be of the door before.
        until("the door is open", || {
            let live =
                peer.messages("maestro/status").into_iter().any(|m| !m.retain && m.payload == "online");
            std::future::ready(live.then_some(()))
        })
        .await;
        Self { stop, door: tokio::sync::Mutex::new(Some(task)), ..self }
    }

    /// In good order.
    pub async fn close(&self) {
        self.stop.cancel();
        if let Some(door) = self.door.lock().await.take() {
            door.await.unwrap();
        }
    }

    /// Like a crash.
    pub fn kill(&self) {
        if let Some(door) = self.door.try_lock().unwrap().take() {
            door.abort();
        }
    }

    pub async fn read(&self, power: f64) {
        let reading = Reading {
            device: DeviceId::new("roof").unwrap(),
            points: vec![("activePower".into(), power.into())],
            quality: Quality::Good,
            source: MeasurementSource::Device,
            measured_at: self.clock.now(),
        };
        outlet(&self.devices).publish(vec![reading], true).await.unwrap();
    }

    pub async fn problem(&self, what: Option<&str>) {
        let problem = what.map(|what| Problem::new(what, "Switch it on"));
        outlet(&self.devices).problem(DeviceId::new("roof").unwrap(), problem).await;
    }

    /// Takes a device out of the configuration.
    pub async fn without(&self, device: &str) {
        let left =
            self.devices.all().into_iter().map(|row| row.info).filter(|info| info.id != *device).collect();
        self.devices.configure("fake", left, &[], &[]).await;
    }

    /// The adapter keeps what it takes.
    pub fn hold(&self) {
        self.gate.send_replace(false);
    }

    pub fn release(&self) {
        self.gate.send_replace(true);
    }

    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    pub fn executed(&self) -> usize {
        self.executed.load(Ordering::SeqCst)
    }

    /// How many commands have their results on disk.
    pub async fn ended(&self) -> usize {
        let filter = CommandFilter { limit: 10_000, ..CommandFilter::default() };
        let rows = self.journal.reader().commands(filter).await.unwrap();
        rows.iter().filter(|row| row.outcome.is_some()).count()
    }

    /// Ids of all commands, in the order in which they were accepted.
    pub async fn ids(&self) -> Vec<String> {
        let filter = CommandFilter { limit: 10_000, ..CommandFilter::default() };
        let mut rows = self.journal.reader().commands(filter).await.unwrap();
        rows.sort_by_key(|row| row.number);
        rows.into_iter().map(|row| row.id).collect()
    }

    pub async fn knows(&self, id: &str) -> bool {
        self.journal.reader().command_by_id(id).await.unwrap().is_some()
    }

    pub async fn until_ended(&self, id: &str) {
        until("the command ends", || async {
            let row = self.journal.reader().command_by_id(id).await.unwrap();
            row.filter(|row| row.outcome.is_some()).map(|_| ())
        })
        .await;
    }

    /// Nothing is in the outbox any more.
    pub async fn until_told(&self) {
        until("every result is told", || async {
            // The journal writes it down with its next commit; a note makes one.
            self.journal.put_note("test", "now", Some(vec![1])).await.unwrap();
            self.journal.reader().untold(10).await.unwrap().is_empty().then_some(())
        })
        .await;
    }
}

fn outlet(devices: &Devices) -> DevicesOutlet {
    DevicesOutlet::new("fake", devices.clone())
}
