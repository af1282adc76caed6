//! The documents of the three collections through their life.

use adapter_api::{Availability, CommandStatus, Outcome};
use maestro_gateway::{
    journal::{DeviceRow, Event},
    mongo::{COMMANDS, DEVICES, MEASUREMENTS},
};
use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};

use super::{
    Home, Kind, Mongod, Running,
    rows::{START, command, device},
    settings, until,
};

#[tokio::test]
async fn a_measurement_lies_as_the_contract_says() {
    let mongod = Mongod::start(Kind::ReplicaSet).await;
    let home = Home::new(501).await;
    let running = Running::start(&home, settings(&mongod));
    running.delivered(501).await;
    running.stop().await;
    let database = mongod.database().await;
    let fourth = doc! { "timestamp": DateTime::from_millis(START + 400) };
    let found = database.collection::<Document>(MEASUREMENTS).find_one(fourth).await.unwrap().unwrap();
    let id: ObjectId = found.get_object_id("_id").unwrap();
    assert_eq!(&id.bytes()[4..], [&home.journal.installation()[11..], &[0, 0, 4]].concat());
    assert_eq!(i64::from(u32::from_be_bytes(id.bytes()[..4].try_into().unwrap())), (START + 400) / 1000);
    let wanted = doc! {
        "activePower": 0.4, "voltage": 230.1, "energy": 1.004, "energyProduced": 0.003,
        "totals": { "produced": 1.004 }, "quality": "good", "confidence": 1.0,
    };
    // A time series gives fields back in its own order.
    let sorted = |document: &Document| {
        let mut fields: Vec<_> = document.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields
    };
    assert_eq!(sorted(found.get_document("measurements").unwrap()), sorted(&wanted));
    assert_eq!(found.get_str("deviceId").unwrap(), "home-1-grid");
    assert_eq!(found.get_str("userId").unwrap(), "owner");
    assert_eq!(found.get_document("tags").unwrap(), &doc! { "gateway": "home-1", "energy": "counter" });
}

#[tokio::test]
async fn devices_follow_the_gateway_and_keep_what_users_edited() {
    let mongod = Mongod::start(Kind::ReplicaSet).await;
    let database = mongod.database().await;
    let devices = database.collection::<Document>(DEVICES);
    let other =
        doc! { "userId": "owner", "deviceId": "home-1-grid", "gatewayId": "home-2", "name": "Theirs" };
    devices.insert_one(other.clone()).await.unwrap();
    let home = Home::new(10).await;
    let running = Running::start(&home, settings(&mongod));
    let roof = || devices.find_one(doc! { "userId": "owner", "deviceId": "home-1-roof" });
    let found = until("the state is there", || async {
        roof().await.unwrap().filter(|found| found.contains_key("currentState"))
    })
    .await;
    let wanted = doc! {
        "activePower": 0.9, "energyProducedTotal": 1.009, "voltage": 230.1, "state_word": "running",
    };
    assert_eq!(found.get_document("currentState").unwrap(), &wanted);
    assert_eq!(found.get_document("stateSeq").unwrap(), &doc! { "generation": 1_i64, "number": 9_i64 });
    assert_eq!(found.get_str("status").unwrap(), "online");
    assert_eq!(found.get_document("settings").unwrap().get_i32("loadPriority").unwrap(), 5);

    let edit = doc! { "$set": { "name": "South roof", "settings.loadPriority": 9 } };
    devices.update_one(doc! { "deviceId": "home-1-roof" }, edit).await.unwrap();
    let offline = DeviceRow { availability: Some(Availability::Offline), ..device("roof") };
    home.journal.save_device(offline).await.unwrap();
    let found = until("it is offline", || async {
        roof().await.unwrap().filter(|found| found.get_str("status").is_ok_and(|status| status == "offline"))
    })
    .await;
    assert_eq!(found.get_str("name").unwrap(), "South roof");
    assert_eq!(found.get_document("settings").unwrap().get_i32("loadPriority").unwrap(), 9);
    assert!(!found.get_bool("isOnline").unwrap());
    running.stop().await;

    let mut theirs = devices.find_one(doc! { "deviceId": "home-1-grid" }).await.unwrap().unwrap();
    theirs.remove("_id");
    assert_eq!(theirs, other, "another gateway's document is not touched");
    assert_eq!(devices.count_documents(doc! {}).await.unwrap(), 3);
}

