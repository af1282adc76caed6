//! Admission, queue and ports together, on a real journal.

use std::{sync::Arc, time::Duration};

use adapter_api::{
    Availability, Bounds, Capability, CommandPort, CommandSpec, CommandStatus, DeviceId, DeviceInfo,
    DeviceType, EnergyRole, Job, Outcome, Outlet, Parameters, Protocol, Purpose, Wear, WriteOutcome,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Accepted, Commands, Dispatcher, Known, Port, RefusalCode, Request, Settings, WearLimits};
use crate::{
    clock,
    devices::{Devices, DevicesOutlet},
    journal::{self, CommandRow, Journal, JournalError},
    live::Live,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Desk {
    folder: TempDir,
    journal: Journal,
    devices: Devices,
    commands: Commands,
    port: Port,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Desk {
    async fn open(folder: TempDir) -> Self {
        let settings = journal::Settings {
            data_dir: folder.path().join("data"),
            runtime_dir: folder.path().join("run"),
            group: Duration::from_secs(10),
            retention: Duration::from_secs(86_400),
            max_size: 1_000_000_000,
        };
        let clock = clock::system();
        // The thread of a journal that crashed lets go of its lock a moment later.
        let opened = loop {
            match Journal::open(&settings, clock.clone(), |_| {}) {
                Err(JournalError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
                opened => break opened.unwrap(),
            }
        };
        let (journal, recovery) = (opened.journal, opened.recovery);
        let devices = Devices::new(journal.clone(), clock.clone());
        devices.configure("modbus.roof", vec![roof()], &[], &recovery.devices).await;
        let known = Known::read(&journal, recovery.in_flight, recovery.waiting).await.unwrap();
        let live = Live::new(Vec::new());
        let (dispatcher, commands) =
            Dispatcher::new(self::settings(), journal.clone(), devices.clone(), live.clone(), clock, known);
        let stop = CancellationToken::new();
        let task = tokio::spawn(dispatcher.run(stop.clone()));
        let port = commands.port("modbus.roof");
        Self { folder, journal, devices, commands, port, stop, task }
    }

    async fn new() -> Self {
        let desk = Self::open(TempDir::new().unwrap()).await;
        desk.online().await;
        desk
    }

    async fn online(&self) {
        let outlet = Outlet::new(DevicesOutlet::new("modbus.roof", self.devices.clone()));
        outlet.availability(&DeviceId::new("roof").unwrap(), Availability::Online).await;
    }

    /// The next job, as an adapter gets it.
    async fn job(&mut self) -> Job {
        let next = async {
            loop {
                self.port.ready().await;
                if let Some(job) = self.port.take().await {
                    return job;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("no job came")
    }

    async fn submit(&self, id: &str) -> Arc<CommandRow> {
        self.commands.submit(request(id)).await.unwrap().row().clone()
    }

    async fn pending(&self, id: &str) {
        let pending = async {
            while self.commands.find(id).await.is_none_or(|row| row.status != CommandStatus::Pending) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, pending).await.expect("it does not wait again");
    }

    async fn ended(&self, id: &str) -> Arc<CommandRow> {
        let end = async {
            loop {
                let row = self.commands.find(id).await.expect("the command is known");
                if row.outcome.is_some() {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, end).await.expect("it did not end")
    }

    /// As kill -9 leaves it: nothing is closed in order.
    async fn crash(self) -> TempDir {
        self.task.abort();
        let _ = self.task.await;
        self.folder
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        expires_in: Duration::from_secs(60),
        rate_limit: 0,
        battery_lease: Duration::from_secs(3600),
        wear: WearLimits { gap: Duration::from_secs(300), per_day: 24 },
    }
}

pub(super) fn roof() -> DeviceInfo {
    let refresh = CommandSpec::refresh(Capability::PowerControl);
    let once = CommandSpec { name: "once".into(), idempotent: false, ..refresh.clone() };
    let partly = CommandSpec { wears: true, ..CommandSpec::plain("partly", Capability::PowerControl) };
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
        commands: vec![refresh, once, partly],
        control: true,
        interval: Duration::from_secs(5),
        bounds: Bounds::default(),
    }
}

fn request(id: &str) -> Request {
    Request { id: Some(id.to_owned()), ..Request::new("roof", "refresh", Parameters::default(), "test:me") }
}

fn done() -> WriteOutcome {
    WriteOutcome::Done { observed: Parameters::default(), verified: true, written: true }
}

#[tokio::test]
async fn an_id_that_comes_ten_times_at_once_is_one_command() {
    let mut desk = Desk::new().await;
    let (commands, mut asking) = (desk.commands.clone(), tokio::task::JoinSet::new());
    for _ in 0..10 {
        let commands = commands.clone();
        asking.spawn(async move { commands.submit(request("same")).await.unwrap() });
    }
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Accepted::New(_))).count(), 1);
    assert!(answers.iter().all(|answer| answer.row().number == answers[0].row().number));
    let job = desk.job().await;
    assert_eq!(
        desk.journal.reader().command_by_id("same").await.unwrap().unwrap().status,
        CommandStatus::Executing
    );
    job.settle(done());
    assert_eq!(desk.ended("same").await.outcome, Some(Outcome::Done));
    let other = Request { command: "once".into(), ..request("same") };
    assert_eq!(desk.commands.submit(other).await.unwrap_err().code, RefusalCode::IdReused);
}

#[tokio::test]
async fn a_job_that_tells_that_something_wore_bounds_the_next_one_only() {
    let mut desk = Desk::new().await;
    for (id, wears, spent) in [("a", false, false), ("b", true, false), ("c", false, true)] {
        desk.commands.submit(Request { command: "partly".into(), ..request(id) }).await.unwrap();
        let mut job = desk.job().await;
        assert!(
            matches!(&job.wear, Wear::Partly(reason) if reason.is_some() == spent),
            "{id}: {:?}",
            job.wear
        );
        if wears {
            job.wears();
        }
        job.settle(done());
        desk.ended(id).await;
    }
}

#[tokio::test]
async fn a_job_that_falls_is_read_back_before_anything_else_of_its_unit() {
    let mut desk = Desk::new().await;
    desk.submit("falls").await;
    let job = desk.job().await;
    desk.submit("next").await;
    drop(job);
    let again = desk.job().await;
    assert_eq!((again.purpose, again.number), (Purpose::ReadBack, 1));
    again.settle(done());
    assert_eq!(desk.ended("falls").await.attempts, 1);
    let next = desk.job().await;
    assert_eq!((next.purpose, next.number), (Purpose::Execute, 2));
}

#[tokio::test]
async fn after_a_crash_what_was_in_flight_is_read_back_and_what_waited_waits_on() {
    let mut desk = Desk::new().await;
    desk.submit("flies").await;
    std::mem::forget(desk.job().await);
    desk.submit("waits").await;
    let mut desk = Desk::open(desk.crash().await).await;
    desk.online().await;
    let job = desk.job().await;
    assert_eq!((job.purpose, job.number), (Purpose::ReadBack, 1));
    // Not applied, and it may be sent again.
    job.settle(WriteOutcome::NotApplied { reason: "old values".into(), sent: true });
    let job = desk.job().await;
    assert_eq!((job.purpose, job.number), (Purpose::Execute, 2), "the retry pauses");
    job.settle(done());
    let job = desk.job().await;
    assert_eq!((job.purpose, job.number), (Purpose::Execute, 1));
    job.settle(done());
    assert_eq!(desk.ended("flies").await.attempts, 2);
}

#[tokio::test]
async fn what_may_not_be_repeated_and_was_not_applied_fails() {
    let mut desk = Desk::new().await;
    desk.commands.submit(Request { command: "once".into(), ..request("once") }).await.unwrap();
    desk.job().await.settle(WriteOutcome::NotApplied { reason: "no answer".into(), sent: true });
    assert_eq!(desk.ended("once").await.outcome, Some(Outcome::Unreachable));
}

#[tokio::test]
async fn a_device_that_turns_out_to_be_away_is_waited_for_without_using_a_retry() {
    let mut desk = Desk::new().await;
    let outlet = Outlet::new(DevicesOutlet::new("modbus.roof", desk.devices.clone()));
    let roof = DeviceId::new("roof").unwrap();
    desk.submit("patient").await;
    for _ in 0..5 {
        let job = desk.job().await;
        outlet.availability(&roof, Availability::Offline).await;
        job.settle(WriteOutcome::NotApplied { reason: "no connection".into(), sent: false });
        desk.pending("patient").await;
        outlet.availability(&roof, Availability::Online).await;
    }
    desk.job().await.settle(done());
    let row = desk.ended("patient").await;
    assert_eq!((row.outcome, row.attempts), (Some(Outcome::Done), 1));
}

#[tokio::test]
async fn a_stop_leaves_what_waits_for_the_next_start() {
    let desk = Desk::open(TempDir::new().unwrap()).await;
    desk.submit("later").await;
    desk.stop.cancel();
    desk.task.await.unwrap();
    desk.journal.close().await.unwrap();
    let mut desk = Desk::open(desk.folder).await;
    desk.online().await;
    desk.job().await.settle(done());
    assert_eq!(desk.ended("later").await.outcome, Some(Outcome::Done));
    assert_eq!(desk.submit("later").await.outcome, Some(Outcome::Done), "the stored result");
}

#[tokio::test]
async fn an_adapter_is_not_woken_by_what_concerns_another() {
    let mut desk = Desk::new().await;
    let mut attic = desk.commands.port("modbus.attic");
    attic.ready().await;
    assert!(attic.take().await.is_none());
    // What the devices told at the start may still be on its way.
    desk.submit("first").await;
    desk.job().await.settle(done());
    desk.ended("first").await;
    while tokio::time::timeout(Duration::from_millis(50), attic.ready()).await.is_ok() {
        assert!(attic.take().await.is_none());
    }
    desk.submit("second").await;
    desk.job().await.settle(done());
    desk.ended("second").await;
    assert!(tokio::time::timeout(Duration::ZERO, attic.ready()).await.is_err());
}
