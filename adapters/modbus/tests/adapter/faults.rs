//! Whatever stands between the adapter and its devices: no wrong value is ever published, and the first
//! poll after it ended brings the right ones. A thousand requests for each fault.

use std::{net::SocketAddr, time::Duration};

use adapter_api::{Reading, profile};
use simulator::{ConverterSettings, Fault, Line, LineSettings, Port, RegisterMap, Scope, Server, Units};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::ear::{Running, Told};

const REQUESTS: u64 = 1_000;
const UNITS: [u8; 2] = [1, 2];
/// How long a fault hits every request, too short for a unit to be set aside.
const STORM: Duration = Duration::from_millis(1_500);
/// Later than an answer may be.
const LATE: Duration = Duration::from_millis(65);
/// Later than the link leaves a converter alone: into the next connection's first question.
const LATER: Duration = Duration::from_millis(365);
/// The next poll is due in 25 ms, on a machine that does nothing else.
const RECOVERY: Duration = Duration::from_secs(5);
/// Chance may have hit one unit alone for so long that it was set aside.
const SET_ASIDE: Duration = Duration::from_secs(15);
/// Values that were refused by themselves are looked at again by then.
const LOOK: Duration = Duration::from_secs(3_601);

/// Every value says where it stands, unit and register, and is one that its point can have: the power factor's
/// is small.
fn value(unit: u8, register: u16) -> f32 {
    const POWER_FACTOR: u16 = 62;
    let place = f32::from(u16::from(unit) * 100 + register);
    if register == POWER_FACTOR { place / 1024.0 } else { 40.0 + place / 16.0 }
}

fn units() -> Units {
    let map = |unit: u8| {
        let words = (0..80).step_by(2).flat_map(|register| {
            let bits = value(unit, register).to_bits();
            [(bits >> 16) as u16, bits as u16]
        });
        RegisterMap::new().input(0, &words.collect::<Vec<_>>())
    };
    UNITS.into_iter().fold(Units::default(), |units, unit| units.and(unit, map(unit)))
}

fn tables(address: &str) -> String {
    let device =
        |unit| format!("[device.m{unit}]\nprofile = 'eastron-sdm630'\nunit = {unit}\nusage = 'grid'\n");
    let devices: String = UNITS.into_iter().map(device).collect();
    format!("address = '{address}'\ninterval = '25ms'\ntimeout = '40ms'\n{devices}")
}

/// Fails unless every value of the reading stands where its name says; true when none is missing.
fn check(reading: &Reading, after: &str) -> bool {
    let unit: u8 = reading.device.as_str()[1..].parse().unwrap();
    let points = &profile::builtin()["eastron-sdm630"].points;
    for (name, point) in points {
        let seen = reading.point(name).map(|value| value.number());
        let right = Some(f64::from(value(unit, point.first().span().0)));
        assert!(seen.is_none_or(|seen| seen == right), "{after}: {name} of {unit} is {seen:?}");
    }
    reading.points.len() == points.len()
}

fn asked(port: &Port) -> u64 {
    UNITS.iter().map(|unit| port.traffic(*unit).requests).sum()
}

/// What hits a link, and what it may cost.
#[derive(Clone, Copy)]
struct Soak {
    fault: Fault,
    /// Every so many requests; and some two in a row beside, should that be asked.
    every: u32,
    in_a_row: bool,
    /// Requests beyond the two polls that may pass before both units are read again: one that was under
    /// way, and on a line one that makes sure of each unit.
    spare: u64,
}

impl Soak {
    fn every_third(fault: Fault, spare: u64) -> Self {
        Self { fault, every: 3, in_a_row: false, spare }
    }

    /// A unit that says that it has no such registers must be believed: for a while, values are missing.
    fn hides(self) -> bool {
        matches!(self.fault, Fault::Exception(2..=4))
    }

