//! The tables of the configuration for what was found, to paste as they are. Pure. `control` is left
//! at its default: what may be written is decided by a person.

use std::collections::BTreeMap;

use adapter_api::{DeviceType, Usage, profile::known};

use super::{
    ends::{End, ends, readdressed},
    report::{Found, Report},
    table::{Taken, measures, quoted, slug, table, unique},
};
use crate::config::{Device, GRID, Settings, usual_unit};

/// The tables for one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paste {
    /// The line; on serial with the speed and parity under which most devices answered.
    pub address: String,
    /// The connection's name: a new one, or that of the configuration.
    pub connection: String,
    /// Has the configuration this connection already? Then `text` adds to it.
    pub configured: bool,
    /// What its `address` must be instead of what the configuration says.
    pub readdress: Option<String>,
    /// Devices of the report that the configuration has already: unit id and id.
    pub known: Vec<(u8, String)>,
    /// Does it know all that answered?
    pub whole: bool,
    /// Devices that answer under another setting of the line, and what to do; whole sentences.
    pub remarks: Vec<String>,
    /// TOML; empty when there is nothing to add.
    pub text: String,
}

/// The tables for everything in the report that a profile fits, line by line.
pub fn paste(report: &Report, configured: &BTreeMap<String, Settings>) -> Vec<Paste> {
    let ends = ends(&report.found, configured);
    let devices = || configured.values().flat_map(|settings| &settings.device);
    let mut taken = Taken {
        connections: configured.keys().cloned().collect(),
        devices: devices().map(|(id, _)| id.clone()).collect(),
        grid: devices().any(|(_, device)| measures_grid(device)) || ends.iter().any(has_grid),
    };
    ends.iter().map(|end| of_end(end, &mut taken)).collect()
}

/// Does a device of the configuration measure the grid, as far as its table tells?
fn measures_grid(device: &Device) -> bool {
    let profile = device.profile.as_deref().and_then(|name| known().get(name));
    let meter = profile
        .is_some_and(|profile| profile.discovery.is_none() && profile.device_type == DeviceType::EnergyMeter);
    let usage = device.usage.or(meter.then_some(Usage::Grid));
    device.enabled != Some(false) && usage == Some(Usage::Grid)
}

/// Has a configured device a meter that measures the grid, as its models tell?
fn has_grid(end: &End<'_>) -> bool {
    let Some((_, settings)) = end.configured else { return false };
    let table = |id: &str| settings.device.get(id).filter(|device| device.enabled != Some(false));
    let mut own = end.own.iter().filter(|found| measures(found));
    own.any(|found| {
        let Some((_, id)) = known_as(settings, found) else { return false };
        let part = table(&format!("{id}-{GRID}")).and_then(|device| device.usage);
        table(&id).is_some_and(|whole| part.or(whole.usage).unwrap_or(Usage::Grid) == Usage::Grid)
    })
}

/// The configured device that a unit is: its unit id and its id.
fn known_as(settings: &Settings, found: &Found) -> Option<(u8, String)> {
    let mut units = std::iter::once(&found.unit).chain(&found.same);
    units.find_map(|unit| {
        let is = |(id, device): &(&String, &Device)| {
            device.unit.unwrap_or_else(|| usual_unit(device)) == *unit && settings.whole_of(id).is_none()
        };
        settings.device.iter().find(is).map(|(id, _)| (*unit, id.clone()))
    })
}

fn of_end(end: &End<'_>, taken: &mut Taken) -> Paste {
    let usable = end.own.iter().find(|found| !found.profiles.is_empty());
    let (connection, mut text) = match end.configured {
        Some((name, _)) => (name.to_owned(), String::new()),
        None => {
            let identity = usable.and_then(|found| found.identities.first());
            let maker = identity.map_or("", |identity| identity.manufacturer.as_str());
            let name = unique(&slug(maker, "modbus"), |name| !taken.connections.contains(name));
            let head = format!("[modbus.{name}]\naddress = {}\n", quoted(end.address));
            (name, if usable.is_some() { head } else { String::new() })
        }
    };
    taken.connections.insert(connection.clone());
    let mut known = Vec::new();
    for found in &end.own {
        match end.configured.and_then(|(_, settings)| known_as(settings, found)) {
            Some(device) => known.push(device),
            None if found.profiles.is_empty() => {}
            None => table(&mut text, &connection, found, taken),
        }
    }
    Paste {
        address: end.address.to_owned(),
        connection,
        configured: end.configured.is_some(),
        readdress: end.configured.and_then(|(_, settings)| readdressed(&settings.address, end.address)),
        whole: known.len() == end.own.len(),
        known,
        remarks: end.remarks(),
        text,
    }
}
