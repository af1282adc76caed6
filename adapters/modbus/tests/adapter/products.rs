//! Every profile against its simulated product: its signs by charging, discharging, importing and exporting, its
//! counters by a day, each of its commands by what the plant does, and what happens when nobody writes any more.

use std::{collections::BTreeMap, time::Duration};

use adapter_api::{
    Clock, DeviceType, Driver, Moment, Parameters, Purpose, Reading, Store, UnitId, Value, Wanted,
    WriteOutcome,
    profile::{self, Profile, Quantity, Setpoint},
};
use simulator::{BatteryMode, PlantSettings, Product, ProductSettings};

use tokio::task::JoinSet;

use crate::ear::{Notes, Running};

/// Every profile.
fn products() -> impl Iterator<Item = &'static Profile> {
    profile::builtin().values()
}

/// Batteries whose registers have no power.
const POWERLESS: [&str; 2] = ["byd-hvs-hvm", "pylontech-powercube-m2"];
/// Devices, or parts of them, whose registers have no lifetime counter for one of the two ways: energy is integrated
/// there, or not known.
const UNCOUNTED: &[&str] = &[
    "carlo-gavazzi-em24 energyProducedTotal",
    "pylontech-powercube-m2 energyConsumedTotal",
    "pylontech-powercube-m2 energyProducedTotal",
    "sma-hybrid energyProducedTotal",
    "solaredge-storedge energyProducedTotal",
    "solis-hybrid energyProducedTotal",
    "solis-hybrid-s energyProducedTotal",
    "victron-gx-system energyProducedTotal",
    "victron-gx-system-battery energyConsumedTotal",
    "victron-gx-system-battery energyProducedTotal",
    "victron-gx-system-grid energyConsumedTotal",
    "victron-gx-system-grid energyProducedTotal",
    "victron-gx-vebus energyConsumedTotal",
    "victron-gx-vebus energyProducedTotal",
];

async fn product(profile: &Profile, soc: f64) -> Product {
    let plant = PlantSettings { soc, ..PlantSettings::default() };
    // It takes the function that its profile writes with, and no request too soon.
    let settings = ProductSettings { plant, strict: true, ..ProductSettings::default() };
    Product::start(&profile.name, settings).await.unwrap()
}

fn tables(product: &Product, profile: &Profile) -> String {
    format!(
        "address = 'tcp://{}'\ninterval = '100ms'\ntimeout = '2s'\nspacing = '0s'\n[device.it]\nprofile = '{}'\nunit = {}\n\
         control = true\nmax_power = 6000\ncharge_power = 3000\ndischarge_power = 3000\n",
        product.addr(),
        profile.name,
        product.unit()
    )
}

/// The adapter's driver for it; one for all reads, for some devices have room for one client.
fn driver(product: &Product, profile: &Profile) -> (impl Driver + use<>, UnitId) {
    let settings: adapter_modbus::Settings = toml::from_str(&tables(product, profile)).unwrap();
    assert_eq!(settings.check(), [], "{}", profile.name);
    let clock = Clock::new("boot", || Moment { wall_ms: 7, mono_ms: 7 });
    let store = Store::new(Notes::default());
    let driver = adapter_modbus::driver("home", &settings, clock, store).unwrap();
    (driver, UnitId::from(format!("home/{}", product.unit())))
}

/// All readings of now, by part.
async fn read((driver, unit): &mut (impl Driver, UnitId), profile: &Profile) -> BTreeMap<String, Reading> {
    driver.probe(unit).await.unwrap_or_else(|fault| panic!("{}: {fault}", profile.name));
    let readings = driver.read(unit, Wanted::All).await;
    let readings = readings.unwrap_or_else(|fault| panic!("{}: {fault}", profile.name));
    let part = |reading: Reading| (reading.device.as_str().trim_start_matches("it").to_owned(), reading);
    readings.into_iter().map(part).collect()
}

fn number(reading: &Reading, point: &str) -> Option<f64> {
    reading.point(point).and_then(Value::number)
}

