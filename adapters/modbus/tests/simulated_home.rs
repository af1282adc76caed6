//! The whole adapter, as the gateway runs it, against the simulated home: discovery, polls, a
//! command with its proof, and a stop. The simulator shares no code with the adapter.

#![expect(clippy::unwrap_used, reason = "a test; clippy knows only its test functions as such")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use adapter_api::{
    AdapterError, Asked, Availability, BoxFuture, Clock, Closed, CommandPort, Commands, Context, Counter,
    DeviceId, DeviceInfo, Job, JobPort, Moment, Outlet, OutletPort, Parameters, Problem, Purpose, Reading,
    Store, StoreError, StorePort, UnitId, Value, Wear, WriteOutcome,
};
use simulator::{BatteryMode, EndModel, Fault, Home, HomeSettings, Scope, SunSpecSettings, Wiring};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// What the adapter told the gateway.
enum Told {
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

struct NoNotes;

impl StorePort for NoNotes {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn put<'a>(&'a self, _: &'a str, _: Option<Vec<u8>>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A running adapter.
struct Running {
    told: mpsc::Receiver<Told>,
    jobs: mpsc::Sender<Job>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), AdapterError>>,
}

impl Running {
    fn start(tables: &str) -> Self {
        let settings: adapter_modbus::Settings = toml::from_str(tables).unwrap();
        assert_eq!(settings.check(), []);
        let (ear, told) = mpsc::channel(100);
        let (jobs, queue) = mpsc::channel(10);
        let stop = CancellationToken::new();
        let context = Context {
            outlet: Outlet::new(Ear(ear)),
            commands: Commands::new(Queue(queue, None)),
            store: Store::new(NoNotes),
            shutdown: stop.clone(),
            clock: Clock::new("boot", || Moment { wall_ms: 7, mono_ms: 7 }),
            pulse: adapter_api::Pulse::default(),
        };
        let task = tokio::spawn(adapter_modbus::adapter("home", &settings).run(context));
        Self { told, jobs, stop, task }
    }

    async fn hear(&mut self) -> Told {
        timeout(Duration::from_secs(20), self.told.recv()).await.expect("it says nothing").unwrap()
    }

    /// The next poll's readings by device.
    async fn poll(&mut self) -> BTreeMap<String, Reading> {
        loop {
            if let Told::Readings(readings) = self.hear().await {
                return readings.into_iter().map(|reading| (reading.device.to_string(), reading)).collect();
            }
        }
    }

    async fn command(&mut self, device: &str, command: &str, parameters: &[(&str, Value)]) -> WriteOutcome {
        self.ask(device, command, parameters, Purpose::Execute, None).await
    }

