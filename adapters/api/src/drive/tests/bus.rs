//! A link with many units, in paused time: each request takes its time, and everything that is asked
//! or told is one log with times.

use std::collections::BTreeMap;

pub(super) use super::described::Line;
use super::{described::meter, *};
use crate::DeviceType;

/// How a unit takes what it is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Answers,
    Silent,
    Busy,
    /// Answers a probe, and refuses every read.
    Refuses,
}

pub(super) struct Spec {
    pub interval: Duration,
    /// One request of it takes this; a silent one takes `timeout`.
    pub takes: Duration,
    pub timeout: Duration,
    /// What the driver computes for one turn.
    pub turn: Duration,
    pub mood: Mood,
    /// What it adds to the words of a fault.
    pub words: &'static str,
    /// Does it sleep by night?
    pub sleeps: bool,
    /// Has it a battery?
    pub battery: bool,
    /// What it gives, W.
    pub power: f64,
    /// Values that were not believed in each read.
    pub disbelieved: u64,
}

pub(super) fn every(ms: u64) -> Spec {
    Spec {
        interval: Duration::from_millis(ms),
        takes: Duration::from_millis(2),
        timeout: Duration::from_secs(1),
        turn: Duration::ZERO,
        mood: Mood::Answers,
        words: "",
        sleeps: false,
        battery: false,
        power: 0.0,
        disbelieved: 0,
    }
}

struct Inner {
    start: Instant,
    units: Vec<Spec>,
    log: Vec<Line>,
    counts: BTreeMap<(usize, Counter), u64>,
    /// The connection cannot be opened; that takes this long to know.
    closed: Option<Duration>,
    /// Readings that were taken, by unit.
    published: Vec<usize>,
    /// Those that were made up.
    estimated: Vec<Reading>,
    /// What the last read did not believe.
    disbelieved: Vec<(DeviceId, Counter, u64)>,
}

#[derive(Clone)]
pub(super) struct Bus {
    inner: Arc<Mutex<Inner>>,
    /// Whether a revert is due, and the queue of commands.
    pub world: World,
}

fn unit(at: usize) -> UnitId {
    UnitId::from(format!("bus/{at}"))
}

fn place(id: &str) -> usize {
    id.rsplit(['/', 'u']).next().unwrap().parse().unwrap()
}

fn device(at: usize) -> DeviceId {
    DeviceId::new(&format!("u{at}")).unwrap()
}

pub(super) struct Polled {
    pub bus: Bus,
    pub jobs: mpsc::Sender<Option<Job>>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), AdapterError>>,
}

impl Polled {
    pub fn start(units: Vec<Spec>) -> Self {
        Self::begin(Bus::new(units))
    }

    pub fn begin(bus: Bus) -> Self {
        let (jobs, queue) = mpsc::channel(10);
        let stop = CancellationToken::new();
        let context = Context {
            outlet: Outlet::new(bus.clone()),
            commands: Commands::new(Queue(bus.world.clone(), queue, None)),
            store: Store::new(bus.world.clone()),
            shutdown: stop.clone(),
            clock: Clock::new("boot", || Moment { wall_ms: 0, mono_ms: 0 }),
            pulse: Pulse::default(),
        };
        let task = tokio::spawn(drive(bus.clone(), Schedule::default(), context));
        Self { bus, jobs, stop, task }
    }

    /// A command for a unit, and what becomes of it.
    pub async fn command(&self, at: usize) -> WriteOutcome {
        let (done, outcome) = oneshot::channel();
        let asked = Asked {
            number: 1,
            device: device(at),
            unit: unit(at),
            command: "set_power".into(),
            parameters: power(1.0),
            purpose: Purpose::Execute,
            verify_for: Duration::from_secs(5),
            timer: None,
            wear: Wear::None,
            relative: false,
        };
        self.jobs.send(Some(Job::new(asked, Hands(self.bus.world.clone(), done)))).await.unwrap();
        outcome.await.unwrap()
    }

    pub async fn ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

impl Bus {
    pub fn new(units: Vec<Spec>) -> Self {
        let inner = Inner {
            start: Instant::now(),
            units,
            log: Vec::new(),
            counts: BTreeMap::new(),
            closed: None,
            published: Vec::new(),
            estimated: Vec::new(),
            disbelieved: Vec::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), world: World::default() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap())
    }

    pub fn set(&self, at: usize, change: impl FnOnce(&mut Spec)) {
        self.with(|inner| change(&mut inner.units[at]));
    }

    pub fn mood(&self, at: usize) -> Mood {
        self.with(|inner| inner.units[at].mood)
    }

    /// How long the test has run.
    pub fn age(&self) -> Duration {
        self.with(|inner| inner.start.elapsed())
    }

    pub fn close_for(&self, closed: Option<Duration>) {
        self.with(|inner| inner.closed = closed);
    }

    fn say(&self, unit: usize, what: impl Into<String>) {
        let what = what.into();
        self.with(|inner| {
            let at = inner.start.elapsed();
            inner.log.push(Line { at, unit, what });
        });
    }

    /// What happened since the last call.
    pub fn happened(&self) -> Vec<Line> {
        self.with(|inner| std::mem::take(&mut inner.log))
    }

    /// Those lines of what happened since the last call that say one of these.
    pub fn only(&self, what: &[&str]) -> Vec<Line> {
        self.happened().into_iter().filter(|line| what.contains(&&*line.what)).collect()
    }

