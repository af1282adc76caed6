use super::bench::{Bench, asked, profile};
use crate::testing::hybrid;
use adapter_api::{Purpose, Value};

/// A unit that describes itself, whose battery is in registers of its maker.
const STORAGE: &str = "manufacturer = 'M'
models = ['X']
protocol = 'modbus'
device_type = 'solar_inverter'
energy_role = 'producer'
discovery = 'sunspec'
dc_includes_battery = true
sources = []
[parts.battery]
device_type = 'battery_pack'
energy_role = 'storage'
present = { register = 50000, type = 'u16', equals = 1 }
[parts.battery.points]
activePower = { register = 50001, type = 'i16', unit = 'W' }
batteryLevel = { register = 50002, type = 'u16', unit = '%' }
[setpoints.battery]
part = 'battery'
timer = { longest = '60s' }
[setpoints.battery.states]
auto.writes = [{ register = 50010, value = 1 }]
hold.writes = [{ register = 50010, value = 2 }]
";

async fn storage(battery: u16) -> Bench {
    let name = profile(STORAGE);
    let map = hybrid::home_map();
    let bench = Bench::of(&name, "").await;
    bench.peer.holding(1, 40_000, &map);
    bench.peer.holding(1, 50_000, &[1, battery, 70]);
    bench
}

#[tokio::test]
async fn registers_replace_a_part_and_what_the_battery_gives_is_no_sun() {
    let mut plain = storage(0).await;
    plain.probe().await;
    let dc = plain.read().await["it"]["activePower"].number().unwrap();
    for (battery, sun) in [(500, dc - 500.0), (-500, dc + 500.0), (30_000, 0.0)] {
        let mut bench = storage(battery as i16 as u16).await;
        let devices = bench.probe().await;
        let ids: Vec<_> = devices.iter().map(|device| device.id.as_str()).collect();
        assert_eq!(ids, ["it", "it-battery", "it-grid"]);
        let readings = bench.read().await;
        assert_eq!(readings["it"]["activePower"].number(), Some(sun));
        assert_eq!(readings["it-battery"]["activePower"].number(), Some(f64::from(battery)));
        assert_eq!(readings["it-battery"]["batteryLevel"].number(), Some(70.0));
        let commands: Vec<_> = devices[1].commands.iter().map(|spec| &*spec.name).collect();
        assert!(commands.contains(&"set_battery_mode"), "{commands:?}");
    }
}

#[tokio::test]
async fn a_setpoint_in_registers_wins_over_the_described_one() {
    let mut bench = storage(0).await;
    bench.probe().await;
    bench.peer.seen();
    let hold = |purpose| {
        let mode = [("mode", Value::from("hold"))];
        asked("home/1".into(), "it-battery", "set_battery_mode", &mode, Some(60), purpose)
    };
    assert_eq!(bench.write(&hold(Purpose::Execute)).await, "Sent");
    assert_eq!(bench.writes(), [(16, 50_010, vec![2])]);
    assert!(bench.read_back(&hold(Purpose::ReadBack)).await.starts_with("Applied"));
}

#[tokio::test]
async fn a_battery_that_is_refused_or_not_believed_leaves_the_sun_unknown_and_the_rest_told() {
    let mut refused = storage(500).await;
    refused.probe().await;
    refused.peer.remove(1, 50_000, 3);
    let readings = refused.read().await;
    assert!(!readings["it"].contains_key("activePower") && readings["it"].contains_key("inverterPower"));
    assert!(readings.contains_key("it-grid"));
    let mut none = storage(500).await;
    none.peer.holding(1, 50_000, &[0]);
    none.probe().await;
    let readings = none.read().await;
    assert!(
        !readings["it"].contains_key("energyProducedTotal"),
        "nor is it the sun's before a battery shows"
    );
    assert!(readings["it"].contains_key("inverterEnergyTotal"));
}
