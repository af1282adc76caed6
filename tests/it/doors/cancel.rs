//! What waits is taken back; what does not wait is not.

use reqwest::Method;
use serde_json::json;
use simulator::{Fault, Scope};

use super::{all_doors, http, later, peer, texts};
use crate::parts::until;

#[tokio::test]
async fn a_waiting_command_is_taken_back_through_every_door() {
    let (broker, _home, gateway) = all_doors().await;
    let peer = peer(&broker).await;
    for id in ["by-mqtt", "by-http", "by-cli"] {
        let (status, answer) = gateway.post("house", later(id)).await;
        assert_eq!((status, &answer["status"]), (202, &json!("accepted")), "{answer}");
        assert!(answer["scheduledAt"].is_string(), "{answer}");
    }

    peer.ask("maestro/command/cancel", r#"{"id": "by-mqtt"}"#, "me/cancel", b"\x00mine").await;
    let (message, answer) = peer.wait("the answer", "me/cancel", |_| true).await;
    assert_eq!(message.properties.unwrap().correlation_data.unwrap().as_ref(), b"\x00mine");
    assert_eq!(
        (&answer["cancel"], &answer["outcome"]),
        (&json!("cancelled"), &json!("cancelled")),
        "{answer}"
    );
    peer.wait("its own end", "maestro/device/house/result", |result| {
        result["id"] == "by-mqtt" && result["status"] == "cancelled"
    })
    .await;
    // A bare id, of a command that nobody sent, and nobody to answer to.
    peer.send("maestro/command/cancel", "nobody-sent-this").await;
    let (_, refusal) =
        peer.wait("the refusal", "maestro/result", |result| result["id"] == "nobody-sent-this").await;
    assert_eq!((&refusal["cancel"], &refusal["error"]["code"]), (&json!("refused"), &json!("unknown_id")));

    let path = "/v1/commands/by-http";
    let (status, answer) = http(&gateway, Method::DELETE, path, None).await;
    assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("cancelled")), "{answer}");
    let (status, answer) = http(&gateway, Method::DELETE, path, None).await;
    assert_eq!((status.as_u16(), &answer["cancel"]), (409, &json!("ended")), "{answer}");
    let (status, answer) = http(&gateway, Method::DELETE, "/v1/commands/nobody", None).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (404, &json!("unknown_command")), "{answer}");

    let cancelled = gateway.cli(&["cancel", "by-cli"]).await;
    let (out, err) = texts(&cancelled);
    assert!(cancelled.status.success() && out.starts_with("cancelled: refresh on house"), "{out}{err}");
    let again = gateway.cli(&["cancel", "by-cli"]).await;
    assert!(!again.status.success() && texts(&again).0.contains("ended as cancelled"), "{:?}", texts(&again));
    let unknown = gateway.cli(&["cancel", "nobody"]).await;
    assert!(!unknown.status.success() && texts(&unknown).1.contains("no command with the id `nobody`"));
}

#[tokio::test]
async fn a_command_that_is_in_work_is_not_taken_back_and_the_answer_says_so() {
    let (_broker, home, gateway) = all_doors().await;
    home.hybrid().fault(Fault::Stale(std::time::Duration::from_secs(3)), Scope::WRITES);
    let hold = json!({"id": "busy", "command": "set_battery_mode", "parameters": {"mode": "hold"}});
    gateway.post("roof-battery", hold).await;
    until("it is executing", || async {
        (gateway.get("/v1/commands/busy").await["status"] == "executing").then_some(())
    })
    .await;
    let (status, answer) = http(&gateway, Method::DELETE, "/v1/commands/busy", None).await;
    assert_eq!((status.as_u16(), &answer["cancel"]), (409, &json!("too_late")), "{answer}");
    assert_eq!(gateway.result("busy").await["status"], "completed");
}
