//! The loop with a scripted device, in paused time: everything that happens is one log, in order.

mod bus;
mod commands;
mod dead;
pub(super) mod described;
mod links;
mod night;
mod polls;
mod strain;
mod turns;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Asked, Availability, BoxFuture, Clock, Closed, CommandPort, Commands, Counter, JobPort, Moment, Outlet,
    OutletPort, Parameters, Pulse, Purpose, ReadBack, Reading, Store, StoreError, StorePort, Unit, Value,
    Wanted, Wear, WriteOutcome, Written,
};

const INTERVAL: Duration = Duration::from_secs(100);

#[derive(Default)]
struct State {
    log: Vec<String>,
    shown: f64,
    /// What the next looks say instead of what is shown.
    looks: VecDeque<ReadBack>,
    away: bool,
    /// Takes writes and does nothing.
    deaf: bool,
    /// Some of what it writes wears out.
    wears: bool,
    /// Its next write ends half way.
    breaks: bool,
    urgent: bool,
    /// Can the journal keep anything?
    full: bool,
    /// Has it room for readings?
    no_room: bool,
    /// So often the loop is woken for nothing after the next write …
    storm: u32,
    /// … and so often it still is at once; what was left at each look.
    wakes: u32,
    left: Vec<u32>,
    /// The driver does something once it rested for so long; how often it began to rest.
    rest: Option<Duration>,
    rests: u32,
}

/// The device, the journal and the log of a test.
#[derive(Clone, Default)]
struct World(Arc<Mutex<State>>);

impl World {
    fn say(&self, what: impl Into<String>) {
        self.set(|state| state.log.push(what.into()));
    }

    fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// What happened since the last call.
    fn happened(&self) -> Vec<String> {
        self.set(|state| std::mem::take(&mut state.log))
    }

    fn answers(&self) -> Result<(), Fault> {
        if self.set(|state| state.away) { Err(silent()) } else { Ok(()) }
    }
}

fn silent() -> Fault {
    Fault::Silent(Problem::new("no answer", "wait"))
}

fn power(value: f64) -> Parameters {
    Parameters([("power".into(), Value::Number(value))].into())
}

fn different(shown: f64) -> ReadBack {
    ReadBack::Different { requested: power(1.0), observed: power(shown) }
}

impl Driver for World {
    fn units(&self) -> Vec<Unit> {
        vec![Unit { id: UnitId::from("home/1"), devices: Vec::new(), interval: INTERVAL, sleeps: None }]
    }

    async fn probe(&mut self, _: &UnitId) -> Result<Vec<DeviceInfo>, Fault> {
        self.say("probe");
        self.answers().map(|()| Vec::new())
    }

    async fn read(&mut self, _: &UnitId, _: Wanted) -> Result<Vec<Reading>, Fault> {
        self.say("read");
        self.answers().map(|()| Vec::new())
    }

    async fn resolve(&mut self, job: &Job) -> Result<(Arc<str>, Parameters), Fault> {
        self.say(format!("resolve {}", job.command));
        self.answers()?;
        let target = self.set(|state| if state.shown == 0.0 { 1.0 } else { 0.0 });
        Ok(("set_power".into(), power(target)))
    }

    async fn write(&mut self, job: &Job) -> Written {
        let wanted = job.parameters.number("power").unwrap();
        self.say(format!(
            "write {} {wanted} timer {:?}",
            job.command,
            job.timer.map(|timer| timer.as_secs())
        ));
        if self.answers().is_err() {
            return Written::Ended(WriteOutcome::NotApplied { reason: "away".into(), sent: false });
        }
        if self.set(|state| std::mem::take(&mut state.breaks)) {
            return Written::Ended(WriteOutcome::NotApplied { reason: "broke".into(), sent: true });
        }
        self.set(|state| {
            state.shown = if state.deaf { state.shown } else { wanted };
            state.wakes = std::mem::take(&mut state.storm);
        });
        Written::Sent { settle: Duration::ZERO, wore: self.set(|state| state.wears) }
    }

    async fn read_back(&mut self, job: &Job) -> ReadBack {
        self.say("look");
        self.set(|state| state.left.push(state.wakes));
        if let Err(fault) = self.answers() {
            return ReadBack::Failed(fault);
        }
        if let Some(scripted) = self.set(|state| state.looks.pop_front()) {
            return scripted;
        }
        let (wanted, shown) = (job.parameters.number("power").unwrap(), self.set(|state| state.shown));
        let observed = power(shown);
        if wanted == shown {
            ReadBack::Applied { observed }
        } else {
            ReadBack::Different { requested: power(wanted), observed }
        }
    }

