//! Given back whatever dies: the gateway, the machine, the connection, the configuration.

use serde_json::{Value, json};
use simulator::{BatteryMode, Fault, Scope};

use super::{LONG, battery, charge, charge_that, given_back, setpoint, start, time, timers, until_mode};
use crate::parts::{Gateway, house, until, until_true};

#[tokio::test]
async fn when_the_gateway_is_dead_the_inverters_own_timer_gives_the_battery_back() {
    let home = house::still_home(1.0).await;
    let mut gateway = start(&home).await;
    charge(&gateway, "night", 3).await;
    gateway.kill();
    let writes = home.hybrid().writes();
    assert_eq!(timers(&writes), [3]);
    until_mode(&home, BatteryMode::Auto).await;
    assert_eq!(home.hybrid().writes(), writes, "nobody wrote: it was the inverter");
    gateway.start_again().await;
    given_back(&gateway, "night").await;
}

/// The journal as it is found after a reboot of the machine: the monotonic clock that its leases are on
/// is another one. The gateway must be dead. Returns how many setpoints it knows.
fn reboot(gateway: &Gateway) -> usize {
    let db = rusqlite::Connection::open(gateway.journal()).unwrap();
    let boot = "UPDATE note SET value = ?1 WHERE space = 'commands' AND key = 'boot'";
    assert_eq!(db.execute(boot, [b"another boot"]).unwrap(), 1);
    let mut notes = db.prepare("SELECT key, value FROM note WHERE space = 'lease'").unwrap();
    let notes = notes.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let notes: Vec<(String, Vec<u8>)> = notes.map(Result::unwrap).collect();
    for (key, value) in &notes {
        let mut note: Value = serde_json::from_slice(value).unwrap();
        assert!(note["boot"].is_string(), "{note}");
        note["boot"] = json!("another boot");
        let value = note.to_string().into_bytes();
        let changed = db
            .execute("UPDATE note SET value = ?1 WHERE space = 'lease' AND key = ?2", (value, key))
            .unwrap();
        assert_eq!(changed, 1);
    }
    notes.len()
}

#[tokio::test]
async fn after_a_reboot_a_lease_is_over_at_once() {
    let home = house::still_home(1.0).await;
    let mut gateway = start(&home).await;
    charge(&gateway, "night", LONG).await;
    gateway.kill();
    assert!(reboot(&gateway) > 0);
    gateway.start_again().await;
    // The inverter's own timer has two minutes.
    given_back(&gateway, "night").await;
    assert_eq!(home.now().mode, BatteryMode::Auto);
    assert!(battery(&gateway).await["holder"].is_null());
}

#[tokio::test]
async fn after_a_reboot_the_lease_of_what_was_in_flight_is_over_too() {
    let home = house::still_home(12.0).await;
    let mut gateway = start(&home).await;
    // It is executed by one write, and the gateway never hears of it.
    home.hybrid().fault(Fault::Silence { executed: true }, Scope::WRITES);
    let body = json!({"id": "doubt", "command": "set_power_limit", "parameters": {"percent": 40},
        "lease": {"seconds": LONG}});
    let (status, answer) = gateway.post("roof", body).await;
    assert_eq!(status, 202, "{answer}");
    until_true("it was written", || !home.hybrid().writes().is_empty()).await;
    gateway.kill();
    home.hybrid().clear_faults();
    assert!(home.now().limit.is_some());
    reboot(&gateway);
    gateway.start_again().await;
    let result = gateway.result("doubt").await;
    assert_eq!((&result["status"], &result["attempts"]), (&json!("completed"), &json!(1)), "{result}");
    given_back(&gateway, "doubt").await;
    assert_eq!(home.now().limit, None);
    assert!(setpoint(&gateway, "roof", "power_limit").await["holder"].is_null());
}

#[tokio::test]
async fn after_a_crash_in_the_same_boot_the_remaining_time_goes_on() {
    let home = house::still_home(1.0).await;
    let mut gateway = start(&home).await;
    charge(&gateway, "night", 15).await;
    let before = battery(&gateway).await["holder"].take();
    gateway.kill();
    gateway.start_again().await;
    let after = battery(&gateway).await["holder"].take();
    assert_eq!((&before["id"], &before["owner"]), (&after["id"], &after["owner"]));
    assert!(after["reverting"].is_null(), "{after}");
    let moved = time(&after["until"]) - time(&before["until"]);
    assert!(moved.abs() < 1_000, "{before} {after}");
    let (status, refusal) = gateway
        .post("roof-battery", json!({"command": "set_battery_mode", "parameters": {"mode": "hold"}}))
        .await;
    assert_eq!((status, &refusal["error"]["code"]), (409, &json!("held")), "{refusal}");
    let back = given_back(&gateway, "night").await;
    assert!(time(&back["acceptedAt"]) >= time(&before["until"]) - 1_000, "not before its end: {back}");
    assert_eq!(home.now().mode, BatteryMode::Auto);
}