    /// Hears until the condition holds; all that is published must be right. Counts readings.
    async fn hear(self, adapter: &mut Running, what: &str, mut enough: impl FnMut() -> bool) -> u64 {
        let mut heard = 0;
        while !enough() {
            // Not for ever on a silent adapter: the condition may hold by now.
            let Ok(told) = timeout(Duration::from_millis(200), adapter.hear()).await else { continue };
            if let Told::Readings(readings) = told {
                for reading in &readings {
                    assert!(check(reading, what) || self.hides(), "{what}: {reading:?} lacks values");
                }
                heard += readings.len() as u64;
            }
        }
        heard
    }

    /// Both units were read since, whole.
    async fn both(self, adapter: &mut Running, what: &str, within: Duration) {
        let mut seen = [false; 2];
        let reading = async {
            while seen.contains(&false) {
                if let Told::Readings(readings) = adapter.hear().await {
                    for reading in readings {
                        let whole = check(&reading, what);
                        assert!(whole || self.hides(), "{what}: {reading:?} lacks values");
                        seen[usize::from(reading.device.as_str() == "m2")] |= whole;
                    }
                }
            }
        };
        let done = timeout(within, reading).await;
        assert!(done.is_ok(), "{what}: both must be read again, {seen:?} were");
    }

    /// One fault on one link.
    async fn run(self, address: String, port: Port) {
        let what = format!("{:?} at {address}, in a row: {}", self.fault, self.in_a_row);
        let mut adapter = Running::start(&tables(&address));
        self.both(&mut adapter, &what, RECOVERY).await;
        let before = asked(&port);
        port.fault(self.fault, Scope::ALL.every(self.every));
        if self.in_a_row {
            port.fault(self.fault, Scope::ALL.every(self.every + 1));
        }
        let heard = self.hear(&mut adapter, &what, || asked(&port) - before >= REQUESTS).await;
        // A unit that is late answers what was asked meanwhile into the next questions.
        assert!(heard > REQUESTS / 50, "{what}: only {heard} readings between the faults");
        port.clear_faults();
        if self.in_a_row {
            adapter.later(LOOK);
        }
        self.both(&mut adapter, &what, if self.hides() { RECOVERY } else { SET_ASIDE }).await;

        port.fault(self.fault, Scope::ALL);
        let end = Instant::now() + STORM;
        self.hear(&mut adapter, &what, || Instant::now() >= end).await;
        port.clear_faults();
        self.recovers(&mut adapter, &port, &what).await;
        adapter.stop().await;
    }

    /// The fault ended now.
    async fn recovers(self, adapter: &mut Running, port: &Port, what: &str) {
        let before = asked(port);
        self.both(adapter, what, RECOVERY).await;
        let after = asked(port) - before;
        let most = UNITS.len() as u64 + self.spare;
        assert!(after <= most, "{what}: {after} requests until both were read again");
    }
}

/// Values that were refused are searched for in the polls that follow.
const SEARCH: u64 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_over_tcp_makes_a_wrong_value_and_the_next_poll_is_good() {
    let mut soaks = JoinSet::new();
    for fault in [
        Fault::Delay(LATE),
        Fault::Silence { executed: true },
        Fault::HalfOpen,
        Fault::Reset,
        Fault::Close { executed: true },
        Fault::OtherTransaction,
        Fault::OtherUnit,
        Fault::OtherFunction,
        Fault::Protocol(7),
        Fault::FewerRegisters,
        Fault::MoreRegisters(1),
        Fault::MissingBytes,
        Fault::LyingCount,
        Fault::Garbage,
        Fault::Tail,
        Fault::Torn,
        Fault::Exception(6),
        Fault::Exception(11),
    ] {
        soaks.spawn(over_tcp(Soak::every_third(fault, 2)));
    }
    soaks.spawn(one_client_only());
    soaks.join_all().await;
}

async fn over_tcp(soak: Soak) {
    let server = Server::start("127.0.0.1:0".parse().unwrap(), units()).await.unwrap();
    soak.run(format!("tcp://{}", server.addr()), server.port().clone()).await;
}

