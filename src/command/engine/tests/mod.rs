//! The engine with a disk and adapters that a test holds in its hands.

mod leases;
mod property;
mod rules;

use std::collections::BTreeMap;

use adapter_api::{
    Capability, CommandSpec, CommandStatus, ParameterKind, ParameterSpec, Parameters, Priority, Value,
};

use super::*;
use crate::{
    command::{
        LeaseLost, LeaseRequest, Request,
        tests::{roof, settings},
    },
    journal::{DeviceRow, JournalError, Stored},
};

/// What the journal holds.
#[derive(Default, Clone)]
struct Disk {
    commands: BTreeMap<u64, CommandRow>,
    notes: BTreeMap<(String, String), Vec<u8>>,
}

impl Disk {
    fn write(&mut self, changes: &[Change]) -> Vec<u64> {
        let write = |change: &Change| match change {
            Change::Insert(row) => {
                let number = self.commands.len() as u64 + 1;
                self.commands.insert(number, CommandRow { number, ..row.clone() });
                number
            }
            Change::Update(row) => {
                self.commands.insert(row.number, row.clone());
                row.number
            }
            Change::Note { space, key, value } => {
                let key = ((*space).to_owned(), key.clone());
                match value {
                    Some(value) => drop(self.notes.insert(key, value.clone())),
                    None => drop(self.notes.remove(&key)),
                }
                0
            }
            Change::BatchBegin { .. } | Change::BatchJoin { .. } | Change::BatchComplete { .. } => 0,
        };
        changes.iter().map(write).collect()
    }

    fn known(&self) -> Known {
        let standing = |status| {
            let rows = self.commands.values().filter(move |row| row.status == status);
            rows.cloned().collect::<Vec<_>>()
        };
        let notes = |space: &str| {
            let of = self.notes.iter().filter(|((of, _), _)| of == space);
            of.map(|((_, key), value)| (key.clone(), value.clone())).collect()
        };
        Known {
            in_flight: standing(CommandStatus::Executing),
            waiting: standing(CommandStatus::Pending),
            leases: notes("lease"),
            wear: notes("wear"),
            boot: notes("commands").pop().map(|(_, boot)| String::from_utf8(boot).unwrap()),
        }
    }

    fn id(&self, id: &str) -> CommandRow {
        self.commands.values().find(|row| row.id == id).expect("the command is on disk").clone()
    }
}

struct Bench {
    engine: Engine,
    disk: Disk,
    /// Commits on their way.
    sent: Vec<(Ticket, Vec<Change>, bool)>,
    /// The disk takes what comes at once.
    quick: bool,
    now: Moment,
    boot: String,
    devices: Vec<DeviceRow>,
    answers: HashMap<Token, Result<Accepted, Refusal>>,
    cancelled: HashMap<Token, Option<Result<Cancelled, Refusal>>>,
    hands: Vec<Taken>,
    results: Vec<Arc<CommandRow>>,
    progress: Vec<Arc<CommandRow>>,
    lost: Vec<Arc<LeaseLost>>,
    tokens: Token,
}

fn number(name: &str, max: f64) -> ParameterSpec {
    let kind = ParameterKind::Number { min: 0.0, max, step: 0.0, unit: "W".into() };
    ParameterSpec { name: name.into(), kind, required: false }
}

fn word(name: &str, words: &[&str]) -> ParameterSpec {
    let kind = ParameterKind::Word(words.iter().map(|word| (*word).into()).collect());
    ParameterSpec { name: name.into(), kind, required: true }
}

fn given(name: &str, value: impl Into<Value>) -> Parameters {
    Parameters([(name.into(), value.into())].into())
}

