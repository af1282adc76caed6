//! One device's table of the configuration, with what an installer may want to change as comments. Pure.

use std::{collections::BTreeSet, fmt::Write};

use adapter_api::{
    DeviceId, DeviceType,
    profile::{PARTS, known},
};

use super::report::Found;

/// A name is made of so many letters, so that the parts of a device still fit behind it.
const LONGEST: usize = 40;
/// SunSpec models of meters, of what can be told something, and of batteries.
const METERS: [u16; 8] = [201, 202, 203, 204, 211, 212, 213, 214];
const CONTROLS: [u16; 3] = [123, 124, 704];
const BATTERIES: [u16; 3] = [124, 713, 802];
/// Commands to a battery begin so.
const BATTERY_COMMAND: &str = "set_battery_";

/// Names that are taken, and whether the grid connection has its meter, so that the next one measures
/// something else.
pub(super) struct Taken {
    pub connections: BTreeSet<String>,
    pub devices: BTreeSet<String>,
    pub grid: bool,
}

/// What the hints of a table depend on.
struct Kind {
    meter: bool,
    control: bool,
    battery: bool,
}

impl Kind {
    fn of(found: &Found) -> Self {
        let has = |models: &[u16]| found.models.iter().any(|model| models.contains(model));
        match found.profiles.first().and_then(|name| known().get(name)) {
            Some(profile) if profile.discovery.is_none() => Self {
                meter: profile.device_type == DeviceType::EnergyMeter,
                control: !profile.commands.is_empty(),
                battery: profile.commands.keys().any(|command| command.starts_with(BATTERY_COMMAND)),
            },
            _ => Self { meter: has(&METERS), control: has(&CONTROLS), battery: has(&BATTERIES) },
        }
    }
}

/// Has it a meter, which measures the grid connection unless its table says otherwise?
pub(super) fn measures(found: &Found) -> bool {
    Kind::of(found).meter
}

/// One device's table.
pub(super) fn table(text: &mut String, connection: &str, found: &Found, taken: &mut Taken) {
    let profile = found.profiles.first().map_or("", String::as_str);
    let model = found.identities.first().map_or("", |identity| identity.model.as_str());
    let id = unique(&slug(model, profile), |id| free(id, &taken.devices));
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
    let kind = Kind::of(found);
    if kind.meter && taken.grid {
        lines
            .push("# The grid connection has its meter already; change it to what this one measures:".into());
        lines.push(
            "usage = \"load\"   # or \"pv\", \"battery\", and \"grid\" for one meter of the home".into(),
        );
    } else if kind.meter {
        lines.push("# What it measures; the default is the grid connection, of which a home has one:".into());
        lines.push("# usage = \"load\"   # or \"grid\", \"pv\", \"battery\"".into());
        taken.grid = true;
    }
    if kind.control {
        lines.push("# Nothing is written to it unless you set:".into());
        lines.push("# control = true".into());
    }
    if kind.control && kind.battery {
        lines.push("# charge_power = 3000      # W, what the battery may be told at most".into());
        lines.push("# discharge_power = 3000   # W".into());
    }
    taken.devices.insert(id);
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
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", one_line(text).replace('\\', "\\\\").replace('"', "\\\""))
}

/// Lower-case letters, digits and `-`; the other text where nothing is left.
pub(super) fn slug(text: &str, otherwise: &str) -> String {
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
pub(super) fn unique(name: &str, free: impl Fn(&str) -> bool) -> String {
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