/// What is refused once is asked again at once; what is refused several times in a row is missing for an
/// hour at the most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_refuses_now_and_then_keeps_all_its_values() {
    let mut soaks = JoinSet::new();
    for fault in [Fault::Exception(2), Fault::Exception(4)] {
        let soak = Soak { spare: SEARCH, ..Soak::every_third(fault, SEARCH) };
        soaks.spawn(over_tcp(soak));
        soaks.spawn(over_tcp(Soak { in_a_row: true, ..soak }));
        soaks.spawn(on_a_line(soak));
    }
    soaks.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_on_a_line_makes_a_wrong_value_and_the_next_poll_is_good() {
    let mut soaks = JoinSet::new();
    for fault in [
        Fault::Delay(LATE),
        Fault::Silence { executed: true },
        Fault::OtherUnit,
        Fault::OtherFunction,
        Fault::Crc,
        Fault::FewerRegisters,
        Fault::MoreRegisters(1),
        Fault::MissingBytes,
        Fault::LyingCount,
        Fault::Garbage,
        Fault::Noise,
        Fault::Torn,
        Fault::Exception(6),
    ] {
        // Each failure costs the time for which a line is left alone.
        soaks.spawn(on_a_line(Soak { every: 8, ..Soak::every_third(fault, 6) }));
    }
    soaks.join_all().await;
}

async fn on_a_line(soak: Soak) {
    let latency = Duration::from_millis(1);
    let settings = LineSettings { baud: 115_200, latency, units: units(), ..LineSettings::default() };
    let line = Line::start(settings).unwrap();
    soak.run(format!("rtu://{}?baud=115200", line.path()), line.port().clone()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_behind_a_converter_makes_a_wrong_value_and_the_next_poll_is_good() {
    let mut soaks = JoinSet::new();
    for fault in [
        Fault::Delay(LATE),
        Fault::Delay(LATER),
        Fault::Silence { executed: true },
        Fault::HalfOpen,
        Fault::Reset,
        Fault::Close { executed: true },
        Fault::OtherUnit,
        Fault::OtherFunction,
        Fault::Crc,
        Fault::FewerRegisters,
        Fault::MoreRegisters(1),
        Fault::MissingBytes,
        Fault::LyingCount,
        Fault::Garbage,
        Fault::Noise,
        Fault::Tail,
        Fault::Torn,
        Fault::Exception(6),
    ] {
        soaks.spawn(async move {
            let settings = ConverterSettings::default();
            let server = Server::start_rtu("127.0.0.1:0".parse().unwrap(), units(), settings).await.unwrap();
            // Each failure costs the time for which a converter is left alone.
            let soak = Soak { every: 40, ..Soak::every_third(fault, 6) };
            soak.run(format!("rtu+tcp://{}", server.addr()), server.port().clone()).await;
        });
    }
    soaks.join_all().await;
}

/// Another client is the only one for a while, again and again, and once for long.
async fn one_client_only() {
    const ROUNDS: u64 = 10;
    let server = Server::start("127.0.0.1:0".parse().unwrap(), units()).await.unwrap();
    let port = server.port();
    let soak = Soak::every_third(Fault::OneClient, 2);
    let what = "one client only";
    let mut adapter = Running::start(&tables(&format!("tcp://{}", server.addr())));
    soak.both(&mut adapter, what, RECOVERY).await;
    port.fault(soak.fault, Scope::ALL);
    let begun = asked(port);
    for round in 1..=ROUNDS {
        soak.hear(&mut adapter, what, || asked(port) - begun >= REQUESTS * round / ROUNDS).await;
        let other = hold(server.addr(), port).await;
        let before = asked(port);
        let end = Instant::now() + if round == ROUNDS { STORM } else { STORM / 10 };
        soak.hear(&mut adapter, what, || Instant::now() >= end).await;
        assert_eq!(asked(port), before, "it is held");
        drop(other);
        soak.recovers(&mut adapter, port, what).await;
    }
    adapter.stop().await;
}

/// Takes the only place, as soon as it gets it.
async fn hold(address: SocketAddr, port: &Port) -> TcpStream {
    loop {
        port.disconnect();
        let Ok(mut other) = TcpStream::connect(address).await else { continue };
        // Who is not wanted is told by a closed connection.
        let told = timeout(Duration::from_millis(50), other.read_u8()).await;
        if told.is_err() && port.open_connections() == 1 {
            return other;
        }
    }
}
