//! What an adapter tells about a device.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    Capability, CommandSpec, DeviceId, DeviceType, EnergyRole, Protocol, UnitId, model::UnknownWord,
    model::words,
};

words!(/** What a meter measures. */ Usage, "usage" {
    Grid = "grid", Pv = "pv", Battery = "battery", Load = "load",
});

/// One capability of a device, as the backend shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct CapabilityInfo {
    /// Which.
    pub kind: Capability,
    /// Commands that belong to it.
    pub commands: Vec<Arc<str>>,
    /// `min`, `max`, `step` of its main setpoint, in the setpoint's unit.
    pub range: Option<(f64, f64, f64)>,
}

/// A device as its adapter knows it: from the profile, from the configuration and, once it was
/// reached, from the device itself. Announced at start and whenever it changes.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceInfo {
    /// Unique in the gateway.
    pub id: DeviceId,
    /// The physical unit that it is (a part of): one command at a time.
    pub unit: UnitId,
    /// What installers call it, 1–100 characters.
    pub name: String,
    /// Kind of device.
    pub device_type: DeviceType,
    /// How it is reached.
    pub protocol: Protocol,
    /// Its role in the home's energy.
    pub role: EnergyRole,
    /// What a meter measures; none for what is no meter.
    pub usage: Option<Usage>,
    /// The profile's name.
    pub profile: String,
    /// Who made it.
    pub manufacturer: String,
    /// Which product.
    pub model: String,
    /// Serial number, if it says.
    pub serial: Option<String>,
    /// Firmware version, if it says.
    pub firmware: Option<String>,
    /// Greatest power, W.
    pub max_power: Option<f64>,
    /// Battery capacity, kWh.
    pub capacity: Option<f64>,
    /// 1 to 3.
    pub phases: u8,
    /// Where it stands.
    pub room: Option<String>,
    /// Where the home is, or where in it.
    pub location: Option<String>,
    /// What it can do; never empty.
    pub capabilities: Vec<CapabilityInfo>,
    /// What it takes, with ranges.
    pub commands: Vec<CommandSpec>,
    /// Whether commands may be sent; `refresh` always may.
    pub control: bool,
    /// How often it is read.
    pub interval: Duration,
    /// What no command goes beyond, from the configuration.
    pub bounds: Bounds,
}

/// How far a device may be driven, W, none below 0; none: as far as the device goes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    /// Drawn from the grid.
    pub import: Option<f64>,
    /// Fed into the grid.
    pub export: Option<f64>,
    /// Into the battery.
    pub charge: Option<f64>,
    /// Out of the battery.
    pub discharge: Option<f64>,
}

/// Whether a device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It answered.
    Online,
    /// It does not.
    Offline,
}

impl Availability {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// What is wrong with a device and what to do, in words for an installer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What was seen.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// Both halves.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what, self.remedy)
    }
}
