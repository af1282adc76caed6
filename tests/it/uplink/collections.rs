//! Collections and indexes: made when they are missing, used as they are when they are there.

use std::time::Duration;

use futures_util::TryStreamExt;
use maestro_gateway::mongo::{COMMANDS, DEVICES, Layout, MEASUREMENTS, Settings};
use mongodb::{
    IndexModel,
    bson::{Document, doc},
    options::IndexOptions,
};

use super::{Home, Kind, Mongod, Running, assert_exactly_once, is_time_series, settings, until_true};

#[tokio::test]
async fn all_collections_and_indexes_of_the_contract_are_made() {
    for kind in [Kind::ReplicaSet, Kind::Standalone] {
        let mongod = Mongod::start(kind).await;
        let home = Home::new(1).await;
        let running = Running::start(&home, settings(&mongod));
        running.connected().await;
        running.stop().await;
        let database = mongod.database().await;
        let indexes = async |collection: &str| -> Vec<(String, Option<Duration>, bool)> {
            let found = database.collection::<Document>(collection).list_indexes().await.unwrap();
            let found: Vec<_> = found.try_collect().await.unwrap();
            found
                .into_iter()
                .map(|model| {
                    let options = model.options.unwrap_or_default();
                    let keys: Vec<_> = model.keys.keys().cloned().collect();
                    (keys.join(" "), options.expire_after, options.unique == Some(true))
                })
                .collect()
        };
        let plain = |keys: &str| (keys.to_owned(), None, false);
        let measurements = indexes(MEASUREMENTS).await;
        for keys in [
            "deviceId timestamp",
            "userId timestamp",
            "timestamp deviceId",
            "timestamp source",
            "measurements.quality",
            "userId deviceId timestamp",
            "deviceId timestamp source",
        ] {
            assert!(measurements.contains(&plain(keys)), "{kind:?} {keys}: {measurements:?}");
        }
        let ttl = ("timestamp".to_owned(), Some(Duration::from_secs(365 * 86_400)), false);
        assert_eq!(measurements.contains(&ttl), kind == Kind::Standalone);
        let commands = indexes(COMMANDS).await;
        assert!(commands.contains(&("createdAt".to_owned(), Some(Duration::from_secs(7_776_000)), false)));
        assert_eq!(commands.len(), 1 + 22);
        let devices = indexes(DEVICES).await;
        assert!(devices.contains(&("deviceId userId".to_owned(), None, true)));
        assert_eq!(devices.len(), 1 + 19);
    }
}

#[tokio::test]
async fn what_is_there_is_used_as_it_is_and_what_is_refused_for_good_does_not_block_the_line() {
    let mongod = Mongod::start(Kind::ReplicaSet).await;
    let database = mongod.database().await;
    let rule = doc! { "measurements.activePower": { "$ne": 30.0 } };
    database.create_collection(MEASUREMENTS).validator(rule).await.unwrap();
    // The backend's own limit on age stands in the way of ours.
    let ttl = IndexOptions::builder().expire_after(Duration::from_secs(5_000_000_000)).build();
    let ttl = IndexModel::builder().keys(doc! { "timestamp": 1 }).options(ttl).build();
    let _ = database.collection::<Document>(MEASUREMENTS).create_index(ttl).await;
    let home = Home::new(1_500).await;
    let running = Running::start(&home, settings(&mongod));
    running.delivered(1_500).await;
    assert_eq!(running.status().refused, 1);
    running.stop().await;
    assert!(!is_time_series(&mongod).await);
    assert_eq!(mongod.all(MEASUREMENTS, doc! {}).await.len(), 1_499);
}

#[tokio::test]
async fn a_view_in_the_place_of_the_measurements_is_said_and_nothing_is_lost() {
    let mongod = Mongod::start(Kind::Standalone).await;
    let database = mongod.database().await;
    database.create_collection(MEASUREMENTS).view_on("other".to_owned()).pipeline(Vec::new()).await.unwrap();
    let home = Home::new(1).await;
    let running = Running::start(&home, settings(&mongod));
    until_true("it is said", || running.status().last_error.is_some_and(|e| e.contains("it is a view")))
        .await;
    database.collection::<Document>(MEASUREMENTS).drop().await.unwrap();
    until_true("it is well again", || running.status().connected).await;
    running.stop().await;
    assert_exactly_once(&mongod, 1).await;
}

#[tokio::test]
async fn documents_are_made_on_a_replica_set_when_the_configuration_says_so() {
    let mongod = Mongod::start(Kind::ReplicaSet).await;
    let settings = Settings { measurements: Layout::Documents, ..settings(&mongod) };
    let home = Home::new(3).await;
    let running = Running::start(&home, settings);
    running.connected().await;
    running.stop().await;
    assert!(!is_time_series(&mongod).await);
    assert_exactly_once(&mongod, 3).await;
}
