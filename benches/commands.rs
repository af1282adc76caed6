//! What it costs to accept a command: admission, and a commit that is on the disk when it returns.
//!
//! The journal lies in the target folder, because `/tmp` may be memory. Nobody takes the commands.

// No test functions here, where the lints already allow it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use adapter_api::{
    Availability, Bounds, Capability, CommandSpec, DeviceId, DeviceInfo, DeviceType, EnergyRole, Outlet,
    ParameterKind, ParameterSpec, Parameters, Protocol, Value,
};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use maestro_gateway::{
    clock,
    command::{Commands, Dispatcher, Known, Port, Request, Settings, WearLimits},
    devices::{Devices, DevicesOutlet},
    journal::{self, Journal},
    live::Live,
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Askers at once, in the second measurement.
const CROWD: usize = 32;

struct Desk {
    _folder: TempDir,
    commands: Commands,
    _port: Port,
    stop: CancellationToken,
}

impl Desk {
    async fn open() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let settings = journal::Settings {
            data_dir: folder.path().join("data"),
            runtime_dir: folder.path().join("run"),
            group: Duration::from_secs(10),
            retention: Duration::from_secs(86_400),
            max_size: 1_000_000_000,
        };
        let (clock, live) = (clock::system(), Live::new(vec![]));
        let journal = Journal::open(&settings, clock.clone(), |_| {}).unwrap().journal;
        let devices = Devices::new(journal.clone(), clock.clone());
        devices.configure("bench", vec![roof()], &[], &[]).await;
        let outlet = Outlet::new(DevicesOutlet::new("bench", devices.clone()));
        outlet.availability(&DeviceId::new("roof").unwrap(), Availability::Online).await;
        let settings = Settings {
            expires_in: Duration::from_secs(3600),
            rate_limit: 0,
            battery_lease: Duration::from_secs(3600),
            wear: WearLimits { gap: Duration::ZERO, per_day: 1_000_000 },
        };
        let (dispatcher, commands) =
            Dispatcher::new(settings, journal, devices, live, clock, Known::default());
        let stop = CancellationToken::new();
        tokio::spawn(dispatcher.run(stop.clone()));
        let port = commands.port("bench");
        Self { _folder: folder, commands, _port: port, stop }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A device whose command supersedes nothing.
fn roof() -> DeviceInfo {
    let power = ParameterSpec {
        name: "power".into(),
        kind: ParameterKind::Number { min: 0.0, max: 6000.0, step: 0.0, unit: "W".into() },
        required: true,
    };
    let limit = CommandSpec {
        parameters: vec![power],
        ..CommandSpec::plain("set_power_limit", Capability::PowerControl)
    };
    DeviceInfo {
        id: DeviceId::new("roof").unwrap(),
        unit: "roof/1".into(),
        name: "Roof".into(),
        device_type: DeviceType::SolarInverter,
        protocol: Protocol::Sunspec,
        role: EnergyRole::Producer,
        usage: None,
        profile: "sunspec".into(),
        manufacturer: "M".into(),
        model: "H".into(),
        serial: None,
        firmware: None,
        max_power: None,
        capacity: None,
        phases: 3,
        room: None,
        location: None,
        capabilities: vec![],
        commands: vec![limit],
        control: true,
        interval: Duration::from_secs(5),
        bounds: Bounds::default(),
    }
}

fn request() -> Request {
    let parameters = Parameters([("power".into(), Value::Number(3000.0))].into());
    Request::new("roof", "set_power_limit", parameters, "bench:me")
}

async fn accept(commands: &Commands) -> Duration {
    let began = Instant::now();
    commands.submit(request()).await.unwrap();
    began.elapsed()
}

/// A new journal for each sample: the queue has an end.
async fn alone(times: u64, every: &Mutex<Vec<Duration>>) -> Duration {
    let desk = Desk::open().await;
    let mut whole = Duration::ZERO;
    for _ in 0..times {
        let one = accept(&desk.commands).await;
        every.lock().unwrap().push(one);
        whole += one;
    }
    whole
}

async fn in_a_crowd(times: u64, every: &Arc<Mutex<Vec<Duration>>>) -> Duration {
    let desk = Desk::open().await;
    let began = Instant::now();
    let mut askers = JoinSet::new();
    for asker in 0..CROWD as u64 {
        let (commands, every) = (desk.commands.clone(), every.clone());
        let share = times / CROWD as u64 + u64::from(asker < times % CROWD as u64);
        askers.spawn(async move {
            for _ in 0..share {
                let one = accept(&commands).await;
                every.lock().unwrap().push(one);
            }
        });
    }
    askers.join_all().await;
    began.elapsed()
}

fn told(what: &str, every: &Mutex<Vec<Duration>>) {
    let mut every = every.lock().unwrap();
    every.sort_unstable();
    let at = |part: f64| every[((every.len() - 1) as f64 * part).round() as usize];
    if !every.is_empty() {
        println!("{what}: {} times, p50 {:?}, p99 {:?}, most {:?}", every.len(), at(0.5), at(0.99), at(1.0));
    }
}

fn measure(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("commands");
    // Short samples: the queue has an end.
    group.sampling_mode(SamplingMode::Flat);
    let every = Arc::<Mutex<Vec<Duration>>>::default();
    group.bench_function("accept", |bencher| {
        bencher.iter_custom(|times| runtime.block_on(alone(times, &every)));
    });
    told("accept", &every);
    let every = Arc::<Mutex<Vec<Duration>>>::default();
    group.bench_function("accept, 32 askers at once", |bencher| {
        bencher.iter_custom(|times| runtime.block_on(in_a_crowd(times, &every)));
    });
    told("accept, 32 askers at once", &every);
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(400)).measurement_time(Duration::from_secs(4));
    targets = measure
}
criterion_main!(benches);
