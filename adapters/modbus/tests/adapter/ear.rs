//! The gateway's side of a running adapter: hears what it tells, and hands it jobs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use adapter_api::{
    AdapterError, Asked, Availability, BoxFuture, Clock, Closed, CommandPort, Commands, Context, Counter,
    DeviceId, DeviceInfo, Job, JobPort, Moment, Outlet, OutletPort, Parameters, Problem, Purpose, Reading,
    Store, StoreError, StorePort, UnitId, Value, Wear, WriteOutcome,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Longer than the simulator hides a write.
pub const VERIFY_FOR: Duration = Duration::from_secs(2);

/// What the adapter told the gateway.
pub enum Told {
    Readings(Vec<Reading>),
    Device(Box<DeviceInfo>),
    Availability(Availability),
    Problem(DeviceId, Option<Problem>),
}

struct Ear(mpsc::Sender<Told>);

impl Ear {
    fn hear(&self, told: Told) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // A test that heard enough hangs up.
            let _hung_up = self.0.send(told).await;
        })
    }
}

impl OutletPort for Ear {
    fn publish(&self, readings: Vec<Reading>, _: bool) -> BoxFuture<'_, Result<(), Closed>> {
        Box::pin(async move {
            self.hear(Told::Readings(readings)).await;
            Ok(())
        })
    }

    fn announce(&self, device: DeviceInfo) -> BoxFuture<'_, ()> {
        self.hear(Told::Device(Box::new(device)))
    }

    fn availability(&self, _: DeviceId, state: Availability) -> BoxFuture<'_, ()> {
        self.hear(Told::Availability(state))
    }

    fn problem(&self, device: DeviceId, problem: Option<Problem>) -> BoxFuture<'_, ()> {
        self.hear(Told::Problem(device, problem))
    }

    fn count(&self, _: DeviceId, _: Counter, _: u64) {}
}

struct Queue(mpsc::Receiver<Job>, Option<Job>);

impl CommandPort for Queue {
    fn ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match self.0.recv().await {
                Some(job) => self.1 = Some(job),
                None => std::future::pending().await,
            }
        })
    }

    fn take(&mut self) -> BoxFuture<'_, Option<Job>> {
        Box::pin(async move { self.1.take() })
    }

    fn is_urgent(&self, _: &UnitId) -> bool {
        false
    }
}

/// The gateway's side of a job.
struct Hands(oneshot::Sender<Option<WriteOutcome>>);

impl JobPort for Hands {
    fn resolve<'a>(&'a mut self, _: &'a Arc<str>, _: &'a Parameters) -> BoxFuture<'a, bool> {
        Box::pin(async { true })
    }

    fn settle(self: Box<Self>, outcome: Option<WriteOutcome>) {
        self.0.send(outcome).unwrap();
    }
}

/// The adapter's notes, as long as the test goes.
#[derive(Default)]
pub struct Notes(Mutex<BTreeMap<String, Vec<u8>>>);

impl StorePort for Notes {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().get(key).cloned()) })
    }

    fn put<'a>(&'a self, key: &'a str, note: Option<Vec<u8>>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut notes = self.0.lock().unwrap();
            match note {
                Some(note) => notes.insert(key.to_owned(), note),
                None => notes.remove(key),
            };
            Ok(())
        })
    }
}

/// A running adapter.
pub struct Running {
    told: mpsc::Receiver<Told>,
    jobs: mpsc::Sender<Job>,
    stop: CancellationToken,
    /// What its wall clock shows, ms since 1970; it stands still.
    wall_ms: Arc<AtomicI64>,
    /// The unit that commands go to.
    pub unit: UnitId,
    task: JoinHandle<Result<(), AdapterError>>,
}

impl Running {
    pub fn start(tables: &str) -> Self {
        let settings: adapter_modbus::Settings = toml::from_str(tables).unwrap();
        assert_eq!(settings.check(), []);
        let (ear, told) = mpsc::channel(100);
        let (jobs, queue) = mpsc::channel(10);
        let stop = CancellationToken::new();
        let wall_ms = Arc::new(AtomicI64::new(7));
        let shown = Arc::clone(&wall_ms);
        let context = Context {
            outlet: Outlet::new(Ear(ear)),
            commands: Commands::new(Queue(queue, None)),
            store: Store::new(Notes::default()),
            shutdown: stop.clone(),
            clock: Clock::new("boot", move || Moment { wall_ms: shown.load(Ordering::Relaxed), mono_ms: 7 }),
            pulse: adapter_api::Pulse::default(),
        };
        let task = tokio::spawn(adapter_modbus::adapter("home", &settings).run(context));
        Self { told, jobs, stop, wall_ms, unit: UnitId::from("home/1"), task }
    }

    /// Its wall clock shows a later time.
    pub fn later(&self, by: Duration) {
        self.wall_ms.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub async fn hear(&mut self) -> Told {
        timeout(Duration::from_secs(20), self.told.recv()).await.expect("it says nothing").unwrap()
    }

    /// The next poll's readings by device.
    pub async fn poll(&mut self) -> BTreeMap<String, Reading> {
        loop {
            if let Told::Readings(readings) = self.hear().await {
                return readings.into_iter().map(|reading| (reading.device.to_string(), reading)).collect();
            }
        }
    }

    pub async fn command(
        &mut self,
        device: &str,
        command: &str,
        parameters: &[(&str, Value)],
    ) -> WriteOutcome {
        self.ask(device, command, parameters, Purpose::Execute, None).await
    }

    pub async fn ask(
        &mut self,
        device: &str,
        command: &str,
        parameters: &[(&str, Value)],
        purpose: Purpose,
        timer: Option<Duration>,
    ) -> WriteOutcome {
        let (done, outcome) = oneshot::channel();
        let parameters = parameters.iter().map(|(name, value)| (Arc::from(*name), value.clone())).collect();
        let asked = Asked {
            number: 1,
            device: DeviceId::new(device).unwrap(),
            unit: self.unit.clone(),
            command: Arc::from(command),
            parameters: Parameters(parameters),
            purpose,
            verify_for: VERIFY_FOR,
            timer,
            wear: Wear::None,
            relative: false,
        };
        self.jobs.send(Job::new(asked, Hands(done))).await.unwrap();
        timeout(Duration::from_secs(20), outcome)
            .await
            .expect("no outcome")
            .unwrap()
            .expect("the job was dropped")
    }

    pub async fn stop(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(20), self.task).await.expect("it does not stop").unwrap().unwrap();
    }
}
