//! The copy in a real MongoDB, made in this process by the real journal and uplink: everything there,
//! each exactly once, whatever is cut, and as the contract says. What the whole program does with it is
//! in `home`, `mongodb` and `crash`.

mod collections;
mod documents;
mod exactly_once;
mod home;
mod network;
mod rows;

use std::collections::HashSet;

use maestro_gateway::mongo::{MEASUREMENTS, Settings};
use mongodb::bson::{Document, doc, oid::ObjectId};

use self::{
    home::{Home, Running},
    network::LateNetwork,
};
use crate::parts::{Kind, Mongod, until, until_true};

fn settings(mongod: &Mongod) -> Settings {
    Settings { uri: mongod.uri(), ..Settings::default() }
}

/// Every number from 1 to `count` once, and nothing else.
async fn assert_exactly_once(mongod: &Mongod, count: usize) {
    let documents = mongod.all(MEASUREMENTS, doc! {}).await;
    let ids: HashSet<ObjectId> = documents.iter().map(|d| d.get_object_id("_id").unwrap()).collect();
    let numbers: HashSet<i64> = documents
        .iter()
        .map(|d| d.get_document("measurements").unwrap().get_f64("activePower").unwrap() * 10.0)
        .map(|power| power.round() as i64)
        .collect();
    assert_eq!((documents.len(), ids.len(), numbers.len()), (count, count, count));
}

async fn is_time_series(mongod: &Mongod) -> bool {
    let list = doc! {"listCollections": 1, "filter": {"name": MEASUREMENTS}};
    let answer = mongod.database().await.run_command(list).await.unwrap();
    let found: &Document =
        answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap()[0].as_document().unwrap();
    found.get_document("options").unwrap().contains_key("timeseries")
}
