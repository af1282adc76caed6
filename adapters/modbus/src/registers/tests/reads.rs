use adapter_api::{Counter, DeviceType, EnergyRole, Quality, Usage, Value};

use super::bench::{Bench, profile};
use crate::testing::Move;

/// A hybrid with a battery that may be there, and a meter.
const HYBRID: &str = "manufacturer = 'M'
models = ['X']
protocol = 'modbus'
device_type = 'solar_inverter'
energy_role = 'producer'
phases = 3
unit = 3
sources = []
sentinels = ['lowest', 'all_ones']
[limits]
gap = 4
block = 20
[identity]
serial = { register = 100, length = 2 }
firmware = { register = 102, length = 1, number = true }
[ratings]
power = { register = 110, type = 'u16', unit = 'W' }
charge = { register = 111, type = 'u16', unit = 'W' }
capacity = { register = 112, type = 'u16', scale = 0.001, unit = 'kWh' }
[points]
activePower = { terms = [{ register = 1, type = 'u16' }, { register = 4, type = 'u16' }], unit = 'W' }
voltageL1 = { register = 5, type = 'u16', scale = 0.1, unit = 'V' }
temperature = { register = 6, type = 'i16', unit = '°C', range = [-20, 90] }
operatingState = { register = 7, type = 'u16', words = { 1 = 'running' } }
energyProducedTotal = { register = 8, type = 'u32', unit = 'kWh' }
[parts.battery]
device_type = 'battery_pack'
energy_role = 'storage'
manufacturer = 'B'
present = { register = 120, type = 'u16', equals = 1 }
identity = { serial = { register = 121, length = 1 } }
[parts.battery.points]
activePower = { register = 20, type = 'i16', unit = 'W' }
batteryLevel = { register = 21, type = 'u16', unit = '%' }
[parts.grid]
device_type = 'energy_meter'
energy_role = 'monitor'
[parts.grid.points]
activePower = { register = 30, type = 'i16', unit = 'W' }
energyConsumedTotal = { register = 31, type = 'u16', unit = 'kWh' }
energyProducedTotal = { register = 32, type = 'u16', unit = 'kWh' }
";

async fn hybrid(keys: &str) -> Bench {
    let bench = Bench::of(&profile(HYBRID), keys).await;
    let holding = |start, words: &[u16]| bench.peer.holding(3, start, words);
    holding(1, &[700]);
    holding(4, &[300, 2301, 25, 1, 0, 500]);
    holding(20, &[(-1500_i16) as u16, 55]);
    holding(30, &[200, 90, 40]);
    holding(100, &[0x4142, 0x4344, 17]);
    holding(110, &[5000, 3000, 9600]);
    holding(120, &[1, 0x5358]);
    bench
}

#[tokio::test]
async fn one_unit_is_several_devices_that_say_who_they_are() {
    let mut bench = hybrid("[device.it-grid]\nname = 'Grid'\n").await;
    use adapter_api::Driver;
    let ids = |unit: &adapter_api::Unit| unit.devices.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(&bench.driver.units()[0]), ["it", "it-grid"], "the battery is declared once it is seen");
    let devices = bench.probe().await;
    let [main, battery, grid] = &devices[..] else { panic!("{devices:?}") };
    assert_eq!((main.serial.as_deref(), main.firmware.as_deref()), (Some("ABCD"), Some("17")));
    assert_eq!(main.max_power, None, "with a battery, the AC rating says nothing of the sun");
    assert_eq!((battery.id.as_str(), battery.device_type), ("it-battery", DeviceType::BatteryPack));
    assert_eq!((battery.manufacturer.as_str(), battery.serial.as_deref()), ("B", Some("SX")));
    assert_eq!((battery.max_power, battery.capacity), (Some(3000.0), Some(9.6)));
    assert_eq!((grid.usage, grid.role, grid.name.as_str()), (Some(Usage::Grid), EnergyRole::Monitor, "Grid"));
    bench.peer.seen();
    bench.probe().await;
    assert_eq!(bench.peer.seen().len(), 1, "who it is was asked once");
}

