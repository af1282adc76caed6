//! Devices that lie, stall and vanish: no wrong value, a problem in words, and recovery.

use std::time::Duration;

use serde_json::Value;
use simulator::{Fault, Home, Scope};

use crate::parts::{Gateway, house, until};

async fn reads_on(gateway: &Gateway, what: &str) -> Value {
    let first = gateway.get("/v1/devices/house").await["latest"]["number"].as_u64().unwrap_or(0);
    until(&format!("readings after {what}"), || async {
        let device = gateway.get("/v1/devices/house").await;
        let newer = device["latest"]["number"].as_u64().is_some_and(|number| number > first);
        (newer && device["availability"] == "online").then_some(device)
    })
    .await
}

async fn meter_and_gateway() -> (Home, Gateway) {
    let home = house::still_home(12.0).await;
    let impatient = house::house(home.meter_addr()).replace("timeout = \"1s\"", "timeout = \"400ms\"");
    let sections = format!("[journal]\ngroup = \"1s\"\n{impatient}");
    let gateway = Gateway::start(house::GATEWAY, &sections).await;
    gateway.points("house").await;
    (home, gateway)
}

#[tokio::test]
async fn whatever_a_device_answers_no_wrong_value_is_ever_taken() {
    let (home, gateway) = meter_and_gateway().await;
    let load = home.now().load;
    let faults = [
        Fault::Delay(Duration::from_millis(600)),
        Fault::Silence { executed: false },
        Fault::Close { executed: false },
        Fault::OtherTransaction,
        Fault::OtherUnit,
        Fault::OtherFunction,
        Fault::Protocol(7),
        Fault::FewerRegisters,
        Fault::MoreRegisters(2),
        Fault::MissingBytes,
        Fault::LyingCount,
        Fault::Exception(1),
        Fault::Exception(2),
        Fault::Exception(3),
        Fault::Exception(4),
        Fault::Exception(6),
        Fault::Exception(11),
        Fault::Garbage,
        Fault::Torn,
    ];
    for fault in faults {
        let what = format!("{fault:?}");
        home.meter().fault(fault, Scope::READS.times(3));
        reads_on(&gateway, &what).await;
        home.meter().clear_faults();
    }
    // Every reading of the whole story, as the journal has it.
    let number = gateway.get("/v1/devices/house").await["latest"]["number"].as_u64().unwrap();
    let history = until("the journal has them all", || async {
        let history = gateway.get("/v1/devices/house/history?limit=100000").await;
        let readings = history["readings"].as_array().unwrap().clone();
        readings.last().is_some_and(|last| last["number"].as_u64() >= Some(number)).then_some(readings)
    })
    .await;
    for reading in &history {
        let points = &reading["points"];
        let watts = points["activePower"].as_f64().unwrap();
        assert!((watts - load).abs() <= 1.0, "a wrong value was taken: {reading}");
        let volts = points["voltage"].as_f64().unwrap();
        assert!((200.0..260.0).contains(&volts), "{reading}");
        let hertz = points["frequency"].as_f64().unwrap();
        assert!((49.0..51.0).contains(&hertz), "{reading}");
    }
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

#[tokio::test]
async fn a_dead_device_is_told_in_words_and_joins_when_it_appears() {
    let home = house::still_home(12.0).await;
    let dead = "[modbus.far]\naddress = \"tcp://127.0.0.1:1\"\ninterval = \"200ms\"\n[modbus.far.device.far]\nprofile = \"eastron-sdm630\"\nusage = \"pv\"\n";
    let sections = format!("[journal]\ngroup = \"1s\"\n{}{dead}", house::house(home.meter_addr()));
    let gateway = Gateway::start(house::GATEWAY, &sections).await;
    let problem = until("a problem in words", || async {
        let device = gateway.get("/v1/devices/far").await;
        (device["availability"] == "offline")
            .then(|| device["problem"].as_str().unwrap_or_default().to_owned())
    })
    .await;
    assert!(problem.contains("127.0.0.1:1"), "{problem}");
    gateway.points("house").await;
    let list = String::from_utf8(gateway.cli(&["devices"]).await.stdout).unwrap();
    assert!(list.contains("offline") && list.contains("127.0.0.1:1"), "{list}");
    // The other one goes away and comes back.
    home.meter().fault(Fault::Silence { executed: false }, Scope::ALL);
    until("house is offline", || async {
        (gateway.get("/v1/devices/house").await["availability"] == "offline").then_some(())
    })
    .await;
    home.meter().clear_faults();
    let device = reads_on(&gateway, "silence").await;
    assert!(device["problem"].is_null(), "{device}");
}
