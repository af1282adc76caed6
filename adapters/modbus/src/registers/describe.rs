//! The devices of a register unit: what they are called, what they are and what they take. Pure.

use adapter_api::{Capability, CommandSpec, DeviceInfo, DeviceType, EnergyRole, Usage, profile::Way};

use super::found::{Found, Rated, Who};
use crate::{
    config::{BATTERY, GRID, ITSELF},
    declare::with_commands,
    reading::role_of,
    units::{Part, UnitConfig, WRITE_POINT},
};

/// Before it answers: the device itself, and the parts that have a table.
pub(crate) fn declared(unit: &UnitConfig) -> Vec<DeviceInfo> {
    let has_table = |name: &&str| name.is_empty() || unit.part(name).is_some_and(|part| part.has_table);
    described(unit, unit.names().filter(has_table), &Found::default())
}

/// Once it was found.
pub(crate) fn found(unit: &UnitConfig, found: &Found) -> Vec<DeviceInfo> {
    described(unit, unit.names().filter(|name| name.is_empty() || found.parts.contains(name)), found)
}

fn described<'n>(unit: &UnitConfig, names: impl Iterator<Item = &'n str>, found: &Found) -> Vec<DeviceInfo> {
    let parts = names.filter_map(|name| Some((name, unit.part(name)?)));
    parts.filter(|(_, part)| part.enabled()).map(|(name, part)| describe(unit, name, part, found)).collect()
}

fn describe(unit: &UnitConfig, name: &str, part: &Part, found: &Found) -> DeviceInfo {
    let (profile, keys) = (unit.profile, &part.keys);
    let mut info = unit.describe(part);
    if let Some(table) = profile.parts.get(name) {
        info.device_type = keys.device_type.unwrap_or(table.device_type);
        info.role = keys.energy_role.unwrap_or(table.energy_role);
        info.manufacturer = table.manufacturer.clone().unwrap_or(info.manufacturer);
    }
    let none = Who::default();
    let Who { serial, model, firmware } = found.who.get(name).unwrap_or(&none);
    info.model = model.clone().unwrap_or(info.model);
    (info.serial, info.firmware) = (serial.clone(), firmware.clone());
    if let Some(usage) = usage(unit, name) {
        info.usage = Some(usage);
        info.role = keys.energy_role.unwrap_or(role_of(usage));
    }
    let rated = found.rated.or_keys(unit);
    if is_battery(&info) {
        info.max_power = keys.max_power.or(rated.battery());
        info.capacity = rated_capacity(part, found.rated);
    } else {
        info.max_power = greatest(unit, name, found.rated);
    }
    let main = match info.device_type {
        _ if name.is_empty() => profile.capabilities.first().copied().unwrap_or(Capability::EnergyMeter),
        DeviceType::BatteryPack => Capability::EnergyStorage,
        _ => Capability::EnergyMeter,
    };
    with_commands(info, main, commands(unit, name, part, rated))
}

fn is_battery(info: &DeviceInfo) -> bool {
    info.device_type == DeviceType::BatteryPack || info.role == EnergyRole::Storage
}

fn rated_capacity(part: &Part, rated: Rated) -> Option<f64> {
    part.keys.capacity.or(rated.capacity)
}

/// The greatest power of a device, W, that its readings are judged by.
pub(crate) fn greatest(unit: &UnitConfig, name: &str, rated: Rated) -> Option<f64> {
    let part = unit.part(name)?;
    let has_battery = unit.profile.parts.contains_key(BATTERY);
    part.keys.max_power.or(match name {
        // With a battery on the DC side, the AC rating says nothing about how much the sun may give.
        ITSELF if unit.profile.device_type != DeviceType::BatteryPack => rated.power.filter(|_| !has_battery),
        ITSELF | BATTERY => rated.battery(),
        _ => None,
    })
}

/// What a device of the unit measures, where it is a meter.
pub(crate) fn usage(unit: &UnitConfig, name: &str) -> Option<Usage> {
    let (profile, keys) = (unit.profile, &unit.part(name)?.keys);
    let table = profile.parts.get(name);
    let device_type =
        keys.device_type.unwrap_or(table.map_or(profile.device_type, |table| table.device_type));
    if device_type != DeviceType::EnergyMeter {
        return None;
    }
    let by_profile = table.map_or(profile.usage, |table| table.usage);
    let by_name = matches!(name, ITSELF | GRID).then_some(Usage::Grid);
    keys.usage.or(by_profile).or(by_name)
}

/// The commands of one device.
pub(crate) fn commands(unit: &UnitConfig, name: &str, part: &Part, rated: Rated) -> Vec<CommandSpec> {
    let keys = &part.keys;
    let least = |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::min);
    let charge = least(keys.charge_power, rated.charge);
    let discharge = least(keys.discharge_power, rated.discharge);
    let most = |group: Option<&str>, way| match (group, way) {
        (Some(BATTERY), Way::Up) => discharge,
        (Some(BATTERY), Way::Down) => charge,
        // What is known of one direction says nothing about the other.
        (Some(BATTERY), Way::Either) => {
            charge.zip(discharge).map(|(charge, discharge)| charge.max(discharge))
        }
        (Some("export_limit"), _) => least(keys.max_export, rated.power),
        _ => rated.power,
    };
    let own = unit
        .profile
        .commands
        .iter()
        .filter(|(command, table)| table.part == name && (part.write_points || *command != WRITE_POINT));
    own.map(|(command, table)| {
        let group = table.group.as_deref();
        table.spec(command, |parameter, way| most(group, way).filter(|_| parameter == "power"))
    })
    .collect()
}
