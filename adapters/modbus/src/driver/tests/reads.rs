use adapter_api::{Bounds, Capability, DeviceType, EnergyRole, ParameterKind, Quality, Usage};

use adapter_api::Wanted;

use super::*;
use crate::testing::hybrid::*;

fn numbers(reading: &Reading) -> BTreeMap<String, f64> {
    let number = |(name, value): &(adapter_api::PointId, Value)| Some((name.to_string(), value.number()?));
    reading.points.iter().filter_map(number).collect()
}

async fn read(driver: &mut ModbusDriver) -> BTreeMap<String, Reading> {
    let readings = driver.read(&unit(), Wanted::All).await.unwrap();
    readings.into_iter().map(|reading| (reading.device.to_string(), reading)).collect()
}

#[tokio::test]
async fn a_hybrid_is_found_with_its_battery_and_its_grid_meter() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    let devices = driver.probe(&unit()).await.unwrap();
    let [roof, battery, grid] = &devices[..] else { panic!("{devices:?}") };
    assert_eq!(
        (roof.id.as_str(), battery.id.as_str(), grid.id.as_str()),
        ("roof", "roof-battery", "roof-grid")
    );
    assert_eq!((roof.manufacturer.as_str(), roof.model.as_str()), ("Sunny", "Hybrid 5.0"));
    assert_eq!((roof.serial.as_deref(), roof.firmware.as_deref()), (Some("SN-1"), Some("1.2.3")));
    // Its AC rating says nothing about what the sun may give beside a battery.
    assert_eq!((roof.max_power, roof.phases, roof.role), (None, 3, EnergyRole::Producer));
    assert_eq!((battery.capacity, battery.max_power), (Some(10.24), Some(5000.0)));
    assert_eq!((battery.device_type, battery.role), (DeviceType::BatteryPack, EnergyRole::Storage));
    assert_eq!((grid.serial.as_deref(), grid.usage, grid.phases), (Some("SN-2"), Some(Usage::Grid), 3));
    assert_eq!(grid.role, EnergyRole::Monitor);
    assert!(devices.iter().all(|device| !device.control && device.unit == "home/1"));

    let capability = |device: &DeviceInfo, kind| device.capabilities.iter().find(|c| c.kind == kind).cloned();
    let limit = capability(roof, Capability::PowerControl).unwrap();
    assert_eq!(&*limit.commands[0], "set_power_limit");
    assert!(
        capability(battery, Capability::EnergyStorage)
            .unwrap()
            .commands
            .iter()
            .any(|c| &**c == "set_battery_mode")
    );
    assert_eq!(grid.commands.len(), 1, "refresh alone");

    let command = |name: &str| battery.commands.iter().find(|command| &*command.name == name).unwrap();
    let (mode, power, reserve) =
        (command("set_battery_mode"), command("set_battery_power"), command("set_reserve"));
    assert!(mode.leased && power.leased && mode.group == power.group);
    assert_eq!(mode.safe.as_ref().unwrap().word("mode"), Some("auto"));
    assert!(reserve.persistent && !reserve.leased && reserve.group.as_deref() == Some("reserve"));
    let range = |command: &adapter_api::CommandSpec| {
        let power = command.parameters.iter().find(|parameter| &*parameter.name == "power").unwrap();
        match power.kind {
            ParameterKind::Number { min, max, .. } => (min, max),
            _ => panic!("a number"),
        }
    };
    assert_eq!((range(mode), range(power)), ((1.0, 5000.0), (-3000.0, 5000.0)));
    assert_eq!(capability(battery, Capability::EnergyStorage).unwrap().range, Some((1.0, 5000.0, 0.0)));
    assert_eq!(battery.bounds, Bounds { charge: Some(3000.0), ..Bounds::default() });
    let limit = roof.commands.iter().find(|command| &*command.name == "set_power_limit").unwrap();
    assert_eq!(limit.safe.as_ref().unwrap().bool("restore"), Some(true));
}