#[tokio::test]
async fn all_devices_are_read_at_one_instant_in_few_requests() {
    let mut bench = hybrid("").await;
    bench.probe().await;
    bench.peer.seen();
    let readings = bench.read().await;
    let number = |device: &str, name: &str| readings[device][name].number();
    assert_eq!(number("it", "activePower"), Some(1000.0));
    assert_eq!(number("it", "voltageL1"), Some(230.1));
    assert_eq!(readings["it"]["operatingState"], Value::from("running"));
    assert_eq!(
        (number("it-battery", "activePower"), number("it-battery", "batteryLevel")),
        (Some(-1500.0), Some(55.0))
    );
    assert_eq!(
        (number("it-grid", "activePower"), number("it-grid", "energyConsumedTotal")),
        (Some(200.0), Some(90.0))
    );
    let seen: Vec<_> = bench.peer.seen().into_iter().map(|seen| (seen.start, seen.count)).collect();
    assert_eq!(seen, [(1, 9), (20, 2), (30, 3)]);
    let times: Vec<_> = bench.readings().await.iter().map(|reading| reading.measured_at).collect();
    assert!(times.windows(2).all(|two| two[0] == two[1]));
}

#[tokio::test]
async fn a_part_has_its_own_signs_and_one_that_is_switched_off_is_not_read() {
    let mut bench = hybrid("[device.it-grid]\ninvert = true\n[device.it-battery]\nenabled = false\n").await;
    assert_eq!(bench.probe().await.len(), 2);
    bench.peer.seen();
    let readings = bench.read().await;
    assert_eq!(readings["it-grid"]["activePower"].number(), Some(-200.0));
    assert_eq!(readings["it-grid"]["energyConsumedTotal"].number(), Some(40.0));
    assert!(!readings.contains_key("it-battery"));
    assert!(bench.peer.seen().iter().all(|seen| seen.start != 20));
}

#[tokio::test]
async fn a_part_that_is_not_there_is_seen_when_it_comes() {
    let mut bench = hybrid("").await;
    bench.peer.holding(3, 120, &[0]);
    assert_eq!(bench.probe().await.len(), 2);
    assert!(!bench.read().await.contains_key("it-battery"));
    bench.peer.holding(3, 120, &[1]);
    *bench.time.lock().unwrap() += 3_600_001;
    assert_eq!(bench.probe().await.len(), 3);
    assert!(bench.read().await.contains_key("it-battery"));
}

#[tokio::test]
async fn what_the_device_does_not_say_about_itself_is_no_fault() {
    let mut bench = hybrid("").await;
    bench.peer.remove(3, 100, 20);
    let devices = bench.probe().await;
    assert_eq!((devices.len(), devices[0].serial.as_deref(), devices[1].max_power), (3, None, None));
    assert_eq!(bench.read().await["it"]["activePower"].number(), Some(1000.0));
    bench.peer.moves(&[Move::Silent]);
    use adapter_api::Driver;
    let unit = bench.unit_id();
    assert!(bench.driver.probe(&unit).await.is_err(), "a silence is one");
}

#[tokio::test]
async fn what_cannot_be_is_left_out_and_counted_and_an_impossible_power_is_told_poor() {
    let mut bench = hybrid("").await;
    bench.probe().await;
    bench.peer.holding(3, 1, &[60_000]);
    bench.peer.holding(3, 4, &[60_000, 15_001, 91]);
    bench.peer.holding(3, 8, &[0x0100, 0]);
    bench.peer.holding(3, 21, &[101]);
    let readings = bench.readings().await;
    let itself = readings.iter().find(|reading| reading.device == "it").unwrap();
    assert_eq!((itself.quality, itself.points.len()), (Quality::Poor, 2), "{itself:?}");
    let battery = readings.iter().find(|reading| reading.device == "it-battery").unwrap();
    assert_eq!((battery.quality, battery.points.len()), (Quality::Good, 1));
    let counted = bench.disbelieved();
    assert_eq!(
        counted,
        [("it".to_owned(), Counter::OutOfRange, 4), ("it-battery".to_owned(), Counter::OutOfRange, 1)]
    );
    assert_eq!(bench.disbelieved(), [], "told once");
}

#[tokio::test]
async fn a_value_that_goes_away_is_counted_once_each_time() {
    let mut bench = hybrid("").await;
    bench.peer.holding(3, 20, &[0x8000]);
    bench.probe().await;
    let mut shows = async |word: u16| {
        bench.peer.holding(3, 20, &[word]);
        let readings = bench.read().await;
        let counted: u64 = bench.disbelieved().iter().map(|(.., times)| times).sum();
        (readings["it-battery"].contains_key("activePower"), counted)
    };
    assert_eq!(shows(0x8000).await, (false, 0), "it never had one");
    assert_eq!(shows(7).await, (true, 0));
    assert_eq!(shows(0x8000).await, (false, 1));
    assert_eq!(shows(0x8000).await, (false, 0));
    assert_eq!(shows(9).await, (true, 0));
    assert_eq!(shows(0x8000).await, (false, 1));
}
