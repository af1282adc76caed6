//! The tables of the configuration for what was found, to paste as they are. Pure. `control` is left
//! at its default: what may be written is decided by a person.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

use adapter_api::{DeviceId, DeviceType, profile::known};

use super::report::{Found, Report};
use crate::config::{Address, PARTS, Settings};

/// A name is made of so many letters, so that the parts of a device still fit behind it.
const LONGEST: usize = 40;

/// The tables for one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paste {
    /// The line.
    pub address: String,
    /// The connection's name: a new one, or that of the configuration.
    pub connection: String,
    /// Has the configuration this connection already? Then `text` adds to it.
    pub configured: bool,
    /// Devices of the report that the configuration has already: unit id and id.
    pub known: Vec<(u8, String)>,
    /// TOML; empty when there is nothing to add.
    pub text: String,
}

/// The name of the connection that goes to the same place: the same host and port, or the same
/// serial port by whichever name. Nothing when the address cannot be read.
pub fn configured_at<'a>(address: &str, configured: &'a BTreeMap<String, Settings>) -> Option<&'a str> {
    let wanted = place(&address.parse().ok()?);
    let same = |settings: &Settings| settings.address.parse().is_ok_and(|own| place(&own) == wanted);
    configured.iter().find(|(_, settings)| same(settings)).map(|(name, _)| name.as_str())
}

fn place(address: &Address) -> String {
    match address {
        // Speed and parity do not make it another port, nor does a link to it.
        Address::Rtu(serial) => {
            let path = Path::new(&serial.path);
            path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
        }
        Address::Tcp(_) | Address::RtuOverTcp(_) => address.to_string(),
    }
}

/// The tables for everything in the report that a profile fits, line by line.
pub fn paste(report: &Report, configured: &BTreeMap<String, Settings>) -> Vec<Paste> {
    let mut names: BTreeSet<String> = configured.keys().cloned().collect();
    let devices = configured.values().flat_map(|settings| settings.device.keys());
    let mut ids: BTreeSet<String> = devices.cloned().collect();
    let usable: Vec<&Found> = report.found.iter().filter(|found| !found.profiles.is_empty()).collect();
    let mut pastes: Vec<Paste> = Vec::new();
    for first in &usable {
        if pastes.iter().any(|paste| paste.address == first.address) {
            continue;
        }
        let own = usable.iter().copied().filter(|found| found.address == first.address);
        let known = configured_at(&first.address, configured);
        pastes.push(match known {
            Some(name) => added(name, &configured[name], own, &mut ids),
            None => new(first, own, &mut names, &mut ids),
        });
    }
    pastes
}

/// A new connection.
fn new<'a>(
    first: &Found,
    own: impl Iterator<Item = &'a Found>,
    names: &mut BTreeSet<String>,
    ids: &mut BTreeSet<String>,
) -> Paste {
    let maker = first.identities.first().map_or("", |identity| identity.manufacturer.as_str());
    let connection = unique(&slug(maker, "modbus"), |name| !names.contains(name));
    names.insert(connection.clone());
    let address = &first.address;
    let mut text = format!("[modbus.{connection}]\naddress = {}\n", quoted(address));
    own.for_each(|found| table(&mut text, &connection, found, ids));
    let address = address.clone();
    Paste { address, connection, configured: false, known: Vec::new(), text }
}

/// What a connection of the configuration does not have yet.
fn added<'a>(
    name: &str,
    settings: &Settings,
    own: impl Iterator<Item = &'a Found>,
    ids: &mut BTreeSet<String>,
) -> Paste {
    let units: BTreeMap<u8, &String> = settings
        .device
        .iter()
        .filter(|(id, _)| settings.whole_of(id).is_none())
        .map(|(id, device)| (device.unit.unwrap_or(1), id))
        .collect();
    let mut paste = Paste {
        address: String::new(),
        connection: name.to_owned(),
        configured: true,
        known: Vec::new(),
        text: String::new(),
    };
    for found in own {
        paste.address.clone_from(&found.address);
        let all = std::iter::once(&found.unit).chain(&found.same);
        match all.filter_map(|unit| Some((*unit, (*units.get(unit)?).clone()))).next() {
            Some(known) => paste.known.push(known),
            None => table(&mut paste.text, name, found, ids),
        }
    }
    paste
}