#[tokio::test]
async fn one_poll_gives_all_devices_with_units_signs_and_one_timestamp() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    driver.probe(&unit()).await.unwrap();
    peer.seen();
    let readings = read(&mut driver).await;
    assert_eq!(peer.seen().len(), 4, "two neighbours share a request");
    assert!(readings.values().all(|r| r.measured_at == NOW && r.quality == Quality::Good));

    let roof = numbers(&readings["roof"]);
    assert_eq!((roof["activePower"], roof["inverterPower"]), (3100.0, 2950.0));
    assert_eq!(roof["energyProducedTotal"], 7500.0);
    assert_eq!(
        (roof["voltage"], roof["voltageL1"], roof["current"], roof["currentL2"]),
        (230.0, 230.1, 4.3, 1.5)
    );
    assert_eq!((roof["frequency"], roof["apparentPower"], roof["reactivePower"]), (50.01, 2960.0, -100.0));
    assert_eq!((roof["powerFactor"], roof["temperature"], roof["powerLimit"]), (0.997, 41.5, 100.0));
    assert_eq!(readings["roof"].point("operatingState").unwrap().text(), Some("mppt"));
    assert_eq!(readings["roof"].point("powerLimitEnabled"), Some(&Value::Bool(false)));

    let battery = numbers(&readings["roof-battery"]);
    assert_eq!(battery["activePower"], -600.0, "charging");
    assert_eq!((battery["energyConsumedTotal"], battery["energyProducedTotal"]), (900.0, 800.0));
    assert_eq!((battery["batteryLevel"], battery["batteryReserve"]), (63.5, 5.0));
    assert_eq!(readings["roof-battery"].point("batteryMode").unwrap().text(), Some("auto"));
    assert_eq!(readings["roof-battery"].point("batteryState").unwrap().text(), Some("charging"));

    let grid = numbers(&readings["roof-grid"]);
    assert_eq!((grid["activePower"], grid["powerL1"]), (-150.0, -100.0));
    assert_eq!((grid["energyConsumedTotal"], grid["energyProducedTotal"]), (3000.0, 1000.0));
    assert_eq!((grid["current"], grid["currentL1"], grid["powerFactor"]), (5.2, 1.0, -0.95));
    assert!(!grid.contains_key("apparentPower"), "not implemented");
}

#[tokio::test]
async fn usage_invert_and_known_makers_turn_the_meter() {
    let peer = home().await;
    let grid = |table: &str| format!("{ROOF}[device.roof-grid]\n{table}\n");
    let mut inverted = driver(&peer, &grid("invert = true"), &Notes::default());
    let reading = &read(&mut inverted).await["roof-grid"];
    let values = numbers(reading);
    assert_eq!((values["activePower"], values["powerL1"]), (150.0, 100.0));
    assert_eq!((values["energyConsumedTotal"], values["energyProducedTotal"]), (1000.0, 3000.0));

    let mut pv = driver(&peer, &grid("usage = 'pv'"), &Notes::default());
    let devices = pv.probe(&unit()).await.unwrap();
    assert_eq!((devices[2].role, devices[2].usage), (EnergyRole::Producer, Some(Usage::Pv)));
    let reading = &read(&mut pv).await["roof-grid"];
    assert_eq!(numbers(reading)["activePower"], 150.0);

    let mut models = roof();
    models[0] = common("SolarEdge ", "SE5K", "SN-1", 65);
    peer.holding(1, 40_000, &map(&[models, hybrid::grid()].concat(), &[0xFFFF, 0]));
    let mut edge = driver(&peer, ROOF, &Notes::default());
    let reading = &read(&mut edge).await["roof-grid"];
    let values = numbers(reading);
    assert_eq!(
        (values["activePower"], values["energyConsumedTotal"]),
        (150.0, 3000.0),
        "export is positive there"
    );
}

#[tokio::test]
async fn maps_lie_elsewhere_and_end_as_they_like() {
    let models = [roof(), hybrid::grid()].concat();
    for base in [40_000, 0, 50_000] {
        for end in [&[0xFFFF, 0][..], &[0xFFFF], &[], &[0, 0]] {
            let peer = Peer::start().await;
            // Another device's registers at the first base, to be passed over.
            peer.holding(1, 40_000, &[1, 2, 3, 4]);
            peer.holding(1, base, &map(&models, end));
            let mut driver = driver(&peer, ROOF, &Notes::default());
            let devices = driver.probe(&unit()).await.unwrap();
            assert_eq!(devices.len(), 3, "base {base}, end {end:?}");
        }
    }
}