/// The plant's power of a part, with the canonical sign.
fn power(profile: &Profile, part: &str, product: &Product) -> f64 {
    let now = product.now();
    match (part, profile.device_type) {
        ("-battery", _) | ("", DeviceType::BatteryPack) => now.battery,
        ("-grid", _) | ("", DeviceType::EnergyMeter) => now.grid,
        _ => now.pv,
    }
}

#[tokio::test]
async fn signs_are_right_while_it_charges_discharges_imports_and_exports() {
    // Side by side: most of it is waiting for pauses that the profiles ask for.
    let mut tasks = JoinSet::new();
    for profile in products() {
        // Sun, load, state of charge; what the battery and the grid do then.
        for scene in [
            [4000.0, 1000.0, 50.0, -3000.0, 0.0],
            [0.0, 1500.0, 50.0, 1500.0, 0.0],
            [0.0, 2000.0, 4.9, 0.0, 2000.0],
            [4000.0, 1000.0, 100.0, 0.0, -3000.0],
        ] {
            tasks.spawn(signs(profile, scene));
        }
    }
    all_ended(tasks).await;
}

async fn signs(profile: &'static Profile, [sun, load, soc, charges, imports]: [f64; 5]) {
    let product = product(profile, soc).await;
    product.hold(Some(sun), Some(load));
    let now = product.now();
    if profile.parts.contains_key("battery") || profile.device_type == DeviceType::BatteryPack {
        assert_eq!((now.battery, now.grid), (charges, imports), "{}: the plant", profile.name);
    }
    let readings = read(&mut driver(&product, profile), profile).await;
    assert!(!readings.is_empty(), "{} reads nothing", profile.name);
    for (part, reading) in &readings {
        let Some(shown) = number(reading, "activePower") else {
            assert!(POWERLESS.contains(&&*profile.name), "{}{part} has no power", profile.name);
            continue;
        };
        let is = power(profile, part, &product);
        // The coarsest register counts in 10 W on each of three phases.
        assert!((shown - is).abs() <= 30.0, "{}{part} shows {shown} W and it is {is} W", profile.name);
    }
    let parts: Vec<_> = profile.parts.keys().map(|part| format!("-{part}")).collect();
    assert!(parts.iter().all(|part| readings.contains_key(part)), "{}: {:?}", profile.name, readings.keys());
    product.stop().await;
}

