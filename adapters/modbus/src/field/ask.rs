//! A unit that no configuration knows yet, and one question to it. Never decides what is asked.

use std::time::Duration;

use adapter_api::{BoxFuture, Clock, Moment, Problem, Store, StoreError, StorePort, profile::Function};
use serde::{Deserialize, de::value::MapDeserializer};

use crate::{
    client::{Link, LinkError},
    config::{Device, Settings},
    learned::Learned,
    port::Port,
    units::{UnitConfig, resolve},
};

/// A connection's settings when nothing but its address is known.
pub(super) fn settings(address: &str) -> Settings {
    type Mistake = serde::de::value::Error;
    let table = MapDeserializer::<_, Mistake>::new([("address", address)].into_iter());
    Settings::deserialize(table).expect("every key but the address has a default")
}

/// A unit of which nothing is known.
pub(super) fn unit(address: u8, timeout: Duration) -> UnitConfig {
    let profile = Some("sunspec".to_owned());
    let device = Device { profile, unit: Some(address), ..Device::default() };
    let mut settings = settings("tcp://scan");
    settings.device.insert("scan".to_owned(), device);
    let mut unit = resolve("scan", &settings).pop().expect("it has a device that is not switched off");
    unit.pace.timeout = timeout;
    unit
}

/// Reads registers; asks once more when the answer was lost or cannot be believed.
pub(super) async fn ask(
    port: &mut Port<'_>,
    function: Function,
    start: u16,
    count: u16,
) -> Result<Vec<u16>, LinkError> {
    match port.read(function, start, count).await {
        Err(LinkError::NoAnswer(_) | LinkError::Mismatch(_)) => port.read(function, start, count).await,
        answer => answer,
    }
}

/// Is it a refusal of these registers alone? The unit itself is there.
pub(super) fn refuses(error: &LinkError) -> bool {
    matches!(error, LinkError::Exception(code) if !nobody(*code))
}

/// Does a Modbus gateway say so when there is no such unit behind it?
pub(super) fn nobody(exception: u8) -> bool {
    matches!(exception, 10 | 11)
}

/// The error of a unit in words.
pub(super) fn problem(port: &Port<'_>, error: &LinkError) -> Problem {
    port.fault(error).problem().clone()
}

/// What a port needs beside unit and link, when nothing was learned and nothing shall be kept.
pub(super) struct Blank {
    store: Store,
    clock: Clock,
    learned: Learned,
}

impl Blank {
    pub fn new() -> Self {
        // The clock only tells how old it is what was learned earlier, and nothing was.
        let clock = Clock::new("", || Moment { wall_ms: 0, mono_ms: 0 });
        Self { store: Store::new(Forgetful), clock, learned: Learned::default() }
    }

    /// A unit's way through a link.
    pub fn port<'a>(&'a mut self, unit: &'a UnitConfig, link: &'a mut Link) -> Port<'a> {
        let Self { store, clock, learned } = self;
        Port { unit, store, clock, link, learned }
    }
}

struct Forgetful;

impl StorePort for Forgetful {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn put<'a>(&'a self, _: &'a str, _: Option<Vec<u8>>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
