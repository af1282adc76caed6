//! What a device is made of: its parts, which are devices of their own, and what it says about itself.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Check, Function, Point};
use crate::{DeviceType, EnergyRole, Usage};

/// The parts that a device may have besides itself: its battery, and its meters in the order of its map.
pub const PARTS: [&str; 4] = ["battery", "grid", "meter2", "meter3"];

/// One part of a device: `<id>-battery`, `<id>-grid`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What it is.
    pub device_type: DeviceType,
    /// Its role; what a meter measures can change it.
    pub energy_role: EnergyRole,
    /// What a meter measures unless the configuration says otherwise.
    pub usage: Option<Usage>,
    /// Who makes it, where that is somebody else.
    pub manufacturer: Option<String>,
    /// The part is there where this holds; always unless said. Looked at when the unit is found.
    pub present: Option<Check>,
    /// What it says about itself.
    #[serde(default)]
    pub identity: Identity,
    /// Its points by name.
    #[serde(default)]
    pub points: BTreeMap<String, Point>,
}

/// Texts that a device says about itself; read when it is found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// Its serial number.
    pub serial: Option<Text>,
    /// Which product it is.
    pub model: Option<Text>,
    /// Its firmware.
    pub firmware: Option<Text>,
}

/// A text, or a number that stands for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The first register.
    pub register: u16,
    /// How many; 1 or 2 with `number`.
    pub length: u16,
    /// Which table.
    #[serde(default)]
    pub function: Function,
    /// Low byte first inside each register.
    #[serde(default)]
    pub swapped: bool,
    /// The registers are a number, high word first, and the text its digits.
    #[serde(default)]
    pub number: bool,
}

/// How strong a device is; read when it is found. What the configuration says goes before.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Ratings {
    /// Greatest AC power, W.
    pub power: Option<Point>,
    /// Greatest power into the battery, W.
    pub charge: Option<Point>,
    /// Greatest power out of the battery, W.
    pub discharge: Option<Point>,
    /// What the battery holds, kWh.
    pub capacity: Option<Point>,
}