/// Waits for all; what failed is told together.
async fn all_ended(mut tasks: JoinSet<()>) {
    assert!(!tasks.is_empty());
    let mut wrong = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        wrong.extend(ended.err().map(|error| error.to_string()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn counters_count_a_day_as_the_plant_does() {
    let mut uncounted = Vec::new();
    for profile in products() {
        let product = product(profile, 50.0).await;
        let mut driver = driver(&product, profile);
        let (before, first) = (read(&mut driver, profile).await, product.now().counters);
        product.skip(Duration::from_secs(86_400));
        let (after, last) = (read(&mut driver, profile).await, product.now().counters);
        for (part, reading) in &after {
            let moved = match (part.as_str(), profile.device_type) {
                ("-battery", _) | ("", DeviceType::BatteryPack) => {
                    [last.charged_wh() - first.charged_wh(), last.discharged_wh() - first.discharged_wh()]
                }
                ("-grid", _) | ("", DeviceType::EnergyMeter) => {
                    [last.imported_wh() - first.imported_wh(), last.exported_wh() - first.exported_wh()]
                }
                _ => [0.0, last.pv_wh() - first.pv_wh()],
            };
            for (name, moved) in ["energyConsumedTotal", "energyProducedTotal"].into_iter().zip(moved) {
                let what = format!("{}{part} {name}", profile.name);
                let (is, counted) = (moved / 1000.0, number(reading, name).zip(number(&before[part], name)));
                let Some(counted) = counted.map(|(after, before)| after - before) else {
                    // What a producer uses itself is no energy of the home.
                    uncounted.extend((moved > 0.0).then_some(what));
                    continue;
                };
                assert!(is > 2.0, "{what}: nothing moved");
                // The coarsest counter counts whole kWh.
                assert!((counted - is).abs() <= 1.1, "{what}: {counted} kWh, and it was {is}");
            }
        }
        product.stop().await;
    }
    assert_eq!(uncounted, UNCOUNTED);
}

/// A command that brings about a state, and what the battery does then, W; none: it is no battery state.
fn asked(group: &str, state: &str) -> Option<(String, Vec<(&'static str, Value)>)> {
    let mode = |word: &str| ("set_battery_mode".to_owned(), vec![("mode", Value::from(word))]);
    Some(match (group, state) {
        ("battery", "charge" | "discharge") => {
            let (name, mut parameters) = mode(state);
            parameters.push(("power", Value::from(2000.0)));
            (name, parameters)
        }
        ("battery", "idle") => ("set_battery_power".to_owned(), vec![("power", Value::from(0.0))]),
        ("battery", word) => mode(word),
        ("reserve", "soc") => ("set_reserve".to_owned(), vec![("soc", Value::from(30.0))]),
        (limit, "limit") => (format!("set_{limit}"), vec![("power", Value::from(1200.0))]),
        _ => return None,
    })
}

/// Has the plant come to the state? At night (no sun) or by day, with 1000 W of load.
fn is_so(product: &Product, group: &str, state: &str, by_day: bool) -> Result<(), String> {
    let now = product.now();
    let close = |is: f64, wanted: f64| (is - wanted).abs() <= 150.0;
    let ok = match (group, state) {
        ("battery", "charge") => now.battery <= -1850.0,
        ("battery", "discharge") => now.battery >= 1850.0,
        ("battery", "idle") => close(now.battery, 0.0),
        ("battery", "hold") if by_day => now.battery < -500.0,
        ("battery", "hold") => close(now.battery, 0.0),
        ("battery", "hold_charge") if by_day => close(now.battery, 0.0),
        ("battery", "hold_charge" | "auto") if !by_day => close(now.battery, 1000.0),
        ("battery", _) => now.battery < -500.0,
        ("power_limit", "limit") => (1_100.0..=1_260.0).contains(&now.inverter),
        ("export_limit", "limit") => (-1_260.0..=-1_100.0).contains(&now.grid),
        ("reserve", "soc") => now.reserve == 30.0,
        other => panic!("{other:?} is not known here"),
    };
    if ok { Ok(()) } else { Err(format!("{state} (day: {by_day}) and the plant is at {now:?}")) }
}

#[tokio::test]
async fn each_command_does_what_its_name_says_and_a_dead_gateway_leaves_what_the_profile_says() {
    let mut tasks = JoinSet::new();
    for profile in products() {
        for (group, setpoint) in &profile.setpoints {
            for state in setpoint.states.keys().filter(|state| *state != "auto" && *state != "off") {
                // A limit binds nothing by night.
                let by_night = !group.ends_with("limit");
                for by_day in [true].into_iter().chain(by_night.then_some(false)) {
                    tasks.spawn(command(profile, group, setpoint, state, by_day));
                }
            }
        }
    }
    all_ended(tasks).await;
}

async fn command(
    profile: &'static Profile,
    group: &'static str,
    setpoint: &'static Setpoint,
    state: &'static str,
    by_day: bool,
) {
    let what = format!("{} {group} {state}", profile.name);
    let soc = if group.ends_with("limit") { 100.0 } else { 50.0 };
    let product = product(profile, soc).await;
    product.hold(Some(if by_day { 5000.0 } else { 0.0 }), Some(1000.0));
    let mut adapter = Running::start(&tables(&product, profile));
    adapter.unit = UnitId::from(format!("home/{}", product.unit()));
    adapter.poll().await;
    let untouched = product.now().reserve;
    let device = if setpoint.part.is_empty() { "it".to_owned() } else { format!("it-{}", setpoint.part) };
    let (name, parameters) = asked(group, state).unwrap();
    let minute = Some(setpoint.timer.map_or(Duration::from_secs(120), |timer| timer.longest.0));
    let outcome = adapter.ask(&device, &name, &parameters, Purpose::Execute, minute).await;
    assert!(matches!(outcome, WriteOutcome::Done { written: true, .. }), "{what}: {outcome:?}");
    is_so(&product, group, state, by_day).unwrap_or_else(|is| panic!("{what}: {is}"));
    let outcome = adapter.ask(&device, &name, &parameters, Purpose::Renew, minute).await;
    assert!(matches!(outcome, WriteOutcome::Done { .. }), "{what}, renewed: {outcome:?}");
    is_so(&product, group, state, by_day).unwrap_or_else(|is| panic!("{what}, renewed: {is}"));

    // The gateway is dead for five minutes.
    product.skip(Duration::from_secs(300));
    let timed = setpoint.states[state].writes.iter().any(|write| write.from == Some(Quantity::Timer));
    if setpoint.timer.is_some_and(|timer| timer.fixed || timed) {
        assert_eq!(product.now().mode, BatteryMode::Auto, "{what}: it goes back by itself");
        assert!(product.fallbacks() > 0, "{what}: by its own timer");
    } else {
        is_so(&product, group, state, by_day)
            .unwrap_or_else(|is| panic!("{what}: it keeps the last value: {is}"));
    }

    // It gives back what it held.
    let safe =
        profile.commands[&name].safe.as_ref().or(profile.commands.values().find_map(|table| {
            (table.group.as_deref() == Some(group)).then_some(table.safe.as_ref()).flatten()
        }));
    let (key, value) = safe.unwrap().iter().next().unwrap();
    let back = if group == "battery" { "set_battery_mode" } else { &name };
    let parameters = [(key.as_str(), Value::from(value))];
    let outcome = adapter.ask(&device, back, &parameters, Purpose::Execute, None).await;
    assert!(matches!(outcome, WriteOutcome::Done { .. }), "{what}, given back: {outcome:?}");
    assert_eq!(product.now().mode, BatteryMode::Auto, "{what}: given back");
    let free = product.now();
    assert!(free.limit.is_none() && free.export_limit.is_none(), "{what}: the limit is lifted: {free:?}");
    assert_eq!(free.reserve, untouched, "{what}: the reserve is as it was");
    adapter.stop().await;
    product.stop().await;
}

#[test]
fn a_command_without_a_safe_one_of_its_group_is_no_command() {
    for profile in products() {
        for (name, table) in profile.commands.iter().filter(|(_, table)| table.group.is_some()) {
            let safe =
                profile.commands.values().any(|other| other.group == table.group && other.safe.is_some());
            assert!(safe, "{} {name}", profile.name);
            let spec = table.spec(name, |_, _| None);
            assert_ne!(spec.safe, Some(Parameters::default()));
        }
    }
}

#[tokio::test]
async fn a_device_that_describes_itself_is_charged_and_freed_by_its_own_timer() {
    for name in ["sunspec", "fronius-gen24"] {
        let profile = &profile::builtin()[name];
        let product = product(profile, 50.0).await;
        product.hold(Some(0.0), Some(1000.0));
        let mut adapter = Running::start(&tables(&product, profile));
        adapter.poll().await;
        let charge = [("mode", Value::from("charge")), ("power", Value::from(2000.0))];
        let minute = Some(Duration::from_secs(60));
        let outcome = adapter.ask("it-battery", "set_battery_mode", &charge, Purpose::Execute, minute).await;
        assert!(matches!(outcome, WriteOutcome::Done { verified: true, written: true, .. }), "{outcome:?}");
        assert!(product.now().battery < -1900.0, "{name}: {:?}", product.now());
        product.skip(Duration::from_secs(61));
        assert_eq!(product.now().mode, BatteryMode::Auto, "{name}");
        let limit = [("power", Value::from(1200.0))];
        let outcome = adapter.ask("it", "set_power_limit", &limit, Purpose::Execute, minute).await;
        assert!(matches!(outcome, WriteOutcome::Done { verified: true, written: true, .. }), "{outcome:?}");
        assert!(product.now().limit.is_some(), "{name}");
        product.skip(Duration::from_secs(61));
        assert!(product.now().limit.is_none(), "{name}");
        adapter.stop().await;
        product.stop().await;
    }
}