/// One device's table.
fn table(text: &mut String, connection: &str, found: &Found, ids: &mut BTreeSet<String>) {
    let profile = found.profiles.first().map_or("", String::as_str);
    let model = found.identities.first().map_or("", |identity| identity.model.as_str());
    let id = unique(&slug(model, profile), |id| free(id, ids));
    let mut lines = vec![format!("\n# {}", about(found))];
    lines.push(format!("[modbus.{connection}.device.{id}]"));
    if !found.product().is_empty() {
        lines.push(format!("name = {}", quoted(&found.product())));
    }
    lines.push(format!("profile = {}", quoted(profile)));
    lines.push(format!("unit = {}", found.unit));
    if let [_, others @ ..] = found.profiles.as_slice()
        && !others.is_empty()
    {
        lines.push(format!("# These profiles fit as well: {}", others.join(", ")));
    }
    let described = known().get(profile);
    if described.is_some_and(|profile| profile.device_type == DeviceType::EnergyMeter) {
        lines.push("# What it measures; the default is the grid connection, of which a home has one:".into());
        lines.push("# usage = \"load\"   # or \"grid\", \"pv\", \"battery\"".into());
    }
    if described.is_some_and(|profile| profile.discovery.is_some() || !profile.commands.is_empty()) {
        lines.push("# Nothing is written to it unless you set:".into());
        lines.push("# control = true".into());
        lines.push("# charge_power = 3000      # W, what the battery may be told at most".into());
        lines.push("# discharge_power = 3000   # W".into());
    }
    ids.insert(id);
    // A text cannot fail to take more text.
    let _ = writeln!(text, "{}", lines.join("\n"));
}

fn about(found: &Found) -> String {
    let mut words = Vec::new();
    let product =
        |name: &str| if name.is_empty() { "It does not say who it is".to_owned() } else { one_line(name) };
    words.push(product(&found.product()));
    if !found.serial().is_empty() {
        words.push(format!("serial number {}", one_line(found.serial())));
    }
    let others = found.identities.iter().skip(1).map(|part| format!("{} {}", part.manufacturer, part.model));
    words.extend(others.map(|part| format!("with {}", one_line(&part))));
    if !found.models.is_empty() {
        let models: Vec<_> = found.models.iter().map(ToString::to_string).collect();
        words.push(format!("SunSpec models {}", models.join(" ")));
    }
    words.join(", ")
}

/// What a device says of itself must not end the comment that it stands in.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A TOML string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", one_line(text).replace('\\', "\\\\").replace('"', "\\\""))
}

