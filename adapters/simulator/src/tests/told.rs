//! What a device of a profile is told: states, triggers, timers, limits, and what it refuses.

use std::time::Duration;

use super::{
    product::{HEAD, holding, product, still},
    wire::{Wire, words, write_many},
};
use crate::{BatteryMode, Product, ProductSettings};

const BATTERY: &str = "[points]\nactivePower = { register = 0, type = 'u16', unit = 'W' }\n\
    [parts.battery]\ndevice_type = 'battery_pack'\nenergy_role = 'storage'\n";

/// One mode register, and power in both signs.
const MODES: &str = "
[setpoints.battery]
part = 'battery'
timer = { longest = '600s' }
[setpoints.battery.states]
auto.writes = [{ register = 100, value = 0, mask = 0x00FF }]
hold.writes = [{ register = 100, value = 1, mask = 0x00FF }, { register = 101, type = 'i32', value = 0 }, { register = 103, from = 'timer', scale = 60 }]
charge.writes = [{ register = 100, value = 1, mask = 0x00FF }, { register = 101, type = 'i32', from = 'power', scale = -1 }, { register = 103, from = 'timer', scale = 60 }]
discharge.writes = [{ register = 100, value = 1, mask = 0x00FF }, { register = 101, type = 'i32', from = 'power' }, { register = 103, from = 'timer', scale = 60 }]
";

/// Percentages that a trigger takes into force, and a watchdog.
const TRIGGERED: &str = "
[setpoints.battery]
part = 'battery'
timer = { longest = '60s', fixed = true }
[setpoints.battery.states]
auto.writes = [{ register = 110, value = 0 }, { register = 112, value = 1, trigger = true }]
idle.writes = [{ register = 110, value = 4 }, { register = 112, value = 1, trigger = true }]
charge.writes = [{ register = 110, value = 2 }, { register = 111, from = 'percent', of = 'charge' }, { register = 112, value = 1, trigger = true, blind = true }]
discharge.writes = [{ register = 110, value = 3 }, { register = 111, from = 'percent', of = 'discharge' }, { register = 112, value = 1, trigger = true }]
";

/// Currents that wear out, and limits.
const WEARING: &str = "
[setpoints.battery]
part = 'battery'
persistent = true
[setpoints.battery.states]
auto = {}
hold.writes = [{ register = 120, value = 0 }]
hold_charge.writes = [{ register = 121, value = 0 }]
[setpoints.export_limit]
[setpoints.export_limit.states]
limit.writes = [{ register = 131, from = 'power', scale = 10 }, { register = 130, value = 1 }]
off.writes = [{ register = 130, value = 0 }]
[setpoints.power_limit]
[setpoints.power_limit.states]
limit.writes = [{ register = 132, from = 'percent', scale = 0.1, max = 1000 }]
off.writes = [{ register = 132, from = 'most', scale = 6 }]
[setpoints.reserve]
part = 'battery'
[setpoints.reserve.states.soc]
writes = [{ register = 133, from = 'soc', min = 5 }]
[settings.boost]
register = 140
min = 0
max = 3
single = true
";

async fn start(setpoints: &str) -> Product {
    let product = product(&format!("{HEAD}{BATTERY}{setpoints}"), still()).await;
    product.hold(Some(2_000.0), Some(500.0));
    product
}

async fn write(product: &Product, at: u16, values: &[u16]) -> Result<(), u8> {
    let mut wire = Wire::to(product.addr()).await;
    let frame = wire.ask(7, &write_many(at, values)).await.unwrap();
    if frame.pdu[0] & 0x80 == 0 { Ok(()) } else { Err(frame.pdu[1]) }
}

