//! What the tests of links see: a line of the log, and a meter as it says itself what it is.

use std::{fmt, time::Duration};

use crate::{
    Bounds, Capability, CapabilityInfo, DeviceId, DeviceInfo, DeviceType, EnergyRole, Protocol, UnitId,
};

/// One line of the log.
#[derive(Clone, PartialEq)]
pub(super) struct Line {
    pub at: Duration,
    pub unit: usize,
    pub what: String,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {}", self.at, self.unit, self.what)
    }
}

/// A plain meter.
pub(in crate::drive) fn meter(id: DeviceId, unit: UnitId) -> DeviceInfo {
    DeviceInfo {
        id,
        unit,
        name: "meter".into(),
        device_type: DeviceType::EnergyMeter,
        protocol: Protocol::Modbus,
        role: EnergyRole::Monitor,
        usage: None,
        profile: "meter".into(),
        manufacturer: String::new(),
        model: String::new(),
        serial: None,
        firmware: None,
        max_power: None,
        capacity: None,
        phases: 1,
        room: None,
        location: None,
        capabilities: vec![CapabilityInfo {
            kind: Capability::EnergyMeter,
            commands: Vec::new(),
            range: None,
        }],
        commands: Vec::new(),
        control: false,
        interval: Duration::from_secs(1),
        bounds: Bounds::default(),
    }
}
