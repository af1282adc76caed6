//! What a profile comes to for whoever buys, wires or commands the device: profile → rows. Pure; the command
//! line, its JSON and README's table all show these and derive nothing themselves.

use std::collections::BTreeMap;

use adapter_api::{
    CommandSpec, DeviceType, ParameterKind, ParameterSpec,
    profile::{CommandTable, Discovery, Profile, Setpoint},
};

use super::fate::{Fate, states};

/// Before what nobody has proven, in the sources of a profile.
const UNVERIFIED: &str = "unverified:";

/// One profile, told in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub name: String,
    /// Maker and models.
    pub device: String,
    /// What it reads, with how many points; none where the device itself says how many.
    pub reads: Vec<(String, Option<usize>)>,
    /// What it commands, by what is set.
    pub takes: Vec<Takes>,
    /// Why it takes nothing, or not all.
    pub read_only: Option<String>,
    /// Where its facts come from.
    pub sources: Vec<String>,
    /// What nobody has proven.
    pub unverified: Vec<String>,
}

/// One thing that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Takes {
    /// In words, like `battery`.
    pub what: String,
    /// The modes of a battery; empty for what has none.
    pub modes: Vec<String>,
    /// The commands that set it.
    pub commands: Vec<String>,
    /// What must be so at the device: for which modes (none: all of it), and what to do otherwise.
    pub needs: Vec<(Vec<String>, String)>,
    /// What becomes of it when the gateway dies, by mode; without a mode where it is one for all.
    pub fates: Vec<(Vec<String>, Fate)>,
    /// Does it wear out?
    pub wears: Wears,
}

/// How far what is written wears out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wears {
    Nothing,
    Partly,
    All,
}

/// The group of what is written by hand.
pub const BY_HAND: &str = "single settings";

impl Facts {
    pub fn of(profile: &Profile) -> Self {
        let makers = profile.maker.iter().map(|maker| &maker.source);
        let entries = profile.sources.iter().chain(makers);
        let unverified = entries.clone().filter_map(|entry| entry.split_once(UNVERIFIED));
        let models = profile.models.join(", ");
        Self {
            name: profile.name.clone(),
            device: format!("{} {models}", profile.manufacturer).trim_end().to_owned(),
            reads: reads(profile),
            takes: takes(profile),
            read_only: profile.read_only.clone(),
            sources: entries.clone().filter(|entry| !entry.starts_with(UNVERIFIED)).cloned().collect(),
            unverified: unverified.map(|(_, what)| what.trim().to_owned()).collect(),
        }
    }

    /// What becomes of what was set, with all that shares a fate said once: whole settings, and the modes of those
    /// whose modes differ.
    pub fn fates(&self) -> Vec<(Vec<&str>, &Fate)> {
        let mut fates: Vec<(Vec<&str>, &Fate)> = Vec::new();
        for Takes { what, fates: own, .. } in &self.takes {
            for (modes, fate) in own {
                let told: Vec<&str> = match modes.is_empty() {
                    true => vec![what],
                    false => modes.iter().map(String::as_str).collect(),
                };
                match fates.iter_mut().find(|(_, other)| *other == fate) {
                    Some((all, _)) => all.extend(told),
                    None => fates.push((told, fate)),
                }
            }
        }
        fates
    }
}

impl Takes {
    /// What becomes of it, in words.
    pub fn fate(&self) -> String {
        let told = |(modes, fate): &(Vec<String>, Fate)| match modes.is_empty() {
            true => fate.told(false),
            false => format!("{}: {}", modes.join(", "), fate.told(modes.len() > 1)),
        };
        self.fates.iter().map(told).collect::<Vec<_>>().join("; ")
    }

    /// What it needs, in words.
    pub fn needs(&self) -> Vec<String> {
        let told = |(modes, words): &(Vec<String>, String)| match modes.is_empty() {
            true => words.clone(),
            false => format!("{words} (for {})", modes.join(", ")),
        };
        self.needs.iter().map(told).collect()
    }
}

/// What becomes of everything that was set, in words.
pub fn told(fates: &[(Vec<&str>, &Fate)]) -> Vec<String> {
    fates.iter().map(|(what, fate)| format!("{}: {}", what.join(", "), fate.told(what.len() > 1))).collect()
}

fn reads(profile: &Profile) -> Vec<(String, Option<usize>)> {
    let mut reads = Vec::new();
    if !profile.points.is_empty() {
        reads.push((noun(profile.device_type).to_owned(), Some(profile.points.len())));
    }
    let parts = profile.parts.iter().filter(|(_, part)| !part.points.is_empty());
    reads.extend(parts.map(|(name, part)| (part_noun(name).to_owned(), Some(part.points.len()))));
    if profile.discovery == Some(Discovery::Sunspec) {
        // The models that a unit has say which of them it is.
        let open = ["inverter", "battery", "meters"].into_iter();
        let more: Vec<_> = open.filter(|what| reads.iter().all(|(known, _)| known != what)).collect();
        reads.extend(more.into_iter().map(|what| (what.to_owned(), None)));
    }
    reads
}

