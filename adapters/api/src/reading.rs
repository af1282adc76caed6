//! What a device said at one instant.

use std::{fmt, sync::Arc};

use crate::{DeviceId, MeasurementSource, Moment, PointId, Quality};

/// One value, with unit and scale already applied: W, V, A, Hz, kWh, °C, %.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A finite number.
    Number(f64),
    /// A word, such as an operating state or a serial number.
    Text(Arc<str>),
    /// On or off.
    Bool(bool),
}

impl Value {
    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }
}

impl From<bool> for Value {
    fn from(on: bool) -> Self {
        Self::Bool(on)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Bool(on) => write!(f, "{on}"),
        }
    }
}

/// All points of one device from one poll or message. Signs as design says: power is positive
/// when a consumer consumes, a producer generates, a battery discharges, a grid meter imports.
/// Counters are the device's lifetime counters `energyConsumedTotal`, `energyProducedTotal` in kWh.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Whose.
    pub device: DeviceId,
    /// Name and value; a name occurs once.
    pub points: Vec<(PointId, Value)>,
    /// The adapter's opinion of the whole.
    pub quality: Quality,
    /// Measured by the device, or made up for it while it sleeps.
    pub source: MeasurementSource,
    /// When it was true.
    pub measured_at: Moment,
}

impl Reading {
    /// The value of one point.
    pub fn point(&self, name: &str) -> Option<&Value> {
        self.points.iter().find(|(point, _)| point == name).map(|(_, value)| value)
    }
}
