//! What the field tools know of the gateway on this machine: the connections that it is configured
//! with, and whether it runs and therefore uses them. Never asks a device.

use std::{collections::BTreeMap, os::unix::net::UnixStream, path::Path};

use adapter_api::Problem;
use adapter_modbus::{Settings, configured_at};

use crate::config::{Finding, Sources, load, socket};

/// Addresses of serial lines behind a converter begin so.
const CONVERTER: &str = "rtu+tcp://";

pub struct Neighbour {
    /// Connections of the configuration; none when it cannot be used.
    pub modbus: BTreeMap<String, Settings>,
    /// What keeps the configuration from being used.
    pub wrong: Vec<Finding>,
    running: bool,
}

impl Neighbour {
    pub fn look(config: &Path, named: Option<&Path>) -> Self {
        let sources = Sources::of_process(config);
        let (modbus, wrong) = match load(&sources) {
            Ok((config, _)) => (config.adapters.modbus, Vec::new()),
            Err(findings) => (BTreeMap::new(), findings),
        };
        let socket = named.map_or_else(|| socket(&sources), Path::to_owned);
        Self { modbus, wrong, running: UnixStream::connect(socket).is_ok() }
    }

    /// The configured connection to this address that the running gateway uses.
    pub fn uses(&self, address: &str) -> Option<&str> {
        configured_at(address, &self.modbus).filter(|_| self.running)
    }

    /// Why this address cannot be asked now. Two clients of one serial line make wrong values for both,
    /// because its answers carry no number. A serial port itself is locked by the gateway.
    pub fn bars(&self, address: &str) -> anyhow::Result<()> {
        let Some(name) = self.uses(address) else { return Ok(()) };
        let converter = |address: &str| address.starts_with(CONVERTER);
        if !converter(address) && !converter(&self.modbus[name].address) {
            return Ok(());
        }
        anyhow::bail!(
            "The gateway is running and uses {address} as modbus.{name}, and two clients of one line get each other's answers: stop it (`systemctl stop maestro`), do this again, and start it (`systemctl start maestro`)"
        )
    }

    /// A problem at this address, with what the running gateway has to do with it.
    pub fn explain(&self, problem: &Problem, address: &str) -> anyhow::Error {
        match self.uses(address) {
            Some(name) => anyhow::anyhow!(
                "{problem}. The gateway is running and uses this line as modbus.{name}, and many devices take one client only: stop it (`systemctl stop maestro`), do this again, and start it (`systemctl start maestro`)"
            ),
            None => anyhow::anyhow!("{problem}"),
        }
    }
}
