//! The copy in MongoDB: away, back, and as the contract says.

use mongodb::bson::doc;
use serde_json::json;

use crate::parts::{Gateway, Kind, Mongod, house, until, until_true};

async fn an_outage_costs_nothing(kind: Kind) {
    let mut mongod = Mongod::start(kind).await;
    let home = house::still_home(12.0).await;
    let copy = format!("[mongodb]\nuri = \"{}\"\n", mongod.uri());
    let mut gateway = Gateway::start(house::GATEWAY, &format!("{copy}{}", house::sections(&home))).await;
    until("first readings in MongoDB", || async {
        (!mongod.all("energymeasurements", doc! {"deviceId": "home-1-house"}).await.is_empty()).then_some(())
    })
    .await;
    mongod.kill();
    let before = home.meter().served(1, 52);
    until_true("the home is read although MongoDB is away", || home.meter().served(1, 52) >= before + 30)
        .await;
    mongod.start_again().await;
    let before = home.meter().served(1, 52);
    until_true("and after it came back", || home.meter().served(1, 52) >= before + 10).await;
    assert!(gateway.stop().await.success());
    let served = home.meter().served(1, 52);
    home.stop().await;
    gateway.start_again().await;
    let found = until(&format!("all {served} readings in MongoDB"), || async {
        let found = mongod.all("energymeasurements", doc! {"deviceId": "home-1-house"}).await;
        (found.len() as u64 >= served).then_some(found)
    })
    .await;
    assert_eq!(found.len() as u64, served);
    let ids: std::collections::BTreeSet<_> =
        found.iter().map(|document| document.get_object_id("_id").unwrap()).collect();
    assert_eq!(ids.len(), found.len(), "every _id once");
}

#[tokio::test]
async fn an_outage_of_a_replica_set_costs_nothing() {
    an_outage_costs_nothing(Kind::ReplicaSet).await;
}

#[tokio::test]
async fn an_outage_of_a_standalone_server_costs_nothing() {
    an_outage_costs_nothing(Kind::Standalone).await;
}

#[tokio::test]
async fn it_starts_without_mongodb_and_catches_up() {
    let home = house::still_home(12.0).await;
    let mut mongod = Mongod::start(Kind::ReplicaSet).await;
    mongod.kill();
    let copy = format!("[mongodb]\nuri = \"{}\"\n", mongod.uri());
    let gateway = Gateway::start(house::GATEWAY, &format!("{copy}{}", house::sections(&home))).await;
    gateway.points("roof").await;
    mongod.start_again().await;
    until("readings arrive", || async {
        (!mongod.all("energymeasurements", doc! {"deviceId": "home-1-roof"}).await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn commands_stand_in_mongodb_through_their_whole_life() {
    let (mongod, home) = (Mongod::start(Kind::ReplicaSet).await, house::still_home(1.0).await);
    let copy = format!("[mongodb]\nuri = \"{}\"\n", mongod.uri());
    let gateway = Gateway::start(house::GATEWAY, &format!("{copy}{}", house::sections(&home))).await;
    gateway.points("roof-battery").await;
    let body = json!({"id": "seen", "command": "set_battery_mode", "priority": "high", "parameters": {"mode": "hold"}});
    gateway.post("roof-battery", body).await;
    let document = until("the completed command", || async {
        mongod.all("devicecommands", doc! {"commandId": "seen", "status": "completed"}).await.pop()
    })
    .await;
    assert_eq!(document.get_str("deviceId").unwrap(), "home-1-roof-battery");
    assert_eq!(document.get_str("userId").unwrap(), "66b0c0ffee0000000000cafe");
    assert_eq!(document.get_str("priority").unwrap(), "high");
    assert_eq!(document.get_str("outcome").unwrap(), "done");
    assert!(document.get_bool("verified").unwrap());
    assert_eq!(document.get_document("parameters").unwrap().get_str("mode").unwrap(), "hold");
    assert!(document.get_document("result").unwrap().get_bool("success").unwrap());
    let statuses: Vec<_> = document
        .get_array("events")
        .unwrap()
        .iter()
        .map(|event| event.as_document().unwrap().get_str("status").unwrap().to_owned())
        .collect();
    assert_eq!(statuses, ["pending", "executing", "completed"]);
    let battery = until("the battery's document", || async {
        mongod.all("devices", doc! {"deviceId": "home-1-roof-battery", "isOnline": true}).await.pop()
    })
    .await;
    assert_eq!(battery.get_str("deviceType").unwrap(), "battery_pack");
    assert_eq!(battery.get_str("energyRole").unwrap(), "storage");
    assert_eq!(battery.get_str("status").unwrap(), "online");
    assert!(!battery.get_array("capabilities").unwrap().is_empty());
}
