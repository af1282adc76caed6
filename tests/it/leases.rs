//! Who holds a setpoint keeps it, everybody is told, and it is always given back: at its end, by the
//! next start, or by the inverter itself.

mod back;
mod copy;
mod device;

use serde_json::{Value, json};
use simulator::{BatteryMode, Home, WriteSeen};

use crate::parts::{Gateway, Mosquitto, Peer, house, until, until_true};

/// More than any test waits.
const LONG: u64 = 600;
/// The inverter's own timer.
const TIMER: u16 = house::STORAGE + 15;

/// A setpoint as `GET /v1/leases` shows it; null when nobody ever touched it.
async fn setpoint(gateway: &Gateway, device: &str, setpoint: &str) -> Value {
    let answer = gateway.get("/v1/leases").await;
    let all = answer["leases"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    let of = |lease: &Value| lease["deviceId"] == device && lease["setpoint"] == setpoint;
    all.into_iter().find(of).unwrap_or(Value::Null)
}

async fn battery(gateway: &Gateway) -> Value {
    setpoint(gateway, "roof-battery", "battery").await
}

/// Charges with 2000 W for so long, and waits until that is so.
async fn charge(gateway: &Gateway, id: &str, seconds: u64) -> Value {
    charge_that(gateway, "roof-battery", id, seconds).await
}

/// [`charge`] for this battery.
async fn charge_that(gateway: &Gateway, battery: &str, id: &str, seconds: u64) -> Value {
    let body = json!({"id": id, "owner": "night", "command": "set_battery_power",
        "parameters": {"power": -2000}, "lease": {"seconds": seconds}});
    let (status, answer) = gateway.post(battery, body).await;
    assert_eq!(status, 202, "{answer}");
    let result = gateway.result(id).await;
    assert_eq!(result["status"], "completed", "{result}");
    result
}

/// The command that gave back what `id` had held.
async fn given_back(gateway: &Gateway, id: &str) -> Value {
    until(&format!("what {id} held is given back"), || async {
        let list = gateway.get("/v1/commands?source=system").await;
        let mut commands = list["commands"].as_array()?.clone().into_iter();
        commands.find(|command| command["reverts"] == id && command["status"] == "completed")
    })
    .await
}

async fn until_mode(home: &Home, mode: BatteryMode) {
    until_true(&format!("the battery is in {mode:?}"), || home.now().mode == mode).await;
}

fn time(text: &Value) -> i64 {
    text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// What the inverter's timer was set to, in order.
fn timers(writes: &[WriteSeen]) -> Vec<u16> {
    let taken = writes.iter().filter(|write| write.accepted && write.address <= TIMER);
    taken.filter_map(|write| write.values.get(usize::from(TIMER - write.address)).copied()).collect()
}

async fn start(home: &Home) -> Gateway {
    let gateway = Gateway::start(house::GATEWAY, &house::sections(home)).await;
    gateway.points("roof-battery").await;
    gateway
}

#[tokio::test]
async fn of_two_that_fight_over_a_battery_the_holder_keeps_it_until_it_dies_and_the_ledger_tells() {
    let (broker, home) = (Mosquitto::start().await, house::still_home(1.0).await);
    let sections = format!("{}{}", broker.section(), house::sections(&home));
    let gateway = Gateway::start(house::GATEWAY, &sections).await;
    gateway.points("roof-battery").await;
    let peer = Peer::connect(broker.port, &["maestro/#", "night/answers", "surplus/answers"]).await;
    peer.wait("the gateway is there", "maestro/status", |value| value == "online").await;
    let ask = async |owner: &str, id: &str, power: i32, seconds: u64| {
        let body = json!({"id": id, "owner": owner, "command": "set_battery_power",
            "parameters": {"power": power}, "lease": {"seconds": seconds}});
        let topic = format!("{owner}/answers");
        peer.ask("maestro/device/roof-battery/set", &body.to_string(), &topic, id.as_bytes()).await;
        peer.wait(&format!("the answer to {id}"), &topic, |answer| answer["id"] == id).await.1
    };
    for round in 0..12 {
        // It sends again before its time is over; each time another power, so that it is written.
        let result = ask("night", &format!("night-{round}"), -1000 - round, 20).await;
        assert_eq!(result["status"], "completed", "{result}");
        for try_ in 0..3 {
            let refusal = ask("surplus", &format!("surplus-{round}-{try_}"), 1500, 20).await;
            assert_eq!((&refusal["status"], &refusal["error"]["code"]), (&json!("failed"), &json!("held")));
            let words = refusal["error"]["message"].as_str().unwrap();
            assert!(words.contains("held by mqtt:night until 2"), "{words}");
        }
        assert_eq!(home.now().mode, BatteryMode::Charge);
    }
    let lease = battery(&gateway).await;
    let holder = &lease["holder"];
    assert_eq!((&holder["owner"], &holder["id"]), (&json!("mqtt:night"), &json!("night-11")), "{lease}");
    assert_eq!(holder["revert"], json!({"command": "set_battery_mode", "parameters": {"mode": "auto"}}));
    let writers: Vec<_> = lease["writers"].as_array().unwrap().iter().map(|w| w["id"].clone()).collect();
    assert_eq!(writers, ["night-7", "night-8", "night-9", "night-10", "night-11"]);
    let refusals = lease["refusals"].as_array().unwrap();
    assert_eq!(refusals.len(), 5, "{lease}");
    assert!(refusals.iter().all(|refused| refused["owner"] == "mqtt:surplus"
        && refused["reason"].as_str().unwrap().contains("held by mqtt:night")));
    let told = String::from_utf8(gateway.cli(&["leases"]).await.stdout).unwrap();
    assert!(told.contains("mqtt:night") && told.contains("mqtt:surplus"), "{told}");
    peer.wait("the lease in the state", "maestro/device/roof-battery/state", |state| {
        state["lease"]["owner"] == "mqtt:night" && state["lease"]["until"].is_string()
    })
    .await;
    // The holder shortens its time and dies.
    ask("night", "night-last", -900, 2).await;
    given_back(&gateway, "night-last").await;
    assert_eq!(home.now().mode, BatteryMode::Auto);
    assert!(battery(&gateway).await["holder"].is_null());
    until("the state has no lease any more", || {
        let newest = peer.newest().remove("maestro/device/roof-battery/state");
        let state: Value = serde_json::from_slice(&newest.unwrap().payload).unwrap();
        std::future::ready(state["lease"].is_null().then_some(()))
    })
    .await;
    let free = ask("surplus", "surplus-free", 1500, 2).await;
    assert_eq!(free["status"], "completed", "{free}");
    given_back(&gateway, "surplus-free").await;
}

#[tokio::test]
async fn a_higher_priority_takes_over_and_without_a_lease_of_its_own_gets_the_remaining_time() {
    let (broker, home) = (Mosquitto::start().await, house::still_home(12.0).await);
    let sections = format!("{}{}", broker.section(), house::sections(&home));
    let gateway = Gateway::start(house::GATEWAY, &sections).await;
    gateway.points("roof").await;
    let peer = Peer::connect(broker.port, &["maestro/#", "surplus/answers", "grid/answers"]).await;
    peer.wait("the gateway is there", "maestro/status", |value| value == "online").await;
    let limit = |owner: &str, id: &str, percent: u32| json!({"id": id, "owner": owner, "command": "set_power_limit", "parameters": {"percent": percent}});
    let ask = async |owner: &str, id: &str, body: Value| {
        let topic = format!("{owner}/answers");
        peer.ask("maestro/device/roof/set", &body.to_string(), &topic, id.as_bytes()).await;
        peer.wait(&format!("the answer to {id}"), &topic, |answer| answer["id"] == id).await.1
    };
    let mut first = limit("surplus", "first", 40);
    first["lease"] = json!({"seconds": 8});
    assert_eq!(ask("surplus", "first", first).await["status"], "completed");
    let ends = time(&setpoint(&gateway, "roof", "power_limit").await["holder"]["until"]);
    let refusal = ask("grid", "equal", limit("grid", "equal", 30)).await;
    assert_eq!(refusal["error"]["code"], "held", "{refusal}");
    let mut above = limit("grid", "above", 60);
    above["priority"] = json!("high");
    assert_eq!(ask("grid", "above", above).await["status"], "completed");
    let (message, lost) =
        peer.wait("the holder is told", "surplus/answers", |answer| answer["status"] == "lease_lost").await;
    assert_eq!((&lost["id"], &lost["setpoint"]), (&json!("first"), &json!("power_limit")));
    assert!(lost["reason"].as_str().unwrap().contains("mqtt:grid"), "{lost}");
    assert_eq!(message.properties.unwrap().correlation_data.unwrap().as_ref(), b"first");
    peer.wait("everybody is told", "maestro/device/roof/progress", |progress| {
        progress["status"] == "lease_lost" && progress["id"] == "first"
    })
    .await;
    let holder = setpoint(&gateway, "roof", "power_limit").await["holder"].take();
    assert_eq!((&holder["owner"], &holder["id"]), (&json!("mqtt:grid"), &json!("above")), "{holder}");
    assert!((time(&holder["until"]) - ends).abs() < 1_000, "the remaining time: {holder}, {ends}");
    assert!(home.now().limit.is_some());
    let back = given_back(&gateway, "above").await;
    assert_eq!(
        (&back["command"], &back["parameters"]),
        (&json!("set_power_limit"), &json!({"restore": true}))
    );
    assert_eq!(home.now().limit, None);
}

#[tokio::test]
async fn what_cannot_be_given_back_is_not_held() {
    let home = house::still_home(1.0).await;
    let gateway = start(&home).await;
    let lease = json!({"seconds": 60});
    let odd =
        json!({"seconds": 60, "revert": {"command": "set_battery_mode", "parameters": {"mode": "fast"}}});
    let other = json!({"seconds": 60, "revert": {"command": "refresh"}});
    for (body, words) in [
        (json!({"command": "refresh", "lease": lease}), "sets nothing"),
        (json!({"command": "set_battery_mode", "parameters": {"mode": "hold"}, "lease": odd}), "fast"),
        (json!({"command": "set_battery_mode", "parameters": {"mode": "hold"}, "lease": other}), "refresh"),
    ] {
        let (status, refusal) = gateway.post("roof-battery", body.clone()).await;
        assert_eq!(status, 400, "{body}: {refusal}");
        assert!(refusal["error"]["message"].as_str().unwrap().contains(words), "{words}: {refusal}");
    }
    assert!(home.hybrid().writes().is_empty());
}
