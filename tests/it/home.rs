//! The main job: a home is read, everything is right and everything is in MongoDB.

use mongodb::bson::{Document, doc};

use crate::parts::{Gateway, Kind, Mongod, house, until, until_true};

const DEVICES: [&str; 4] = ["roof", "roof-battery", "roof-grid", "house"];

/// The register of 103.W (from 40070) and of the SDM630's total power: each poll reads it once.
const POLLED: [(&str, u16); 2] = [("roof", 40084), ("house", 52)];

fn number(document: &Document, key: &str) -> f64 {
    let measurements = document.get_document("measurements").unwrap();
    measurements.get_f64(key).unwrap_or_else(|_| panic!("{key} in {document}"))
}

async fn count_equals_what_was_served(kind: Kind) {
    let mongod = Mongod::start(kind).await;
    let home = house::still_home(12.0).await;
    let copy = format!("[mongodb]\nuri = \"{}\"\n", mongod.uri());
    let mut gateway = Gateway::start(house::GATEWAY, &format!("{copy}{}", house::sections(&home))).await;
    for device in DEVICES {
        gateway.points(device).await;
    }
    until_true("the meter was read 50 times", || home.meter().served(1, 52) >= 50).await;
    assert!(gateway.stop().await.success(), "{}", gateway.log());
    let served = POLLED.map(|(device, register)| match device {
        // The inverter's discovery read it once as well, and publishes nothing.
        "roof" => (device, home.hybrid().served(1, register) - 1),
        _ => (device, home.meter().served(1, register)),
    });
    let plant = home.now();
    home.stop().await;
    // Without devices: what it still had to deliver, it delivers; nothing new comes.
    gateway.start_again().await;
    for (device, served) in served {
        let documents = until(&format!("{served} readings of {device} in MongoDB"), || async {
            let found = mongod.all("energymeasurements", doc! {"deviceId": format!("home-1-{device}")}).await;
            (found.len() as u64 >= served).then_some(found)
        })
        .await;
        assert_eq!(documents.len() as u64, served, "{device}");
        let mut ids: Vec<_> =
            documents.iter().map(|document| document.get_object_id("_id").unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len() as u64, served, "every _id once");
    }
    // The sun stands still: every document says the same.
    for (device, watts) in [
        ("roof", plant.pv),
        ("roof-battery", plant.battery),
        ("roof-grid", plant.grid),
        ("house", plant.load),
    ] {
        let found = mongod.all("energymeasurements", doc! {"deviceId": format!("home-1-{device}")}).await;
        let last = found.last().unwrap();
        assert!((number(last, "activePower") - watts).abs() <= 1.0, "{device} {watts} {last}");
        assert_eq!(last.get_str("userId").unwrap(), "66b0c0ffee0000000000cafe");
        assert_eq!(last.get_document("measurements").unwrap().get_str("quality").unwrap(), "good");
        assert_eq!(last.get_document("tags").unwrap().get_str("gateway").unwrap(), "home-1");
    }
    let roof = mongod.all("energymeasurements", doc! {"deviceId": "home-1-roof"}).await;
    let sum: f64 = roof.iter().skip(1).map(|document| number(document, "energyProduced")).sum();
    let (first, last) = (number(&roof[0], "energy"), number(roof.last().unwrap(), "energy"));
    assert!(
        (sum - (last - first)).abs() < 1e-9,
        "increments add up to the counter: {sum}, {first} to {last}"
    );
    assert!(
        roof[0].get_document("measurements").unwrap().get("energyProduced").is_none(),
        "the first has no increment"
    );
    let frequency = number(roof.last().unwrap(), "frequency");
    assert!((49.0..51.0).contains(&frequency), "{frequency} Hz");
    let devices = mongod.all("devices", doc! {"gatewayId": "home-1"}).await;
    assert_eq!(devices.len(), 4, "{devices:?}");
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn readings_arrive_in_a_replica_set_with_right_values_and_as_many_as_were_served() {
    count_equals_what_was_served(Kind::ReplicaSet).await;
}

#[tokio::test]
async fn readings_arrive_in_a_standalone_server_with_right_values_and_as_many_as_were_served() {
    count_equals_what_was_served(Kind::Standalone).await;
}

#[tokio::test]
async fn signs_follow_the_sun_the_night_and_the_battery() {
    // Noon: the roof generates and the rest goes to the battery or the grid.
    for hour in [12.0, 1.0] {
        let home = house::still_home(hour).await;
        let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
        for device in DEVICES {
            gateway.points(device).await;
        }
        let plant = home.now();
        let power = async |device: &str| gateway.points(device).await["activePower"].as_f64().unwrap();
        assert!((power("roof").await - plant.pv).abs() <= 1.0);
        assert!((power("house").await - plant.load).abs() <= 1.0);
        assert!((power("roof-grid").await - plant.grid).abs() <= 1.0);
        assert!((power("roof-battery").await - plant.battery).abs() <= 1.0);
        assert!(power("house").await > 0.0, "a load consumes");
        if hour < 5.0 {
            assert!(power("roof").await.abs() < 1.0, "no sun at night");
            assert!(power("roof-battery").await > 0.0, "at night the battery discharges");
        } else {
            assert!(power("roof").await > 100.0, "the sun shines at noon");
        }
        home.stop().await;
    }
}

#[tokio::test]
async fn the_journal_alone_is_a_store_that_the_command_line_reads() {
    let home = house::still_home(12.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    for device in DEVICES {
        gateway.points(device).await;
    }
    let text = |output: std::process::Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let devices = text(gateway.cli(&["devices"]).await);
    assert!(DEVICES.iter().all(|device| devices.contains(device)), "{devices}");
    let history = until("committed readings in the history", || async {
        let text = text(gateway.cli(&["history", "house", "--last", "10m"]).await);
        (text.lines().count() > 3).then_some(text)
    })
    .await;
    assert!(history.contains("activePower"), "{history}");
    let json: serde_json::Value =
        serde_json::from_str(&text(gateway.cli(&["devices", "roof", "--json"]).await)).unwrap();
    assert_eq!(json["model"], "Hybrid 6.0");
    let unknown = gateway.cli(&["history", "attic"]).await;
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no device `attic`"));
}
