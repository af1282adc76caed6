//! One profile in full, for a terminal. Pure.

use adapter_api::profile::{Class, Function, Limits, Maker, Point, Profile, Range, Term};

use super::facts::{BY_HAND, Facts, Wears, noun, parameter, part_noun, specs};
use crate::cli::table::table;

/// What the gateway does about what a device keeps.
const REVERTS: &str =
    "When the gateway is back, it gives back what a lease held; what was set without one stays as it is.";

pub fn sheet(profile: &Profile, origin: &str) -> String {
    let facts = Facts::of(profile);
    let mut lines = vec![format!("{}  {} ({origin})", facts.name, facts.device)];
    lines.extend(profile.links.iter().map(|link| format!("link      {link}")));
    if profile.says_unit {
        lines.push(format!("unit      {}, unless somebody changed it", profile.unit));
    }
    lines.push(format!("limits    {}", limits(&profile.limits)));
    lines.extend(workarounds(profile).into_iter().map(|words| format!("mind      {words}")));
    lines.extend(points(profile));
    lines.extend(commands(profile, &facts));
    let why = if facts.takes.is_empty() { "read only" } else { "note     " };
    lines.extend(facts.read_only.iter().map(|words| format!("{why} {words}")));
    lines.extend(facts.sources.iter().map(|source| format!("source    {source}")));
    lines.extend(facts.unverified.iter().map(|what| format!("unverified  {what}")));
    lines.join("\n")
}

pub fn limits(limits: &Limits) -> String {
    format!(
        "at most {} registers in a request, {} unwanted ones between two; an answer may take {}",
        limits.block, limits.gap, limits.timeout
    )
}

/// What is special about the link or the device, in words.
pub fn workarounds(profile: &Profile) -> Vec<String> {
    let limits = &profile.limits;
    let mut told = Vec::new();
    if limits.one_client {
        told.push("it serves one client only: nothing else may talk to it".to_owned());
    }
    if !limits.pause_after_connect.0.is_zero() {
        told.push(format!("{} pass between connecting and the first request", limits.pause_after_connect));
    }
    if !limits.spacing.0.is_zero() {
        told.push(format!("{} pass between two requests", limits.spacing));
    }
    if let Some(idle) = limits.idle_close {
        told.push(format!("a connection that was idle for {idle} is closed"));
    }
    if !limits.forbidden.is_empty() {
        told.push(format!("never read: {}", ranges(&limits.forbidden)));
    }
    if !limits.readable.is_empty() {
        told.push(format!("a request stays within one of: {}", ranges(&limits.readable)));
    }
    if profile.sleeps {
        told.push("it sleeps by night: offline then is no fault".to_owned());
    }
    told.extend(profile.setup.iter().map(|setup| {
        format!("with control = true, register {} is set to {} when it is found", setup.register, setup.value)
    }));
    told.extend(profile.maker.iter().flat_map(habits));
    told
}

/// How a maker's devices differ from the standard that they describe themselves in.
fn habits(maker: &Maker) -> Vec<String> {
    let inputs = [maker.charge_inputs.as_slice(), &maker.discharge_inputs].concat();
    let told = [
        maker.export_is_positive.then(|| "their meters count export as positive power".to_owned()),
        (!inputs.is_empty()).then(|| format!("their DC inputs {} are the battery", inputs.join(" and "))),
        maker.single_writes.then(|| "their controls are written one register at a time".to_owned()),
    ];
    let whose = format!("{} {}", maker.manufacturer, maker.model);
    told.into_iter().flatten().map(|what| format!("devices of {}: {what}", whose.trim_end())).collect()
}

fn ranges(of: &[Range]) -> String {
    let told: Vec<_> = of
        .iter()
        .map(|range| format!("{} {} to {}", function(range.function), range.from, range.to))
        .collect();
    told.join(", ")
}

fn function(of: Function) -> &'static str {
    match of {
        Function::Holding => "holding",
        Function::Input => "input",
    }
}

fn points(profile: &Profile) -> Vec<String> {
    if profile.all_points().next().is_none() {
        return vec![
            "points    what the unit's own SunSpec models say (`maestro scan` lists them)".to_owned(),
        ];
    }
    let rows: Vec<_> = profile
        .all_points()
        .map(|(part, name, point)| {
            let of = if part.is_empty() { noun(profile.device_type) } else { part_noun(part) };
            vec![of.to_owned(), name.to_owned(), unit(point), often(point.class).to_owned(), registers(point)]
        })
        .collect();
    vec![table(&["OF", "POINT", "UNIT", "READ", "REGISTERS"], &rows)]
}

fn unit(point: &Point) -> String {
    if point.words.is_empty() { point.unit.clone() } else { "word".to_owned() }
}

/// How often a point is read.
pub fn often(class: Class) -> &'static str {
    match class {
        Class::Fast => "5 times per interval",
        Class::Normal => "each interval",
        Class::Slow => "every 12th, once a minute at most",
        Class::Once => "when it is found",
    }
}

