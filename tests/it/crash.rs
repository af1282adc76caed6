//! kill -9 at bad moments.

use serde_json::json;
use simulator::{Fault, Scope};

use crate::parts::{Gateway, Kind, Mongod, Mosquitto, Peer, house, until, until_true};

#[tokio::test]
async fn killed_between_accept_and_execution_it_executes_once_after_the_restart() {
    let (broker, home) = (Mosquitto::start().await, house::still_home(1.0).await);
    let sections = format!("{}{}", broker.section(), house::sections(&home));
    let mut gateway = Gateway::start(house::GATEWAY, &sections).await;
    gateway.points("roof-battery").await;
    home.hybrid().fault(Fault::RefuseConnections, Scope::ALL);
    home.hybrid().disconnect();
    let peer = Peer::connect(broker.port, &["maestro/#", "me/answers"]).await;
    peer.wait("the inverter is away", "maestro/device/roof-battery/availability", |value| value == "offline")
        .await;
    let hold = r#"{"command": "set_battery_mode", "parameters": {"mode": "hold"}, "id": "survivor"}"#;
    peer.ask("maestro/device/roof-battery/set", hold, "me/answers", b"42").await;
    peer.wait("accepted", "maestro/device/roof-battery/progress", |value| value["status"] == "accepted")
        .await;
    gateway.kill();
    assert!(home.hybrid().writes().is_empty());
    home.hybrid().clear_faults();
    gateway.start_again().await;
    let (message, result) = peer.wait("the answer after the restart", "me/answers", |_| true).await;
    assert_eq!(result["status"], "completed", "{result}");
    assert_eq!(message.properties.unwrap().correlation_data.unwrap().as_ref(), b"42");
    let modes =
        home.hybrid().writes().iter().filter(|write| write.accepted && write.address == 40208 + 5).count();
    assert_eq!(modes, 1, "executed once: {:?}", home.hybrid().writes());
}

#[tokio::test]
async fn killed_in_flight_the_command_is_read_back_and_not_repeated() {
    let home = house::still_home(12.0).await;
    let mut gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof").await;
    // It is executed by one write, and the gateway never hears of it.
    home.hybrid().fault(Fault::Silence { executed: true }, Scope::WRITES);
    let body = json!({"id": "doubt", "command": "set_power_limit", "parameters": {"percent": 40}});
    gateway.post("roof", body).await;
    until_true("it was written", || !home.hybrid().writes().is_empty()).await;
    gateway.kill();
    home.hybrid().clear_faults();
    gateway.start_again().await;
    let result = gateway.result("doubt").await;
    assert_eq!((&result["status"], &result["verified"]), (&json!("completed"), &json!(true)), "{result}");
    assert_eq!(result["attempts"], 1, "{result}");
    assert_eq!(home.hybrid().writes().len(), 1, "read back, not repeated: {:?}", home.hybrid().writes());
    assert!(home.now().inverter <= 2400.0 + 1.0);
}

#[tokio::test]
async fn killed_in_flight_and_not_applied_it_is_repeated_unless_its_time_is_over() {
    for (expires_in, outcome, writes) in [(60.0, "done", 2), (0.5, "expired", 1)] {
        let home = house::still_home(12.0).await;
        let mut gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
        gateway.points("roof").await;
        home.hybrid().fault(Fault::Silence { executed: false }, Scope::WRITES);
        let body = json!({"id": "lost", "command": "set_power_limit", "parameters": {"percent": 40}, "expiresIn": expires_in});
        gateway.post("roof", body).await;
        until_true("it was written", || !home.hybrid().writes().is_empty()).await;
        gateway.kill();
        home.hybrid().clear_faults();
        let seen = home.hybrid().writes().len();
        gateway.start_again().await;
        let result = gateway.result("lost").await;
        assert!(
            result["outcome"] == outcome || (outcome == "expired" && result["status"] != "completed"),
            "{result}"
        );
        assert_eq!(home.hybrid().writes().len() - seen, writes - 1, "{result}");
    }
}

#[tokio::test]
async fn killed_at_any_moment_no_reading_is_lost_and_each_is_once_in_mongodb() {
    let (mongod, broker) = (Mongod::start(Kind::ReplicaSet).await, Mosquitto::start().await);
    let home = house::still_home(12.0).await;
    let copy = format!("[mongodb]\nuri = \"{}\"\n", mongod.uri());
    let sections = format!("{copy}{}{}", broker.section(), house::sections(&home));
    let mut gateway = Gateway::start(house::GATEWAY, &sections).await;
    let peer = Peer::connect(broker.port, &["maestro/device/house/state"]).await;
    let shown = |peer: &Peer| {
        let mut times: Vec<String> = peer
            .messages("maestro/device/house/state")
            .iter()
            .map(|message| {
                serde_json::from_slice::<serde_json::Value>(&message.payload).unwrap()["timestamp"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        times.sort();
        times.dedup();
        times
    };
    for kill in 1..=5_usize {
        // Another offset in the group each time.
        let wanted = kill * 7 + kill % 3;
        until_true("more states", || shown(&peer).len() >= wanted).await;
        gateway.kill();
        gateway.start_again().await;
    }
    until_true("the last states", || shown(&peer).len() >= 45).await;
    let shown = shown(&peer);
    assert!(gateway.stop().await.success());
    home.stop().await;
    gateway.start_again().await;
    // What was shown had been taken; all of it must be in MongoDB, once.
    until("every reading that was shown is in MongoDB", || async {
        let found = mongod.all("energymeasurements", mongodb::bson::doc! {"deviceId": "home-1-house"}).await;
        let times: Vec<String> = found
            .iter()
            .map(|document| {
                let at = document.get_datetime("timestamp").unwrap().timestamp_millis();
                format!("{:.3}", jiff::Timestamp::from_millisecond(at).unwrap())
            })
            .collect();
        let ids: std::collections::BTreeSet<_> =
            found.iter().map(|document| document.get_object_id("_id").unwrap()).collect();
        assert_eq!(ids.len(), found.len(), "every _id once");
        shown.iter().all(|time| times.contains(time)).then_some(())
    })
    .await;
}