    async fn rest(&mut self) {
        let rest = self.set(|state| {
            state.rests += 1;
            state.rest
        });
        match rest {
            Some(rest) => tokio::time::sleep(rest).await,
            None => std::future::pending().await,
        }
        self.set(|state| state.rest = None);
        self.say("rested");
    }

    async fn close(&mut self) -> Result<(), AdapterError> {
        Ok(())
    }
}

impl OutletPort for World {
    fn publish(&self, _: Vec<Reading>, _: bool) -> BoxFuture<'_, Result<(), Closed>> {
        Box::pin(async {
            if self.set(|state| state.no_room) { std::future::pending().await } else { Ok(()) }
        })
    }

    fn announce(&self, _: DeviceInfo) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn availability(&self, _: DeviceId, _: Availability) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn problem(&self, _: DeviceId, _: Option<Problem>) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn count(&self, _: DeviceId, _: Counter, _: u64) {}
}

impl StorePort for World {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn put<'a>(&'a self, _: &'a str, _: Option<Vec<u8>>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// The gateway's side of a job.
struct Hands(World, oneshot::Sender<WriteOutcome>);

impl JobPort for Hands {
    fn resolve<'a>(&'a mut self, command: &'a Arc<str>, parameters: &'a Parameters) -> BoxFuture<'a, bool> {
        self.0.say(format!("kept {command} {}", parameters.number("power").unwrap()));
        let full = self.0.set(|state| state.full);
        Box::pin(async move { !full })
    }

    fn wears(&mut self) {
        self.0.say("wears");
    }

    fn settle(self: Box<Self>, outcome: Option<WriteOutcome>) {
        self.1.send(outcome.expect("no job is dropped")).unwrap();
    }
}

/// Jobs come through a channel; `None` only wakes the loop.
struct Queue(World, mpsc::Receiver<Option<Job>>, Option<Job>);

impl CommandPort for Queue {
    fn ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.0.set(|state| state.wakes.checked_sub(1).map(|left| state.wakes = left)).is_some() {
                return;
            }
            match self.1.recv().await {
                Some(job) => self.2 = job,
                None => std::future::pending().await,
            }
        })
    }

    fn take(&mut self) -> BoxFuture<'_, Option<Job>> {
        Box::pin(async move { self.2.take() })
    }

    fn is_urgent(&self, _: &UnitId) -> bool {
        self.0.set(|state| state.urgent)
    }
}

struct Running {
    world: World,
    jobs: mpsc::Sender<Option<Job>>,
    stop: CancellationToken,
    pulse: Pulse,
    task: JoinHandle<Result<(), AdapterError>>,
}

impl Running {
    /// A loop that has found its unit, read it at once, and read it in its rhythm one second ago.
    async fn start() -> Self {
        let world = World::default();
        let (jobs, queue) = mpsc::channel(10);
        let (stop, pulse) = (CancellationToken::new(), Pulse::default());
        let context = Context {
            outlet: Outlet::new(world.clone()),
            commands: Commands::new(Queue(world.clone(), queue, None)),
            store: Store::new(world.clone()),
            shutdown: stop.clone(),
            clock: Clock::new("boot", || Moment { wall_ms: 0, mono_ms: 0 }),
            pulse: pulse.clone(),
        };
        let task = tokio::spawn(drive(world.clone(), Schedule::default(), context));
        let running = Self { world, jobs, stop, pulse, task };
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(running.world.happened(), ["probe", "read"]);
        let turn = schedule::phase(&UnitId::from("home/1"), 0, 1, INTERVAL);
        tokio::time::sleep(turn + Duration::from_millis(800)).await;
        assert_eq!(running.world.happened(), ["read"]);
        running
    }

    async fn seconds(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    async fn run(&self, change: impl FnOnce(&mut Asked)) -> WriteOutcome {
        self.begin(change).await.await.unwrap()
    }

    async fn begin(&self, change: impl FnOnce(&mut Asked)) -> oneshot::Receiver<WriteOutcome> {
        let (done, outcome) = oneshot::channel();
        let mut asked = Asked {
            number: 1,
            device: DeviceId::new("plug").unwrap(),
            unit: UnitId::from("home/1"),
            command: "set_power".into(),
            parameters: power(1.0),
            purpose: Purpose::Execute,
            verify_for: Duration::from_secs(5),
            timer: None,
            wear: Wear::None,
            relative: false,
        };
        change(&mut asked);
        self.jobs.send(Some(Job::new(asked, Hands(self.world.clone(), done)))).await.unwrap();
        outcome
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn done(observed: f64, written: bool) -> WriteOutcome {
    WriteOutcome::Done { observed: power(observed), verified: true, written }
}

fn is_not_sent(outcome: &WriteOutcome) -> bool {
    matches!(outcome, WriteOutcome::NotApplied { sent: false, .. })
}
