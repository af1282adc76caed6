//! More at once than the disk takes, and larger than a client's usual limits.

use super::{Door, Mosquitto, Peer, Wire, refresh, until};

#[tokio::test]
async fn a_message_of_30_kb_comes_through_and_the_connection_stays() {
    let broker = Mosquitto::start().await;
    let wire = Wire::to(&broker).await;
    let door = Door::open(wire.port()).await;
    let peer = Peer::connect(broker.port, &["maestro/result"]).await;
    let payload = format!("{}{}", refresh("large"), " ".repeat(30_000));
    peer.send("maestro/command", payload).await;
    peer.wait("the result", "maestro/result", |result| result["id"] == "large").await;
    assert_eq!(wire.connections(), 1);
    door.close().await;
}

#[tokio::test]
async fn three_thousand_commands_that_waited_at_the_broker_all_arrive_once_and_in_order() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    door.close().await;
    let peer = Peer::connect(broker.port, &[]).await;
    send(&peer, 3000, "").await;
    let door = door.reopened(broker.port).await;
    assert_accepted_in_order(&door, 3000).await;
    door.close().await;
}

/// Without Receive Maximum, mosquitto keeps 20 in flight and (by default) 1,000 more, and drops the
/// rest of what comes faster than the disk takes it.
#[tokio::test]
async fn three_thousand_commands_at_once_are_more_than_the_disk_takes_and_none_is_dropped() {
    let broker = Mosquitto::start_with("").await;
    let door = Door::open(broker.port).await;
    let peer = Peer::connect(broker.port, &[]).await;
    send(&peer, 3000, "").await;
    assert_accepted_in_order(&door, 3000).await;
    door.close().await;
}

#[tokio::test]
async fn more_than_finds_room_in_the_gateway_stays_with_the_broker_and_is_fetched_later() {
    let broker = Mosquitto::start().await;
    let door = Door::open(broker.port).await;
    door.close().await;
    let peer = Peer::connect(broker.port, &["proof"]).await;
    send(&peer, 200, &" ".repeat(100_000)).await;
    // All of them are with the broker when one more comes back.
    peer.send("proof", "1").await;
    peer.wait("the proof", "proof", |_| true).await;
    let wire = Wire::to(&broker).await;
    let door = door.reopened(wire.port()).await;
    assert_accepted_in_order(&door, 200).await;
    assert!(wire.connections() > 1, "there was room for all of them");
    door.close().await;
}

async fn send(peer: &Peer, count: usize, padding: &str) {
    for number in 0..count {
        peer.send("maestro/command", format!("{}{padding}", refresh(&format!("n{number}")))).await;
    }
}

async fn assert_accepted_in_order(door: &Door, count: usize) {
    let last = format!("n{}", count - 1);
    until("the last is accepted", || async { door.knows(&last).await.then_some(()) }).await;
    let expected: Vec<_> = (0..count).map(|number| format!("n{number}")).collect();
    assert_eq!(door.ids().await, expected);
}
