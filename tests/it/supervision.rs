//! The ordered stop, the reload, and systemd's side of the contract.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use simulator::{Fault, Scope};
use tempfile::TempDir;

use crate::parts::{Gateway, Mosquitto, Peer, house, until, until_true};

#[tokio::test]
async fn sigterm_drains_and_loses_nothing() {
    let (broker, home) = (Mosquitto::start().await, house::still_home(1.0).await);
    let sections = format!("{}{}", broker.section(), house::sections(&home).replace("\"1s\"", "\"1h\""));
    let mut gateway = Gateway::start(house::GATEWAY, &sections).await;
    gateway.points("roof-battery").await;
    let peer = Peer::connect(broker.port, &["maestro/#"]).await;
    peer.wait("the gateway is there", "maestro/status", |value| value == "online").await;
    // In flight while the stop comes: the device shows old values for a while.
    home.hybrid().fault(Fault::Stale(Duration::from_secs(2)), Scope::WRITES);
    let body = json!({"id": "last", "command": "set_battery_mode", "parameters": {"mode": "hold"}});
    gateway.post("roof-battery", body).await;
    until_true("it was written", || !home.hybrid().writes().is_empty()).await;
    assert!(gateway.stop().await.success(), "{}", gateway.log());
    peer.wait("it says goodbye", "maestro/status", |value| value == "offline").await;
    assert!(gateway.log().contains("still_running"), "it says what still runs: {}", gateway.log());
    let served = home.meter().served(1, 52);
    home.stop().await;
    gateway.start_again().await;
    let result = gateway.result("last").await;
    assert_eq!(result["status"], "completed", "it was settled before the end: {result}");
    let history = gateway.get("/v1/devices/house/history?limit=100000").await;
    assert_eq!(
        history["readings"].as_array().unwrap().len() as u64,
        served,
        "a group of an hour, and nothing lost"
    );
}

#[tokio::test]
async fn a_second_sigterm_ends_at_once() {
    let home = house::still_home(1.0).await;
    let mut gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof-battery").await;
    home.hybrid().fault(Fault::EchoOnly, Scope::WRITES);
    let body = json!({"id": "cut", "command": "set_battery_mode", "parameters": {"mode": "hold"}});
    gateway.post("roof-battery", body).await;
    until_true("it was written", || !home.hybrid().writes().is_empty()).await;
    gateway.signal("TERM");
    until_true("it is stopping", || gateway.log().contains("a second signal ends at once")).await;
    gateway.signal("TERM");
    let status = gateway.ended().await;
    assert!(!status.success() && gateway.log().contains("ended at once"), "{status} {}", gateway.log());
    home.hybrid().clear_faults();
    gateway.start_again().await;
    let result = gateway.result("cut").await;
    assert!(result["outcome"].is_string(), "the next start settles it: {result}");
}

#[tokio::test]
async fn a_reload_restarts_only_what_changed_and_a_broken_file_keeps_the_old() {
    let home = house::still_home(12.0).await;
    let mut gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("house").await;
    gateway.points("roof").await;
    let roof_connections = home.hybrid().connections();
    // Broken: the old one stays, and the log says where.
    gateway.configure(house::GATEWAY, &house::sections(&home).replace("usage = \"load\"", "usage = \"lod\""));
    gateway.signal("HUP");
    until_true("the mistake is in the log", || gateway.log().contains("the old one stays in force")).await;
    let log = gateway.log();
    assert!(log.contains("modbus.panel.device.house.usage") && log.contains("maestro.toml:"), "{log}");
    // Good: the meter gets a name, the roof's connection is not touched.
    gateway.configure(
        house::GATEWAY,
        &house::sections(&home).replace("usage = \"load\"", "usage = \"load\"\nname = \"Hausstrom\""),
    );
    gateway.signal("HUP");
    until("the new name", || async {
        (gateway.get("/v1/devices/house").await["name"] == "Hausstrom").then_some(())
    })
    .await;
    gateway.points("house").await;
    assert_eq!(home.hybrid().connections(), roof_connections, "the roof's link was left alone");
    // A device goes, a device comes.
    let without_roof =
        format!("[journal]\ngroup = \"1s\"\n{}", house::house(home.meter_addr()).replace("house", "meter"));
    gateway.configure(house::GATEWAY, &without_roof);
    gateway.signal("HUP");
    gateway.points("meter").await;
    let devices = gateway.get("/v1/devices").await;
    let ids: Vec<_> =
        devices["devices"].as_array().unwrap().iter().map(|device| device["id"].clone()).collect();
    assert_eq!(ids, [json!("meter")]);
    assert!(gateway.stop().await.success());
}

/// Plays systemd: remembers what it is told on the notify socket.
struct Systemd {
    _folder: TempDir,
    path: String,
    told: Arc<Mutex<Vec<String>>>,
}

impl Systemd {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("notify").display().to_string();
        let socket = UnixDatagram::bind(&path).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                heard.lock().unwrap().extend(text.lines().map(str::to_owned));
            }
        });
        Self { _folder: folder, path, told }
    }

    fn count(&self, word: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|line| *line == word).count()
    }
}

#[tokio::test]
async fn systemd_is_told_ready_alive_and_stopping() {
    let (systemd, home) = (Systemd::start(), house::still_home(12.0).await);
    let environment = [("NOTIFY_SOCKET", systemd.path.as_str()), ("WATCHDOG_USEC", "600000")];
    let mut gateway = Gateway::start_without_waiting(house::GATEWAY, &house::sections(&home), &environment);
    until_true("READY", || systemd.count("READY=1") == 1).await;
    let health = gateway.get("/v1/health").await;
    assert_eq!(health["gateway"], "home-1", "the doors were open when it said so");
    until_true("the watchdog is fed", || systemd.count("WATCHDOG=1") >= 5).await;
    assert!(gateway.stop().await.success());
    assert_eq!(systemd.count("STOPPING=1"), 1);
}

#[tokio::test]
async fn two_gateways_never_share_a_folder() {
    let home = house::still_home(12.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    let second = crate::parts::maestro()
        .arg("--config")
        .arg(gateway.folder.path().join("maestro.toml"))
        .arg("run")
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("data") && said.to_lowercase().contains("another"), "{said}");
    // The first one is not harmed, its socket included.
    assert_eq!(gateway.get("/v1/health").await["gateway"], "home-1");
}

#[test]
fn the_unit_file_keeps_its_side_of_the_contract() {
    let unit = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/maestro.service")).unwrap();
    for line in [
        "Type=notify",
        "RestartPreventExitStatus=78",
        "RuntimeDirectoryPreserve=yes",
        "StateDirectory=maestro",
        "RuntimeDirectory=maestro",
        "User=maestro",
        // More than the phases of a stop may take together.
        "TimeoutStopSec=120",
    ] {
        assert!(unit.lines().any(|have| have.trim() == line), "{line} is missing");
    }
    assert!(unit.contains("ExecReload=") && unit.contains("WatchdogSec="));
    assert!(!unit.contains("ExecStartPre="), "run checks first: systemd looks at its exit code alone");
}
