//! The list of adapters: one field and one factory each. A new protocol adds its three lines here.

use std::collections::BTreeMap;

use adapter_api::{Adapter, DeviceInfo};
use serde::Deserialize;

/// Every adapter's connections, by protocol and name.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct Adapters {
    /// `[modbus.<connection>]`.
    #[serde(default)]
    pub modbus: BTreeMap<String, adapter_modbus::Settings>,
    /// The installer's own profiles, by name, as they were read.
    #[serde(skip)]
    pub profiles: BTreeMap<String, String>,
}

/// One configured connection: one adapter, one worker.
pub struct Connection {
    /// Its worker's name and its table's path, like `modbus.roof`.
    pub name: String,
    /// The devices that it is known to have before anything answers.
    pub devices: Vec<DeviceInfo>,
    /// Ids that are switched off.
    pub disabled: Vec<String>,
    /// Ids of meters that the configuration itself says measure the grid.
    pub configured_grid: Vec<String>,
    /// Key below the table, and what is wrong there.
    pub mistakes: Vec<(String, String)>,
    /// Key below the table, and what somebody will wonder about.
    pub doubts: Vec<(String, String)>,
    /// What it holds at the other end, and whether no other connection can hold it too.
    pub holds: Option<(String, bool)>,
    /// Makes the adapter, again at each restart.
    pub build: Box<dyn Fn() -> Box<dyn Adapter> + Send + Sync>,
}

impl Adapters {
    /// Sections that belong to adapters.
    pub const KEYS: &'static [&'static str] = &["modbus"];

    /// All connections.
    pub fn connections(&self) -> Vec<Connection> {
        self.modbus.iter().map(|(name, settings)| modbus(name, settings)).collect()
    }

    /// Is a connection as it was?
    pub fn same(&self, other: &Self, connection: &str) -> bool {
        // A connection whose profile changed is another one; which it is does not pay to know.
        self.profiles == other.profiles
            && match connection.split_once('.') {
                Some(("modbus", name)) => self.modbus.get(name) == other.modbus.get(name),
                _ => false,
            }
    }
}

fn modbus(name: &str, settings: &adapter_modbus::Settings) -> Connection {
    let mistakes = settings.check().into_iter().map(|mistake| (mistake.key, mistake.message)).collect();
    let grid = settings.device.iter().filter(|(_, device)| device.usage == Some(adapter_api::Usage::Grid));
    let off = settings.device.iter().filter(|(_, device)| device.enabled == Some(false));
    let (connection, owned) = (name.to_owned(), settings.clone());
    Connection {
        name: format!("modbus.{name}"),
        devices: adapter_modbus::declare(name, settings),
        disabled: off.map(|(id, _)| id.clone()).collect(),
        configured_grid: grid.map(|(id, _)| id.clone()).collect(),
        mistakes,
        doubts: settings.overload().into_iter().chain(settings.unrated()).collect(),
        holds: settings.holds(),
        build: Box::new(move || adapter_modbus::adapter(&connection, &owned)),
    }
}