/// What a device is called.
pub fn noun(of: DeviceType) -> &'static str {
    match of {
        DeviceType::SmartPlug => "plug",
        DeviceType::SolarInverter => "inverter",
        DeviceType::BatteryPack => "battery",
        DeviceType::EnergyMeter => "meter",
        DeviceType::HeatPump => "heat pump",
        DeviceType::EvCharger => "charger",
    }
}

/// What a part is called.
pub fn part_noun(part: &str) -> &str {
    match part {
        "grid" => "grid meter",
        "meter2" => "second meter",
        "meter3" => "third meter",
        other => other,
    }
}

fn takes(profile: &Profile) -> Vec<Takes> {
    let mut groups: BTreeMap<&str, Vec<(&String, &CommandTable)>> = BTreeMap::new();
    for (name, table) in &profile.commands {
        groups.entry(table.group.as_deref().unwrap_or(name)).or_default().push((name, table));
    }
    let taken = groups.into_iter().map(|(group, commands)| {
        let modes = commands.iter().flat_map(|(name, table)| modes(name, table)).collect();
        let wears = wears(profile, group, &commands);
        Takes {
            what: set_noun(group).to_owned(),
            modes,
            needs: needs(profile.setpoints.get(group)),
            fates: match profile.setpoints.get(group) {
                Some(setpoint) => states(setpoint),
                // A device that describes itself: one timer for all that it takes.
                None => {
                    let falls_back = commands.iter().any(|(_, table)| table.falls_back);
                    vec![(Vec::new(), Fate::described(falls_back, wears != Wears::Nothing))]
                }
            },
            wears,
            commands: commands.into_iter().map(|(name, _)| name.clone()).collect(),
        }
    });
    taken.collect()
}

/// What a setpoint group, or a command without one, is called.
fn set_noun(group: &str) -> &str {
    match group {
        "power_limit" => "output limit",
        "export_limit" => "export limit",
        "write_point" => BY_HAND,
        other => other,
    }
}

