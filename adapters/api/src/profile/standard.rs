//! The commands that follow from setpoints: one meaning and one set of parameters for each familiar name.

use std::collections::BTreeMap;

use super::{CommandTable, ParameterTable, Plain, Profile, Quantity, Setpoint, State, command::Kind};
use crate::Capability;

/// The commands of a profile's setpoints and settings, by name.
pub(super) fn commands(profile: &Profile) -> BTreeMap<String, CommandTable> {
    let mut all: BTreeMap<_, _> =
        profile.setpoints.iter().flat_map(|(group, setpoint)| of_group(group, setpoint)).collect();
    if !profile.settings.is_empty() {
        all.insert("write_point".to_owned(), write_point(profile));
    }
    all
}

fn of_group(group: &str, setpoint: &Setpoint) -> Vec<(String, CommandTable)> {
    let power = || number("W").step(setpoint.step).between(setpoint.least, setpoint.most);
    match group {
        "battery" => {
            let has = |state: &str| setpoint.states.contains_key(state);
            let words =
                ["auto", "hold", "hold_charge", "charge", "discharge"].into_iter().filter(|word| has(word));
            let until = || number("%").between(Some(0.0), Some(100.0));
            let mode = plain(setpoint, group, Capability::EnergyStorage)
                .leased()
                .safe("mode", Plain::Text("auto".into()));
            let mut mode = mode.takes("mode", word(words));
            // What no state can use is not offered: it would be refused, or ignored.
            let takes_power = |state: &str| setpoint.states.get(state).is_some_and(takes_power);
            if ["charge", "discharge"].into_iter().any(takes_power) {
                mode = mode.takes("power", power().at_least(1.0));
            }
            if ["hold", "hold_charge", "charge", "discharge"].into_iter().any(has) {
                mode = mode.takes("until_soc", until());
            }
            let mut all = vec![("set_battery_mode".to_owned(), mode)];
            if takes_power("charge") && takes_power("discharge") {
                let by_power = plain(setpoint, group, Capability::EnergyStorage).leased();
                let by_power =
                    by_power.takes("power", power().signed().required()).takes("until_soc", until());
                all.push(("set_battery_power".to_owned(), by_power));
            }
            all
        }
        "reserve" => {
            let soc = number("%")
                .between(setpoint.least.or(Some(0.0)), setpoint.most.or(Some(100.0)))
                .step(setpoint.step);
            vec![(
                "set_reserve".to_owned(),
                restorable(setpoint, group, Capability::EnergyStorage, [("soc", soc)]),
            )]
        }
        _ => {
            let capability =
                if group == "export_limit" { Capability::GridInteraction } else { Capability::PowerControl };
            let percent = setpoint.percent.then(|| ("percent", number("%").between(Some(0.0), Some(100.0))));
            let takes = [("power", power()), ("enabled", bool())].into_iter().chain(percent);
            vec![(format!("set_{group}"), restorable(setpoint, group, capability, takes))]
        }
    }
}

/// Does it make anything of the power that was asked for?
fn takes_power(state: &State) -> bool {
    state
        .writes
        .iter()
        .any(|write| matches!(write.from, Some(Quantity::Power | Quantity::Percent | Quantity::Current)))
}

fn restorable<'a>(
    setpoint: &Setpoint,
    group: &str,
    capability: Capability,
    takes: impl IntoIterator<Item = (&'a str, ParameterTable)>,
) -> CommandTable {
    let mut table =
        plain(setpoint, group, capability).safe("restore", Plain::Bool(true)).takes("restore", bool());
    for (name, parameter) in takes {
        table = table.takes(name, parameter);
    }
    table.exactly_one = table.parameters.keys().cloned().collect();
    table
}

fn write_point(profile: &Profile) -> CommandTable {
    let value = ParameterTable { min: Some(f64::MIN), ..number("") };
    CommandTable { persistent: true, local: true, ..blank(Capability::PowerControl) }
        .takes("point", word(profile.settings.keys().map(String::as_str)))
        .takes("value", value.required())
}

fn plain(setpoint: &Setpoint, group: &str, capability: Capability) -> CommandTable {
    CommandTable {
        part: setpoint.part.clone(),
        group: Some(group.to_owned()),
        idempotent: true,
        verify_for: setpoint.verify_for,
        persistent: setpoint.persistent,
        wears: !setpoint.persistent && setpoint.writes().any(|write| write.persistent),
        falls_back: setpoint.timer.is_some(),
        timer_most: setpoint.timer.map(|timer| timer.longest.0),
        ..blank(capability)
    }
}

fn blank(capability: Capability) -> CommandTable {
    CommandTable {
        part: String::new(),
        capability,
        group: None,
        idempotent: false,
        verify_for: None,
        persistent: false,
        wears: false,
        leased: false,
        safe: None,
        relative: false,
        local: false,
        exactly_one: Vec::new(),
        parameters: BTreeMap::new(),
        falls_back: false,
        timer_most: None,
    }
}

impl CommandTable {
    fn leased(self) -> Self {
        Self { leased: true, ..self }
    }

    fn safe(self, name: &str, value: Plain) -> Self {
        Self { safe: Some(BTreeMap::from([(name.to_owned(), value)])), ..self }
    }

    fn takes(mut self, name: &str, parameter: ParameterTable) -> Self {
        self.parameters.insert(name.to_owned(), parameter);
        self
    }
}

fn parameter(kind: Kind) -> ParameterTable {
    ParameterTable {
        kind,
        min: None,
        max: None,
        signed: false,
        step: 0.0,
        unit: String::new(),
        words: Vec::new(),
        required: false,
    }
}

