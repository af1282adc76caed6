//! Every profile against its testdata: `testdata/profiles/<profile>.toml`, written from the sources of its
//! facts and not from the profile. Each case is read by the whole driver from a device on a socket; each
//! command is written and proven.
//!
//! | key of a `case` | |
//! | --- | --- |
//! | `what` | in a sentence |
//! | `input`, `holding` | words on the wire, by first register; all else that the profile reads is 0 |
//! | `expect`, `expect_<part>` | points: numbers or texts |
//! | `absent`, `absent_<part>` | points that must not be there |
//!
//! A `command` has `holding` and `input` as well, `part`, `command`, `parameters`, `timer` in s (none: none), `keys`
//! of the device's table, and what leaves: `writes`, each its first register and its words, with their
//! `functions` where that matters; or `refused`, words of the refusal. `before` is a command (`command`, `parameters`,
//! `timer`) that the device was given first, so that what wears is noted.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use adapter_api::{
    Job, UnitId, Value,
    profile::{Function, known},
};
use toml::Table;

use super::bench::{Bench, job, value};

/// A number of a case, within what a float and a scale leave of it.
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6_f64.max(b.abs() * 1e-6)
}

fn words(case: &Table, key: &str) -> Vec<(u16, Vec<u16>)> {
    let word = |value: &toml::Value| {
        let number = value.as_integer().unwrap();
        u16::try_from(number).or_else(|_| i16::try_from(number).map(|word| word as u16)).unwrap()
    };
    let Some(table) = case.get(key).and_then(toml::Value::as_table) else { return Vec::new() };
    let entry = |(first, words): (&String, &toml::Value)| {
        let words = match words.as_array() {
            Some(all) => all.iter().map(word).collect(),
            None => vec![word(words)],
        };
        (first.parse().unwrap(), words)
    };
    table.iter().map(entry).collect()
}