#[tokio::test]
async fn an_older_state_never_replaces_a_newer_one() {
    let mongod = Mongod::start(Kind::Standalone).await;
    let devices = mongod.database().await.collection::<Document>(DEVICES);
    let newer = doc! {
        "userId": "owner", "deviceId": "home-1-roof", "gatewayId": "home-1", "currentState": { "new": true },
        "stateSeq": { "generation": 2_i64, "number": 1_i64 },
    };
    devices.insert_one(newer).await.unwrap();
    let home = Home::new(10).await;
    let running = Running::start(&home, settings(&mongod));
    let with_state = doc! { "currentState.voltage": 230.1 };
    until("the others' states are there", || async {
        (devices.count_documents(with_state.clone()).await.unwrap() == 2).then_some(())
    })
    .await;
    running.stop().await;
    let roof = devices.find_one(doc! { "deviceId": "home-1-roof" }).await.unwrap().unwrap();
    assert_eq!(roof.get_document("currentState").unwrap(), &doc! { "new": true });
}

#[tokio::test]
async fn a_commands_document_follows_its_life() {
    let mut mongod = Mongod::start(Kind::Standalone).await;
    let home = Home::new(1).await;
    let mut seventh = None;
    for number in 1..=250 {
        let inserted = home.journal.insert_command(command(number)).await.unwrap();
        seventh = seventh.or((inserted.id == "c-7").then_some(inserted));
    }
    let running = Running::start(&home, settings(&mongod));
    let database = mongod.database().await;
    let commands = database.collection::<Document>(COMMANDS);
    until("all are there", || async {
        (commands.count_documents(doc! {}).await.unwrap() == 250).then_some(())
    })
    .await;
    mongod.kill();
    let mut failed = seventh.unwrap();
    failed.status = CommandStatus::Failed;
    failed.outcome = Some(Outcome::Unreachable);
    failed.attempts = 3;
    failed.executed_at = Some(START + 1_000);
    failed.completed_at = Some(START + 1_500);
    failed.error = Some(("busy".to_owned(), "the device is busy".to_owned()));
    failed.events.push(Event {
        at: START + 1_500,
        status: CommandStatus::Failed,
        by: "gateway".to_owned(),
        reason: "busy".to_owned(),
    });
    home.journal.update_command(failed).await.unwrap();
    mongod.start_again().await;
    let found = until("its end is there", || async {
        commands.find_one(doc! { "status": "failed" }).await.ok().flatten()
    })
    .await;
    running.stop().await;
    assert_eq!(commands.count_documents(doc! {}).await.unwrap(), 250);
    assert_eq!(found.get_str("commandId").unwrap(), "c-7");
    assert_eq!(found.get_i32("retryCount").unwrap(), 2);
    assert_eq!(found.get_i32("maxRetries").unwrap(), 2, "the backend has nothing left to retry");
    assert_eq!(found.get_i32("requestedMaxRetries").unwrap(), 3);
    assert_eq!(found.get_str("errorMessage").unwrap(), "the device is busy");
    assert_eq!(found.get_str("deviceId").unwrap(), "home-1-roof");
    assert_eq!(found.get_datetime("createdAt").unwrap(), &DateTime::from_millis(START));
    let result = found.get_document("result").unwrap();
    assert!(!result.get_bool("success").unwrap());
    let events = found.get_array("events").unwrap();
    assert_eq!(events[1].as_document().unwrap().get_str("source").unwrap(), "system");
}
