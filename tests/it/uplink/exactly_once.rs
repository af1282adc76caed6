//! Each reading is there once, whatever is killed, frozen, cut or in doubt.

use mongodb::bson::doc;

use super::{
    Home, Kind, LateNetwork, Mongod, Running, assert_exactly_once, is_time_series, settings, until,
    until_true,
};

async fn all_is_there_once_although_mongodb_is_killed_in_the_middle(kind: Kind) {
    let mut mongod = Mongod::start(kind).await;
    let home = Home::new(4_000).await;
    let running = Running::start(&home, settings(&mongod));
    running.delivered(1_000).await;
    home.append(4_001, 20_000).await;
    running.delivered(4_000).await;
    mongod.kill();
    until_true("the loss is seen", || !running.status().connected).await;
    assert!(running.status().last_error.is_some());
    home.append(20_001, 21_000).await;
    mongod.start_again().await;
    running.delivered(21_000).await;
    until_true("it is well again", || running.status().last_error.is_none()).await;
    let status = running.status();
    assert_eq!((status.connected, status.refused, status.backlog), (true, 0, 0));
    running.stop().await;
    assert_eq!(is_time_series(&mongod).await, kind == Kind::ReplicaSet);
    assert_exactly_once(&mongod, 21_000).await;

    // A cursor that stayed behind: the answer to the last batch was lost with the process.
    home.journal.set_cursor("mongodb.measurements", 16_100).await.unwrap();
    home.append(21_001, 21_050).await;
    let running = Running::start(&home, settings(&mongod));
    running.delivered(21_050).await;
    running.stop().await;
    assert_exactly_once(&mongod, 21_050).await;
}

#[tokio::test]
async fn on_a_replica_set_all_is_there_once_although_mongodb_is_killed_in_the_middle() {
    all_is_there_once_although_mongodb_is_killed_in_the_middle(Kind::ReplicaSet).await;
}

#[tokio::test]
async fn on_a_standalone_all_is_there_once_although_mongodb_is_killed_in_the_middle() {
    all_is_there_once_although_mongodb_is_killed_in_the_middle(Kind::Standalone).await;
}

/// A frozen server executes what it was sent when it goes on.
#[tokio::test]
async fn a_server_that_freezes_and_goes_on_gets_each_reading_once() {
    let mongod = Mongod::start(Kind::ReplicaSet).await;
    let home = Home::new(20_000).await;
    let running = Running::start(&home, settings(&mongod));
    running.delivered(3_000).await;
    mongod.freeze();
    until_true("the loss is seen", || !running.status().connected).await;
    mongod.thaw();
    running.delivered(20_000).await;
    running.stop().await;
    assert_exactly_once(&mongod, 20_000).await;
}

/// The network cuts the connection, and delivers the batch afterwards.
async fn batches_that_arrive_late_are_not_there_twice(kind: Kind) {
    const LATE: u32 = 10;
    let mongod = Mongod::start(kind).await;
    let network = LateNetwork::to(&mongod).await;
    let home = Home::new(1_000).await;
    let running = Running::start(&home, network.settings());
    running.delivered(1_000).await;
    network.delay(LATE);
    home.append(1_001, 8_000).await;
    running.delivered(8_000).await;
    let late = LATE - network.left();
    assert!(late > 4, "too few batches were late: {late}");
    network.arrived(late).await;
    running.stop().await;
    assert_exactly_once(&mongod, 8_000).await;
}

#[tokio::test]
async fn in_a_time_series_batches_that_arrive_late_are_not_there_twice() {
    batches_that_arrive_late_are_not_there_twice(Kind::ReplicaSet).await;
}

#[tokio::test]
async fn in_documents_batches_that_arrive_late_are_not_there_twice() {
    batches_that_arrive_late_are_not_there_twice(Kind::Standalone).await;
}

/// The server writes each batch, and says that it does not know.
async fn an_unconfirmed_write_is_not_written_twice(kind: Kind) {
    let mongod = Mongod::start(kind).await;
    let unconfirmed = doc! { "code": 64, "errmsg": "waiting for replication timed out" };
    mongod.fail(3, doc! { "failCommands": ["insert"], "writeConcernError": unconfirmed }).await;
    let home = Home::new(2_500).await;
    let running = Running::start(&home, settings(&mongod));
    running.delivered(2_500).await;
    running.stop().await;
    assert_exactly_once(&mongod, 2_500).await;
}

#[tokio::test]
async fn in_a_time_series_an_unconfirmed_write_is_not_written_twice() {
    an_unconfirmed_write_is_not_written_twice(Kind::ReplicaSet).await;
}

#[tokio::test]
async fn in_documents_an_unconfirmed_write_is_not_written_twice() {
    an_unconfirmed_write_is_not_written_twice(Kind::Standalone).await;
}

#[tokio::test]
async fn stopping_delivers_what_waits_and_does_not_wait_for_a_dead_server() {
    let mut mongod = Mongod::start(Kind::Standalone).await;
    let home = Home::new(7).await;
    let running = Running::start(&home, settings(&mongod));
    running.connected().await;
    running.stop().await;
    assert_exactly_once(&mongod, 7).await;

    home.append(8, 9).await;
    let running = Running::start(&home, settings(&mongod));
    running.connected().await;
    mongod.kill();
    running.stop().await;
    until("the cursor is written", || async { (home.cursor().await == 7).then_some(()) }).await;
}
