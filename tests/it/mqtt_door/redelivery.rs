//! QoS 1 brings a message once or more; it is executed once, and two that are equal are two.

use rumqttc::v5::mqttbytes::QoS;

use super::{Door, Mosquitto, Peer, REFRESH, Wire, refresh, until_true};

#[tokio::test]
async fn a_redelivered_message_is_executed_once_when_the_connection_ends_between_commit_and_puback() {
    let broker = Mosquitto::start().await;
    let wire = Wire::to(&broker).await;
    let door = Door::open(wire.port()).await;
    let peer = Peer::connect(broker.port, &["me/answers", "maestro/result"]).await;
    peer.send("maestro/command", REFRESH).await;
    until_true("the first is executed", || door.executed() == 1).await;
    wire.cut_at_puback();
    peer.ask("maestro/command", REFRESH, "me/answers", b"cut").await;
    until_true("the connection is cut", || wire.cuts() == 1).await;
    peer.wait("the answer", "me/answers", |result| result["outcome"] == "done").await;
    // Proof that the redelivery was dealt with: this one came after it.
    peer.send("maestro/command", refresh("after")).await;
    peer.wait("the one after it", "maestro/result", |result| result["id"] == "after").await;
    assert!(wire.redelivered() > 0, "the broker sent nothing again");
    assert_eq!(door.executed(), 3);
    door.close().await;
}

#[tokio::test]
async fn a_redelivered_message_is_executed_once_when_the_gateway_starts_again_in_between() {
    let broker = Mosquitto::start().await;
    let wire = Wire::to(&broker).await;
    let door = Door::open(wire.port()).await;
    let peer = Peer::connect(broker.port, &["maestro/result"]).await;
    wire.cut_at_puback();
    peer.send("maestro/command", REFRESH).await;
    until_true("the connection is cut", || wire.cuts() == 1).await;
    door.kill();
    let door = door.reopened(wire.port()).await;
    peer.send("maestro/command", refresh("after")).await;
    peer.wait("the one after it", "maestro/result", |result| result["id"] == "after").await;
    assert!(wire.redelivered() > 0, "the broker sent nothing again");
    assert_eq!(door.executed(), 2);
    door.close().await;
}

#[tokio::test]
async fn two_equal_messages_both_count() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    let peer = Peer::connect(broker.port, &["me/answers"]).await;
    for _ in 0..2 {
        peer.ask("maestro/command", REFRESH, "me/answers", b"same").await;
    }
    peer.client.publish("maestro/command", QoS::AtMostOnce, false, REFRESH).await.unwrap();
    until_true("three are executed", || door.executed() == 3).await;
    until_true("two answers", || peer.messages("me/answers").len() == 2).await;
    door.close().await;
}