/// Lower-case letters, digits and `-`; the other text where nothing is left.
fn slug(text: &str, otherwise: &str) -> String {
    let mut slug = String::new();
    for character in text.chars().map(|c| c.to_ascii_lowercase()) {
        if character.is_ascii_alphanumeric() {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(LONGEST);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { otherwise.to_owned() } else { slug.to_owned() }
}

/// The name, or the name with the first number that makes it free.
fn unique(name: &str, free: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| free(name)).unwrap_or_default()
}

/// May a device have this id? A device takes the names of its parts as well.
fn free(id: &str, ids: &BTreeSet<String>) -> bool {
    let part_of = PARTS.iter().filter_map(|part| id.strip_suffix(part)?.strip_suffix('-'));
    let parts = PARTS.iter().map(|part| format!("{id}-{part}"));
    DeviceId::new(id).is_ok()
        && !ids.contains(id)
        && !parts.into_iter().any(|part| ids.contains(&part))
        && !part_of.into_iter().any(|whole| ids.contains(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::report::Identity;

    fn found(address: &str, unit: u8, maker: &str, model: &str, profiles: &[&str]) -> Found {
        let identity = Identity { manufacturer: maker.into(), model: model.into(), ..Identity::default() };
        let profiles = profiles.iter().map(|name| (*name).to_owned()).collect();
        Found { address: address.into(), unit, identities: vec![identity], profiles, ..Found::default() }
    }

    fn report(found: Vec<Found>) -> Report {
        Report { found, ..Report::default() }
    }

    #[derive(serde::Deserialize)]
    struct File {
        modbus: BTreeMap<String, Settings>,
    }

    /// Everything pasted into one file, read as the configuration reads it.
    fn read(pastes: &[Paste], before: &str) -> BTreeMap<String, Settings> {
        let text = pastes.iter().fold(before.to_owned(), |text, paste| text + "\n" + &paste.text);
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        for (name, settings) in &file.modbus {
            assert_eq!(settings.check(), [], "{name}:\n{text}");
        }
        file.modbus
    }

    #[test]
    fn what_is_pasted_can_be_run_and_leaves_writing_off() {
        let serial = "rtu:///dev/ttyUSB0?baud=2400&parity=even&stop=1";
        let found = vec![
            found("tcp://10.0.0.7:502", 1, "Fronius", "Symo GEN24 10.0", &["sunspec"]),
            found("tcp://10.0.0.7:502", 200, "Fronius", "Smart Meter", &["sunspec"]),
            found(serial, 1, "Eastron", "SDM630", &["eastron-sdm630"]),
            found(serial, 2, "Eastron", "SDM630", &["eastron-sdm630", "sunspec"]),
            found(serial, 3, "", "", &[]),
        ];
        let pastes = paste(&report(found), &BTreeMap::new());
        assert_eq!(pastes.iter().map(|paste| &paste.connection).collect::<Vec<_>>(), ["fronius", "eastron"]);
        let modbus = read(&pastes, "");
        assert_eq!(modbus["eastron"].address, serial);
        let ids = |name: &str| modbus[name].device.keys().cloned().collect::<Vec<_>>();
        assert_eq!(ids("fronius"), ["smart-meter", "symo-gen24-10-0"]);
        assert_eq!(ids("eastron"), ["sdm630", "sdm630-2"]);
        let roof = &modbus["fronius"].device["symo-gen24-10-0"];
        assert_eq!((roof.control, roof.unit), (None, Some(1)));
        assert_eq!(roof.name.as_deref(), Some("Fronius Symo GEN24 10.0"));
        assert!(pastes[0].text.contains("# control = true"), "{}", pastes[0].text);
        assert!(pastes[1].text.contains("# These profiles fit as well: sunspec"), "{}", pastes[1].text);
        assert!(pastes[1].text.contains("# usage = "), "{}", pastes[1].text);
    }

    #[test]
    fn whatever_a_device_says_of_itself_makes_good_names() {
        let odd = [
            ("A \"quoted\" \\ maker", "Line\nbreak = 1"),
            ("", ""),
            ("日本", "太陽"),
            ("Grid", "roof-battery"),
            ("Grid", "roof"),
            ("Grid", "a name that is much longer than any id may be, and then some"),
        ];
        let found =
            (1..).zip(odd).map(|(unit, (maker, model))| found("tcp://x:1", unit, maker, model, &["sunspec"]));
        let pastes = paste(&report(found.collect()), &BTreeMap::new());
        let ids: Vec<_> =
            read(&pastes, "").into_values().flat_map(|settings| settings.device.into_keys()).collect();
        assert_eq!(ids.len(), 6, "{ids:?}");
        assert!(ids.contains(&"roof-2".to_owned()), "`roof-battery` would be its part: {ids:?}");
    }

    #[test]
    fn a_connection_that_is_configured_gets_only_what_it_does_not_have() {
        let before = "[modbus.panel]\naddress = 'rtu:///dev/ttyS7?baud=9600'\n\
            [modbus.panel.device.sdm630]\nprofile = 'eastron-sdm630'\nunit = 1\n";
        let configured = toml::from_str::<File>(before).unwrap().modbus;
        let line = "rtu:///dev/ttyS7?baud=9600&parity=none&stop=1";
        let meter = |unit| found(line, unit, "Eastron", "SDM630", &["eastron-sdm630"]);
        let pastes = paste(&report(vec![meter(1), meter(2)]), &configured);
        assert_eq!((pastes.len(), pastes[0].configured), (1, true));
        assert_eq!(pastes[0].known, [(1, "sdm630".to_owned())]);
        let modbus = read(&pastes, before);
        assert_eq!(modbus["panel"].device["sdm630-2"].unit, Some(2));
        let nothing = paste(&report(vec![meter(1)]), &configured);
        assert_eq!(nothing[0].text, "");
        let other = paste(
            &report(vec![found("tcp://x:502", 1, "Eastron", "SDM630", &["eastron-sdm630"])]),
            &configured,
        );
        assert_eq!((other[0].configured, other[0].connection.as_str()), (false, "eastron"));
        assert!(other[0].text.contains("device.sdm630-2]"), "ids are unique in the gateway");
        assert_eq!(configured_at("tcp://x", &configured), None);
    }
}