fn texts(case: &Table, key: &str) -> Vec<String> {
    let list = case.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default();
    list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn keys(case: &Table) -> String {
    let keys = case.get("keys").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    keys.iter().fold(String::new(), |mut text, (key, value)| {
        writeln!(text, "{key} = {value}").unwrap();
        text
    })
}

/// A device that shows what the case says.
async fn bench(profile: &str, case: &Table) -> Bench {
    let bench = Bench::of(profile, &keys(case)).await;
    for (first, words) in words(case, "input") {
        bench.peer.input(bench.unit, first, &words);
    }
    for (first, words) in words(case, "holding") {
        bench.peer.holding(bench.unit, first, &words);
    }
    bench
}

/// What is wrong with a case, line by line.
async fn read(profile: &str, case: &Table) -> String {
    let mut bench = bench(profile, case).await;
    bench.probe().await;
    let readings = bench.read().await;
    let mut wrong = String::new();
    for part in std::iter::once("").chain(adapter_api::profile::PARTS) {
        let suffix = if part.is_empty() { String::new() } else { format!("_{part}") };
        let device = if part.is_empty() { "it".to_owned() } else { format!("it-{part}") };
        let nothing = BTreeMap::new();
        let points = readings.get(&device).unwrap_or(&nothing);
        let wanted = case.get(&format!("expect{suffix}")).and_then(toml::Value::as_table);
        for (name, wanted) in wanted.into_iter().flatten() {
            let wanted = value(wanted);
            let is_so = match (&wanted, points.get(name)) {
                (Value::Number(wanted), Some(Value::Number(got))) => close(*got, *wanted),
                (wanted, got) => Some(wanted) == got,
            };
            if !is_so {
                writeln!(wrong, "  {device} {name}: {wanted:?} expected, {:?} read", points.get(name))
                    .unwrap();
            }
        }
        for name in texts(case, &format!("absent{suffix}")) {
            if let Some(got) = points.get(&name) {
                writeln!(wrong, "  {device} {name}: nothing expected, {got:?} read").unwrap();
            }
        }
    }
    wrong
}

/// The command that a table says.
fn asked(unit: &UnitId, device: &str, table: &Table) -> Job {
    let parameters = table.get("parameters").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let parameters: Vec<_> = parameters.iter().map(|(name, given)| (name.as_str(), value(given))).collect();
    let timer = table.get("timer").and_then(toml::Value::as_integer);
    let timer = timer.map(|timer| u64::try_from(timer).unwrap());
    job(unit.clone(), device, table["command"].as_str().unwrap(), &parameters, timer)
}

async fn command(profile: &str, case: &Table) -> String {
    let mut bench = bench(profile, case).await;
    bench.probe().await;
    bench.peer.seen();
    let part = case.get("part").and_then(toml::Value::as_str).unwrap_or_default();
    let device = if part.is_empty() { "it".to_owned() } else { format!("it-{part}") };
    let unit = bench.unit_id();
    if let Some(before) = case.get("before").and_then(toml::Value::as_table) {
        let ended = bench.write(&asked(&unit, &device, before)).await;
        let proof = bench.read_back(&asked(&unit, &device, before)).await;
        if !proof.starts_with("Applied") && proof != "Nothing" {
            return format!("  the command before it: {ended}, {proof}\n");
        }
        bench.peer.seen();
    }
    let (written, back) = (asked(&unit, &device, case), asked(&unit, &device, case));
    let ended = bench.write(&written).await;
    let sent: Vec<(u8, u16, Vec<u16>)> = bench.writes();
    if let Some(refused) = case.get("refused").and_then(toml::Value::as_str) {
        let is_so = ended.contains(refused) && ended.starts_with("Ended(Rejected") && sent.is_empty();
        return if is_so { String::new() } else { format!("  `{refused}` expected, {ended} {sent:?}\n") };
    }
    let wanted = case["writes"].as_array().unwrap().iter().map(|write| {
        let numbers: Vec<u16> =
            write.as_array().unwrap().iter().map(|number| number.as_integer().unwrap() as u16).collect();
        (numbers[0], numbers[1..].to_vec())
    });
    let wanted: Vec<(u16, Vec<u16>)> = wanted.collect();
    let own: Vec<_> = sent.iter().map(|(_, first, words)| (*first, words.clone())).collect();
    if own != wanted {
        return format!("  {wanted:?} expected, {sent:?} sent, {ended}\n");
    }
    if let Some(functions) = case.get("functions").and_then(toml::Value::as_array) {
        let functions: Vec<_> = functions.iter().map(|code| code.as_integer().unwrap() as u8).collect();
        let used: Vec<_> = sent.iter().map(|(function, ..)| *function).collect();
        if functions != used {
            return format!("  functions {functions:?} expected, {used:?} used\n");
        }
    }
    let proof = bench.read_back(&back).await;
    if proof.starts_with("Applied") || proof == "Nothing" {
        String::new()
    } else {
        format!("  written as expected, but not proven: {proof}\n")
    }
}

#[tokio::test]
async fn every_profile_reads_and_sets_what_the_sources_of_its_facts_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/profiles");
    let mut wrong = String::new();
    let mut looked = tokio::task::JoinSet::new();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let profile = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let data: Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{profile}: {error}"));
        if !known().contains_key(&profile) {
            writeln!(wrong, "{profile}: there is no such profile").unwrap();
            continue;
        }
        for kind in ["case", "command"] {
            let cases = data.get(kind).and_then(toml::Value::as_array).cloned().unwrap_or_default();
            for case in cases {
                let profile = profile.clone();
                // All at once: what takes time are the pauses that devices need.
                looked.spawn(async move {
                    let case = case.as_table().unwrap();
                    let found = match kind {
                        "case" => read(&profile, case).await,
                        _ => command(&profile, case).await,
                    };
                    let what = case.get("what").and_then(toml::Value::as_str).unwrap_or("?");
                    if found.is_empty() { found } else { format!("{profile}: {what}\n{found}\n") }
                });
            }
        }
    }
    let seen = looked.len();
    let mut found = looked.join_all().await;
    found.sort();
    wrong.extend(found);
    assert!(seen > 0 && wrong.is_empty(), "{seen} cases\n{wrong}");
}

/// All registers that a profile may read or write, for a device that shows 0 there.
pub(super) fn all_registers(profile: &adapter_api::profile::Profile) -> Vec<(Function, u16, u16)> {
    let points = profile.all_points().flat_map(|(_, _, point)| crate::registers::needs(point));
    let ratings = &profile.ratings;
    let ratings = [&ratings.power, &ratings.charge, &ratings.discharge, &ratings.capacity];
    let ratings = ratings.into_iter().flatten().flat_map(crate::registers::needs);
    let identities =
        std::iter::once(&profile.identity).chain(profile.parts.values().map(|part| &part.identity));
    let texts = identities.flat_map(crate::registers::texts).map(|(_, text)| crate::registers::of_text(text));
    let extents =
        points.chain(ratings).chain(texts).map(|extent| (extent.function, extent.start, extent.count));
    let required = profile.setpoints.values().flat_map(|setpoint| &setpoint.requires);
    let required = required.map(|required| &required.check);
    let checks = profile.parts.values().filter_map(|part| part.present.as_ref()).chain(required);
    let checks = checks.map(|check| (check.function, check.register, check.count));
    let writes = profile.setpoints.values().flat_map(|setpoint| setpoint.writes());
    let writes = writes.map(|write| (Function::Holding, write.register, write.kind.registers()));
    let settings =
        profile.settings.values().map(|set| (Function::Holding, set.register, set.kind.registers()));
    let setup = profile.setup.iter().map(|setup| (Function::Holding, setup.register, 1));
    extents.chain(checks).chain(writes).chain(settings).chain(setup).collect()
}
