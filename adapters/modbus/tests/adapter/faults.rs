//! Whatever stands between the adapter and its devices: no wrong value is ever published, and the first
//! poll after it ended brings the right ones. A thousand requests for each fault.

use std::time::Duration;

use adapter_api::{Reading, profile};
use simulator::{Fault, Line, LineSettings, Port, RegisterMap, Scope, Server, Units};
use tokio::task::JoinSet;

use crate::ear::{Running, Told};

const REQUESTS: u64 = 1_000;
const UNITS: [u8; 2] = [1, 2];
/// How long a fault hits every request, too short for a unit to be set aside.
const STORM: Duration = Duration::from_millis(1_500);
/// Later than an answer may be.
const LATE: Duration = Duration::from_millis(65);

/// Every value says where it stands: unit and register.
fn value(unit: u8, register: u16) -> f32 {
    f32::from(u16::from(unit) * 1_000 + register)
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

/// Fails unless every value of the reading stands where its name says.
fn check(reading: &Reading, after: &str) {
    let unit: u8 = reading.device.as_str()[1..].parse().unwrap();
    let points = &profile::builtin()["eastron-sdm630"].points;
    assert_eq!(reading.points.len(), points.len(), "{after}: {reading:?}");
    for (name, point) in points {
        let seen = reading.point(name).unwrap().number();
        assert_eq!(seen, Some(f64::from(value(unit, point.register))), "{after}: {name} of {unit}");
    }
}

fn asked(port: &Port) -> u64 {
    UNITS.iter().map(|unit| port.traffic(*unit).requests).sum()
}

/// Hears until the condition holds; all that is published must be right. Counts readings.
async fn hear(adapter: &mut Running, what: &str, mut enough: impl FnMut(u64) -> bool) -> u64 {
    let mut heard = 0;
    while !enough(heard) {
        // Not for ever on a silent adapter: the condition may hold by now.
        let Ok(told) = tokio::time::timeout(Duration::from_millis(200), adapter.hear()).await else {
            continue;
        };
        if let Told::Readings(readings) = told {
            readings.iter().for_each(|reading| check(reading, what));
            heard += readings.len() as u64;
        }
    }
    heard
}

/// Both units were read since.
async fn both(adapter: &mut Running, what: &str) {
    let mut seen = [false; 2];
    while seen.contains(&false) {
        if let Told::Readings(readings) = adapter.hear().await {
            for reading in readings {
                check(&reading, what);
                seen[usize::from(reading.device.as_str() == "m2")] = true;
            }
        }
    }
}

/// One fault on one link. `spare`: requests beyond the two polls that may pass before both units are
/// read again: one that was under way, and on a line one that makes sure of each unit.
async fn soak(address: String, port: Port, fault: Fault, spare: u64) {
    let what = format!("{fault:?} at {address}");
    let mut adapter = Running::start(&tables(&address));
    both(&mut adapter, &what).await;
    let before = asked(&port);
    port.fault(fault, Scope::ALL.every(3));
    let heard = hear(&mut adapter, &what, |_| asked(&port) - before >= REQUESTS).await;
    // A unit that is late answers what was asked meanwhile into the next questions.
    assert!(heard > REQUESTS / 50, "{what}: only {heard} readings between the faults");
    port.clear_faults();
    both(&mut adapter, &what).await;

    port.fault(fault, Scope::ALL);
    let end = tokio::time::Instant::now() + STORM;
    hear(&mut adapter, &what, |_| tokio::time::Instant::now() >= end).await;
    port.clear_faults();
    let before = asked(&port);
    both(&mut adapter, &what).await;
    let after = asked(&port) - before;
    assert!(after <= UNITS.len() as u64 + spare, "{what}: {after} requests until both were read again");
    adapter.stop().await;
}

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
        soaks.spawn(async move {
            let server = Server::start("127.0.0.1:0".parse().unwrap(), units()).await.unwrap();
            soak(format!("tcp://{}", server.addr()), server.port().clone(), fault, 2).await;
        });
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
        soaks.spawn(async move {
            let latency = Duration::from_millis(1);
            let settings = LineSettings { baud: 115_200, latency, units: units(), ..LineSettings::default() };
            let line = Line::start(settings).unwrap();
            soak(format!("rtu://{}?baud=115200", line.path()), line.port().clone(), fault, 6).await;
        });
    }
    soaks.join_all().await;
}