fn number(unit: &str) -> ParameterTable {
    ParameterTable { unit: unit.to_owned(), ..parameter(Kind::Number) }
}

fn bool() -> ParameterTable {
    parameter(Kind::Bool)
}

fn word<'a>(words: impl IntoIterator<Item = &'a str>) -> ParameterTable {
    let words = words.into_iter().map(str::to_owned).collect();
    ParameterTable { words, required: true, ..parameter(Kind::Word) }
}

impl ParameterTable {
    fn between(self, min: Option<f64>, max: Option<f64>) -> Self {
        Self { min, max, ..self }
    }

    fn at_least(self, least: f64) -> Self {
        Self { min: Some(self.min.unwrap_or(least).max(least)), ..self }
    }

    fn step(self, step: f64) -> Self {
        Self { step, ..self }
    }

    /// Both ways, as far as the device goes: what the setpoint says holds for either.
    fn signed(self) -> Self {
        Self { signed: true, min: self.max.map(|most| -most), ..self }
    }

    fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use crate::profile::Profile;

    fn profile(setpoints: &str) -> Profile {
        let head = "manufacturer = 'M'\nmodels = []\nprotocol = 'modbus'\ndevice_type = 'solar_inverter'\n\
                    energy_role = 'producer'\nsources = []\n[points]\nactivePower = { register = 1, type = 'u16' }\n\
                    [parts.battery]\ndevice_type = 'battery_pack'\nenergy_role = 'storage'\n";
        Profile::parse("mine", &format!("{head}{setpoints}")).unwrap()
    }

    #[test]
    fn a_battery_takes_the_modes_whose_states_it_has() {
        let mine = profile(
            "[setpoints.battery]\npart = 'battery'\ntimer = { longest = '60s' }\n\
             [setpoints.battery.states]\nauto.writes = [{ register = 9, value = 0 }]\n\
             charge.writes = [{ register = 9, value = 1 }]\nhold.writes = [{ register = 9, value = 2 }]\n",
        );
        let names: Vec<_> = mine.commands.keys().collect();
        assert_eq!(names, ["set_battery_mode"], "no set_battery_power without discharge");
        let spec = mine.commands["set_battery_mode"].spec("set_battery_mode", |_, _| None);
        let crate::ParameterKind::Word(words) =
            &spec.parameters.iter().find(|p| &*p.name == "mode").unwrap().kind
        else {
            panic!("words")
        };
        assert_eq!(words.iter().map(|word| &**word).collect::<Vec<_>>(), ["auto", "hold", "charge"]);
        assert!(
            spec.leased && spec.idempotent && !spec.persistent && spec.group.as_deref() == Some("battery")
        );
        assert_eq!(spec.safe.unwrap().word("mode"), Some("auto"));
        assert_eq!(spec.timer_most, Some(std::time::Duration::from_secs(60)));
    }

    #[test]
    fn a_battery_offers_only_the_parameters_that_a_state_can_use() {
        let offered = |states: &str| -> Vec<(String, Vec<String>)> {
            let states = format!(
                "[setpoints.battery]\npart = 'battery'\n[setpoints.battery.states]\n\
                 auto.writes = [{{ register = 9, value = 0 }}]\n{states}"
            );
            let commands = profile(&states).commands;
            commands.into_iter().map(|(name, table)| (name, table.parameters.into_keys().collect())).collect()
        };
        let mode = |parameters: &[&str]| {
            ("set_battery_mode".to_owned(), parameters.iter().map(|name| (*name).to_owned()).collect())
        };
        let hold = "hold.writes = [{ register = 9, value = 2 }]\n";
        let full = "charge.writes = [{ register = 9, value = 1 }]\ndischarge.writes = [{ register = 9, value = 3 }]\n";
        let told = "charge.writes = [{ register = 9, from = 'percent' }]\n";
        assert_eq!(offered(""), [mode(&["mode"])]);
        assert_eq!(offered(hold), [mode(&["mode", "until_soc"])]);
        assert_eq!(offered(full), [mode(&["mode", "until_soc"])], "nor set_battery_power");
        assert_eq!(offered(told), [mode(&["mode", "power", "until_soc"])]);
        let both = offered(&format!("{told}discharge.writes = [{{ register = 9, from = 'current' }}]\n"));
        assert_eq!(both[1].0, "set_battery_power");
        assert_eq!(both[1].1, ["power", "until_soc"]);
    }

    #[test]
    fn limits_reserves_and_settings_become_commands() {
        let mine = profile(
            "[setpoints.export_limit]\npersistent = true\npercent = true\nmost = 6000\n\
             [setpoints.export_limit.states]\nlimit.writes = [{ register = 9, from = 'power' }]\noff = {}\n\
             [setpoints.reserve]\npart = 'battery'\n[setpoints.reserve.states.soc]\nwrites = [{ register = 8, from = 'soc' }]\n\
             [settings.minSoc]\nregister = 7\nmin = 5\nmax = 100\n",
        );
        let names: Vec<_> = mine.commands.keys().collect();
        assert_eq!(names, ["set_export_limit", "set_reserve", "write_point"]);
        let limit = &mine.commands["set_export_limit"];
        assert_eq!(limit.exactly_one, ["enabled", "percent", "power", "restore"]);
        let limit = limit.spec("set_export_limit", |_, _| None);
        assert!(limit.persistent && limit.safe.unwrap().bool("restore") == Some(true));
        assert!(mine.commands["write_point"].local);
    }
}
