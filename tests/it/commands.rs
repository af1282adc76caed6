//! A command goes from a topic or the terminal to the register and comes back with the truth.

use serde_json::{Value, json};
use simulator::{Fault, Scope};

use crate::parts::{Gateway, Mosquitto, Peer, house, until_true};

const CHARGE: &str = r#"{"command": "set_battery_mode", "parameters": {"mode": "charge", "power": 2000}}"#;

#[tokio::test]
async fn a_command_by_mqtt_reaches_the_register_and_the_answer_comes_to_the_response_topic() {
    let (broker, home) = (Mosquitto::start().await, house::still_home(1.0).await);
    let gateway =
        Gateway::start(house::GATEWAY, &format!("{}{}", broker.section(), house::sections(&home))).await;
    gateway.points("roof-battery").await;
    let peer = Peer::connect(broker.port, &["maestro/#", "me/answers"]).await;
    peer.wait("the gateway is there", "maestro/status", |value| value == "online").await;
    peer.ask("maestro/device/roof-battery/set", CHARGE, "me/answers", b"\x00\xffmine").await;
    let (message, result) = peer.wait("the answer", "me/answers", |_| true).await;
    assert_eq!(message.properties.unwrap().correlation_data.unwrap().as_ref(), b"\x00\xffmine");
    assert_eq!(result["status"], "completed", "{result}");
    assert_eq!(result["outcome"], "done");
    assert_eq!(result["verified"], true);
    assert_eq!(result["written"], true);
    assert_eq!(result["observed"]["mode"], "charge");
    assert!((home.now().battery + 2000.0).abs() <= 20.0, "the battery charges: {}", home.now().battery);
    peer.wait("progress", "maestro/device/roof-battery/progress", |value| value["status"] == "accepted")
        .await;
    peer.wait("progress", "maestro/device/roof-battery/progress", |value| value["status"] == "executing")
        .await;
    let id = result["id"].clone();
    peer.wait("the device's result", "maestro/device/roof-battery/result", |value| value["id"] == id).await;
    peer.wait("the common result", "maestro/result", |value| value["id"] == id).await;
    peer.wait("the new state", "maestro/device/roof-battery/state", |state| {
        state["batteryMode"] == "charge" && state["activePower"].as_f64().is_some_and(|watts| watts < -1900.0)
    })
    .await;
}

#[tokio::test]
async fn the_common_topic_takes_a_command_that_names_its_device() {
    let (broker, home) = (Mosquitto::start().await, house::still_home(12.0).await);
    let gateway =
        Gateway::start(house::GATEWAY, &format!("{}{}", broker.section(), house::sections(&home))).await;
    gateway.points("roof").await;
    let peer = Peer::connect(broker.port, &["maestro/#"]).await;
    peer.wait("the gateway is there", "maestro/status", |value| value == "online").await;
    let limit = json!({"deviceId": "roof", "command": "set_power_limit", "parameters": {"percent": 40},
        "id": "limit-1", "correlationId": "c-1", "owner": "surplus"});
    peer.send("maestro/command", limit.to_string()).await;
    let (_, result) = peer.wait("the result", "maestro/result", |value| value["id"] == "limit-1").await;
    assert_eq!(
        (&result["status"], &result["correlationId"]),
        (&json!("completed"), &json!("c-1")),
        "{result}"
    );
    assert_eq!(result["owner"], "mqtt:surplus");
    assert!(home.now().inverter <= 2400.0 + 1.0, "limited to 40 % of 6 kW: {}", home.now().inverter);
    let lift = json!({"deviceId": "roof", "command": "set_power_limit", "parameters": {"enabled": false}, "id": "limit-2"});
    peer.send("maestro/command", lift.to_string()).await;
    peer.wait("the limit is lifted", "maestro/result", |value| {
        value["id"] == "limit-2" && value["status"] == "completed"
    })
    .await;
    assert_eq!(home.now().limit, None);
}