    async fn ask(
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
            unit: UnitId::from("home/1"),
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

    async fn stop(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(20), self.task).await.expect("it does not stop").unwrap().unwrap();
    }
}

fn tables(address: std::net::SocketAddr, device: &str) -> String {
    format!("address = 'tcp://{address}'\ninterval = '100ms'\ntimeout = '500ms'\n{device}")
}

/// A home whose sun stands still.
async fn still(start_hour: f64, sunspec: SunSpecSettings) -> Home {
    Home::start(HomeSettings { speed: 0.0, start_hour, sunspec, ..HomeSettings::default() }).await.unwrap()
}

fn number(reading: &Reading, point: &str) -> f64 {
    reading.point(point).and_then(Value::number).unwrap_or_else(|| panic!("no {point} in {reading:?}"))
}

/// Longer than the simulator hides a write.
const VERIFY_FOR: Duration = Duration::from_secs(2);
const NOON: f64 = 12.0;
const MIDNIGHT: f64 = 0.0;
const ROOF: &str = "[device.roof]\nprofile = 'sunspec'\ncontrol = true\ncharge_power = 3000\n";

#[tokio::test]
async fn the_home_is_found_and_read_as_it_is_whatever_its_map_looks_like() {
    let settings = SunSpecSettings::default();
    for sunspec in [
        settings,
        SunSpecSettings { base: 0, common_length: 65, end: EndModel::Missing, ..settings },
        SunSpecSettings { base: 50_000, wiring: Wiring::Single, end: EndModel::WithoutLength, ..settings },
        SunSpecSettings { wiring: Wiring::Split, ..settings },
    ] {
        let home = still(NOON, sunspec).await;
        let mut adapter = Running::start(&tables(home.hybrid_addr(), ROOF));
        let mut devices = Vec::new();
        while devices.len() < 3 {
            if let Told::Device(device) = adapter.hear().await {
                devices.push(device.id.to_string());
            }
        }
        assert_eq!(devices, ["roof", "roof-battery", "roof-grid"]);
        let readings = adapter.poll().await;
        let now = home.now();
        assert_eq!(number(&readings["roof"], "activePower"), now.pv, "{sunspec:?}");
        assert_eq!(number(&readings["roof-battery"], "activePower"), now.battery);
        assert_eq!(number(&readings["roof-grid"], "activePower"), now.grid);
        assert!((number(&readings["roof-battery"], "batteryLevel") - now.soc).abs() < 0.1);
        adapter.stop().await;
        home.stop().await;
    }
}

#[tokio::test]
async fn a_command_moves_the_battery_and_the_limit_and_each_is_proven() {
    // At night, so that no sun charges more than was asked.
    let home = still(MIDNIGHT, SunSpecSettings::default()).await;
    let mut adapter = Running::start(&tables(home.hybrid_addr(), ROOF));
    adapter.poll().await;
    let charge = [("mode", Value::from("charge")), ("power", Value::from(2000.0))];
    let outcome = adapter.command("roof-battery", "set_battery_mode", &charge).await;
    let WriteOutcome::Done { observed, verified: true, written: true } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((observed.word("mode"), observed.number("power")), (Some("charge"), Some(2000.0)));
    assert_eq!(home.now().battery, -2000.0);
    let outcome = adapter.command("roof-battery", "set_battery_mode", &[("mode", "auto".into())]).await;
    assert!(matches!(outcome, WriteOutcome::Done { verified: true, written: true, .. }), "{outcome:?}");
    assert_eq!(home.now().mode, BatteryMode::Auto);

    let limit = [("power", Value::from(1500.0))];
    let outcome = adapter.command("roof", "set_power_limit", &limit).await;
    assert!(matches!(outcome, WriteOutcome::Done { verified: true, written: true, .. }), "{outcome:?}");
    let outcome = adapter.command("roof", "set_power_limit", &limit).await;
    assert!(matches!(outcome, WriteOutcome::Done { written: false, .. }), "{outcome:?}");
    let outcome = adapter.command("roof", "refresh", &[]).await;
    assert!(matches!(outcome, WriteOutcome::Done { written: false, .. }), "{outcome:?}");
    adapter.stop().await;
    home.stop().await;
}

#[tokio::test]
async fn a_device_that_does_nothing_clamps_or_answers_late_is_told_as_it_is() {
    let home = still(MIDNIGHT, SunSpecSettings::default()).await;
    let mut adapter = Running::start(&tables(home.hybrid_addr(), ROOF));
    adapter.poll().await;
    let charge = [("power", Value::from(-2000.0))];

    home.hybrid().fault(Fault::EchoOnly, Scope::WRITES);
    let outcome = adapter.command("roof-battery", "set_battery_power", &charge).await;
    let WriteOutcome::Mismatch { requested, observed } = outcome else { panic!("{outcome:?}") };
    assert_eq!((requested.number("power"), observed.word("mode")), (Some(-2000.0), Some("auto")));
    home.hybrid().clear_faults();

    let rate = 40_208 + 12;
    home.hybrid().fault(Fault::Clamp { register: rate, most: 3000 }, Scope::WRITES);
    let outcome = adapter.command("roof-battery", "set_battery_power", &charge).await;
    let WriteOutcome::Mismatch { requested, observed } = outcome else { panic!("{outcome:?}") };
    assert_eq!((requested.number("power"), observed.number("power")), (Some(-2000.0), Some(-1500.0)));
    home.hybrid().clear_faults();

    home.hybrid().fault(Fault::Stale(VERIFY_FOR / 2), Scope::WRITES);
    let outcome = adapter.command("roof-battery", "set_battery_power", &charge).await;
    assert!(matches!(outcome, WriteOutcome::Done { verified: true, written: true, .. }), "{outcome:?}");
    assert_eq!(home.now().battery, -2000.0);
    adapter.stop().await;
    home.stop().await;
}

#[tokio::test]
async fn the_inverters_own_timer_frees_the_battery_unless_it_is_renewed() {
    let home = still(MIDNIGHT, SunSpecSettings::default()).await;
    let mut adapter = Running::start(&tables(home.hybrid_addr(), ROOF));
    adapter.poll().await;
    let charge = [("mode", Value::from("charge")), ("power", Value::from(2000.0))];
    let minute = Some(Duration::from_secs(60));
    let outcome = adapter.ask("roof-battery", "set_battery_mode", &charge, Purpose::Execute, minute).await;
    assert!(matches!(outcome, WriteOutcome::Done { written: true, .. }), "{outcome:?}");
    // Long enough to be proven on a busy machine, and then soon over.
    let short = Some(Duration::from_secs(2));
    let outcome = adapter.ask("roof-battery", "set_battery_mode", &charge, Purpose::Renew, short).await;
    assert!(matches!(outcome, WriteOutcome::Done { verified: true, written: true, .. }), "{outcome:?}");
    timeout(Duration::from_secs(20), async {
        while home.now().mode != BatteryMode::Auto {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the device does not revert");
    let writes = home.hybrid().accepted_writes().len();
    let outcome = adapter.ask("roof-battery", "set_battery_mode", &charge, Purpose::Renew, minute).await;
    let WriteOutcome::Mismatch { observed, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(observed.word("mode"), Some("auto"));
    assert_eq!(
        home.hybrid().accepted_writes().len(),
        writes,
        "what was dropped is not written again by itself"
    );
    adapter.stop().await;
    home.stop().await;
}

#[tokio::test]
async fn a_device_that_vanishes_is_offline_with_words_and_comes_back_by_itself() {
    let home = still(NOON, SunSpecSettings::default()).await;
    let mut adapter = Running::start(&tables(home.hybrid_addr(), ROOF));
    adapter.poll().await;
    home.hybrid().fault(Fault::Exception(6), Scope::ALL);
    let words = loop {
        if let Told::Problem(device, Some(problem)) = adapter.hear().await {
            assert_eq!(device.as_str(), "roof");
            break problem.to_string();
        }
    };
    assert!(words.contains("busy") && words.contains("interval"), "{words}");
    home.hybrid().clear_faults();
    loop {
        if let Told::Availability(Availability::Online) = adapter.hear().await {
            break;
        }
    }
    assert_eq!(number(&adapter.poll().await["roof"], "activePower"), home.now().pv);
    adapter.stop().await;
    home.stop().await;
}

#[tokio::test]
async fn no_fault_on_the_wire_ever_becomes_a_value() {
    let home = still(NOON, SunSpecSettings::default()).await;
    let mut adapter = Running::start(&tables(home.hybrid_addr(), ROOF));
    adapter.poll().await;
    let now = home.now();
    for fault in [
        Fault::Delay(Duration::from_millis(700)),
        Fault::Silence { executed: true },
        Fault::Close { executed: true },
        Fault::OtherTransaction,
        Fault::OtherUnit,
        Fault::OtherFunction,
        Fault::Protocol(1),
        Fault::FewerRegisters,
        Fault::MoreRegisters(1),
        Fault::MissingBytes,
        Fault::LyingCount,
        Fault::Exception(0x80),
        Fault::Garbage,
        Fault::Torn,
    ] {
        home.hybrid().fault(fault, Scope::READS.times(1));
        // The poll before the fault may still be on its way.
        for _ in 0..2 {
            let readings = adapter.poll().await;
            assert_eq!(number(&readings["roof"], "activePower"), now.pv, "after {fault:?}");
            assert_eq!(number(&readings["roof-battery"], "activePower"), now.battery, "after {fault:?}");
            assert_eq!(number(&readings["roof-grid"], "activePower"), now.grid, "after {fault:?}");
        }
    }
    adapter.stop().await;
    home.stop().await;
}

#[tokio::test]
async fn the_load_meter_is_read_as_it_is() {
    let home = still(NOON, SunSpecSettings::default()).await;
    let load = "[device.load]\nprofile = 'eastron-sdm630'\nusage = 'load'\n";
    let mut adapter = Running::start(&tables(home.meter_addr(), load));
    let readings = adapter.poll().await;
    assert!((number(&readings["load"], "activePower") - home.now().load).abs() < 0.5);
    assert!(number(&readings["load"], "voltage") > 200.0);
    adapter.stop().await;
    home.stop().await;
}