fn state(product: &Product, group: &str) -> String {
    product.told(group).unwrap().0
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_registers_mean_a_state_and_the_plant_does_it() {
    let product = start(MODES).await;
    assert_eq!((state(&product, "battery").as_str(), product.now().battery), ("auto", -1_500.0));
    write(&product, 101, &[0, 800, 5]).await.unwrap();
    assert_eq!(state(&product, "battery"), "auto");
    // The other bits of the register mean nothing.
    write(&product, 100, &[0x0001]).await.unwrap();
    assert_eq!(
        (product.told("battery").unwrap(), product.now().battery),
        (("discharge".into(), Some(800.0)), 800.0)
    );
    assert_eq!(product.now().mode, BatteryMode::Discharge);
    write(&product, 101, &[0xFFFF, (-1_200_i16) as u16]).await.unwrap();
    assert_eq!((state(&product, "battery").as_str(), product.now().battery), ("charge", -1_200.0));
    write(&product, 101, &[0, 0]).await.unwrap();
    assert_eq!((state(&product, "battery").as_str(), product.now().mode), ("hold", BatteryMode::Hold));
    write(&product, 100, &[0]).await.unwrap();
    assert_eq!((state(&product, "battery").as_str(), product.now().battery), ("auto", -1_500.0));
    assert_eq!(product.fallbacks(), 0);
}

#[tokio::test]
async fn its_own_timer_ends_what_no_write_renews() {
    let product = start(MODES).await;
    write(&product, 100, &[1, 0, 700, 2]).await.unwrap();
    product.skip(MINUTE);
    assert_eq!(product.now().battery, 700.0);
    write(&product, 101, &[0, 700]).await.unwrap();
    product.skip(MINUTE + MINUTE / 2);
    assert_eq!((product.now().battery, product.fallbacks()), (700.0, 0));
    let before = product.now().counters;
    product.skip(10 * MINUTE);
    assert_eq!((product.now().battery, product.fallbacks()), (-1_500.0, 1));
    assert_eq!((state(&product, "battery").as_str(), holding(&product, 100, 4)), ("auto", vec![0; 4]));
    // The leap went through the end of the timer: half a minute of 700 W, then the sun charges.
    let given = product.now().counters.discharged_wh() - before.discharged_wh();
    assert!((given - 700.0 / 120.0).abs() < 0.5, "{given}");
    product.skip(10 * MINUTE);
    assert_eq!(product.fallbacks(), 1);
}

#[tokio::test]
async fn a_trigger_takes_it_into_force_and_the_watchdog_ends_it() {
    let product = start(TRIGGERED).await;
    write(&product, 110, &[2, 40]).await.unwrap();
    assert_eq!((state(&product, "battery").as_str(), product.now().battery), ("auto", -1_500.0));
    write(&product, 112, &[1]).await.unwrap();
    assert_eq!((state(&product, "battery").as_str(), product.now().battery), ("charge", -2_000.0));
    write(&product, 110, &[3]).await.unwrap();
    assert_eq!(state(&product, "battery"), "charge");
    write(&product, 112, &[1]).await.unwrap();
    assert_eq!(product.now().battery, 2_000.0);
    write(&product, 110, &[4, 40, 1]).await.unwrap();
    assert_eq!((state(&product, "battery").as_str(), product.now().mode), ("idle", BatteryMode::Idle));
    product.skip(MINUTE / 2);
    write(&product, 112, &[1]).await.unwrap();
    product.skip(MINUTE / 2);
    assert_eq!((state(&product, "battery").as_str(), product.fallbacks()), ("idle", 0));
    product.skip(MINUTE);
    assert_eq!((state(&product, "battery").as_str(), product.fallbacks()), ("auto", 1));
    assert_eq!(product.now().mode, BatteryMode::Auto);
}

#[tokio::test]
async fn what_wears_out_is_full_at_first_and_restoring_it_is_auto() {
    let product = start(WEARING).await;
    let first = holding(&product, 120, 2);
    assert!(first.iter().all(|value| *value > 0), "{first:?}");
    assert_eq!(state(&product, "battery"), "auto");
    write(&product, 121, &[0]).await.unwrap();
    assert_eq!((state(&product, "battery").as_str(), product.now().battery), ("hold_charge", 0.0));
    write(&product, 121, &first[1..]).await.unwrap();
    assert_eq!((state(&product, "battery").as_str(), product.now().battery), ("auto", -1_500.0));
}

#[tokio::test]
async fn limits_bound_the_output_and_the_export_and_the_reserve_the_battery() {
    let product = start(WEARING).await;
    assert_eq!(holding(&product, 130, 4), [0, 600, 1_000, 5]);
    product.hold(Some(9_000.0), Some(500.0));
    let now = product.now();
    assert_eq!((now.battery, now.inverter, now.grid), (-5_000.0, 4_000.0, -3_500.0));
    write(&product, 130, &[1, 100]).await.unwrap();
    let now = product.now();
    assert_eq!((now.export_limit, now.grid, now.inverter), (Some(1_000.0), -1_000.0, 1_500.0));
    write(&product, 131, &[0]).await.unwrap();
    assert_eq!((product.now().grid, product.now().load), (0.0, 500.0));
    write(&product, 130, &[0]).await.unwrap();
    assert_eq!((product.now().export_limit, product.now().grid), (None, -3_500.0));
    write(&product, 132, &[100]).await.unwrap();
    assert_eq!((product.now().limit, product.now().inverter), (Some(600.0), 600.0));
    write(&product, 132, &[1_000]).await.unwrap();
    assert_eq!(product.now().limit, None);
    product.hold(Some(0.0), Some(500.0));
    assert_eq!((product.now().battery, product.now().reserve), (500.0, 5.0));
    write(&product, 133, &[60]).await.unwrap();
    assert_eq!((product.now().battery, product.now().reserve), (0.0, 60.0));
}

#[tokio::test]
async fn what_it_does_not_know_is_refused_whole_or_moved_to_its_end() {
    let product = start(WEARING).await;
    for (at, values, code) in [
        (132, &[1_001][..], 3),
        (131, &[601], 3),
        (130, &[2], 3),
        (133, &[101], 3),
        (133, &[4], 3),
        (140, &[4], 3),
        (141, &[1], 2),
        (0, &[1], 2),
    ] {
        assert_eq!(write(&product, at, values).await, Err(code), "{at}");
    }
    assert_eq!(holding(&product, 130, 4), [0, 600, 1_000, 5]);
    write(&product, 140, &[2]).await.unwrap();
    assert_eq!(holding(&product, 140, 1), [2]);
    let profile = adapter_api::profile::Profile::parse("mine", &format!("{HEAD}{BATTERY}{WEARING}")).unwrap();
    let settings = ProductSettings { clamps: true, strict: true, ..still() };
    let kind = Product::serve(profile, settings).await.unwrap();
    write(&kind, 131, &[900]).await.unwrap();
    assert_eq!(holding(&kind, 131, 1), [600]);
    assert_eq!(write(&kind, 140, &[1]).await, Err(1), "a single register takes function 6");
    let mut wire = Wire::to(kind.addr()).await;
    assert_eq!(wire.ask(7, &words(6, &[140, 1])).await.unwrap().pdu[0], 6);
    assert_eq!(wire.ask(7, &words(6, &[131, 1])).await.unwrap().pdu, [0x86, 1]);
}

#[tokio::test]
async fn what_wears_out_outlasts_a_timer() {
    let wears = "[setpoints.battery]\npart = 'battery'\ntimer = { longest = '60s' }\n[setpoints.battery.states]\n\
        auto.writes = [{ register = 100, value = 0 }]\n\
        hold.writes = [{ register = 100, value = 0 }, { register = 105, value = 0, persistent = true }]\n\
        charge.writes = [{ register = 100, value = 1 }, { register = 101, from = 'power' }, { register = 102, from = 'timer' }]\n";
    let product = start(wears).await;
    write(&product, 105, &[0]).await.unwrap();
    write(&product, 100, &[1, 600, 30]).await.unwrap();
    assert_eq!((state(&product, "battery").as_str(), product.now().battery), ("charge", -600.0));
    product.skip(MINUTE);
    assert_eq!((state(&product, "battery").as_str(), product.fallbacks()), ("hold", 1));
}

#[tokio::test]
async fn it_stops_at_the_content_that_it_was_told() {
    let until = "[setpoints.battery]\npart = 'battery'\n[setpoints.battery.states]\n\
        auto.writes = [{ register = 100, value = 0 }]\n\
        charge.writes = [{ register = 100, value = 1 }, { register = 101, from = 'power' }, { register = 102, from = 'soc', otherwise = 100 }]\n\
        discharge.writes = [{ register = 100, value = 2 }, { register = 101, from = 'power' }, { register = 102, from = 'soc', otherwise = 10 }]\n";
    let plant = crate::PlantSettings::default();
    let text = format!("{HEAD}{BATTERY}{until}");
    let product = product(&text, ProductSettings { plant, ..still() }).await;
    product.hold(Some(0.0), Some(0.0));
    write(&product, 100, &[1, 1_000, 55]).await.unwrap();
    product.skip(10 * MINUTE);
    assert_eq!(product.now().battery, -1_000.0);
    product.skip(60 * MINUTE);
    // What a leap leaves of its last watt-hour flows within the next moment.
    assert!(product.now().battery.abs() < 100.0 && product.now().soc.round() == 55.0);
    write(&product, 100, &[2, 1_000, 50]).await.unwrap();
    product.skip(60 * MINUTE);
    assert!(product.now().battery.abs() < 100.0 && product.now().soc.round() == 50.0);
}