#[tokio::test]
async fn the_command_line_says_accepted_and_then_how_it_ended() {
    let home = house::still_home(1.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof-battery").await;
    let sent = gateway.cli(&["send", "roof-battery", "set_battery_mode", "mode=hold"]).await;
    let text = String::from_utf8(sent.stdout).unwrap();
    assert!(sent.status.success(), "{text} {}", String::from_utf8_lossy(&sent.stderr));
    assert!(
        text.starts_with("accepted as ") && text.contains("completed, verified by a fresh read"),
        "{text}"
    );
    assert!(home.now().battery.abs() < 1.0, "held: {}", home.now().battery);
    let again = gateway.cli(&["send", "roof-battery", "set_battery_mode", "mode=auto"]).await;
    assert!(again.status.success());
    let list = String::from_utf8(gateway.cli(&["commands"]).await.stdout).unwrap();
    assert!(list.contains("set_battery_mode mode=hold") && list.contains("completed"), "{list}");
    let refresh = gateway.cli(&["send", "house", "refresh"]).await;
    assert!(refresh.status.success(), "{}", String::from_utf8_lossy(&refresh.stdout));
}

#[tokio::test]
async fn the_same_id_is_answered_with_the_stored_result_and_executed_once() {
    let home = house::still_home(1.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof-battery").await;
    let command = |power: u32| json!({"id": "once", "command": "set_battery_mode", "parameters": {"mode": "charge", "power": power}});
    let (status, _) = gateway.post("roof-battery", command(1500)).await;
    assert_eq!(status, 202);
    let first = gateway.result("once").await;
    let writes = home.hybrid().writes().len();
    let (status, second) = gateway.post("roof-battery", command(1500)).await;
    assert_eq!((status, &second), (200, &first));
    assert_eq!(home.hybrid().writes().len(), writes, "nothing was written again");
    let (status, other) = gateway.post("roof-battery", command(900)).await;
    assert_eq!((status, &other["error"]["code"]), (409, &json!("id_reused")), "{other}");
}

async fn outcome(gateway: &Gateway, id: &str, body: Value) -> Value {
    let mut body = body;
    body["id"] = json!(id);
    let (status, answer) = gateway.post("roof-battery", body).await;
    assert_eq!(status, 202, "{answer}");
    gateway.result(id).await
}

#[tokio::test]
async fn a_lying_device_is_found_out() {
    let home = house::still_home(1.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof-battery").await;
    let charge =
        |power: u32| json!({"command": "set_battery_mode", "parameters": {"mode": "charge", "power": power}});
    home.hybrid().fault(Fault::EchoOnly, Scope::WRITES);
    let result = outcome(&gateway, "echo", charge(2000)).await;
    assert_eq!((&result["status"], &result["outcome"]), (&json!("failed"), &json!("mismatch")), "{result}");
    assert_eq!(result["requested"]["mode"], "charge");
    assert_eq!(result["observed"]["mode"], "auto");
    home.hybrid().clear_faults();
    // Busy twice, then fine: retried, and one truth at the end.
    home.hybrid().fault(Fault::Exception(6), Scope::WRITES.times(2));
    let result = outcome(&gateway, "busy", charge(1000)).await;
    assert_eq!(result["status"], "completed", "{result}");
    assert!(result["attempts"].as_u64().unwrap() >= 2, "{result}");
    home.hybrid().fault(Fault::Exception(3), Scope::WRITES);
    let result = outcome(&gateway, "no", charge(500)).await;
    assert_eq!((&result["outcome"], &result["attempts"]), (&json!("rejected"), &json!(1)), "{result}");
    home.hybrid().clear_faults();
    // Executed, but the answer was swallowed: the fresh read decides.
    home.hybrid().fault(Fault::Silence { executed: true }, Scope::WRITES.times(1));
    let result = outcome(&gateway, "swallowed", charge(700)).await;
    assert_eq!((&result["status"], &result["verified"]), (&json!("completed"), &json!(true)), "{result}");
}

#[tokio::test]
async fn whatever_a_device_answers_to_a_write_the_result_is_true_and_says_why() {
    let home = house::still_home(12.0).await;
    let impatient = house::sections(&home).replace("timeout = \"1s\"", "timeout = \"300ms\"");
    let gateway = Gateway::start(house::GATEWAY, &impatient).await;
    gateway.points("roof").await;
    let limit = |id: &str, percent: u32| json!({"id": id, "command": "set_power_limit", "parameters": {"percent": percent}, "maxRetries": 1});
    // Fault, how often, expected outcome, words in the error.
    let cases = [
        (Fault::Exception(1), 9, "rejected", "exception 1"),
        (Fault::Exception(2), 9, "rejected", "exception 2"),
        (Fault::Exception(3), 9, "rejected", "exception 3"),
        (Fault::Exception(4), 1, "done", ""),
        (Fault::Exception(6), 9, "unreachable", "exception 6"),
        (Fault::Exception(11), 9, "unreachable", "exception 11"),
        (Fault::Close { executed: true }, 1, "done", ""),
        (Fault::Close { executed: false }, 1, "done", ""),
        (Fault::OtherUnit, 1, "done", ""),
        (Fault::EchoOtherValue, 1, "done", ""),
        (Fault::Delay(std::time::Duration::from_millis(500)), 1, "done", ""),
    ];
    for (number, (fault, times, outcome, words)) in cases.into_iter().enumerate() {
        let (what, percent) = (format!("{fault:?}"), 20 + number as u32);
        home.hybrid().fault(fault, Scope::WRITES.times(times));
        let id = format!("write-{number}");
        let (status, answer) = gateway.post("roof", limit(&id, percent)).await;
        assert_eq!(status, 202, "{answer}");
        let result = gateway.result(&id).await;
        home.hybrid().clear_faults();
        assert_eq!(result["outcome"], outcome, "{what}: {result}");
        let message = result["error"]["message"].as_str().unwrap_or_default();
        assert!(message.to_lowercase().contains(words), "{what}: {result}");
        let applied = home.now().limit.is_some_and(|watts| (watts - f64::from(percent) * 60.0).abs() < 1.0);
        assert_eq!(applied, outcome == "done", "{what}: the inverter is the judge: {:?}", home.now().limit);
    }
}

#[tokio::test]
async fn a_command_that_finds_its_device_gone_waits_for_it_and_uses_no_retry() {
    let home = house::still_home(1.0).await;
    // So slow that only the command can find out.
    let slow = house::sections(&home).replace("interval = \"200ms\"", "interval = \"1h\"");
    let gateway = Gateway::start(house::GATEWAY, &slow).await;
    gateway.points("roof-battery").await;
    home.hybrid().fault(Fault::RefuseConnections, Scope::ALL);
    home.hybrid().disconnect();
    let hold = json!({"id": "patient", "command": "set_battery_mode", "parameters": {"mode": "hold"}, "maxRetries": 0});
    gateway.post("roof-battery", hold).await;
    crate::parts::until("roof-battery is offline", || async {
        (gateway.get("/v1/devices/roof-battery").await["availability"] == "offline").then_some(())
    })
    .await;
    let waiting = gateway.get("/v1/commands/patient").await;
    assert!(waiting["outcome"].is_null(), "{waiting}");
    home.hybrid().clear_faults();
    let result = gateway.result("patient").await;
    assert_eq!((&result["status"], &result["attempts"]), (&json!("completed"), &json!(1)), "{result}");
}

#[tokio::test]
async fn a_command_for_a_device_that_is_away_waits_for_it_and_uses_no_retry() {
    let home = house::still_home(1.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof-battery").await;
    home.hybrid().fault(Fault::RefuseConnections, Scope::ALL);
    home.hybrid().disconnect();
    crate::parts::until("roof-battery is offline", || async {
        let device = gateway.get("/v1/devices/roof-battery").await;
        (device["availability"] == "offline" && device["problem"].is_string()).then_some(())
    })
    .await;
    let (status, _) = gateway
        .post(
            "roof-battery",
            json!({"id": "later", "command": "set_battery_mode", "parameters": {"mode": "hold"}}),
        )
        .await;
    assert_eq!(status, 202);
    let (_, soon) =
        gateway.post("roof-battery", json!({"id": "never", "expiresIn": 0.5, "command": "refresh"})).await;
    assert_eq!(soon["status"], "accepted");
    let expired = gateway.result("never").await;
    assert_eq!(
        (&expired["status"], &expired["outcome"]),
        (&json!("timeout"), &json!("expired")),
        "{expired}"
    );
    let why = expired["error"]["message"].as_str().unwrap();
    assert!(why.contains("did not answer") && why.contains("no connection"), "{why}");
    home.hybrid().clear_faults();
    let result = gateway.result("later").await;
    assert_eq!((&result["status"], &result["attempts"]), (&json!("completed"), &json!(1)), "{result}");
}

#[tokio::test]
async fn a_result_waits_for_the_broker_and_states_come_back_with_it() {
    let (mut broker, home) = (Mosquitto::start().await, house::still_home(1.0).await);
    let gateway =
        Gateway::start(house::GATEWAY, &format!("{}{}", broker.section(), house::sections(&home))).await;
    gateway.points("roof-battery").await;
    let peer = Peer::connect(broker.port, &["maestro/#"]).await;
    peer.wait("the gateway is there", "maestro/status", |value| value == "online").await;
    // The write takes until the broker is gone.
    home.hybrid().fault(Fault::Stale(std::time::Duration::from_secs(2)), Scope::WRITES);
    let hold = json!({"deviceId": "roof-battery", "command": "set_battery_mode", "parameters": {"mode": "hold"}, "id": "slow"});
    peer.send("maestro/command", hold.to_string()).await;
    until_true("the command was written", || !home.hybrid().writes().is_empty()).await;
    broker.stop();
    gateway.result("slow").await;
    assert!(peer.messages("maestro/result").is_empty());
    broker.start_again().await;
    peer.wait("the result came late", "maestro/result", |value| value["id"] == "slow").await;
    let late = Peer::connect(broker.port, &["maestro/#"]).await;
    late.wait("states came back", "maestro/device/house/state", |value| value["activePower"].is_number())
        .await;
    late.wait("availability came back", "maestro/device/house/availability", |value| value == "online").await;
}

#[tokio::test]
async fn states_and_availability_are_retained_and_the_will_says_offline() {
    let (broker, home) = (Mosquitto::start().await, house::still_home(12.0).await);
    let mut gateway =
        Gateway::start(house::GATEWAY, &format!("{}{}", broker.section(), house::sections(&home))).await;
    gateway.points("roof").await;
    let first = Peer::connect(broker.port, &["maestro/#"]).await;
    first.wait("a state", "maestro/device/roof/state", |_| true).await;
    first.wait("availability", "maestro/device/roof/availability", |value| value == "online").await;
    let late = Peer::connect(broker.port, &["maestro/#"]).await;
    let (message, state) = late.wait("the retained state", "maestro/device/roof/state", |_| true).await;
    assert!(message.retain && state["timestamp"].is_string() && state["quality"] == "good", "{state}");
    gateway.kill();
    late.wait("the will", "maestro/status", |value| value == "offline").await;
}