    pub fn count(&self, at: usize, what: Counter) -> u64 {
        self.with(|inner| inner.counts.get(&(at, what)).copied().unwrap_or(0))
    }

    /// Readings that were taken of each unit since the last call.
    pub fn published(&self) -> Vec<usize> {
        self.with(|inner| {
            let mut by_unit = vec![0; inner.units.len()];
            for at in std::mem::take(&mut inner.published) {
                by_unit[at] += 1;
            }
            by_unit
        })
    }

    /// Readings that were made up since the last call.
    pub fn estimated(&self) -> Vec<Reading> {
        self.with(|inner| std::mem::take(&mut inner.estimated))
    }

    async fn ask(&self, at: usize, what: &str) -> Result<(), Fault> {
        self.say(at, what);
        let (closed, mood, takes, timeout, words) = self.with(|inner| {
            let spec = &inner.units[at];
            (inner.closed, spec.mood, spec.takes, spec.timeout, spec.words)
        });
        let problem = |what: &str| Problem::new(format!("{what}{words}"), "wait");
        if let Some(takes) = closed {
            tokio::time::sleep(takes).await;
            return Err(Fault::Unreachable(problem("no way")));
        }
        tokio::time::sleep(if mood == Mood::Silent { timeout } else { takes }).await;
        match mood {
            Mood::Silent => Err(Fault::Silent(problem("no answer"))),
            Mood::Busy => Err(Fault::Answered(problem("busy"))),
            Mood::Refuses if what == "read" => Err(Fault::Answered(problem("no such register"))),
            Mood::Answers | Mood::Refuses => Ok(()),
        }
    }
}

impl Driver for Bus {
    fn units(&self) -> Vec<Unit> {
        self.with(|inner| {
            let unit = |(at, spec): (usize, &Spec)| Unit {
                id: unit(at),
                devices: vec![device(at)],
                interval: spec.interval,
                sleeps: spec.sleeps.then(|| device(at)),
            };
            inner.units.iter().enumerate().map(unit).collect()
        })
    }

    fn turn(&self, unit: &UnitId) -> Duration {
        self.with(|inner| inner.units[place(unit.as_str())].turn)
    }

    async fn probe(&mut self, unit: &UnitId) -> Result<Vec<DeviceInfo>, Fault> {
        let at = place(unit.as_str());
        self.ask(at, "probe").await?;
        let own = meter(device(at), unit.clone());
        let id = DeviceId::new(&format!("battery-u{at}")).unwrap();
        let battery = DeviceInfo { id, device_type: DeviceType::BatteryPack, ..own.clone() };
        let battery = Some(battery).filter(|_| self.with(|inner| inner.units[at].battery));
        Ok([own].into_iter().chain(battery).collect())
    }

    async fn read(&mut self, unit: &UnitId, _: Wanted) -> Result<Vec<Reading>, Fault> {
        let at = place(unit.as_str());
        let (power, disbelieved) = self.with(|inner| (inner.units[at].power, inner.units[at].disbelieved));
        self.with(|inner| inner.disbelieved.push((device(at), Counter::OutOfRange, disbelieved)));
        self.ask(at, "read").await?;
        Ok(vec![Reading {
            device: device(at),
            points: vec![("activePower".into(), Value::Number(power))],
            quality: crate::Quality::Good,
            source: crate::MeasurementSource::Device,
            measured_at: Moment { wall_ms: 0, mono_ms: 0 },
        }])
    }

    fn disbelieved(&mut self) -> Vec<(DeviceId, Counter, u64)> {
        self.with(|inner| std::mem::take(&mut inner.disbelieved))
    }

    async fn write(&mut self, job: &Job) -> Written {
        match self.ask(place(job.unit.as_str()), "write").await {
            Ok(()) => Written::Sent { settle: Duration::ZERO, wore: false },
            Err(fault) => Written::Ended(WriteOutcome::NotApplied { reason: fault.to_string(), sent: false }),
        }
    }

    async fn read_back(&mut self, _: &Job) -> ReadBack {
        ReadBack::Applied { observed: Parameters::default() }
    }

    async fn close(&mut self) -> Result<(), AdapterError> {
        Ok(())
    }
}

impl OutletPort for Bus {
    fn publish(&self, readings: Vec<Reading>, _: bool) -> BoxFuture<'_, Result<(), Closed>> {
        self.with(|inner| {
            inner.published.extend(readings.iter().map(|reading| place(reading.device.as_str())));
            let made_up = |reading: &Reading| reading.source == crate::MeasurementSource::Estimated;
            let (made_up, _) = readings.into_iter().partition::<Vec<_>, _>(made_up);
            inner.estimated.extend(made_up);
        });
        Box::pin(async { Ok(()) })
    }

    fn announce(&self, device: DeviceInfo) -> BoxFuture<'_, ()> {
        self.say(place(device.id.as_str()), "announced");
        Box::pin(async {})
    }

    fn availability(&self, device: DeviceId, state: Availability) -> BoxFuture<'_, ()> {
        self.say(place(device.as_str()), state.as_str());
        Box::pin(async {})
    }

    fn problem(&self, device: DeviceId, problem: Option<Problem>) -> BoxFuture<'_, ()> {
        let words = problem.map_or("no problem".to_owned(), |problem| format!("problem: {}", problem.what));
        self.say(place(device.as_str()), words);
        Box::pin(async {})
    }

    fn count(&self, device: DeviceId, what: Counter, times: u64) {
        self.with(|inner| *inner.counts.entry((place(device.as_str()), what)).or_default() += times);
    }
}
