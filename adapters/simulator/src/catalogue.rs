//! What `maestro simulate <what>` offers.

use std::{io, net::SocketAddr};

use crate::{
    Line, LineSettings, PlantState, Port, Server, SunSpecSettings, Units,
    live::LivePlant,
    plant::PlantSettings,
    sdm630::{self, LoadMeter},
    sunspec::{Description, Hybrid},
};

const HOME: &str = "home";
const HYBRID: &str = "hybrid";
const LINE: &str = "line";
/// The meters of a line have the units from 1 on; the one after them is wired and dead.
const METERS: u8 = 4;
/// A day that is served starts in the morning, so that the sun is soon to be seen.
const START_HOUR: f64 = 8.0;
const UNIT: u8 = 1;

/// One thing that can be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct What {
    /// What to ask for.
    pub name: &'static str,
    /// What it is, in one line.
    pub text: &'static str,
}

/// All of them.
pub fn catalogue() -> &'static [What] {
    &[
        What {
            name: HOME,
            text: "a home: the hybrid on the given port, the load meter on the next one, one sun for both",
        },
        What { name: HYBRID, text: "a SunSpec hybrid inverter with battery and grid meter, unit 1" },
        What { name: sdm630::PROFILE, text: "an Eastron SDM630 that measures the loads of a home, unit 1" },
        What {
            name: LINE,
            text: "a serial line of 9600 baud on a pseudo terminal: four Eastron SDM630, units 1 to 4, and a dead unit 5",
        },
    ]
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no such thing.
    #[error("there is no `{what}` to simulate: ask for one of {}", names())]
    Unknown {
        /// What was asked for.
        what: String,
    },
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: choose another address or a free port")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The machine gives no terminal.
    #[error("cannot make a pseudo terminal: it needs /dev/ptmx and a directory for temporary files")]
    Terminal(#[source] io::Error),
}

fn names() -> String {
    catalogue().iter().map(|what| what.name).collect::<Vec<_>>().join(", ")
}

/// What is being served. Dropping it stops it without waiting.
pub struct Running {
    plant: LivePlant,
    servers: Vec<(&'static str, Server)>,
    line: Option<Line>,
}

impl Running {
    /// Names and addresses of the devices.
    pub fn devices(&self) -> Vec<(&'static str, SocketAddr)> {
        self.servers.iter().map(|(name, server)| (*name, server.addr())).collect()
    }

    /// The serial line, when that is what is served.
    pub fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    /// The port of a device, or of the line.
    pub fn port(&self, name: &str) -> Option<&Port> {
        if name == LINE {
            return self.line.as_ref().map(Line::port);
        }
        self.servers.iter().find(|(known, _)| *known == name).map(|(_, server)| server.port())
    }

    /// The home now.
    pub fn now(&self) -> PlantState {
        self.plant.now()
    }

    /// Closes all connections and waits until every server ended.
    pub async fn stop(self) {
        for (_, server) in self.servers {
            server.stop().await;
        }
        if let Some(line) = self.line {
            line.stop().await;
        }
    }
}

/// Serves one thing of the [`catalogue`] until it is stopped. A line needs no address. A home's load meter listens on the
/// port after `listen`, or on a free one when `listen` has port 0.
///
/// # Errors
/// [`ServeError::Unknown`] names what there is; [`ServeError::Listen`] the address;
/// [`ServeError::Terminal`] what a line needs.
pub async fn serve(what: &str, listen: SocketAddr, speed: f64) -> Result<Running, ServeError> {
    let parts: &[&'static str] = match what {
        LINE => &[],
        HOME => &[HYBRID, sdm630::PROFILE],
        HYBRID => &[HYBRID],
        sdm630::PROFILE => &[sdm630::PROFILE],
        _ => return Err(ServeError::Unknown { what: what.to_owned() }),
    };
    let settings = PlantSettings { speed, start_hour: START_HOUR, ..PlantSettings::default() };
    let plant = LivePlant::start(settings);
    let line = if what == LINE { Some(meters(settings).map_err(ServeError::Terminal)?) } else { None };
    let mut servers = Vec::new();
    let mut address = listen;
    for &part in parts {
        let units = match part {
            HYBRID => {
                Units::one(UNIT, Hybrid::new(plant.clone(), Description::new(SunSpecSettings::default())))
            }
            _ => Units::one(UNIT, LoadMeter::new(plant.clone())),
        };
        let started = Server::start(address, units).await;
        servers.push((part, started.map_err(|source| ServeError::Listen { address, source })?));
        if address.port() != 0 {
            address.set_port(address.port().wrapping_add(1));
        }
    }
    Ok(Running { plant, servers, line })
}

/// Every meter measures another home.
fn meters(settings: PlantSettings) -> io::Result<Line> {
    let meter = |unit: u8| LoadMeter::new(LivePlant::start(PlantSettings { seed: unit.into(), ..settings }));
    let units = (1..=METERS).fold(Units::default(), |units, unit| units.and(unit, meter(unit)));
    Line::start(LineSettings { units, ..LineSettings::default() })
}
