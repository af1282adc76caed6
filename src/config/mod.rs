//! The configuration as types: `load` reads files, environment and secrets; `check` is pure and
//! says what is wrong or doubtful, with file, line, key and remedy. Runs nothing.
//!
//! Layers, later ones win: the main file, `maestro.d/*.toml` beside it in name order (arrays add
//! up), the profiles of the folder `profiles` beside it, `MONGODB_URI` and `MONGODB_DB_NAME`, `MAESTRO_<SECTION>__<KEY>`, the command line.

mod check;
mod environment;
mod finding;
mod load;
mod profiles;
mod sections;
mod size;

pub use self::{
    check::check,
    finding::{Finding, Level},
    load::{Sources, load, socket},
    profiles::{Own, read as own_profiles},
    sections::{Broker, Commands, Gateway, Journal, Measurements, Mongodb, MqttApi, Secret},
    size::Size,
};
use crate::{catalog::Adapters, journal};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// This gateway.
    pub gateway: Gateway,
    /// The store on this machine.
    pub journal: Journal,
    /// The copy; none: the journal alone.
    pub mongodb: Option<Mongodb>,
    /// The local topics; none: without.
    pub mqtt_api: Option<MqttApi>,
    /// The embedded broker; none: without.
    pub broker: Option<Broker>,
    /// Defaults for commands.
    pub commands: Commands,
    /// Every connection to devices.
    pub adapters: Adapters,
}

impl Config {
    /// What the journal needs.
    pub fn journal_settings(&self) -> journal::Settings {
        journal::Settings {
            data_dir: self.gateway.data_dir.clone(),
            runtime_dir: self.gateway.runtime_dir.clone(),
            group: self.journal.group.0,
            retention: self.journal.retention.0,
            max_size: self.journal.max_size.0,
        }
    }
}
