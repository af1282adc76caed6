//! What is wrong with a connection's tables, in words that name the remedy. Pure.

use std::{collections::BTreeMap, time::Duration};

use adapter_api::{
    DeviceId, DeviceType, Protocol, Span,
    profile::{PARTS, Profile, Term, known},
};

use super::{Address, Device, GRID, Settings};
use crate::{client::MAX_READ, units::WRITE_POINT};

/// What the system takes.
const KEEP_ALIVE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(9 * 3_600);
/// Registers of the maker's name and of others, which come in one request.
const LEAST_BLOCK: u16 = 16;

/// One mistake in a connection's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Dotted path below the connection, like `device.roof.profile`.
    pub key: String,
    /// What is wrong, and what is allowed or what to do.
    pub message: String,
}

impl Settings {
    /// Everything that is wrong, in the order of the keys; empty when it can be run.
    pub fn check(&self) -> Vec<Mistake> {
        let mut found = Found(Vec::new());
        if let Err(message) = self.address.parse::<Address>() {
            found.say("address", message);
        }
        found.above_zero("interval", Some(self.interval));
        found.above_zero("connect_timeout", Some(self.connect_timeout));
        found.above_zero("timeout", self.timeout);
        let alive = self.keep_alive.0;
        if !alive.is_zero() && !KEEP_ALIVE.contains(&alive) {
            found.say("keep_alive", "must be 1s to 9h, or \"0s\" for never".into());
        }
        if self.device.is_empty() {
            found.say(
                "device",
                "the connection has no device: add a table `device.<id>` with `profile`".into(),
            );
        }
        for (id, table) in &self.device {
            self.check_device(id, table, &mut found);
        }
        self.check_units(&mut found);
        found.0
    }

    fn check_device(&self, id: &str, table: &Device, found: &mut Found) {
        let key = |name: &str| format!("device.{id}.{name}");
        if let Err(error) = DeviceId::new(id) {
            found.say(&format!("device.{id}"), error.to_string());
        }
        check_numbers(table, &key, found);
        found.above_zero(&key("interval"), table.interval);
        found.above_zero(&key("timeout"), table.timeout);
        if table.block.is_some_and(|block| !(1..=MAX_READ).contains(&block)) {
            found.say(&key("block"), format!("must be 1 to {MAX_READ} registers"));
        }
        if table.name.as_ref().is_some_and(|name| !(1..=100).contains(&name.chars().count())) {
            found.say(&key("name"), "a name has 1 to 100 characters".into());
        }
        if let Some(whole) = self.whole_of(id) {
            if table.interval.is_some() {
                let message =
                    format!("a part is read together with its device: set `device.{whole}.interval`");
                found.say(&key("interval"), message);
            }
            let of_the_unit = [
                ("timeout", table.timeout.is_some()),
                ("block", table.block.is_some()),
                ("gap", table.gap.is_some()),
            ];
            for (name, _) in of_the_unit.into_iter().filter(|(_, set)| *set) {
                let message = format!("a part is read together with its device: set `device.{whole}.{name}`");
                found.say(&key(name), message);
            }
            let profile = self.device[whole].profile.as_deref().and_then(|name| known().get(name));
            if let Some(words) = profile.and_then(|profile| no_part(profile, whole, id)) {
                found.say(&key("profile"), words);
            }
            return;
        }
        if table.unit == Some(0) {
            found.say(&key("unit"), "unit 0 is for broadcasts, which nobody answers: use 1 to 255".into());
        }
        match &table.profile {
            None => {
                let message = format!("`profile` is missing; known are {}", names(usable()));
                found.say(&key("profile"), message);
            }
            Some(name) => match usable().find(|profile| profile.name == *name) {
                None => found.say(&key("profile"), unknown(name)),
                Some(profile) => {
                    if table.write_points == Some(true) && !profile.commands.contains_key(WRITE_POINT) {
                        let message =
                            format!("the profile `{name}` lists no points to write: remove `write_points`");
                        found.say(&key("write_points"), message);
                    }
                    let meter = table.device_type.unwrap_or(profile.device_type) == DeviceType::EnergyMeter;
                    for (key_name, set) in
                        [("usage", table.usage.is_some()), ("invert", table.invert.is_some())]
                    {
                        if set && !meter && !has_part(profile, GRID) {
                            let message = format!(
                                "says what a meter measures, and the profile `{name}` is no meter: remove it"
                            );
                            found.say(&key(key_name), message);
                        }
                    }
                    if profile.discovery.is_some() && table.block.is_some_and(|block| block < LEAST_BLOCK) {
                        let message = format!(
                            "a device that describes itself has texts of {LEAST_BLOCK} registers: set {LEAST_BLOCK} or more"
                        );
                        found.say(&key("block"), message);
                    }
                    let spans = profile.all_points().flat_map(|(_, _, point)| &point.terms).map(Term::span);
                    let longest = spans.map(|(first, last)| (last - first).saturating_add(1)).max();
                    if let Some((block, longest)) = table.block.zip(longest).filter(|(b, l)| b < l) {
                        let message = format!(
                            "{block} is too few: the profile `{name}` has a value of {longest} registers, which must come in one request"
                        );
                        found.say(&key("block"), message);
                    }
                    self.check_parts(id, profile, found);
                }
            },
        }
    }

