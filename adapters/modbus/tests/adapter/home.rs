//! Discovery, polls, commands with their proof, and a stop, against the simulated home.

use std::time::Duration;

use adapter_api::{Availability, Purpose, Reading, Value, WriteOutcome};
use simulator::{BatteryMode, EndModel, Fault, Home, HomeSettings, Scope, SunSpecSettings, Wiring};
use tokio::time::timeout;

use crate::ear::{Running, Told, VERIFY_FOR};

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
