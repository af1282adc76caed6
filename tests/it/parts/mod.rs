//! The real parts that tests run, each stopped when it is dropped.

mod gateway;
pub mod house;
pub mod modbus;
mod mongod;
mod mosquitto;
mod mqtt;
mod proxy;

use std::{
    future::Future,
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

pub use self::{
    gateway::{Api, Gateway, maestro},
    mongod::{Kind, Mongod},
    mosquitto::Mosquitto,
    mqtt::Peer,
    proxy::{Framing, Proxy, Verdict, Way},
};

/// How long a condition may take before a test gives up. Machines are shared and slow at times.
const PATIENCE: Duration = Duration::from_secs(45);

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until `look` gives something; fails with `what` after a while.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "it did not come: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// [`until`] for a plain condition.
pub async fn until_true(what: &str, mut look: impl FnMut() -> bool) {
    until(what, || std::future::ready(look().then_some(()))).await;
}