    /// A device's parts take their names before any other device may.
    fn check_parts(&self, id: &str, profile: &Profile, found: &mut Found) {
        for part in PARTS.into_iter().filter(|part| has_part(profile, part)) {
            let name = format!("{id}-{part}");
            if DeviceId::new(id).is_ok() && DeviceId::new(&name).is_err() {
                found.say(&format!("device.{id}"), format!("too long: `{name}` must fit into 64 characters"));
            }
            if self.device.contains_key(&name) && self.whole_of(&name).is_none() {
                let message = format!(
                    "`{name}` is the name of a part of `{id}`: choose another name, or leave out `profile` and `unit` to set the part's keys"
                );
                found.say(&format!("device.{name}"), message);
            }
        }
    }

    fn check_units(&self, found: &mut Found) {
        let mut taken: BTreeMap<u8, &str> = BTreeMap::new();
        for (id, table) in self.device.iter().filter(|(id, _)| self.whole_of(id).is_none()) {
            let unit = table.unit.unwrap_or_else(|| usual_unit(table));
            match taken.get(&unit) {
                Some(other) => {
                    let message =
                        format!("unit {unit} is `{other}` already: give each device its own `unit`");
                    found.say(&format!("device.{id}.unit"), message);
                }
                None => {
                    taken.insert(unit, id);
                }
            }
        }
    }
}

/// The unit id that a device has unless its table says another one.
pub(crate) fn usual_unit(table: &Device) -> u8 {
    table.profile.as_deref().and_then(|name| known().get(name)).map_or(1, |profile| profile.unit)
}

/// Who describes itself may have any of the parts.
fn has_part(profile: &Profile, part: &str) -> bool {
    profile.discovery.is_some() || profile.parts.contains_key(part)
}

/// Why a table cannot be that of a part of `whole`, in words.
fn no_part(profile: &Profile, whole: &str, id: &str) -> Option<String> {
    if PARTS.into_iter().any(|part| has_part(profile, part) && id.ends_with(part)) {
        return None;
    }
    Some(if profile.parts.is_empty() {
        format!("`{whole}` is one device and has no parts: add `profile` and `unit`")
    } else {
        let parts: Vec<_> = profile.parts.keys().map(|part| format!("`{whole}-{part}`")).collect();
        format!(
            "`{whole}` has no such part, but {}: correct the name, or add `profile` and `unit`",
            parts.join(" and ")
        )
    })
}

struct Found(Vec<Mistake>);

impl Found {
    fn say(&mut self, key: &str, message: String) {
        self.0.push(Mistake { key: key.to_owned(), message });
    }

    fn above_zero(&mut self, key: &str, span: Option<Span>) {
        if span.is_some_and(|span| span.0.is_zero()) {
            self.say(key, "must be longer than 0, like \"5s\"".into());
        }
    }
}

fn check_numbers(table: &Device, key: &impl Fn(&str) -> String, found: &mut Found) {
    let numbers = [
        ("max_power", table.max_power, "W"),
        ("charge_power", table.charge_power, "W"),
        ("discharge_power", table.discharge_power, "W"),
        ("capacity", table.capacity, "kWh"),
    ];
    for (name, value, unit) in numbers {
        if value.is_some_and(|value| !(value.is_finite() && value > 0.0)) {
            found.say(&key(name), format!("must be a number above 0, in {unit}"));
        }
    }
    for (name, value) in [("max_import", table.max_import), ("max_export", table.max_export)] {
        if value.is_some_and(|value| !(value.is_finite() && value >= 0.0)) {
            found.say(&key(name), "must be a number from 0 on, in W".into());
        }
    }
}

fn usable() -> impl Iterator<Item = &'static Profile> {
    known().values().filter(|profile| matches!(profile.protocol, Protocol::Modbus | Protocol::Sunspec))
}

fn names(profiles: impl Iterator<Item = &'static Profile>) -> String {
    profiles.map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn unknown(name: &str) -> String {
    let wanted = name.to_ascii_lowercase();
    let close = |profile: &&Profile| {
        let name = &profile.name;
        name.contains(&wanted)
            || wanted.contains(name.as_str())
            || distance(name, &wanted) <= 1 + name.len() / 4
    };
    let (close, all) = (names(usable().filter(close)), names(usable()));
    if close.is_empty() {
        format!("there is no profile `{name}`; known are {all}")
    } else {
        format!("there is no profile `{name}`; did you mean {close}? Known are {all}")
    }
}

/// How many letters must change to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let change = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
