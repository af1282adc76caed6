//! Leases as MongoDB has them.

use mongodb::bson::doc;

use super::{charge, given_back};
use crate::parts::{Gateway, Kind, Mongod, house, until};

#[tokio::test]
async fn what_a_command_holds_does_and_gives_back_stands_in_mongodb() {
    let (mongod, home) = (Mongod::start(Kind::ReplicaSet).await, house::still_home(1.0).await);
    let copy = format!("[mongodb]\nuri = \"{}\"\n", mongod.uri());
    let gateway = Gateway::start(house::GATEWAY, &format!("{copy}{}", house::sections(&home))).await;
    gateway.points("roof-battery").await;
    charge(&gateway, "night", 3).await;
    let back = given_back(&gateway, "night").await;
    let ended = async |id: &str| {
        let wanted = doc! {"commandId": id, "status": "completed"};
        until(&format!("{id} in MongoDB"), || async {
            mongod.all("devicecommands", wanted.clone()).await.pop()
        })
        .await
    };
    let document = ended("night").await;
    let revert = doc! {"command": "set_battery_mode", "parameters": {"mode": "auto"}};
    let lease = document.get_document("lease").unwrap();
    assert_eq!(lease, &doc! {"seconds": 3.0, "revert": revert});
    assert!(document.get_bool("effect").unwrap(), "the battery followed: {document}");
    assert!(!document.contains_key("reverts"), "{document}");
    let document = ended(back["id"].as_str().unwrap()).await;
    assert_eq!(document.get_str("reverts").unwrap(), "night");
    assert_eq!(document.get_str("command").unwrap(), "set_battery_mode");
    assert_eq!(document.get_document("parameters").unwrap(), &doc! {"mode": "auto"});
    assert!(!document.contains_key("lease") && !document.contains_key("effect"), "{document}");
}
