//! The doors for commands: what is taken back, what comes together, bare values, events, history,
//! and who holds what. The home is simulated, the gateway and the broker are the real ones.

mod batches;
mod cancel;
mod events;
mod history;
mod leases;
mod setpoint;

use std::process::Output;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simulator::Home;

use crate::parts::{Gateway, Mosquitto, Peer, house};

/// A gateway with a broker and the home at night, when the battery has something to do.
async fn all_doors() -> (Mosquitto, Home, Gateway) {
    let (broker, home) = (Mosquitto::start().await, house::still_home(1.0).await);
    let sections = format!("{}{}", broker.section(), house::sections(&home));
    let gateway = Gateway::start(house::GATEWAY, &sections).await;
    for device in ["roof", "roof-battery", "house"] {
        gateway.points(device).await;
    }
    (broker, home, gateway)
}

async fn peer(broker: &Mosquitto) -> Peer {
    let peer = Peer::connect(broker.port, &["maestro/#", "me/#"]).await;
    peer.wait("the gateway is there", "maestro/status", |value| value == "online").await;
    peer
}

/// A client of the daemon's socket.
fn client(gateway: &Gateway) -> reqwest::Client {
    reqwest::Client::builder().unix_socket(gateway.socket()).build().unwrap()
}

async fn http(gateway: &Gateway, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let mut request = client(gateway).request(method, format!("http://maestro{path}"));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// `refresh` in an hour: it waits for sure.
fn later(id: &str) -> Value {
    let at = jiff::Timestamp::now().as_millisecond() + 3_600_000;
    json!({"id": id, "command": "refresh", "scheduledAt": at})
}