#[tokio::test]
async fn a_unit_that_is_a_meter_alone_is_the_device_itself() {
    let peer = Peer::start().await;
    peer.holding(1, 40_000, &map(&hybrid::grid(), &[0xFFFF, 0]));
    let mut driver = driver(&peer, "[device.main]\nprofile = 'sunspec'\n", &Notes::default());
    let devices = driver.probe(&unit()).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!((devices[0].id.as_str(), devices[0].device_type), ("main", DeviceType::EnergyMeter));
    let readings = read(&mut driver).await;
    assert_eq!(numbers(&readings["main"])["activePower"], -150.0);
}

#[tokio::test]
async fn a_plain_inverter_has_no_battery_no_meter_and_counts_on_the_ac_side() {
    let peer = Peer::start().await;
    peer.holding(1, 40_000, &map(&[common("A", "B", "C", 66), inverter()], &[0xFFFF, 0]));
    let mut driver = driver(&peer, ROOF, &Notes::default());
    let devices = driver.probe(&unit()).await.unwrap();
    assert_eq!((devices.len(), devices[0].commands.len()), (1, 1), "no model 123, no power limit");
    let readings = read(&mut driver).await;
    let roof = numbers(&readings["roof"]);
    assert_eq!((roof["activePower"], roof["energyProducedTotal"]), (2460.0, 12_345.678));
}

#[tokio::test]
async fn disabled_parts_are_neither_announced_nor_published() {
    let peer = home().await;
    let table = format!("{ROOF}[device.roof-grid]\nenabled = false\n");
    let mut driver = driver(&peer, &table, &Notes::default());
    assert_eq!(driver.probe(&unit()).await.unwrap().len(), 2);
    assert!(!read(&mut driver).await.contains_key("roof-grid"));
}

#[tokio::test]
async fn sleeping_inputs_are_zero_and_missing_ones_are_missing() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    driver.probe(&unit()).await.unwrap();
    let mppt = STORAGE + 26;
    for (module, state) in [(0, 2), (1, 1)] {
        peer.holding(1, mppt + 10 + 20 * module + 11, &[0xFFFF]);
        peer.holding(1, mppt + 10 + 20 * module + 17, &[state]);
    }
    assert_eq!(numbers(&read(&mut driver).await["roof"])["activePower"], 0.0);
    for module in [0, 1] {
        peer.holding(1, mppt + 10 + 20 * module + 17, &[4]);
    }
    assert!(
        !numbers(&read(&mut driver).await["roof"]).contains_key("activePower"),
        "never the battery's power"
    );
    // A scale factor that is missing makes the value missing, not a thousand times too big.
    peer.holding(1, STORAGE + 22, &[0x8000]);
    assert!(!numbers(&read(&mut driver).await["roof-battery"]).contains_key("batteryLevel"));
}

#[tokio::test]
async fn more_modules_than_one_request_takes_are_read_in_two_and_summed() {
    let peer = Peer::start().await;
    let modules: Vec<(&str, u16, u32)> = (0..7).map(|n| ("PV", 100 + n, 1000)).collect();
    peer.holding(1, 40_000, &map(&[common("A", "B", "C", 66), inverter(), mppt(&modules)], &[0xFFFF, 0]));
    let mut driver = driver(&peer, ROOF, &Notes::default());
    driver.probe(&unit()).await.unwrap();
    peer.seen();
    assert_eq!(numbers(&read(&mut driver).await["roof"])["activePower"], 721.0);
    let seen = peer.seen();
    assert!(seen.iter().all(|request| request.count <= 125), "{seen:?}");
}

#[tokio::test]
async fn a_map_that_moved_is_read_on_where_it_is_the_same_devices() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    let devices = driver.probe(&unit()).await.unwrap();
    let mut models = roof();
    models.insert(1, model(64_200, 10, &[]));
    peer.clear();
    peer.holding(1, 40_000, &map(&[models, grid()].concat(), &[0xFFFF, 0]));
    let readings = read(&mut driver).await;
    assert_eq!(numbers(&readings["roof"])["activePower"], 3100.0);
    assert_eq!(numbers(&readings["roof-grid"])["activePower"], -150.0);
    assert_eq!(driver.probe(&unit()).await.unwrap(), devices);
}