/// `roof` and its battery are one unit, `plug` is another.
fn devices() -> Vec<DeviceRow> {
    let set = CommandSpec {
        group: Some("limit".into()),
        idempotent: true,
        parameters: vec![number("power", 9000.0), word_or_none()],
        safe: Some(given("enabled", false)),
        ..CommandSpec::plain("set_limit", Capability::PowerControl)
    };
    let once = CommandSpec::plain("once", Capability::PowerControl);
    let mode = CommandSpec {
        group: Some("battery".into()),
        idempotent: true,
        leased: true,
        parameters: vec![
            word("mode", &["auto", "hold", "charge"]),
            number("power", 5000.0),
            number("until_soc", 100.0),
        ],
        safe: Some(given("mode", "auto")),
        wears: true,
        ..CommandSpec::plain("set_battery_mode", Capability::EnergyStorage)
    };
    let power = CommandSpec {
        parameters: vec![number("power", 5000.0)],
        name: "set_battery_power".into(),
        ..mode.clone()
    };
    let reserve = CommandSpec {
        group: Some("reserve".into()),
        idempotent: true,
        persistent: true,
        parameters: vec![number("soc", 100.0)],
        ..CommandSpec::plain("set_reserve", Capability::EnergyStorage)
    };
    let switch = |name: &str, relative: bool| CommandSpec {
        group: Some("switch".into()),
        idempotent: !relative,
        relative,
        ..CommandSpec::plain(name, Capability::Switch)
    };
    let info = |id: &str, unit: &str, commands: Vec<CommandSpec>| DeviceRow {
        info: DeviceInfo {
            id: DeviceId::new(id).unwrap(),
            unit: unit.into(),
            commands,
            bounds: adapter_api::Bounds { charge: Some(4000.0), ..Default::default() },
            ..roof()
        },
        adapter: "modbus.roof".into(),
        availability: None,
        problem: None,
        seen_at: None,
    };
    let refresh = CommandSpec::refresh(Capability::PowerControl);
    vec![
        info("roof", "roof/1", vec![set, once, refresh]),
        info("roof-battery", "roof/1", vec![mode, power, reserve]),
        info(
            "plug",
            "plug/1",
            vec![switch("turn_on", false), switch("turn_off", false), switch("toggle", true)],
        ),
    ]
}

fn word_or_none() -> ParameterSpec {
    ParameterSpec { name: "enabled".into(), kind: ParameterKind::Bool, required: false }
}

impl Bench {
    fn new() -> Self {
        let now = Moment { wall_ms: 1_800_000_000_000, mono_ms: 1_000_000 };
        let engine = Engine::start(settings(), "boot-1", Known::default(), now);
        // Its first commit is the id of the boot.
        let mut bench = Self {
            engine,
            disk: Disk::default(),
            sent: Vec::new(),
            quick: true,
            now,
            boot: "boot-1".into(),
            devices: devices(),
            answers: HashMap::new(),
            cancelled: HashMap::new(),
            hands: Vec::new(),
            results: Vec::new(),
            progress: Vec::new(),
            lost: Vec::new(),
            tokens: 0,
        };
        bench.online(true);
        bench
    }

    fn online(&mut self, online: bool) {
        let device = |row: &DeviceRow| Device {
            info: Arc::new(row.info.clone()),
            adapter: row.adapter.clone(),
            online,
            problem: None,
        };
        self.engine.devices_changed(self.devices.iter().map(device).collect(), self.now);
        self.perform();
    }

    /// As kill -9, and a new start; in another boot when it is named.
    fn restart(&mut self, boot: Option<&str>) {
        self.sent.clear();
        self.hands.clear();
        if let Some(boot) = boot {
            self.boot = boot.to_owned();
            self.now.mono_ms = 5_000;
        }
        self.engine = Engine::start(settings(), &self.boot, self.disk.known(), self.now);
        self.online(true);
    }

    fn pass(&mut self, ms: u64) {
        self.now.wall_ms += ms as i64;
        self.now.mono_ms += ms;
        self.engine.time(self.now);
        self.perform();
    }