/// Where a point lies, as on the wire.
pub fn registers(point: &Point) -> String {
    let term = |term: &Term| {
        let numbers: Vec<_> = term.registers.iter().map(ToString::to_string).collect();
        format!("{} {}", function(term.function), numbers.join(","))
    };
    point.terms.iter().map(term).collect::<Vec<_>>().join(" + ")
}

fn commands(profile: &Profile, facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    let specs = specs(profile);
    for takes in &facts.takes {
        for (part, spec) in
            specs.iter().filter(|(_, spec)| takes.commands.iter().any(|name| **name == *spec.name))
        {
            let whose = if part.is_empty() { String::new() } else { format!(" (<id>-{part})") };
            let parameters: String = spec.parameters.iter().map(|of| format!(" {}", parameter(of))).collect();
            let one = if spec.exactly_one.is_empty() { "" } else { ", one of them" };
            lines.push(format!("command   {}{whose}{parameters}{one}", spec.name));
        }
        lines.extend(takes.needs().into_iter().map(|words| format!("  needs: {words}")));
        lines.push(format!("  when the gateway dies: {}", takes.fate()));
        match takes.wears {
            Wears::All => lines.push("  wears out what it writes: only changes, a few a day".to_owned()),
            Wears::Partly => {
                lines.push("  wears out some of what it writes: only changes, a few a day".to_owned())
            }
            Wears::Nothing => {}
        }
    }
    lines.extend(profile.settings.iter().map(|(name, setting)| {
        let words = format!("setting   {name} {}…{} {}", setting.min, setting.max, setting.unit);
        format!("{} (write_point, register {})", words.trim_end(), setting.register)
    }));
    // What is written by hand holds no lease.
    if facts.takes.iter().any(|takes| takes.what != BY_HAND) {
        lines.push(REVERTS.to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use adapter_api::profile::builtin;

    use super::*;

    #[test]
    fn a_meter_shows_its_link_and_every_point() {
        let told = sheet(&builtin()["eastron-sdm630"], "shipped");
        for words in [
            "eastron-sdm630  Eastron SDM630",
            "at most 80 registers",
            "10ms pass between two requests",
            "activePower",
            "input 52,53",
            "unit      1, unless somebody changed it",
            "unverified  80 registers as the longest request",
        ] {
            assert!(told.contains(words), "{words} in:\n{told}");
        }
    }

    #[test]
    fn settings_say_their_own_ranges() {
        let text = "extends = \"eastron-sdm630\"\n[settings.minSoc]\nregister = 7\nmin = 5\nmax = 100\nunit = \"%\"\n";
        let told = sheet(&Profile::parse("mine", text).unwrap(), "yours");
        assert!(told.contains("setting   minSoc 5…100 % (write_point, register 7)"), "{told}");
        assert!(told.contains("command   write_point point=minSoc value=number"), "{told}");
        assert!(!told.contains(REVERTS), "what is written by hand holds no lease:\n{told}");
    }

    #[test]
    fn what_a_device_does_not_take_is_a_note_where_it_takes_something() {
        let text = "extends = \"eastron-sdm630\"\nread_only = \"nothing else is known\"\n";
        let told = sheet(&Profile::parse("mine", text).unwrap(), "yours");
        assert!(told.contains("\nread only nothing else is known"), "{told}");
        let text = format!("{text}[settings.minSoc]\nregister = 7\nmin = 5\nmax = 100\n");
        let told = sheet(&Profile::parse("mine", &text).unwrap(), "yours");
        assert!(told.contains("\nnote      nothing else is known") && !told.contains("read only"), "{told}");
    }

    #[test]
    fn what_must_be_so_first_stands_with_its_command() {
        let text = "extends = \"eastron-sdm630\"\n[setpoints.power_limit]\n\
            requires = [{ check = { register = 3, type = 'u16', equals = 1 }, otherwise = 'allow remote control in its menu' }]\n\
            [setpoints.power_limit.states]\nlimit.writes = [{ register = 9, from = 'power' }]\n\
            off.writes = [{ register = 9, value = 9999 }]\n";
        let told = sheet(&Profile::parse("mine", text).unwrap(), "yours");
        assert!(told.contains("\n  needs: allow remote control in its menu\n"), "{told}");
        assert!(told.contains(REVERTS), "{told}");
    }

    #[test]
    fn commands_say_what_they_take_and_what_becomes_of_it() {
        let told = sheet(&builtin()["sunspec"], "shipped");
        for words in [
            "command   set_battery_mode (<id>-battery) mode=auto|hold|hold_charge|charge|discharge power=1…rating W",
            "when the gateway dies: falls back after at most 120 s",
            "command   set_reserve (<id>-battery) restore=true|false soc=0…100 %, one of them",
            "when the gateway dies: keeps the last value",
            "wears out what it writes",
            REVERTS,
            "devices of KOSTAL: their controls are written one",
        ] {
            assert!(told.contains(words), "{words} in:\n{told}");
        }
        assert!(!told.contains("\nunit "), "it names no unit:\n{told}");
    }
}
