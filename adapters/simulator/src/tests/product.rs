//! What a device of a profile shows: every kind of point, worked out here once more from the raw words.

use std::time::Duration;

use adapter_api::profile::Profile;

use super::wire::{Wire, words};
use crate::{PlantSettings, Product, ProductSettings, Table};

pub const HEAD: &str = "manufacturer = 'Maker'\nmodels = ['Model 6']\nprotocol = 'modbus'\n\
    device_type = 'solar_inverter'\nenergy_role = 'producer'\nphases = 3\nunit = 7\nsources = []\n";

const MAP: &str = "
sentinels = ['all_ones']
[limits]
gap = 2
block = 20
forbidden = [{ function = 'input', from = 13, to = 13 }]
[identity]
serial = { register = 30, length = 5 }
model = { register = 35, length = 4, swapped = true }
firmware = { register = 39, length = 2, number = true }
[ratings]
power = { register = 41, type = 'u16', scale = 10, unit = 'W' }
capacity = { register = 42, type = 'u16', scale = 0.1, unit = 'kWh' }
[signature]
checks = [
    { register = 50, type = 'u16', equals = [3, 4] }, { register = 51, text = 'SH' },
    { register = 52, type = 'u16', mask = 0xF0, equals = 0x20 }, { register = 53, type = 'i16', min = -5, max = -2 },
]
[points]
activePower = { unit = 'W', terms = [{ register = 0, function = 'input', type = 'u32', scale = 0.1 }, { register = 2, function = 'input', type = 'u32', scale = 0.1 }] }
pv1Power = { register = 0, function = 'input', type = 'u32', scale = 0.1, unit = 'W' }
inverterPower = { registers = [8, 5], function = 'input', type = 'i32', unit = 'W' }
energyProducedTotal = { register = 10, function = 'input', type = 'u32', order = 'little', scale = 0.1, unit = 'kWh' }
temperature = { register = 12, function = 'input', type = 'u16', scale = 0.1, offset = -100, unit = '°C' }
operatingState = { register = 9, function = 'input', type = 'u16', mask = 0x0F00, words = { 0 = 'waiting', 2 = 'normal', 3 = 'fault' } }
[parts.battery]
device_type = 'battery_pack'
energy_role = 'storage'
present = { register = 60, type = 'u16', min = 1, max = 3 }
[parts.battery.points]
activePower = { unit = 'W', terms = [{ register = 61, type = 'u16', missing = [0] }, { register = 62, type = 'u16', scale = -1, optional = true }] }
batteryLevel = { register = 63, type = 'u16', mask = 0x7F, unit = '%' }
batteryState = { register = 64, type = 'u16', words = { 0 = 'idle', 1 = 'charging', 2 = 'discharging' } }
current = { register = 65, type = 'u16', scale = 0.1, unit = 'A', negative_when = { register = 66, type = 'u16', mask = 1, equals = 1 } }
voltage = { register = 67, type = 'u16', scale = 0.01, unit = 'V', range = [40, 60] }
[parts.grid]
device_type = 'energy_meter'
energy_role = 'monitor'
[parts.grid.points]
activePower = { register = 80, type = 'i16', scale = -1, unit = 'W' }
energyConsumedTotal = { register = 81, type = 'u64', scale = 0.001, unit = 'kWh' }
frequency = { register = 85, type = 'f32', unit = 'Hz' }
";

pub async fn product(text: &str, settings: ProductSettings) -> Product {
    let profile = Profile::parse("mine", text).unwrap();
    Product::serve(profile, settings).await.unwrap()
}

pub fn still() -> ProductSettings {
    let plant = PlantSettings { speed: 0.0, ..PlantSettings::default() };
    ProductSettings { plant, ..ProductSettings::default() }
}

fn input(product: &Product, at: u16, count: u16) -> Vec<u16> {
    product.port().peek(product.unit(), Table::Input, at, count).unwrap()
}

pub fn holding(product: &Product, at: u16, count: u16) -> Vec<u16> {
    product.port().peek(product.unit(), Table::Holding, at, count).unwrap()
}

fn long(registers: &[u16]) -> f64 {
    f64::from(u32::from(registers[0]) << 16 | u32::from(registers[1]))
}

