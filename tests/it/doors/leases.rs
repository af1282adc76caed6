//! Who holds what, as the doors show it.

use serde_json::{Value, json};

use super::{all_doors, peer, texts};
use crate::parts::{until, until_true};

#[tokio::test]
async fn the_terminal_shows_who_holds_a_setpoint_and_who_was_refused() {
    let (_broker, _home, gateway) = all_doors().await;
    let send = async |owner: &str, mode: &str, more: &[&str]| {
        let mode = format!("mode={mode}");
        let line = ["send", "roof-battery", "set_battery_mode", &mode, "--owner", owner];
        let sent = gateway.cli(&[&line[..], more].concat()).await;
        (sent.status.success(), texts(&sent))
    };
    let (good, (out, err)) =
        send("night", "hold", &["--lease", "60", "--revert", "set_battery_mode mode=auto"]).await;
    assert!(
        good && out.contains("holds the setpoint for 60 s, then comes set_battery_mode mode=auto"),
        "{out}{err}"
    );
    let (good, (out, err)) = send("day", "charge", &[]).await;
    assert!(!good && err.contains("held by cli:night") && err.contains("maestro leases"), "{out}{err}");
    let (out, err) = texts(&gateway.cli(&["leases"]).await);
    for words in
        ["roof-battery", "held by     cli:night (user, normal)", "afterwards  set_battery_mode mode=auto"]
    {
        assert!(out.contains(words), "{words}: {out}{err}");
    }
    let refused = out.lines().any(|line| line.contains("cli:day") && line.contains("held by cli:night"));
    let wrote = out
        .lines()
        .any(|line| line.contains("cli:night") && line.contains("mode=hold") && line.contains("done"));
    assert!(refused && wrote, "{out}");
    let leases = gateway.get("/v1/leases").await;
    let json: Value = serde_json::from_str(&texts(&gateway.cli(&["leases", "--json"]).await).0).unwrap();
    assert_eq!(json["leases"][0]["holder"]["id"], leases["leases"][0]["holder"]["id"]);
    let device = gateway.get("/v1/devices/roof-battery").await;
    assert_eq!(device["lease"][0]["owner"], "cli:night", "{device}");
    assert!(device["bounds"].is_object(), "{device}");
    let (out, _) = texts(&gateway.cli(&["devices", "roof-battery"]).await);
    assert!(out.contains("by cli:night until"), "{out}");
}

#[tokio::test]
async fn a_lease_shows_in_the_state_while_it_lives() {
    let (broker, _home, gateway) = all_doors().await;
    let peer = peer(&broker).await;
    let hold = json!({"command": "set_battery_mode", "parameters": {"mode": "hold"}, "owner": "night",
        "lease": {"seconds": 3}});
    peer.send("maestro/device/roof-battery/set", hold.to_string()).await;
    let topic = "maestro/device/roof-battery/state";
    let (message, state) = peer.wait("a state with a lease", topic, |state| state["lease"].is_object()).await;
    assert_eq!(
        (&state["lease"]["owner"], &state["lease"]["command"]),
        (&json!("mqtt:night"), &json!("set_battery_mode"))
    );
    assert!(state["lease"]["until"].is_string() && state["quality"].is_string(), "{state}");
    drop(message);
    until_true("the state without a lease, back in auto", || {
        let newest = peer.newest();
        let state: Value = serde_json::from_slice(&newest[topic].payload).unwrap();
        state.get("lease").is_none() && state["batteryMode"] == "auto"
    })
    .await;
    until("nobody holds it", || async {
        let device = gateway.get("/v1/devices/roof-battery").await;
        (device["lease"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_holder_is_told_that_a_higher_priority_took_its_setpoint() {
    let (broker, _home, gateway) = all_doors().await;
    let peer = peer(&broker).await;
    let hold = json!({"id": "held", "command": "set_battery_mode", "parameters": {"mode": "hold"},
        "lease": {"seconds": 600}});
    peer.ask("maestro/device/roof-battery/set", &hold.to_string(), "me/night", b"night").await;
    peer.wait("its result", "me/night", |result| result["status"] == "completed").await;
    let equal = json!({"id": "equal", "command": "set_battery_mode", "parameters": {"mode": "hold_charge"}});
    let (status, refusal) = gateway.post("roof-battery", equal).await;
    assert_eq!((status, &refusal["error"]["code"]), (409, &json!("held")), "{refusal}");
    let higher = json!({"id": "higher", "command": "set_battery_mode", "parameters": {"mode": "hold_charge"},
        "priority": "high"});
    let (status, answer) = gateway.post("roof-battery", higher).await;
    assert_eq!(status, 202, "{answer}");
    let lost = |value: &Value| value["status"] == "lease_lost" && value["id"] == "held";
    let (message, told) = peer.wait("the holder hears of it", "me/night", lost).await;
    assert_eq!(message.properties.unwrap().correlation_data.unwrap().as_ref(), b"night");
    assert!(told["reason"].as_str().is_some_and(|reason| reason.contains("http:local")), "{told}");
    peer.wait("everybody hears of it", "maestro/device/roof-battery/progress", lost).await;
    assert_eq!(gateway.result("higher").await["status"], "completed");
}
