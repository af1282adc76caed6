//! Bare values.

use serde_json::json;

use super::{all_doors, peer};

#[tokio::test]
async fn a_bare_value_on_a_setpoints_topic_sets_it() {
    let (broker, home, gateway) = all_doors().await;
    let peer = peer(&broker).await;
    peer.send("maestro/device/roof/set/power_limit", "2400").await;
    let (_, result) =
        peer.wait("the limit", "maestro/result", |result| result["command"] == "set_power_limit").await;
    assert_eq!(
        (&result["status"], &result["parameters"]),
        (&json!("completed"), &json!({"power": 2400})),
        "{result}"
    );
    assert!(home.now().limit.is_some_and(|watts| (watts - 2400.0).abs() < 60.0), "{:?}", home.now().limit);
    peer.send("maestro/device/roof-battery/set/battery_mode", "hold").await;
    let (_, result) =
        peer.wait("the mode", "maestro/result", |result| result["command"] == "set_battery_mode").await;
    assert_eq!(
        (&result["status"], &result["observed"]["mode"]),
        (&json!("completed"), &json!("hold")),
        "{result}"
    );
    peer.send("maestro/device/roof/set/reserve", "20").await;
    let (_, refusal) =
        peer.wait("the refusal", "maestro/device/roof/result", |result| result["error"].is_object()).await;
    assert_eq!(refusal["error"]["code"], "unknown_command", "{refusal}");
    assert!(refusal["error"]["message"].as_str().unwrap().contains("it has power_limit"), "{refusal}");
    assert_eq!(gateway.get("/v1/commands").await["commands"].as_array().unwrap().len(), 2);
}
