//! Every bad command gets a refusal that names what is allowed; nothing is queued.

use rumqttc::v5::mqttbytes::QoS;
use serde_json::json;

use crate::parts::{Gateway, Mosquitto, Peer, house};

#[tokio::test]
async fn every_refusal_comes_to_the_response_topic_in_words() {
    let (broker, home) = (Mosquitto::start().await, house::still_home(1.0).await);
    let control_off = format!(
        "[journal]\ngroup = \"1s\"\n{}{}",
        house::roof(home.hybrid_addr(), false),
        house::house(home.meter_addr())
    );
    let gateway = Gateway::start(house::GATEWAY, &format!("{}{control_off}", broker.section())).await;
    gateway.points("roof").await;
    let peer = Peer::connect(broker.port, &["maestro/#", "me/#"]).await;
    peer.wait("the gateway is there", "maestro/status", |value| value == "online").await;
    let cases = [
        ("maestro/command", "{", "malformed", "no JSON"),
        (
            "maestro/command",
            r#"{"deviceId": "attic", "command": "refresh"}"#,
            "unknown_device",
            "there is no device `attic`",
        ),
        ("maestro/device/roof/set", r#"{"command": "fly"}"#, "unknown_command", "it takes"),
        (
            "maestro/device/roof/set",
            r#"{"command": "set_power_limit", "parameters": {"percent": 50}}"#,
            "control_disabled",
            "control = true",
        ),
        ("maestro/device/house/set", "ON", "unknown_command", "`house` does not take `turn_on`"),
        (
            "maestro/device/roof/set",
            r#"{"command": "refresh", "issuedAt": "2020-01-01T00:00:00Z"}"#,
            "expired",
            "expired",
        ),
        (
            "maestro/device/roof/set",
            r#"{"command": "refresh", "lease": {"seconds": 5}}"#,
            "no_revert",
            "nothing that could be held",
        ),
        (
            "maestro/device/roof/set",
            r#"{"command": "refresh", "maxRetries": 11}"#,
            "invalid_parameter",
            "0 to 10",
        ),
    ];
    for (number, (topic, payload, code, words)) in cases.into_iter().enumerate() {
        let answers = format!("me/{number}");
        peer.ask(topic, payload, &answers, &[number as u8]).await;
        let (message, refusal) = peer.wait(payload, &answers, |_| true).await;
        assert_eq!(refusal["error"]["code"], code, "{payload}: {refusal}");
        assert!(refusal["error"]["message"].as_str().unwrap().contains(words), "{payload}: {refusal}");
        assert_eq!(message.properties.unwrap().correlation_data.unwrap().as_ref(), [number as u8]);
    }
    let commands = gateway.get("/v1/commands").await;
    assert_eq!(commands["commands"], json!([]), "nothing was queued");
    assert!(home.hybrid().writes().is_empty());
}

#[tokio::test]
async fn an_out_of_range_value_is_refused_with_the_range_of_the_real_device() {
    let home = house::still_home(1.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof-battery").await;
    for (device, command, parameters, words) in [
        ("roof", "set_power_limit", json!({"percent": 101}), "0 to 100 %"),
        ("roof", "set_power_limit", json!({"power": 60_000}), "0 to 6000 W"),
        ("roof", "set_power_limit", json!({"power": 1, "percent": 1}), "exactly one of"),
        (
            "roof-battery",
            "set_battery_mode",
            json!({"mode": "fast"}),
            "auto, hold, hold_charge, charge, discharge",
        ),
        ("roof-battery", "set_battery_mode", json!({"mode": "charge", "power": 3001}), "to 3000 W"),
        ("roof-battery", "set_battery_mode", json!({}), "needs the parameter `mode`"),
    ] {
        let (status, refusal) =
            gateway.post(device, json!({"command": command, "parameters": parameters})).await;
        assert_eq!(status, 400, "{refusal}");
        assert!(refusal["error"]["message"].as_str().unwrap().contains(words), "{words}: {refusal}");
    }
    let sent = gateway.cli(&["send", "roof", "set_power_limit", "percent=101"]).await;
    assert!(!sent.status.success());
    assert!(
        String::from_utf8_lossy(&sent.stderr).contains("0 to 100 %"),
        "{}",
        String::from_utf8_lossy(&sent.stderr)
    );
    assert!(home.hybrid().writes().is_empty());
}

#[tokio::test]
async fn a_retained_command_is_ignored_with_one_warning() {
    let (broker, home) = (Mosquitto::start().await, house::still_home(1.0).await);
    let peer = Peer::connect(broker.port, &["maestro/#"]).await;
    let topic = "maestro/device/roof-battery/set";
    let hold = r#"{"command": "set_battery_mode", "parameters": {"mode": "hold"}, "id": "yesterday"}"#;
    peer.client.publish(topic, QoS::AtLeastOnce, true, hold).await.unwrap();
    let gateway =
        Gateway::start(house::GATEWAY, &format!("{}{}", broker.section(), house::sections(&home))).await;
    gateway.points("roof-battery").await;
    peer.wait("the gateway is there", "maestro/status", |value| value == "online").await;
    // A retained one that arrives while the gateway is subscribed, and a good one after it.
    peer.client.publish(topic, QoS::AtLeastOnce, true, hold.replace("yesterday", "now")).await.unwrap();
    peer.send(topic, r#"{"command": "refresh", "id": "good"}"#).await;
    peer.wait("the good one", "maestro/result", |value| {
        value["id"] == "good" && value["status"] == "completed"
    })
    .await;
    assert!(home.hybrid().writes().is_empty());
    let commands = gateway.get("/v1/commands").await;
    assert_eq!(commands["commands"].as_array().unwrap().len(), 1, "{commands}");
    assert_eq!(gateway.log().matches("retained").count(), 1, "{}", gateway.log());
}