#[tokio::test]
async fn every_kind_of_point_shows_the_plant() {
    let product = product(&format!("{HEAD}{MAP}"), still()).await;
    product.hold(Some(3_001.0), Some(500.0));
    let now = product.now();
    assert_eq!((now.pv, now.load, now.battery, now.grid), (3_001.0, 500.0, -2_501.0, 0.0));
    let low = input(&product, 0, 13);
    // A sum's other term takes what the point of its own leaves.
    assert_eq!((long(&low[0..2]), long(&low[2..4])), (30_010.0, 0.0));
    assert_eq!((low[8], low[5]), (0, 500));
    let counted = f64::from(u32::from(low[11]) << 16 | u32::from(low[10])) * 0.1;
    assert!((counted - now.counters.pv_wh() / 1000.0).abs() < 0.1, "{counted}");
    assert!((f64::from(low[12]) * 0.1 - 100.0 - 31.0).abs() < 0.2);
    assert_eq!(low[9], 0x0200);
    let battery = holding(&product, 60, 8);
    assert!((1..=3).contains(&battery[0]));
    // Discharging shows 1 W, because 0 would mean that there is none.
    assert_eq!(battery[1..5], [1, 2_501, 50, 1]);
    assert_eq!(battery[6] & 1, 1);
    let volts = f64::from(battery[7]) * 0.01;
    assert!((40.0..60.0).contains(&volts) && (f64::from(battery[5]) * 0.1 - 2_501.0 / volts).abs() < 0.1);
    product.hold(Some(0.0), Some(1_500.0));
    let battery = holding(&product, 60, 8);
    assert_eq!((battery[1], battery[2], battery[4], battery[6] & 1), (1_500, 0, 2, 0));
    let grid = holding(&product, 80, 7);
    assert_eq!(grid[0] as i16, 0);
    let wh = grid[1..5].iter().fold(0_u64, |wh, word| wh << 16 | u64::from(*word));
    assert!((wh as f64 - now.counters.imported_wh()).abs() < 2.0);
    assert!((49.9..50.1).contains(&f32::from_bits(u32::from(grid[5]) << 16 | u32::from(grid[6]))));
}

#[tokio::test]
async fn it_says_who_it_is_and_is_recognised() {
    let product = product(&format!("{HEAD}{MAP}"), still()).await;
    let who = holding(&product, 30, 13);
    assert_eq!(super::home::text(&who[..5]), "SIM0000001");
    assert_eq!(who[5].to_le_bytes(), *b"Mo");
    assert_eq!(who[9..], [0, 1, 600, 100]);
    let signs = holding(&product, 50, 4);
    assert_eq!((signs[0], signs[1], signs[2] & 0xF0), (3, u16::from_be_bytes(*b"SH"), 0x20));
    assert!((-5..=-2).contains(&(signs[3] as i16)));
}

#[tokio::test]
async fn what_lies_between_two_points_is_zero_up_to_the_gap_and_all_else_is_not_there() {
    let product = product(&format!("{HEAD}{MAP}"), still()).await;
    let peek = |table, at, count| product.port().peek(7, table, at, count).map_err(|no| no.code());
    assert_eq!(input(&product, 4, 1), [0]);
    assert_eq!(peek(Table::Input, 13, 1), Err(2), "forbidden");
    assert_eq!(peek(Table::Input, 20, 1), Err(2));
    assert_eq!(peek(Table::Holding, 0, 1), Err(2));
    assert_eq!(peek(Table::Holding, 54, 6), Err(2), "too far apart");
    assert_eq!(peek(Table::Holding, 30, 21), Err(3), "longer than its block");
    let mut wire = Wire::to(product.addr()).await;
    let frame = wire.ask(7, &words(6, &[61, 1])).await.unwrap();
    assert_eq!(frame.pdu, [0x86, 2], "a point is not written");
    product.shift_map(10);
    assert_eq!(peek(Table::Input, 9, 1), Err(2));
    assert_eq!(input(&product, 14, 1), [0]);
}

#[tokio::test]
async fn a_part_that_is_not_there_fails_its_check_and_shows_nothing() {
    let settings = ProductSettings { absent: vec!["battery".to_owned()], ..still() };
    let product = product(&format!("{HEAD}{MAP}"), settings).await;
    let battery = holding(&product, 60, 5);
    assert!(!(1..=3).contains(&battery[0]) && battery[1..] == [0; 4], "{battery:?}");
}