    fn perform(&mut self) {
        loop {
            let actions = self.engine.actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                match action {
                    Action::Commit { ticket, mut changes, setpoints, registers, must } => {
                        changes.extend(self.engine.notes(&setpoints, &registers));
                        self.sent.push((ticket, changes, must));
                        if self.quick {
                            self.commit_one(true);
                        }
                    }
                    Action::Answer(to, answer) => drop(self.answers.insert(to, answer)),
                    Action::Hand(_, Some(taken)) => self.hands.push(*taken),
                    Action::Cancelled(to, answer) => drop(self.cancelled.insert(to, answer)),
                    Action::Notice(Notice::Result(row)) => self.results.push(row),
                    Action::Notice(Notice::Progress(row)) => self.progress.push(row),
                    Action::Notice(Notice::LeaseLost(lost)) => self.lost.push(lost),
                    Action::Notice(Notice::Batch(_)) | Action::Hand(_, None) => {}
                    Action::Kept(..) | Action::CheckBatch(_) | Action::Wake(_) => {}
                }
            }
        }
    }

    /// The oldest commit reaches the disk, or fails where it may.
    fn commit_one(&mut self, works: bool) {
        if self.sent.is_empty() {
            return;
        }
        let (ticket, changes, must) = self.sent.remove(0);
        let result = if works || must { Ok(self.disk.write(&changes)) } else { Err(JournalError::Stopped) };
        self.engine.committed(ticket, result, self.now);
    }

    fn commit_all(&mut self) {
        while !self.sent.is_empty() {
            self.commit_one(true);
            self.perform();
        }
    }

    fn ask(&mut self, request: Request) -> Token {
        self.tokens += 1;
        let token = self.tokens;
        let device = self.devices.iter().find(|row| row.info.id == *request.device.as_str()).cloned();
        self.engine.admit(request, device.as_ref(), Vec::new, token, self.now);
        self.perform();
        token
    }

    fn accept(&mut self, request: Request) -> Arc<CommandRow> {
        let token = self.ask(request);
        self.answers.remove(&token).expect("an answer").expect("accepted").row().clone()
    }

    fn refuse(&mut self, request: Request) -> Refusal {
        let token = self.ask(request);
        self.answers.remove(&token).expect("an answer").expect_err("refused")
    }

    /// The adapter takes what is next.
    fn take(&mut self) -> Option<Taken> {
        self.tokens += 1;
        self.engine.take("modbus.roof", self.tokens, self.now);
        self.perform();
        self.hands.pop()
    }

    fn taken(&mut self) -> Taken {
        self.take().expect("something is due")
    }

    fn settle(&mut self, taken: Taken, outcome: WriteOutcome) {
        self.settle_worn(taken, outcome, false);
    }

    /// As an adapter that has told whether something wore.
    fn settle_worn(&mut self, taken: Taken, outcome: WriteOutcome, wore: bool) {
        self.engine.settled(taken.what, Some(outcome), wore, self.now);
        self.perform();
    }

    /// Takes what is next and it works.
    fn work(&mut self) -> Taken {
        let taken = self.taken();
        let copy = Taken { what: taken.what.clone(), asked: taken.asked.clone() };
        self.settle(taken, done());
        copy
    }

    fn power(&mut self, watts: f64) {
        self.reading("activePower", watts);
    }

    fn reading(&mut self, point: &str, value: f64) {
        let now = self.now;
        let stored = Stored {
            number: now.mono_ms,
            reading: adapter_api::Reading {
                device: DeviceId::new("roof-battery").unwrap(),
                points: vec![(point.into(), Value::Number(value))],
                quality: adapter_api::Quality::Good,
                measured_at: now,
                source: adapter_api::MeasurementSource::Device,
            },
            energy: crate::journal::Energy {
                basis: crate::journal::EnergyBasis::None,
                consumed: Default::default(),
                produced: Default::default(),
            },
        };
        self.engine.readings(|id| (id.as_str() == "roof-battery").then(|| stored.clone()), now);
        self.perform();
    }

    fn cancel(&mut self, id: &str) -> Option<Result<Cancelled, Refusal>> {
        self.tokens += 1;
        self.engine.cancel(id, "cli:me", self.tokens, self.now);
        self.perform();
        self.cancelled.remove(&self.tokens).expect("an answer")
    }

    fn result(&self, id: &str) -> &CommandRow {
        let mut of = self.results.iter().filter(|row| row.id == id);
        let row = of.next().unwrap_or_else(|| panic!("{id} has not ended"));
        assert!(of.next().is_none(), "{id} ended twice");
        row
    }
}

fn request(id: &str, device: &str, command: &str, parameters: Parameters) -> Request {
    Request { id: Some(id.into()), ..Request::new(device, command, parameters, "mqtt:a") }
}

fn limit(id: &str, power: f64) -> Request {
    request(id, "roof", "set_limit", given("power", power))
}

fn mode(id: &str, owner: &str, word: &str, seconds: u64) -> Request {
    let mut parameters = given("mode", word);
    if word == "charge" {
        parameters.0.insert("power".into(), Value::Number(2000.0));
    }
    let lasts = std::time::Duration::from_secs(seconds);
    let lease = Some(LeaseRequest { lasts, revert: None });
    Request { owner: owner.into(), lease, ..request(id, "roof-battery", "set_battery_mode", parameters) }
}

fn done() -> WriteOutcome {
    WriteOutcome::Done { observed: Parameters::default(), verified: true, written: true }
}

fn not_applied(sent: bool) -> WriteOutcome {
    WriteOutcome::NotApplied { reason: "busy".into(), sent }
}
