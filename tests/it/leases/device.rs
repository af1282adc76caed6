//! What a lease means at the device: timers, dropped setpoints, saved settings, an end of its own.

use serde_json::json;
use simulator::{BatteryMode, Home, HomeSettings, Table};

use super::{battery, charge, given_back, start, time, timers, until_mode};
use crate::parts::{house, modbus::Tool};

const MODE: u16 = house::STORAGE + 5;
const GRID_CHARGE: u16 = house::STORAGE + 17;

#[tokio::test]
async fn the_inverters_own_timer_is_set_to_the_remaining_time_and_again_at_half_of_it() {
    let home = house::still_home(1.0).await;
    let gateway = start(&home).await;
    charge(&gateway, "night", 12).await;
    given_back(&gateway, "night").await;
    let writes = home.hybrid().accepted_writes();
    let set = timers(&writes);
    let (last, running) = set.split_last().unwrap();
    assert_eq!(*last, 0, "none is left behind: {set:?}");
    assert!(running.len() >= 3 && running[0] == 12, "12 s, then half, then half of that: {set:?}");
    assert!(running.is_sorted_by(|a, b| a > b), "never longer than what remains: {set:?}");
    // Written again is the same again.
    let rates: Vec<_> = writes.iter().filter(|write| write.address == house::STORAGE + 12).collect();
    assert!(rates[..running.len()].iter().all(|write| write.values[..2] == rates[0].values[..2]));
}

#[tokio::test]
async fn what_the_device_dropped_is_set_again_once_and_then_given_up() {
    let home = house::still_home(1.0).await;
    let gateway = start(&home).await;
    charge(&gateway, "night", 20).await;
    let ends = time(&battery(&gateway).await["holder"]["until"]);
    let mut tool = Tool::connect(home.hybrid_addr()).await;
    tool.write(MODE, &[0]).await;
    assert_eq!(home.now().mode, BatteryMode::Auto);
    until_mode(&home, BatteryMode::Charge).await;
    assert_eq!(battery(&gateway).await["holder"]["dropped"], 1);
    // A device that drops it again does not want it.
    tool.write(MODE, &[0]).await;
    let back = given_back(&gateway, "night").await;
    assert!(time(&back["acceptedAt"]) < ends, "before its time: {back}");
    assert!(battery(&gateway).await["holder"].is_null());
    let modes: Vec<_> =
        home.hybrid().accepted_writes().into_iter().filter(|write| write.address == MODE).collect();
    let charges = modes.iter().filter(|write| write.values == [2]).count();
    assert_eq!(charges, 2, "the command, and once more: {modes:?}");
}

#[tokio::test]
async fn a_lasting_setting_that_a_command_changed_gets_its_old_value_back() {
    let home = house::still_home(1.0).await;
    let mut tool = Tool::connect(home.hybrid_addr()).await;
    tool.write(GRID_CHARGE, &[0]).await;
    let grid_charge = || home.hybrid().peek(1, Table::Holding, GRID_CHARGE, 1).unwrap()[0];
    let mut gateway = start(&home).await;
    charge(&gateway, "first", super::LONG).await;
    assert_eq!(grid_charge(), 1, "charging needs it");
    // The old value outlives a crash and another charge.
    gateway.kill();
    gateway.start_again().await;
    gateway.points("roof-battery").await;
    charge(&gateway, "second", 2).await;
    given_back(&gateway, "second").await;
    assert_eq!(tool.read(GRID_CHARGE, 1).await, [0]);
}

#[tokio::test]
async fn a_state_of_charge_ends_a_charge() {
    // 3 kW for ten minutes are five percent of the battery; that is a second here.
    let settings = HomeSettings { speed: 600.0, start_hour: 1.0, soc: 48.0, ..HomeSettings::default() };
    let home = Home::start(settings).await.unwrap();
    let gateway = start(&home).await;
    let until_soc = home.now().soc.ceil() + 4.0;
    let body = json!({"id": "full", "command": "set_battery_mode",
        "parameters": {"mode": "charge", "power": 3000, "until_soc": until_soc}, "lease": {"seconds": 600}});
    let (status, answer) = gateway.post("roof-battery", body).await;
    assert_eq!(status, 202, "{answer}");
    given_back(&gateway, "full").await;
    assert_eq!(home.now().mode, BatteryMode::Auto);
    let lease = battery(&gateway).await;
    assert!(lease["holder"].is_null(), "{lease}");
    let most = home.hybrid().writes().iter().filter(|write| write.address == MODE).count();
    assert_eq!(most, 2, "charge and auto");
}