#[tokio::test]
async fn counters_count_skipped_time_bounce_and_begin_again() {
    let product = product(&format!("{HEAD}{MAP}"), still()).await;
    product.hold(Some(0.0), Some(8_000.0));
    let wh = |product: &Product| {
        let words = holding(product, 81, 4);
        words.iter().fold(0_u64, |wh, word| wh << 16 | u64::from(*word)) as f64
    };
    let before = (product.now(), wh(&product));
    assert_eq!((before.0.battery, before.0.grid), (5_000.0, 3_000.0));
    product.skip(Duration::from_secs(24 * 3600));
    let after = product.now();
    let grown = after.counters.imported_wh() - before.0.counters.imported_wh();
    assert!((grown - 72_000.0).abs() < 5.0, "{grown}");
    assert!((wh(&product) - before.1 - grown).abs() < 2.0);
    product.bounce(2);
    assert_eq!((holding(&product, 80, 1).len(), wh(&product), wh(&product)), (1, 0.0, 0.0));
    assert!(wh(&product) > 1_000_000.0);
    product.bounce_for(Duration::from_secs(60));
    assert_eq!((wh(&product), wh(&product), wh(&product)), (0.0, 0.0, 0.0));
    product.skip(Duration::from_secs(61));
    assert!(wh(&product) > 1_000_000.0);
    product.reset_counters();
    assert!(wh(&product) < 10.0);
    product.skip(Duration::from_secs(3600));
    assert!((wh(&product) - 3_000.0).abs() < 10.0);
    assert!(product.now().counters.imported_wh() > 1_000_000.0, "the home's own meter goes on");
}

#[tokio::test]
async fn a_lone_meter_measures_the_grid_or_the_loads_and_a_lone_battery_is_the_battery() {
    let lone = |kind: &str| {
        let head = HEAD.replace("solar_inverter", kind).replace("producer", "monitor");
        format!("{head}[points]\nactivePower = {{ register = 1, type = 'i16', unit = 'W' }}\n")
    };
    for (kind, loads, watts) in
        [("energy_meter", false, -1_500), ("energy_meter", true, 500), ("battery_pack", false, -5_000)]
    {
        let product = product(&lone(kind), ProductSettings { loads, ..still() }).await;
        product.hold(Some(7_000.0), Some(500.0));
        assert_eq!(holding(&product, 1, 1)[0] as i16, watts, "{kind}");
    }
}

#[tokio::test]
async fn a_profile_that_describes_itself_has_its_own_registers_beside_the_models() {
    let head = HEAD.replace("unit = 7", "unit = 1\ndiscovery = 'sunspec'\ndc_includes_battery = true");
    let product = product(
        &format!(
            "{head}[parts.battery]\ndevice_type = 'battery_pack'\nenergy_role = 'storage'\n\
             [parts.battery.points]\nactivePower = {{ register = 57716, type = 'f32', order = 'little', scale = -1, unit = 'W' }}\n\
             [[maker]]\nmanufacturer = 'Maker'\nexport_is_positive = true\nsource = 'x'\n"
        ),
        still(),
    )
    .await;
    product.hold(Some(9_000.0), Some(500.0));
    let mut wire = Wire::to(product.addr()).await;
    assert_eq!(super::home::models(&mut wire, 40_000).await, [(1, 66), (103, 50), (1, 66), (203, 105)]);
    assert_eq!(super::home::text(&wire.read(3, 40_004, 4).await.unwrap()), "Maker");
    let raw = wire.read(3, 57_716, 2).await.unwrap();
    assert_eq!(f32::from_bits(u32::from(raw[1]) << 16 | u32::from(raw[0])), 5_000.0);
    assert_eq!(wire.read(3, 40_190 + 18, 1).await.unwrap()[0], 3_500, "export is positive");
    // Its counters bounce and begin again as well: WH of 103, and nothing beside it.
    async fn wh(wire: &mut Wire) -> u32 {
        let words = wire.read(3, 40_070 + 24, 2).await.unwrap();
        u32::from(words[0]) << 16 | u32::from(words[1])
    }
    assert!(wh(&mut wire).await > 1_000_000);
    product.bounce(1);
    assert_eq!(wire.read(3, 40_070 + 14, 2).await.unwrap()[0], 4_000);
    assert_eq!(wh(&mut wire).await, 0);
    assert!(wh(&mut wire).await > 1_000_000);
    product.bounce_for(Duration::from_secs(60));
    assert_eq!((wh(&mut wire).await, wh(&mut wire).await), (0, 0));
    product.skip(Duration::from_secs(61));
    assert!(wh(&mut wire).await > 1_000_000);
    product.reset_counters();
    assert!(wh(&mut wire).await < 100);
}
