//! What the broker keeps, and what the door does when the broker lost it.

use std::collections::BTreeMap;

use rumqttc::v5::mqttbytes::QoS;

use super::{Door, Mosquitto, Peer, Wire, refresh, until_true};

/// All that the broker keeps.
async fn retained(broker: &Mosquitto) -> BTreeMap<String, String> {
    let peer = Peer::connect(broker.port, &["maestro/#"]).await;
    // It comes after all that was there.
    peer.send("maestro/proof", "1").await;
    peer.wait("the proof", "maestro/proof", |_| true).await;
    let kept = peer.newest().into_iter().filter(|(_, message)| message.retain);
    kept.map(|(topic, message)| (topic, String::from_utf8_lossy(&message.payload).into_owned())).collect()
}

#[tokio::test]
async fn a_retained_command_is_ignored_on_every_connection() {
    let broker = Mosquitto::start().await;
    let peer = Peer::connect(broker.port, &["maestro/result"]).await;
    peer.client.publish("maestro/command", QoS::AtLeastOnce, true, refresh("old")).await.unwrap();
    let door = Door::open(broker.port).await;
    peer.send("maestro/command", refresh("good")).await;
    peer.wait("the good one", "maestro/result", |result| result["id"] == "good").await;
    door.close().await;
    let door = door.reopened(broker.port).await;
    peer.send("maestro/command", refresh("better")).await;
    peer.wait("the other good one", "maestro/result", |result| result["id"] == "better").await;
    assert_eq!(door.ids().await, ["good", "better"]);
    door.close().await;
}

#[tokio::test]
async fn a_problem_is_retained_in_words_until_it_is_over() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    let error = "maestro/device/roof/error";
    let live = Peer::connect(broker.port, &["maestro/#"]).await;
    live.wait("the other device", "maestro/device/locked/availability", |text| text == "offline").await;
    assert_eq!(retained(&broker).await.get(error), None);
    door.problem(Some("it does not answer")).await;
    let words = "it does not answer. Switch it on";
    live.wait("the problem", error, |text| text == words).await;
    assert_eq!(retained(&broker).await[error], words);
    door.problem(None).await;
    live.wait("no problem", error, |text| text == "").await;
    assert_eq!(retained(&broker).await.get(error), None);
    door.close().await;
}

#[tokio::test]
async fn the_status_is_online_again_after_a_crash_and_offline_after_the_goodbye() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    let peer = Peer::connect(broker.port, &["maestro/status"]).await;
    let says =
        |word: &str| peer.newest().get("maestro/status").is_some_and(|message| message.payload == word);
    until_true("it is there", || says("online")).await;
    door.kill();
    until_true("the will", || says("offline")).await;
    let door = door.reopened(broker.port).await;
    until_true("it is back", || says("online")).await;
    door.close().await;
    until_true("the goodbye", || says("offline")).await;
}

#[tokio::test]
async fn a_removed_device_leaves_no_retained_topics_also_when_the_gateway_was_off() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    door.read(1.0).await;
    let live = Peer::connect(broker.port, &["maestro/#"]).await;
    live.wait("the state", "maestro/device/roof/state", |_| true).await;
    live.wait("the other device", "maestro/device/locked/availability", |_| true).await;
    door.without("locked").await;
    live.wait("it is cleared", "maestro/device/locked/availability", |text| text == "").await;
    door.close().await;
    door.without("roof").await;
    let door = door.reopened(broker.port).await;
    for leaf in ["state", "availability", "error"] {
        live.wait("it is cleared", &format!("maestro/device/roof/{leaf}"), |text| text == "").await;
    }
    assert_eq!(retained(&broker).await.keys().collect::<Vec<_>>(), ["maestro/status"]);
    door.close().await;
}

#[tokio::test]
async fn a_broker_that_forgot_everything_gets_the_states_again_and_the_untold_result() {
    let mut broker = Mosquitto::start().await;
    let wire = Wire::to(&broker).await;
    let door = Door::open(wire.port()).await;
    door.read(1500.0).await;
    door.hold();
    let peer = Peer::connect(broker.port, &["maestro/device/roof/progress"]).await;
    peer.ask("maestro/command", &refresh("late"), "me/answers", b"late").await;
    peer.wait("it executes", "maestro/device/roof/progress", |progress| progress["status"] == "executing")
        .await;
    drop(peer);
    wire.proxy.close();
    broker.stop();
    door.release();
    door.until_ended("late").await;
    broker.forget();
    broker.start_again().await;
    let peer = Peer::connect(broker.port, &["me/answers", "maestro/#"]).await;
    wire.proxy.open();
    let (message, result) = peer.wait("the untold result", "me/answers", |_| true).await;
    assert_eq!(message.properties.unwrap().correlation_data.as_deref(), Some(&b"late"[..]));
    assert_eq!((&result["id"], &result["outcome"]), (&"late".into(), &"done".into()));
    peer.wait("the state", "maestro/device/roof/state", |state| state["activePower"] == 1500).await;
    peer.wait("the availability", "maestro/device/roof/availability", |text| text == "online").await;
    peer.wait("the status", "maestro/status", |text| text == "online").await;
    door.until_told().await;
    // It serves again.
    peer.send("maestro/command", refresh("next")).await;
    peer.wait("the next result", "maestro/result", |result| result["id"] == "next").await;
    door.close().await;
}