fn modes(name: &str, table: &CommandTable) -> Vec<String> {
    let spec = table.spec(name, |_, _| None);
    let mode = spec.parameters.into_iter().find(|parameter| &*parameter.name == "mode");
    match mode.map(|mode| mode.kind) {
        Some(ParameterKind::Word(words)) => words.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

fn wears(profile: &Profile, group: &str, commands: &[(&String, &CommandTable)]) -> Wears {
    if commands.iter().any(|(_, table)| table.persistent) {
        return Wears::All;
    }
    match profile.setpoints.get(group).is_some_and(|setpoint| setpoint.writes().any(|write| write.persistent))
    {
        true => Wears::Partly,
        false => Wears::Nothing,
    }
}

fn needs(setpoint: Option<&Setpoint>) -> Vec<(Vec<String>, String)> {
    let all = setpoint.map(|setpoint| setpoint.requires.as_slice()).unwrap_or_default();
    all.iter().map(|needs| (needs.states.clone(), needs.otherwise.clone())).collect()
}

/// What a parameter may be, in words: `power=1…rating W`.
pub fn parameter(of: &ParameterSpec) -> String {
    let allowed = match &of.kind {
        ParameterKind::Bool => "true|false".to_owned(),
        ParameterKind::Word(words) => words.join("|"),
        // Each point that can be written by hand has a range of its own.
        ParameterKind::Number { max, unit, .. } if unit.is_empty() && *max == f64::MAX => "number".to_owned(),
        ParameterKind::Number { min, max, step, unit } => {
            let bound = |bound: f64, words: &str| {
                if bound.abs() == f64::MAX { words.to_owned() } else { bound.to_string() }
            };
            let (least, most) = (bound(*min, "-rating"), bound(*max, "rating"));
            let steps = if *step > 0.0 { format!(" in steps of {step}") } else { String::new() };
            format!("{least}…{most} {unit}{steps}").trim_end().to_owned()
        }
    };
    format!("{}={allowed}", of.name)
}

/// The commands as admission knows them; what a profile leaves to the device is its rating.
pub fn specs(profile: &Profile) -> Vec<(String, CommandSpec)> {
    let spec = |(name, table): (&String, &CommandTable)| (table.part.clone(), table.spec(name, |_, _| None));
    profile.commands.iter().map(spec).collect()
}

#[cfg(test)]
mod tests {
    use adapter_api::profile::builtin;

    use super::*;

    const HYBRID: &str = r#"
manufacturer = "M"
models = ["A", "B"]
protocol = "modbus"
device_type = "solar_inverter"
energy_role = "producer"
sources = ["book: registers", "unverified: the sign", "forum: scale; unverified: on model B"]
read_only = "charging by time slots is not offered"
[points]
activePower = { register = 1, type = "u16" }
[parts.battery]
device_type = "battery_pack"
energy_role = "storage"
points = { activePower = { register = 2, type = "i16" }, batteryLevel = { register = 3, type = "u16" } }
[parts.grid]
device_type = "energy_meter"
energy_role = "monitor"
points = { activePower = { register = 4, type = "i16" } }
[setpoints.battery]
part = "battery"
TIMER
[setpoints.battery.states]
auto.writes = [{ register = 9, value = 0 }]
hold.writes = [{ register = 9, value = 3 MARK }]
charge.writes = [{ register = 8, from = "power" }, { register = 9, value = 1 MARK }]
discharge.writes = [{ register = 8, from = "power" }, { register = 9, value = 2 MARK }]
"#;

    fn hybrid(timer: &str, mark: &str) -> Facts {
        let text = HYBRID.replace("TIMER", timer).replace(" MARK", mark);
        Facts::of(&Profile::parse("mine", &text).unwrap())
    }

    #[test]
    fn a_hybrid_is_told_by_what_it_reads_takes_and_leaves_open() {
        let facts = hybrid("timer = { longest = '60s' }", "");
        assert_eq!((facts.name.as_str(), facts.device.as_str()), ("mine", "M A, B"));
        let reads: Vec<_> = facts.reads.iter().map(|(what, points)| (what.as_str(), *points)).collect();
        assert_eq!(reads, [("inverter", Some(1)), ("battery", Some(2)), ("grid meter", Some(1))]);
        let [battery] = &facts.takes[..] else { panic!("one setpoint") };
        assert_eq!(
            (battery.what.as_str(), &battery.modes[..]),
            ("battery", &["auto", "hold", "charge", "discharge"].map(str::to_owned)[..])
        );
        assert_eq!(battery.commands, ["set_battery_mode", "set_battery_power"]);
        assert_eq!(facts.sources, ["book: registers", "forum: scale; unverified: on model B"]);
        assert_eq!(facts.unverified, ["the sign", "on model B"]);
    }

    #[test]
    fn what_registers_give_is_not_told_again_as_what_models_may_give() {
        let text = HYBRID.replace("TIMER", "").replace(" MARK", "");
        let text = text.replace("protocol = \"modbus\"", "protocol = \"sunspec\"\ndiscovery = \"sunspec\"");
        let facts = Facts::of(&Profile::parse("mine", &text).unwrap());
        let reads: Vec<_> = facts.reads.iter().map(|(what, points)| (what.as_str(), *points)).collect();
        assert_eq!(
            reads,
            [("inverter", Some(1)), ("battery", Some(2)), ("grid meter", Some(1)), ("meters", None)]
        );
    }

    #[test]
    fn what_happens_when_the_gateway_dies_is_said_of_each_setting_and_mode() {
        let facts = hybrid("persistent = true", "");
        assert_eq!(facts.takes[0].fate(), "keeps the last value");
        assert_eq!(facts.takes[0].wears, Wears::All);
        assert_eq!(hybrid("", ", persistent = true").takes[0].wears, Wears::Partly);

        let facts = Facts::of(&builtin()["huawei-sun2000"]);
        let battery = facts.takes.iter().find(|takes| takes.what == "battery").unwrap();
        assert_eq!(
            battery.fate(),
            "charge: falls back after at most 120 s, but what is stored stays; \
             discharge: falls back after at most 120 s; hold, hold_charge, 0 W: keep the last value"
        );
        assert_eq!(
            told(&facts.fates()),
            [
                "charge: falls back after at most 120 s, but what is stored stays",
                "discharge: falls back after at most 120 s",
                "hold, hold_charge, 0 W, export limit, output limit, reserve, single settings: keep the last value"
            ]
        );
    }

    #[test]
    fn a_device_that_describes_itself_has_fates_as_well() {
        let facts = Facts::of(&builtin()["sunspec"]);
        assert_eq!(
            told(&facts.fates()),
            [
                "battery, output limit: fall back after at most 120 s",
                "reserve, single settings: keep the last value"
            ]
        );
        assert!(facts.unverified.iter().any(|what| what == "that its other controls are the same"));
        assert_eq!(facts.reads[0], ("inverter".to_owned(), None));
    }

    #[test]
    fn what_must_be_so_first_is_told() {
        let facts = hybrid(
            "requires = [\n{ check = { register = 3, type = 'u16', equals = 1 }, otherwise = 'switch it on' },\n\
             { check = { register = 4, type = 'u16', equals = 1 }, states = ['charge'], otherwise = 'allow the grid' },\n]",
            "",
        );
        assert_eq!(facts.takes[0].needs(), ["switch it on", "allow the grid (for charge)"]);
    }

    #[test]
    fn parameters_are_told_as_they_are_sent() {
        let all = specs(&builtin()["sunspec"]);
        let (part, mode) = all.iter().find(|(_, spec)| &*spec.name == "set_battery_mode").unwrap();
        let told: Vec<_> = mode.parameters.iter().map(parameter).collect();
        assert_eq!(part, "battery");
        assert_eq!(
            told,
            ["mode=auto|hold|hold_charge|charge|discharge", "power=1…rating W", "until_soc=0…100 %"]
        );
        let (_, power) = all.iter().find(|(_, spec)| &*spec.name == "set_battery_power").unwrap();
        assert_eq!(parameter(&power.parameters[0]), "power=-rating…rating W");
        let (_, point) = all.iter().find(|(_, spec)| &*spec.name == "write_point").unwrap();
        assert_eq!(parameter(&point.parameters[1]), "value=number");
    }
}
