//! Which commandable devices nobody says the strength of, although their commands are computed from it: neither their
//! profile reads it nor their table says it. Pure; a doubt, never an error: the other commands work.

use std::collections::BTreeSet;

use adapter_api::profile::{Discovery, Profile, Quantity, Rating, Setpoint, known};

use super::{Device, Settings};

/// A key of a device's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Most,
    Charge,
    Discharge,
}

impl Settings {
    /// Key below the connection, and what to do about it: one for each device.
    pub fn unrated(&self) -> Vec<(String, String)> {
        let devices = self.device.iter().filter(|(_, table)| table.enabled != Some(false));
        let doubt = |(id, table): (&String, &Device)| {
            let profile = known().get(table.profile.as_ref()?)?;
            let tables = Tables { settings: self, id, own: table };
            let missing: BTreeSet<Key> = profile
                .setpoints
                .iter()
                .filter(|(_, setpoint)| tables.get(&setpoint.part, |table| table.control) == Some(true))
                .flat_map(|(_, setpoint)| needed(setpoint))
                .filter(|key| !is_read(profile, *key) && !tables.say(profile, *key))
                .collect();
            let first = missing.first()?.name();
            let all: Vec<_> = missing.iter().map(|key| format!("`{}`", key.name())).collect();
            let message = format!(
                "the profile `{}` does not read how strong the device is, and its commands are computed from that: set {} (W); without, those that need it are refused",
                profile.name,
                all.join(", ")
            );
            Some((format!("device.{id}.{first}"), message))
        };
        devices.filter_map(doubt).collect()
    }
}

/// What the commands of a setpoint are computed from.
fn needed(setpoint: &Setpoint) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for (state, table) in &setpoint.states {
        for write in &table.writes {
            if matches!(write.from, Some(Quantity::Percent | Quantity::Most)) {
                keys.insert(match write.of {
                    Rating::Power => Key::Most,
                    Rating::Charge => Key::Charge,
                    Rating::Discharge => Key::Discharge,
                });
            }
            // A command need not say its power.
            let takes = matches!(write.from, Some(Quantity::Power | Quantity::Percent | Quantity::Current));
            match state.as_str() {
                "charge" if takes && write.otherwise.is_none() => keys.insert(Key::Charge),
                "discharge" if takes && write.otherwise.is_none() => keys.insert(Key::Discharge),
                _ => false,
            };
        }
    }
    keys
}

/// Does the device say it itself?
fn is_read(profile: &Profile, key: Key) -> bool {
    match key {
        // SunSpec has a model for it.
        Key::Most => profile.ratings.power.is_some() || profile.discovery == Some(Discovery::Sunspec),
        Key::Charge => profile.ratings.charge.is_some(),
        Key::Discharge => profile.ratings.discharge.is_some(),
    }
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Most => "max_power",
            Self::Charge => "charge_power",
            Self::Discharge => "discharge_power",
        }
    }
}

/// The tables of a device and of its parts.
#[derive(Clone, Copy)]
struct Tables<'a> {
    settings: &'a Settings,
    id: &'a str,
    own: &'a Device,
}

impl Tables<'_> {
    /// A key of a part's own table, else of its device's.
    fn get<T>(self, part: &str, of: impl Fn(&Device) -> Option<T>) -> Option<T> {
        let table = self.settings.device.get(&format!("{}-{part}", self.id));
        table
            .filter(|table| table.profile.is_none() && table.unit.is_none())
            .and_then(&of)
            .or_else(|| of(self.own))
    }

    fn say(self, profile: &Profile, key: Key) -> bool {
        let battery = if profile.parts.contains_key("battery") { "battery" } else { "" };
        let said = match key {
            // How strong a part is, is its own.
            Key::Most => self.own.max_power,
            Key::Charge => self.get(battery, |table| table.charge_power),
            Key::Discharge => self.get(battery, |table| table.discharge_power),
        };
        said.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(profile: &str, keys: &str) -> Vec<(String, String)> {
        let head = "address = 'tcp://127.0.0.1:502'\n[device.roof]\n";
        let text = format!("{head}profile = '{profile}'\n{keys}");
        toml::from_str::<Settings>(&text).unwrap().unrated()
    }

    #[test]
    fn a_device_whose_strength_nobody_says_is_named_once_with_all_keys() {
        let told_once = told("growatt-sph", "control = true\n");
        let [(key, message)] = &told_once[..] else { panic!("{told_once:?}") };
        assert_eq!(key, "device.roof.max_power");
        assert!(message.contains("set `max_power`, `charge_power`, `discharge_power` (W)"), "{message}");
        let some = told("growatt-sph", "control = true\nmax_power = 5000\ncharge_power = 3000\n");
        assert!(
            some[0].0 == "device.roof.discharge_power" && some[0].1.contains("set `discharge_power` (W)")
        );
        let all = "control = true\nmax_power = 5000\ncharge_power = 3000\ndischarge_power = 3000\n";
        assert_eq!(told("growatt-sph", all), []);
    }

    #[test]
    fn what_the_battery_s_own_table_says_counts() {
        let keys = "control = true\nmax_power = 5000\n[device.roof-battery]\ncharge_power = 3000\ndischarge_power = 3000\n";
        assert_eq!(told("growatt-sph", keys), []);
        let keys = "max_power = 5000\ncontrol = false\n[device.roof-battery]\ncontrol = true\n";
        assert_eq!(told("growatt-sph", keys).len(), 1);
    }

    #[test]
    fn who_may_not_be_commanded_or_says_it_itself_needs_no_key() {
        for keys in ["", "control = false\n", "control = true\nenabled = false\n"] {
            assert_eq!(told("growatt-sph", keys), [], "{keys}");
        }
        for profile in ["huawei-sun2000", "sma-battery", "solaredge-storedge", "sunspec", "eastron-sdm630"] {
            assert_eq!(told(profile, "control = true\n"), [], "{profile}");
        }
    }
}