#[tokio::test]
async fn a_stop_gives_back_before_the_process_ends() {
    let home = house::still_home(1.0).await;
    let mut gateway = start(&home).await;
    charge(&gateway, "night", LONG).await;
    assert!(gateway.stop().await.success());
    assert_eq!(home.now().mode, BatteryMode::Auto);
    assert_eq!(timers(&home.hybrid().writes()).last(), Some(&0), "and leaves no timer behind");
    gateway.start_again().await;
    given_back(&gateway, "night").await;
    assert!(battery(&gateway).await["holder"].is_null());
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_a_silent_battery_and_the_next_start_gives_it_back() {
    let home = house::still_home(1.0).await;
    let mut gateway = start(&home).await;
    charge(&gateway, "night", LONG).await;
    home.hybrid().fault(Fault::Silence { executed: false }, Scope::ALL);
    gateway.signal("TERM");
    until_true("it waits for the battery", || gateway.log().contains("devices that are given back")).await;
    gateway.signal("TERM");
    let status = gateway.ended().await;
    assert!(!status.success() && gateway.log().contains("ended at once"), "{status} {}", gateway.log());
    assert_eq!(home.now().mode, BatteryMode::Charge);
    home.hybrid().clear_faults();
    gateway.start_again().await;
    given_back(&gateway, "night").await;
    assert_eq!(home.now().mode, BatteryMode::Auto);
    assert!(battery(&gateway).await["holder"].is_null());
}

#[tokio::test]
async fn at_a_stop_a_dead_device_does_not_keep_another_one_from_being_given_back() {
    for dead in [Fault::Silence { executed: false }, Fault::RefuseConnections] {
        let (home, other) = (house::still_home(1.0).await, house::still_home(1.0).await);
        let timing = "interval = \"200ms\"\ntimeout = \"1s\"";
        let shed = house::hybrid("shed", other.hybrid_addr(), timing, "");
        let sections = format!("{}{shed}", house::sections(&home));
        let mut gateway = Gateway::start(house::GATEWAY, &sections).await;
        for device in ["roof-battery", "shed-battery"] {
            gateway.points(device).await;
            charge_that(&gateway, device, &format!("night-{device}"), LONG).await;
        }
        home.hybrid().fault(dead, Scope::ALL);
        if dead == Fault::RefuseConnections {
            home.hybrid().disconnect();
        }
        assert!(gateway.stop().await.success(), "{dead:?}");
        assert_eq!(other.now().mode, BatteryMode::Auto, "{dead:?}");
        assert_eq!(home.now().mode, BatteryMode::Charge, "{dead:?}");
        assert!(gateway.log().contains("could not be given back"), "{dead:?}: it says so");
        home.hybrid().clear_faults();
        gateway.start_again().await;
        given_back(&gateway, "night-roof-battery").await;
        assert_eq!(home.now().mode, BatteryMode::Auto, "{dead:?}");
    }
}

#[tokio::test]
async fn a_device_that_a_reload_removes_or_moves_is_given_back_first() {
    let (home, other) = (house::still_home(1.0).await, house::still_home(1.0).await);
    let gateway = start(&home).await;
    charge(&gateway, "moved", LONG).await;
    gateway.configure(
        house::GATEWAY,
        &format!("[journal]\ngroup = \"1s\"\n{}", house::roof(other.hybrid_addr(), true)),
    );
    gateway.signal("HUP");
    until_mode(&home, BatteryMode::Auto).await;
    until("the other inverter is read", || async {
        (other.hybrid().served(1, house::STORAGE) > 1).then_some(())
    })
    .await;
    assert!(other.hybrid().writes().is_empty(), "nothing was held there");
    until("the lease is over", || async { battery(&gateway).await["holder"].is_null().then_some(()) }).await;
    charge(&gateway, "removed", LONG).await;
    assert_eq!(other.now().mode, BatteryMode::Charge);
    gateway.configure(house::GATEWAY, "[journal]\ngroup = \"1s\"\n");
    gateway.signal("HUP");
    until_mode(&other, BatteryMode::Auto).await;
}

#[tokio::test]
async fn what_an_offline_device_owes_is_given_back_when_it_returns() {
    let home = house::still_home(1.0).await;
    let gateway = start(&home).await;
    charge(&gateway, "night", 3).await;
    home.hybrid().fault(Fault::RefuseConnections, Scope::ALL);
    home.hybrid().disconnect();
    until("the lease is over while the device is away", || async {
        let holder = battery(&gateway).await["holder"].take();
        let away = gateway.get("/v1/devices/roof-battery").await["availability"] == "offline";
        (away && holder["reverting"].is_string()).then_some(())
    })
    .await;
    let before = home.hybrid().writes().len();
    home.hybrid().clear_faults();
    let back = given_back(&gateway, "night").await;
    assert!(home.hybrid().writes().len() > before || back["written"] == false, "{back}");
    assert_eq!(home.now().mode, BatteryMode::Auto);
    assert!(battery(&gateway).await["holder"].is_null());
}
