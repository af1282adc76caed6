//! `maestro profiles [name]`: the device models that are compiled in and those of the installer. Asks neither the
//! daemon nor a device; works without a configuration as well.

mod facts;
mod fate;
mod json;
mod markdown;
mod sheet;

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use adapter_api::profile::{Profile, builtin};
use anyhow::bail;

use self::{
    facts::{BY_HAND, Facts},
    fate::Fate,
};
use super::{EX_CONFIG, complain, say, say_json, table::table};
use crate::config::own_profiles;

/// Letters of a maker and its models in the list; one profile shows them all.
const DEVICE_SHOWN: usize = 24;

#[derive(clap::Args)]
pub struct Arguments {
    /// One profile in full; all of them in short unless said.
    name: Option<String>,
    /// Print the table of the shipped profiles that README carries.
    #[arg(long, conflicts_with = "name")]
    markdown: bool,
}

pub fn run(arguments: &Arguments, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    if arguments.markdown {
        say(&markdown::markdown(builtin().values()));
        return Ok(ExitCode::SUCCESS);
    }
    let (own, wrong) = own_profiles(config);
    wrong.iter().for_each(|finding| complain(&finding.to_string()));
    let own = own.profiles();
    let mut all: BTreeMap<_, _> = builtin().iter().collect();
    all.extend(&own);
    match (&arguments.name, json) {
        (None, false) => say(&list(&all, &own)),
        (None, true) => {
            let all: Vec<_> =
                all.iter().map(|(name, profile)| json::short(profile, origin(name, &own))).collect();
            say_json(&serde_json::json!({ "profiles": all }));
        }
        (Some(name), _) => {
            let Some(profile) = all.get(name) else {
                let known: Vec<_> = all.keys().map(|name| name.as_str()).collect();
                bail!("there is no profile `{name}`; known are {}", known.join(", "));
            };
            match json {
                true => say_json(&json::whole(profile, origin(name, &own))),
                false => say(&sheet::sheet(profile, origin(name, &own))),
            }
        }
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EX_CONFIG) })
}

fn origin(name: &str, own: &BTreeMap<String, Profile>) -> &'static str {
    match (own.contains_key(name), builtin().contains_key(name)) {
        (true, true) => "yours, in place of the shipped one",
        (true, false) => "yours",
        (false, _) => "shipped",
    }
}

fn list(all: &BTreeMap<&String, &Profile>, own: &BTreeMap<String, Profile>) -> String {
    let rows: Vec<_> = all.values().map(|profile| row(&Facts::of(profile), own)).collect();
    table(&["NAME", "DEVICE", "READS", "COMMANDS", "IF GATEWAY DIES", "UNVERIFIED"], &rows)
}

fn row(facts: &Facts, own: &BTreeMap<String, Profile>) -> Vec<String> {
    let mark = if own.contains_key(&facts.name) { " (yours)" } else { "" };
    let or =
        |words: Vec<String>, none: &str| if words.is_empty() { none.to_owned() } else { words.join(", ") };
    vec![
        format!("{}{mark}", facts.name),
        cut(&facts.device),
        or(facts.reads.iter().map(|(what, _)| brief(what)).collect(), "-"),
        or(facts.takes.iter().map(|takes| brief(&takes.what)).collect(), "read only"),
        fate(facts).to_owned(),
        facts.unverified.len().to_string(),
    ]
}

/// A line of the list fits a terminal: the last word says enough beside the others.
fn brief(what: &str) -> String {
    match what {
        "grid meter" => "grid".to_owned(),
        BY_HAND => "settings".to_owned(),
        other => other.strip_suffix(" limit").unwrap_or(other).to_owned(),
    }
}

/// What becomes of what was set, in short; one profile says it of each setting and mode.
fn fate(facts: &Facts) -> &'static str {
    let fates = facts.fates();
    let falls_back = |fate: &Fate| matches!(fate, Fate::FallsBack { .. });
    match (fates.iter().any(|(_, fate)| falls_back(fate)), fates.iter().all(|(_, fate)| falls_back(fate))) {
        _ if fates.is_empty() => "-",
        (_, true) => "falls back",
        (true, false) => "partly falls back",
        (false, false) => "keeps the value",
    }
}

fn cut(device: &str) -> String {
    if device.chars().count() <= DEVICE_SHOWN {
        return device.to_owned();
    }
    let kept: String = device.chars().take(DEVICE_SHOWN - 1).collect();
    let whole = kept.rsplit_once(' ').map_or(kept.as_str(), |(whole, _)| whole);
    format!("{} …", whole.trim_end_matches(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_of_each_profile_what_matters() {
        let all: BTreeMap<_, _> = builtin().iter().collect();
        let list = list(&all, &BTreeMap::new());
        let line = list.lines().find(|line| line.starts_with("eastron-sdm630")).unwrap();
        assert!(line.contains("Eastron SDM630") && line.contains("read only"), "{line}");
        for (name, words) in [
            ("sunspec", "battery, output, reserve, settings"),
            ("sunspec", "partly falls back"),
            ("sma-hybrid", "falls back"),
            ("luxpower-lxp", "keeps the value"),
            ("huawei-sun2000", "inverter, battery, grid"),
        ] {
            let line = list.lines().find(|line| line.starts_with(name)).unwrap();
            assert!(line.contains(words), "{words} in: {line}");
        }
    }

    #[test]
    fn no_line_of_the_list_is_longer_than_a_wide_terminal() {
        let all: BTreeMap<_, _> = builtin().iter().collect();
        let list = list(&all, &BTreeMap::new());
        let longest = list.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(longest.chars().count() <= 155, "{}: {longest}", longest.chars().count());
    }

    #[test]
    fn a_long_device_is_cut() {
        assert_eq!(cut("short"), "short");
        let long = cut(&"model, ".repeat(20));
        assert!(long.ends_with("model …") && long.chars().count() <= DEVICE_SHOWN, "{long}");
    }
}
