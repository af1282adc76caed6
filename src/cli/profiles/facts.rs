//! What a profile comes to for whoever buys, wires or commands the device: profile → rows. Pure; the command
//! line, its JSON and README's table all show these and derive nothing themselves.

use std::{collections::BTreeMap, fmt, time::Duration};

use adapter_api::{
    CommandSpec, DeviceType, ParameterKind, ParameterSpec,
    profile::{CommandTable, Discovery, Profile, Timer},
};

/// What a device's own timer is set to at most while a command holds (`command::lease`).
const TIMER_MOST: Duration = Duration::from_secs(120);
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
    /// What becomes of it when the gateway dies.
    pub fate: Fate,
    /// Does it wear out?
    pub wears: Wears,
}

/// What becomes of a value when nobody sets it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The device's timer ends; `stored`: but for what it has stored.
    FallsBack { within: Duration, stored: bool },
    /// It stays, also over a restart of the device.
    Stays,
    /// It stays; what a restart of the device does is not known.
    StaysUntilRestart,
}

/// How far what is written wears out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wears {
    Nothing,
    Partly,
    All,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FallsBack { within, stored } => {
                write!(f, "falls back to its own control after at most {} s", within.as_secs())?;
                if *stored { f.write_str("; what it has stored stays") } else { Ok(()) }
            }
            Self::Stays => f.write_str("keeps the last value"),
            Self::StaysUntilRestart => {
                f.write_str("keeps the last value; what a restart of it does is unknown")
            }
        }
    }
}

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

    /// What becomes of what was set, with all that shares a fate said once.
    pub fn fates(&self) -> Vec<(Vec<&str>, Fate)> {
        let mut fates: Vec<(Vec<&str>, Fate)> = Vec::new();
        for Takes { what, fate, .. } in &self.takes {
            match fates.iter_mut().find(|(_, other)| other == fate) {
                Some((all, _)) => all.push(what),
                None => fates.push((vec![what], *fate)),
            }
        }
        fates
    }
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
            fate: fate(profile, group, &commands, wears),
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
        "write_point" => "single settings",
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

fn fate(profile: &Profile, group: &str, commands: &[(&String, &CommandTable)], wears: Wears) -> Fate {
    let timer = profile.setpoints.get(group).and_then(|setpoint| setpoint.timer);
    let falls_back = commands.iter().any(|(_, table)| table.falls_back);
    let within = match timer {
        Some(Timer { longest, fixed: true }) => Some(longest.0),
        Some(Timer { longest, fixed: false }) => Some(longest.0.min(TIMER_MOST)),
        None => falls_back.then_some(TIMER_MOST),
    };
    match (within, wears) {
        (Some(within), wears) => Fate::FallsBack { within, stored: wears != Wears::Nothing },
        (None, Wears::Nothing) => Fate::StaysUntilRestart,
        (None, _) => Fate::Stays,
    }
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
charge.writes = [{ register = 9, value = 1 MARK }]
discharge.writes = [{ register = 9, value = 2 }]
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
            ("battery", &["auto", "charge", "discharge"].map(str::to_owned)[..])
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
    fn what_happens_when_the_gateway_dies_follows_from_timers_and_memory() {
        for (timer, mark, told) in [
            ("timer = { longest = '60s' }", "", "falls back to its own control after at most 60 s"),
            ("timer = { longest = '1h' }", "", "falls back to its own control after at most 120 s"),
            (
                "timer = { longest = '5m', fixed = true }",
                "",
                "falls back to its own control after at most 300 s",
            ),
            (
                "timer = { longest = '60s' }",
                ", persistent = true",
                "falls back to its own control after at most 60 s; what it has stored stays",
            ),
            ("persistent = true", "", "keeps the last value"),
            ("", ", persistent = true", "keeps the last value"),
            ("", "", "keeps the last value; what a restart of it does is unknown"),
        ] {
            let facts = hybrid(timer, mark);
            assert_eq!(facts.takes[0].fate.to_string(), told, "{timer}{mark}");
        }
        assert_eq!(hybrid("", ", persistent = true").takes[0].wears, Wears::Partly);
    }

    #[test]
    fn a_device_that_describes_itself_has_fates_as_well() {
        let facts = Facts::of(&builtin()["sunspec"]);
        let told: Vec<_> =
            facts.fates().iter().map(|(what, fate)| format!("{}: {fate}", what.join(", "))).collect();
        assert_eq!(
            told,
            [
                "battery, output limit: falls back to its own control after at most 120 s",
                "reserve, single settings: keeps the last value"
            ]
        );
        assert!(facts.unverified.iter().any(|what| what == "that its other controls are the same"));
        assert_eq!(facts.reads[0], ("inverter".to_owned(), None));
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
