//! The devices of a unit: what they are called, what they are and what they take. Pure.

use adapter_api::{Capability, CommandSpec, DeviceInfo, DeviceType, EnergyRole, Usage, profile::Way};

use super::{
    discovery::Common,
    known::{Known, phases_of},
};
use crate::{
    declare::with_commands,
    reading::role_of,
    units::{Part, UnitConfig, WRITE_POINT},
};

const BATTERY: &str = "battery";
/// The profile's name for the device itself.
const ITSELF: &str = "";

/// Before it answers: the device itself, and the parts that have a table.
pub(crate) fn declared(unit: &UnitConfig) -> Vec<DeviceInfo> {
    let limits = Limits::of(unit, None);
    let itself = with_commands(
        unit.describe(&unit.main),
        Capability::EnergyMeter,
        commands(unit, ITSELF, |_| unit.main.keys.max_power),
    );
    let battery = || battery(unit, &unit.battery, limits, commands(unit, BATTERY, |way| limits.most(way)));
    let meters = unit.meters.iter().enumerate();
    let meters = meters.map(|(n, part)| (part, part.has_table.then(|| meter(unit, part, n))));
    [(&unit.main, Some(itself)), (&unit.battery, unit.battery.has_table.then(battery))]
        .into_iter()
        .chain(meters)
        .filter(|(part, _)| part.enabled())
        .filter_map(|(_, info)| info)
        .collect()
}

/// After its discovery.
pub(crate) fn found(unit: &UnitConfig, known: &Known) -> Vec<DeviceInfo> {
    let mut devices = Vec::new();
    if let Some(common) = &known.inverter {
        devices.push((&unit.main, signed(inverter(unit, known), common)));
    }
    if known.battery {
        let part = battery_part(unit, known);
        let limits = known.controls.narrow(Limits::of(unit, known.ratings.battery));
        // The commands are those of a part; a battery that is a unit of its own takes none of them.
        let takes = known.inverter.as_ref().map(|_| commands(unit, BATTERY, |way| limits.most(way)));
        let takes = known.controls.able(takes.unwrap_or_default());
        let mut info = battery(unit, part, limits, takes);
        info.max_power = part.keys.max_power.or(known.ratings.battery_most).or(info.max_power);
        info.capacity = info.capacity.or(known.ratings.capacity);
        info.phases = known.phases;
        // One that is part of the inverter does not say who made it, and has no number of its own.
        let inverter = || known.inverter.as_ref().map(Common::anonymous).unwrap_or_default();
        devices.push((part, signed(info, &known.bank.clone().unwrap_or_else(inverter))));
    }
    for (n, (at, common)) in known.meters.iter().enumerate() {
        let Some(part) = meter_part(unit, known, n) else { continue };
        let mut info = meter(unit, part, n);
        info.phases = phases_of(at.id);
        devices.push((part, signed(info, common)));
    }
    devices.into_iter().filter(|(part, _)| part.enabled()).map(|(_, info)| info).collect()
}

/// A unit that is a battery alone is its device itself.
pub(crate) fn battery_part<'u>(unit: &'u UnitConfig, known: &Known) -> &'u Part {
    if known.inverter.is_some() { &unit.battery } else { &unit.main }
}

/// The device of the `n`th meter, from 0; a unit that is meters alone has the first one as its device
/// itself.
pub(crate) fn meter_part<'u>(unit: &'u UnitConfig, known: &Known, n: usize) -> Option<&'u Part> {
    let itself = n == 0 && known.inverter.is_none() && !known.battery;
    if itself { Some(&unit.main) } else { unit.meters.get(n) }
}

/// What the `n`th meter of a unit measures: the first one the grid, the others nobody knows.
pub(crate) fn usage(part: &Part, n: usize) -> Option<Usage> {
    part.keys.usage.or((n == 0).then_some(Usage::Grid))
}

fn inverter(unit: &UnitConfig, known: &Known) -> DeviceInfo {
    let mut info = unit.describe(&unit.main);
    // With a battery on the DC side, the AC rating says nothing about how much the sun may give.
    info.max_power = info.max_power.or(known.ratings.power.filter(|_| !known.battery));
    info.phases = known.phases;
    let base = known.controls.limit_base(known.ratings.limit_base);
    with_commands(info, Capability::EnergyMeter, known.controls.able(commands(unit, ITSELF, |_| base)))
}

fn battery(unit: &UnitConfig, part: &Part, limits: Limits, takes: Vec<CommandSpec>) -> DeviceInfo {
    let keys = &part.keys;
    let mut info = unit.describe(part);
    info.device_type = keys.device_type.unwrap_or(DeviceType::BatteryPack);
    info.role = keys.energy_role.unwrap_or(EnergyRole::Storage);
    info.max_power = info.max_power.or(limits.most(Way::Either));
    info.capacity = keys.capacity;
    with_commands(info, Capability::EnergyStorage, takes)
}

fn meter(unit: &UnitConfig, part: &Part, n: usize) -> DeviceInfo {
    let mut info = unit.describe(part);
    let usage = usage(part, n);
    info.device_type = part.keys.device_type.unwrap_or(DeviceType::EnergyMeter);
    info.role = part.keys.energy_role.unwrap_or(usage.map_or(EnergyRole::Monitor, role_of));
    info.usage = usage;
    with_commands(info, Capability::EnergyMeter, Vec::new())
}

/// With who it says it is.
fn signed(mut info: DeviceInfo, common: &Common) -> DeviceInfo {
    let said = |text: &String| (!text.is_empty()).then(|| text.clone());
    info.manufacturer = said(&common.manufacturer).unwrap_or(info.manufacturer);
    info.model = said(&common.model).unwrap_or(info.model);
    info.serial = said(&common.serial);
    info.firmware = said(&common.firmware);
    info
}

fn commands(unit: &UnitConfig, part: &str, most: impl Fn(Way) -> Option<f64>) -> Vec<CommandSpec> {
    let write_points = if part == BATTERY { unit.battery.write_points } else { unit.main.write_points };
    let own = unit.profile.commands.iter().filter(|(_, table)| table.part == part);
    own.filter(|(name, _)| write_points || *name != WRITE_POINT)
        .map(|(name, table)| table.spec(name, |_, way| most(way)))
        .collect()
}

/// How far a battery may be driven, W: the configuration's keys, and the device's own rating.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Limits {
    pub charge: Option<f64>,
    pub discharge: Option<f64>,
    pub rated: Option<f64>,
}

impl Limits {
    pub fn of(unit: &UnitConfig, rated: Option<f64>) -> Self {
        let keys = &unit.battery.keys;
        Self { charge: keys.charge_power, discharge: keys.discharge_power, rated }
    }

    /// The most that a power may be.
    fn most(self, way: Way) -> Option<f64> {
        let within = |key: Option<f64>| match (key, self.rated) {
            (Some(key), Some(rated)) => Some(key.min(rated)),
            (key, rated) => key.or(rated),
        };
        match way {
            Way::Up => within(self.discharge),
            Way::Down => within(self.charge),
            // Without a rating, a key for one direction says nothing about the other.
            Way::Either => within(self.charge).zip(within(self.discharge)).map(|(a, b)| a.max(b)),
        }
    }
}
