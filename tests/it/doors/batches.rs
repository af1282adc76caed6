//! Arrays of commands.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{all_doors, http, peer};
use crate::parts::{Framing, Gateway, Mosquitto, Proxy, Verdict, Way, house, until, until_true};

#[tokio::test]
async fn an_array_by_mqtt_is_answered_with_one_summary_that_counts_its_refusals() {
    let (broker, _home, _gateway) = all_doors().await;
    let peer = peer(&broker).await;
    let array = json!([
        {"deviceId": "house", "command": "refresh", "id": "first", "batchId": "night"},
        {"deviceId": "house", "command": "fly", "id": "second"},
        {"deviceId": "attic", "command": "refresh", "id": "third"},
        {"deviceId": "roof", "command": "refresh", "id": "fourth"},
    ]);
    peer.ask("maestro/command", &array.to_string(), "me/answers", b"all").await;
    let summary =
        json!({"batchId": "night", "total": 4, "completed": 2, "failed": 2, "timeout": 0, "cancelled": 0});
    let (message, answer) = peer.wait("the summary", "me/answers", |_| true).await;
    assert_eq!(answer, summary);
    assert_eq!(message.properties.unwrap().correlation_data.unwrap().as_ref(), b"all");
    peer.wait("the summary for everybody", "maestro/result", |value| *value == summary).await;
    for (id, word) in [("first", "done"), ("second", "rejected"), ("third", "rejected"), ("fourth", "done")] {
        let (_, result) = peer.wait(id, "maestro/result", |result| result["id"] == id).await;
        assert_eq!((&result["outcome"], &result["batchId"]), (&json!(word), &json!("night")), "{result}");
    }
    // What comes after it shows that nothing more came of it.
    peer.send("maestro/command", r#"{"deviceId": "house", "command": "refresh", "id": "after"}"#).await;
    peer.wait("one more", "maestro/result", |result| result["id"] == "after").await;
    let summaries = peer.messages("maestro/result").into_iter();
    let summaries =
        summaries.filter(|message| serde_json::from_slice::<Value>(&message.payload).unwrap() == summary);
    assert_eq!((summaries.count(), peer.messages("me/answers").len()), (1, 1));
}

#[tokio::test]
async fn an_array_by_http_gets_an_id_and_each_of_its_commands_an_answer() {
    let (broker, _home, gateway) = all_doors().await;
    let peer = peer(&broker).await;
    let array = json!([{"deviceId": "house", "command": "refresh"}, {"deviceId": "house"}, 7]);
    let (status, answer) = http(&gateway, Method::POST, "/v1/commands", Some(array)).await;
    assert_eq!(status.as_u16(), 202, "{answer}");
    let batch = answer["batchId"].as_str().unwrap().to_owned();
    let [good, incomplete, number] = &answer["commands"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!((&good["status"], &good["batchId"]), (&json!("accepted"), &json!(batch)), "{answer}");
    assert!(incomplete["error"]["message"].as_str().unwrap().contains("`command` is missing"), "{answer}");
    assert_eq!(number["error"]["code"], "malformed", "{answer}");
    let summary = until("all of it has ended", || async {
        let summary = gateway.get(&format!("/v1/batches/{batch}")).await;
        (summary["waiting"] == 0 && summary["total"] == 3).then_some(summary)
    })
    .await;
    assert_eq!((&summary["completed"], &summary["failed"]), (&json!(1), &json!(2)), "{summary}");
    peer.wait("the summary for everybody", "maestro/result", |value| {
        value["batchId"] == *batch && value["total"] == 3
    })
    .await;
    let found = gateway.get(&format!("/v1/commands?batchId={batch}")).await;
    assert_eq!(found["commands"].as_array().unwrap().len(), 1, "{found}");
    for (array, words) in [
        (json!([]), "empty"),
        (json!([{"batchId": "a"}, {"batchId": "b"}]), "`a` and `b`"),
        (json!(7), "no JSON object"),
    ] {
        let (status, answer) = http(&gateway, Method::POST, "/v1/commands", Some(array)).await;
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(status == StatusCode::BAD_REQUEST && message.contains(words), "{answer}");
    }
    let (status, answer) = http(&gateway, Method::GET, "/v1/batches/none", None).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (404, &json!("unknown_batch")));
    let single = json!({"deviceId": "house", "command": "refresh", "id": "single"});
    let (status, answer) = http(&gateway, Method::POST, "/v1/commands", Some(single)).await;
    assert_eq!((status.as_u16(), &answer["id"]), (202, &json!("single")), "{answer}");
}

const PUBACK: u8 = 4;

#[tokio::test]
async fn an_array_that_the_broker_sends_again_is_the_same_batch_and_executed_once() {
    let (broker, home) = (Mosquitto::start().await, house::still_home(12.0).await);
    let cut = Arc::new(AtomicBool::new(false));
    let armed = cut.clone();
    let proxy = Proxy::start(broker.port, Framing::Mqtt, move |way, packet| {
        let puback = way == Way::ToServer && packet[0] >> 4 == PUBACK;
        if puback && armed.swap(false, SeqCst) { Verdict::Cut } else { Verdict::Pass }
    })
    .await;
    let section = format!("[mqtt_api]\nurl = \"mqtt://127.0.0.1:{}\"\n", proxy.port);
    let gateway = Gateway::start(house::GATEWAY, &format!("{section}{}", house::sections(&home))).await;
    gateway.points("house").await;
    let peer = peer(&broker).await;
    cut.store(true, SeqCst);
    // Neither ids nor a batchId: only the message itself tells that it is the same.
    let array = json!([
        {"deviceId": "house", "command": "refresh"},
        {"deviceId": "attic", "command": "refresh"},
        {"deviceId": "roof", "command": "refresh"},
    ]);
    peer.ask("maestro/command", &array.to_string(), "me/answers", b"all").await;
    until_true("the acknowledgement was cut", || !cut.load(SeqCst)).await;
    peer.wait("the summary", "me/answers", |summary| summary["total"] == 3).await;
    // It comes after what the broker sent again.
    peer.send("maestro/command", r#"{"deviceId": "house", "command": "refresh", "id": "after"}"#).await;
    peer.wait("one more", "maestro/result", |result| result["id"] == "after" && result["outcome"] == "done")
        .await;
    let summaries: Vec<Value> = peer
        .messages("me/answers")
        .iter()
        .map(|message| serde_json::from_slice(&message.payload).unwrap())
        .collect();
    // A summary may arrive twice, never another one.
    let batches: BTreeSet<_> = summaries.iter().map(|summary| summary["batchId"].as_str().unwrap()).collect();
    assert_eq!(batches.len(), 1, "{summaries:?}");
    assert!(
        summaries
            .iter()
            .all(|summary| summary["total"] == 3 && summary["completed"] == 2 && summary["failed"] == 1),
        "{summaries:?}"
    );
    let commands = gateway.get("/v1/commands").await;
    assert_eq!(commands["commands"].as_array().unwrap().len(), 3, "{commands}");
}
