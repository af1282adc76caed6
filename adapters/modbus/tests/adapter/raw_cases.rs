//! The raw cases beside the profiles (`testdata/profiles`) are the only proof of signs that does not come from the
//! profile itself: none may be missing.

use std::{collections::BTreeSet, path::Path};

use adapter_api::{DeviceType, profile};
use toml::{Table, Value};

fn cases(profile: &str) -> Table {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/profiles/{profile}.toml"));
    let text = std::fs::read_to_string(&file);
    text.unwrap_or_else(|error| panic!("{}: {error}: write its raw cases", file.display())).parse().unwrap()
}

fn list<'t>(table: &'t Table, key: &str) -> impl Iterator<Item = &'t Table> {
    table.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

/// The state of a setpoint that a command case asks for.
fn state(case: &Table) -> Option<(String, String)> {
    let parameters = case.get("parameters").and_then(Value::as_table)?;
    let number = |name: &str| {
        let value = parameters.get(name)?;
        value.as_float().or(value.as_integer().map(|whole| whole as f64))
    };
    let command = case.get("command").and_then(Value::as_str)?;
    let of = |group: &str, state: &str| Some((group.to_owned(), state.to_owned()));
    match command {
        "set_battery_mode" => of("battery", parameters.get("mode").and_then(Value::as_str)?),
        "set_battery_power" => match number("power")? {
            0.0 => of("battery", "idle"),
            power if power < 0.0 => of("battery", "charge"),
            _ => of("battery", "discharge"),
        },
        "set_reserve" => of("reserve", "soc"),
        _ => {
            let group = command.strip_prefix("set_")?;
            let limits = number("power").or(number("percent")).is_some();
            of(group, if limits { "limit" } else { "off" })
        }
    }
}

#[test]
fn every_profile_has_raw_cases_of_both_signs_and_of_each_state() {
    // The golden devices of SunSpec are folders of their own.
    for (name, profile) in profile::builtin().iter().filter(|(name, _)| *name != "sunspec") {
        let table = cases(name);
        let itself = [("", profile.device_type, &profile.points)];
        let parts =
            profile.parts.iter().map(|(part, table)| (part.as_str(), table.device_type, &table.points));
        for (part, kind, points) in itself.into_iter().chain(parts) {
            if !points.contains_key("activePower") {
                continue;
            }
            let key = if part.is_empty() { "expect".to_owned() } else { format!("expect_{part}") };
            let shown = |case: &Table| {
                let value = case.get(&key)?.get("activePower")?;
                value.as_float().or(value.as_integer().map(|whole| whole as f64))
            };
            let powers: Vec<f64> = list(&table, "case").filter_map(shown).collect();
            assert!(powers.iter().any(|power| *power > 0.0), "{name} {part}: no case of a positive power");
            let both = matches!(kind, DeviceType::BatteryPack | DeviceType::EnergyMeter);
            assert!(
                !both || powers.iter().any(|power| *power < 0.0),
                "{name} {part}: none of a negative one"
            );
        }
        let written = list(&table, "command").filter(|case| case.contains_key("writes"));
        let written: BTreeSet<_> = written.filter_map(state).collect();
        for (group, setpoint) in &profile.setpoints {
            for state in setpoint.states.keys() {
                let wanted = (group.clone(), state.clone());
                assert!(written.contains(&wanted), "{name}: no command case of {group} {state}");
            }
        }
    }
}
