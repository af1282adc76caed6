//! A register device on a socket and the whole driver before it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use adapter_api::{
    Asked, Clock, Counter, DeviceId, DeviceInfo, Driver, Job, Moment, Parameters, Purpose, ReadBack, Reading,
    Store, UnitId, Value, Wanted, Wear, Written,
    profile::{Function, Profile, builtin, install, known},
};

use super::profiles::all_registers;
use crate::{
    driver::ModbusDriver,
    testing::{Hands, Notes, Peer},
};

pub(super) struct Bench {
    pub peer: Peer,
    pub driver: ModbusDriver,
    pub unit: u8,
    pub notes: Notes,
    tables: String,
    /// Monotonic ms.
    pub time: Arc<Mutex<u64>>,
}

/// Makes a profile known under a name that no other test has.
pub(super) fn profile(text: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    static OWN: Mutex<BTreeMap<String, Profile>> = Mutex::new(BTreeMap::new());
    let name = format!("own-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut own = OWN.lock().unwrap();
    own.insert(name.clone(), Profile::parse(&name, text).unwrap());
    install(own.clone());
    name
}

impl Bench {
    /// A device with all registers of the profile, which show 0; `keys` go into its table.
    pub async fn of(profile: &str, keys: &str) -> Self {
        let peer = Peer::start().await;
        let known = known().get(profile).or_else(|| builtin().get(profile)).unwrap();
        let mut registers = all_registers(known);
        registers.sort_unstable();
        let mut before: Option<(Function, u16)> = None;
        for (function, start, count) in registers {
            // What lies between two of them is read along.
            let bridged = before.filter(|(table, end)| *table == function && *end < start);
            let bridged = bridged.filter(|(_, end)| start - end <= known.limits.gap);
            let from = bridged.map_or(start, |(_, end)| end);
            let (words, unit) = (vec![0; usize::from(start - from + count)], known.unit);
            match function {
                Function::Holding => peer.holding(unit, from, &words),
                Function::Input => peer.input(unit, from, &words),
            }
            let end = start.saturating_add(count);
            let furthest =
                before.filter(|(table, _)| *table == function).map_or(end, |(_, old)| old.max(end));
            before = Some((function, furthest));
        }
        let tables = format!("[device.it]\nprofile = '{profile}'\ncontrol = true\n{keys}");
        let (unit, notes, time) = (known.unit, Notes::default(), Arc::new(Mutex::new(1)));
        let driver = driver(&peer, &tables, &notes, &time);
        Self { peer, driver, unit, notes, tables, time }
    }

    /// A process that never saw the device, with the notes of the one before.
    pub fn restart(&mut self) {
        self.driver = driver(&self.peer, &self.tables, &self.notes, &self.time);
    }

    pub fn unit_id(&self) -> UnitId {
        UnitId::from(format!("home/{}", self.unit))
    }

    pub async fn probe(&mut self) -> Vec<DeviceInfo> {
        let unit = self.unit_id();
        self.driver.probe(&unit).await.unwrap()
    }

    pub async fn readings(&mut self) -> Vec<Reading> {
        let unit = self.unit_id();
        self.driver.read(&unit, Wanted::All).await.unwrap()
    }

    /// All points by device and name.
    pub async fn read(&mut self) -> BTreeMap<String, BTreeMap<String, Value>> {
        let points = |reading: Reading| {
            let points = reading.points.into_iter();
            points.map(|(name, value)| (name.as_str().to_owned(), value)).collect()
        };
        let readings = self.readings().await.into_iter();
        readings.map(|reading| (reading.device.to_string(), points(reading))).collect()
    }

    pub fn disbelieved(&mut self) -> Vec<(String, Counter, u64)> {
        let all = self.driver.disbelieved().into_iter();
        all.map(|(device, counter, times)| (device.to_string(), counter, times)).collect()
    }

    /// How a write went, in words.
    pub async fn write(&mut self, job: &Job) -> String {
        match self.driver.write(job).await {
            Written::Sent { .. } => "Sent".to_owned(),
            other => format!("{other:?}"),
        }
    }

    pub async fn read_back(&mut self, job: &Job) -> String {
        match self.driver.read_back(job).await {
            ReadBack::Nothing => "Nothing".to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// The writes that left since the last look at them: function, register, words.
    pub fn writes(&self) -> Vec<(u8, u16, Vec<u16>)> {
        let seen = self.peer.seen().into_iter().filter(|seen| matches!(seen.function, 6 | 16));
        seen.map(|seen| (seen.function, seen.start, seen.words)).collect()
    }
}

fn driver(peer: &Peer, tables: &str, notes: &Notes, time: &Arc<Mutex<u64>>) -> ModbusDriver {
    let time = Arc::clone(time);
    let clock = Clock::new("boot", move || {
        let mono_ms = *time.lock().unwrap();
        Moment { wall_ms: 1_000 + i64::try_from(mono_ms).unwrap(), mono_ms }
    });
    ModbusDriver::new("home", &peer.settings(tables), clock, Store::new(notes.clone())).unwrap()
}

pub(super) fn value(given: &toml::Value) -> Value {
    match given {
        toml::Value::Boolean(on) => Value::Bool(*on),
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::Number(*number as f64),
        other => Value::Number(other.as_float().unwrap()),
    }
}

pub(super) fn job(
    unit: UnitId,
    device: &str,
    command: &str,
    parameters: &[(&str, Value)],
    timer: Option<u64>,
) -> Job {
    asked(unit, device, command, parameters, timer, Purpose::Execute)
}

pub(super) fn asked(
    unit: UnitId,
    device: &str,
    command: &str,
    parameters: &[(&str, Value)],
    timer: Option<u64>,
    purpose: Purpose,
) -> Job {
    job_of(unit, device, command, parameters, timer, (purpose, Wear::None))
}

pub(super) fn worn(
    unit: UnitId,
    device: &str,
    command: &str,
    parameters: &[(&str, Value)],
    timer: Option<u64>,
    wear: Wear,
) -> Job {
    job_of(unit, device, command, parameters, timer, (Purpose::Execute, wear))
}

fn job_of(
    unit: UnitId,
    device: &str,
    command: &str,
    parameters: &[(&str, Value)],
    timer: Option<u64>,
    (purpose, wear): (Purpose, Wear),
) -> Job {
    let parameters = parameters.iter().map(|(name, value)| (Arc::from(*name), value.clone()));
    let asked = Asked {
        number: 1,
        device: DeviceId::new(device).unwrap(),
        unit,
        command: Arc::from(command),
        parameters: Parameters(parameters.collect()),
        purpose,
        verify_for: Duration::ZERO,
        timer: timer.map(Duration::from_secs),
        wear,
        relative: false,
    };
    Job::new(asked, Hands)
}
