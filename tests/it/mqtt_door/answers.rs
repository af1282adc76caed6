//! What comes back, and to whom.

use std::time::Duration;

use rumqttc::v5::mqttbytes::{
    QoS,
    v5::{Publish, PublishProperties},
};

use super::{Door, Mosquitto, Peer, REFRESH, refresh, until, until_true};

async fn answer_with(peer: &Peer, correlation: &[u8]) -> (Publish, serde_json::Value) {
    let message = until(&format!("the answer to {correlation:?}"), || {
        let answers = peer.messages("me/answers").into_iter();
        let mut fitting = answers.filter(|message| {
            message.properties.as_ref().unwrap().correlation_data.as_deref() == Some(correlation)
        });
        std::future::ready(fitting.next())
    })
    .await;
    let answer = serde_json::from_slice(&message.payload).unwrap();
    (message, answer)
}

#[tokio::test]
async fn the_same_id_by_mqtt_is_answered_with_the_stored_result_and_executed_once() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    let peer = Peer::connect(broker.port, &["me/answers"]).await;
    peer.ask("maestro/command", &refresh("a"), "me/answers", b"first").await;
    let (message, first) = answer_with(&peer, b"first").await;
    assert_eq!(message.properties.unwrap().content_type.as_deref(), Some("application/json"));
    assert!(!message.retain);
    assert_eq!(first["outcome"], "done");
    assert_eq!(first["owner"], "mqtt:me/answers");
    door.until_told().await;
    peer.ask("maestro/command", &refresh("a"), "me/answers", b"again").await;
    let (_, again) = answer_with(&peer, b"again").await;
    assert_eq!(again, first);
    assert_eq!(door.executed(), 1);
    door.close().await;
}

#[tokio::test]
async fn a_refusal_is_told_on_the_common_topic_and_on_that_of_its_device_if_there_is_one() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    let peer = Peer::connect(broker.port, &["me/answers", "maestro/result", "maestro/device/+/result"]).await;
    let cases = [
        ("maestro/command", "[]", "malformed", "the array is empty"),
        ("maestro/device/attic/set", "ON", "unknown_device", "there are locked, roof"),
        ("maestro/device/roof/set", "PERHAPS", "malformed", "ON, OFF, TOGGLE"),
        (
            "maestro/command",
            r#"{"deviceId": "roof", "command": "set_power_limit", "parameters": {"power": 9000}}"#,
            "invalid_parameter",
            "0 to 6000",
        ),
        (
            "maestro/command",
            r#"{"deviceId": "locked", "command": "set_power_limit", "parameters": {"power": 1}}"#,
            "control_disabled",
            "control = true",
        ),
        (
            "maestro/command",
            r#"{"deviceId": "roof", "command": "refresh", "expiresIn": 0}"#,
            "expired",
            "expired",
        ),
    ];
    for (number, (topic, payload, code, words)) in cases.into_iter().enumerate() {
        let correlation = [u8::try_from(number).unwrap()];
        peer.ask(topic, payload, "me/answers", &correlation).await;
        let (_, answer) = answer_with(&peer, &correlation).await;
        assert_eq!(answer["error"]["code"], code, "{payload}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(words), "{answer}");
        assert_eq!(answer["status"], if code == "expired" { "timeout" } else { "failed" }, "{answer}");
    }
    until_true("each on the common topic", || peer.messages("maestro/result").len() == cases.len()).await;
    until_true("on the device's", || peer.messages("maestro/device/locked/result").len() == 1).await;
    assert!(peer.messages("maestro/device/attic/result").is_empty());
    assert_eq!(door.executed(), 0);
    door.close().await;
}

#[tokio::test]
async fn a_response_topic_that_is_a_command_topic_is_refused() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    let peer = Peer::connect(broker.port, &["maestro/result", "maestro/device/roof/set"]).await;
    peer.ask("maestro/command", REFRESH, "maestro/device/roof/set", b"x").await;
    peer.wait("the refusal", "maestro/result", |result| {
        result["error"]["message"].as_str().is_some_and(|text| text.contains("command topics"))
    })
    .await;
    // It came back before this one did, had it been answered.
    peer.send("maestro/command", refresh("after")).await;
    peer.wait("the one after it", "maestro/result", |result| result["id"] == "after").await;
    assert!(peer.messages("maestro/device/roof/set").is_empty());
    assert_eq!(door.executed(), 1);
    door.close().await;
}

#[tokio::test]
async fn an_id_that_is_used_for_another_command_by_mqtt_is_refused() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    let peer = Peer::connect(broker.port, &["maestro/result"]).await;
    peer.send("maestro/command", refresh("twice")).await;
    peer.wait("the first", "maestro/result", |result| result["id"] == "twice" && result["outcome"] == "done")
        .await;
    let other =
        r#"{"id": "twice", "deviceId": "roof", "command": "set_power_limit", "parameters": {"power": 100}}"#;
    peer.send("maestro/command", other).await;
    peer.wait("the second", "maestro/result", |result| result["error"]["code"] == "id_reused").await;
    assert_eq!(door.executed(), 1);
    door.close().await;
}

#[tokio::test]
async fn a_command_whose_message_expiry_is_short_waits_no_longer_for_its_device() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    door.hold();
    let peer = Peer::connect(broker.port, &["maestro/result"]).await;
    // One occupies the unit.
    peer.send("maestro/command", refresh("first")).await;
    until_true("the first is taken", || door.taken() == 1).await;
    let properties = PublishProperties { message_expiry_interval: Some(1), ..PublishProperties::default() };
    peer.client
        .publish_with_properties("maestro/command", QoS::AtLeastOnce, false, refresh("short"), properties)
        .await
        .unwrap();
    peer.wait("the end", "maestro/result", |result| {
        result["id"] == "short" && result["outcome"] == "expired"
    })
    .await;
    door.release();
    door.close().await;
}

#[tokio::test]
async fn results_that_are_there_go_out_before_the_goodbye() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    let peer = Peer::connect(broker.port, &["maestro/result", "maestro/status"]).await;
    for number in 0..20 {
        peer.send("maestro/command", refresh(&format!("n{number}"))).await;
    }
    until("all results are on disk", || async { (door.ended().await == 20).then_some(()) }).await;
    tokio::time::timeout(Duration::from_secs(10), door.close()).await.expect("it closes");
    peer.wait("the goodbye", "maestro/status", |text| text == "offline").await;
    assert_eq!(peer.messages("maestro/result").len(), 20);
}