#[tokio::test]
async fn a_map_that_became_other_devices_is_a_fault_until_a_probe_tells_them() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    driver.probe(&unit()).await.unwrap();
    let mut models = roof();
    models.insert(1, model(64_200, 10, &[]));
    peer.clear();
    peer.holding(1, 40_000, &map(&models, &[0xFFFF, 0]));
    for _ in 0..2 {
        let fault = driver.read(&unit(), Wanted::All).await.unwrap_err();
        assert!(matches!(&fault, Fault::Answered(problem) if problem.what.contains("no longer")), "{fault}");
    }
    assert_eq!(driver.probe(&unit()).await.unwrap().len(), 2, "without its meter");
    assert_eq!(numbers(&read(&mut driver).await["roof"])["activePower"], 3100.0);
}

#[tokio::test]
async fn a_device_without_sunspec_or_without_known_models_says_what_to_do() {
    let peer = Peer::start().await;
    peer.holding(1, 0, &[1, 2, 3]);
    let mut none = driver(&peer, ROOF, &Notes::default());
    let fault = none.probe(&unit()).await.unwrap_err().to_string();
    assert!(fault.contains("not as a SunSpec device") && fault.contains("Check the unit id"), "{fault}");
    peer.holding(1, 40_000, &map(&[common("A", "B", "C", 66), model(122, 44, &[])], &[0xFFFF, 0]));
    let fault = none.probe(&unit()).await.unwrap_err().to_string();
    assert!(fault.contains("no SunSpec model of an inverter"), "{fault}");
}

#[tokio::test]
async fn a_silent_busy_or_lying_device_is_a_fault_and_the_next_poll_works() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    driver.probe(&unit()).await.unwrap();
    for wrong in
        [Move::Late, Move::Close, Move::Short, Move::Exception(6), Move::Exception(11), Move::OtherUnit]
    {
        peer.moves(&[Move::Answer, wrong]);
        let fault = driver.read(&unit(), Wanted::All).await.unwrap_err();
        assert!(fault.to_string().contains("Unit 1 at tcp://127.0.0.1"), "{fault}");
        assert_eq!(numbers(&read(&mut driver).await["roof"])["activePower"], 3100.0, "after {wrong:?}");
    }
}

#[tokio::test]
async fn the_sdm630_is_probed_with_one_value_and_read_in_one_request() {
    let peer = Peer::start().await;
    let float = |value: f32| [(value.to_bits() >> 16) as u16, value.to_bits() as u16];
    peer.input(1, 0, &[0; 80]);
    peer.input(1, 42, &float(230.5));
    peer.input(1, 48, &float(-3.5));
    peer.input(1, 52, &float(750.0));
    peer.input(1, 62, &[0x7FC0, 0]);
    peer.input(1, 72, &float(12.5));
    peer.input(1, 74, &float(1.5));
    let table = "[device.load]\nprofile = 'eastron-sdm630'\nusage = 'load'\n";
    let mut driver = driver(&peer, table, &Notes::default());
    let devices = driver.probe(&unit()).await.unwrap();
    assert_eq!((devices[0].manufacturer.as_str(), devices[0].role), ("Eastron", EnergyRole::Consumer));
    assert_eq!(peer.seen()[0].count, 2);
    let readings = read(&mut driver).await;
    assert_eq!(peer.seen().len(), 1);
    let load = numbers(&readings["load"]);
    assert_eq!((load["activePower"], load["voltage"], load["current"]), (750.0, 230.5, 3.5));
    assert_eq!((load["energyConsumedTotal"], load["energyProducedTotal"]), (12.5, 1.5));
    assert!(!load.contains_key("powerFactor") && !load.contains_key("frequency"));
    let written = driver.write(&job("load", "set_power_limit", [])).await;
    assert!(matches!(written, Written::Ended(WriteOutcome::Rejected { .. })));
}
