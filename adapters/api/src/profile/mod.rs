//! Device profiles: what a device model is, reads and takes, as data.
//!
//! One TOML file per model in `config/profiles`, compiled in. A profile with `discovery =
//! "sunspec"` describes no registers: the device describes itself, and the profile holds what its
//! description leaves open.
//!
//! | module | owns |
//! | --- | --- |
//! | this one | the profile itself, what a maker's devices do otherwise, reading and checking it |
//! | `point`, `register` | what is read: terms, words, ranges; types, orders, classes, ranges, setup |
//! | `part` | devices of their own on one unit; identity and ratings |
//! | `limits` | what the link must respect |
//! | `signature` | how a device is recognised |
//! | `setpoint` | what is written, in which order, and what must be so first |
//! | `command`, `standard` | what admission knows of a command; the commands that follow from setpoints |
//! | `extend` | a profile that is another one but for what it says |
//! | `registry` | which profiles there are: compiled in, and the installer's |
//! | `error` | what is wrong with a profile, and where |

mod command;
mod error;
mod extend;
mod limits;
mod part;
mod point;
mod register;
mod registry;
mod setpoint;
mod signature;
mod standard;

use std::collections::BTreeMap;

use serde::Deserialize;

use self::error::Wrong;
pub use self::{
    command::{CommandTable, ParameterTable, Plain, Way},
    error::ProfileError,
    limits::Limits,
    part::{Identity, PARTS, Part, Ratings, Text},
    point::{Point, Term},
    register::{Class, Function, Range, RegisterType, Setup, WordOrder},
    registry::{builtin, install, known, shipped},
    setpoint::{Quantity, Rating, Requirement, Setpoint, Setting, State, Timer, Write},
    signature::{Check, Expect, Good, Signature},
};
use crate::{Capability, DeviceType, EnergyRole, Protocol, Usage};

/// What one device model is, reads and takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// Who makes it.
    pub manufacturer: String,
    /// Which products it fits.
    pub models: Vec<String>,
    /// How it is reached.
    pub protocol: Protocol,
    /// What it is.
    pub device_type: DeviceType,
    /// Its role; what a meter measures can change it.
    pub energy_role: EnergyRole,
    /// What a meter of this kind measures unless the configuration says otherwise.
    pub usage: Option<Usage>,
    /// 1 to 3.
    #[serde(default = "one")]
    pub phases: u8,
    /// Capabilities that no command implies.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// Does it describe itself?
    pub discovery: Option<Discovery>,
    /// The unit id that it has unless somebody changed it; 1 unless said.
    #[serde(default = "one")]
    pub unit: u8,
    /// Does the profile say that?
    #[serde(skip)]
    pub says_unit: bool,
    /// How it is wired and reached, in words: `rtu 9600 8N1`, `tcp 502`.
    #[serde(default)]
    pub links: Vec<String>,
    /// How it is recognised by its registers.
    pub signature: Option<Signature>,
    /// What the link must respect.
    #[serde(default)]
    pub limits: Limits,
    /// Raw values that mean that there is none, in all of its points.
    #[serde(default)]
    pub sentinels: Vec<Sentinel>,
    /// Does it sleep by night?
    #[serde(default)]
    pub sleeps: bool,
    /// What it says about itself.
    #[serde(default)]
    pub identity: Identity,
    /// How strong it is.
    #[serde(default)]
    pub ratings: Ratings,
    /// Its points by name.
    #[serde(default)]
    pub points: BTreeMap<String, Point>,
    /// Its parts, which are devices of their own, by name.
    #[serde(default)]
    pub parts: BTreeMap<String, Part>,
    /// What it is set up with.
    #[serde(default)]
    pub setup: Vec<Setup>,
    /// What can be set in its registers, by group.
    #[serde(default)]
    pub setpoints: BTreeMap<String, Setpoint>,
    /// Registers that may be written by hand.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
    /// Why it takes no command, or not all that one would expect, in words for an installer.
    pub read_only: Option<String>,
    /// Its commands by name; those of setpoints and settings follow from them.
    #[serde(default)]
    pub commands: BTreeMap<String, CommandTable>,
    /// The battery's power is part of what it measures as DC power: what the sun gives is the rest.
    #[serde(default)]
    pub dc_includes_battery: bool,
    /// Makers whose devices differ from the standard that they describe themselves in.
    #[serde(default)]
    pub maker: Vec<Maker>,
    /// Where the facts come from, and what is unverified.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// How a device describes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discovery {
    /// By SunSpec models.
    Sunspec,
}

/// One maker's habits, matched against the manufacturer and model that a device reports.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maker {
    /// Beginning of the reported manufacturer, in whichever case.
    pub manufacturer: String,
    /// Beginning of the reported model, in whichever case; empty fits all.
    #[serde(default)]
    pub model: String,
    /// Does its meter report export as positive power?
    #[serde(default)]
    pub export_is_positive: bool,
    /// Beginnings of the names that its DC inputs (model 160) have where they are the way into a battery.
    #[serde(default)]
    pub charge_inputs: Vec<String>,
    /// The same for the way out of it.
    #[serde(default)]
    pub discharge_inputs: Vec<String>,
    /// Does it take its controls by function 6 alone, one register at a time?
    #[serde(default)]
    pub single_writes: bool,
    /// Where that is known from.
    pub source: String,
}

/// Which of the keys with a default it says at all.
#[derive(Deserialize)]
struct Says {
    unit: Option<u8>,
}

const fn one() -> u8 {
    1
}

/// Raw values that mean that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sentinel {
    /// All bits of an unsigned type.
    AllOnes,
    /// The least value of a signed type.
    Lowest,
    /// The greatest value of a signed type.
    Highest,
}

impl Sentinel {
    /// Are these raw bits, of so many registers as the type takes, this one?
    pub fn is(self, kind: RegisterType, bits: u64) -> bool {
        use RegisterType::{I16, I32, I64, U16, U32, U64};
        let ones = u64::MAX >> (64 - 16 * kind.registers());
        match (self, kind) {
            (Self::AllOnes, U16 | U32 | U64) => bits == ones,
            (Self::Lowest, I16 | I32 | I64) => bits == ones ^ (ones >> 1),
            (Self::Highest, I16 | I32 | I64) => bits == ones >> 1,
            _ => false,
        }
    }
}

impl Profile {
    /// Reads a profile. It may extend one that is compiled in.
    ///
    /// # Errors
    /// When the text is no profile.
    pub fn parse(name: &str, text: &str) -> Result<Self, ProfileError> {
        Self::parse_with(name, text, &|base, _| shipped(base).map(str::to_owned))
    }

    /// Reads a profile, which may extend one that `of` gives the text of; the flag says that it must be the
    /// one that is compiled in, because it has the same name.
    ///
    /// # Errors
    /// When the text is no profile.
    pub fn parse_with(
        name: &str,
        text: &str,
        of: &dyn Fn(&str, bool) -> Option<String>,
    ) -> Result<Self, ProfileError> {
        let parsed = |error: &toml::de::Error| ProfileError::parsed(name, error);
        let (profile, says_unit): (Self, _) = match extend::whole(name, text, of, 0)? {
            None => {
                let says_unit = toml::from_str::<Says>(text).is_ok_and(|says| says.unit.is_some());
                (toml::from_str(text).map_err(|error| parsed(&error))?, says_unit)
            }
            Some(table) => {
                let says_unit = table.contains_key("unit");
                // As a text, so that a mistake has a place.
                let text = toml::to_string(&table).expect("a table can be written");
                let profile = toml::from_str(&text).map_err(|error| {
                    let error = parsed(&error);
                    let key = extend::key_of(&text, &error);
                    ProfileError { at: None, key, ..error }
                })?;
                (profile, says_unit)
            }
        };
        match profile.check() {
            Ok(()) => {
                let generated = standard::commands(&profile);
                let mut profile = Self { name: name.to_owned(), says_unit, ..profile };
                profile.commands.extend(generated);
                Ok(profile)
            }
            Err(Wrong { key, message }) => {
                Err(ProfileError { name: name.to_owned(), message, at: None, key: Some(key) })
            }
        }
    }

    fn check(&self) -> Result<(), Wrong> {
        if self.discovery.is_none() && self.all_points().next().is_none() {
            return Err(Wrong::at(
                "points",
                "are missing: write a table `[points]`, or `extends` a profile that has one",
            ));
        }
        self.limits.check()?;
        if let Some(part) = self.parts.keys().find(|part| !PARTS.contains(&part.as_str())) {
            return Err(Wrong::at(
                format!("parts.{part}"),
                format!("is no part; known are {}", PARTS.join(", ")),
            ));
        }
        for (part, name, point) in self.all_points() {
            let key = if part.is_empty() {
                format!("points.{name}")
            } else {
                format!("parts.{part}.points.{name}")
            };
            for term in &point.terms {
                let (first, last) = term.span();
                if let Some(words) = self.limits.bar(term.function, first, last) {
                    return Err(Wrong::at(key, words));
                }
            }
        }
        match &self.signature {
            Some(_) if self.discovery.is_some() => {
                let message = "does not belong to a device that describes itself: leave out `signature`";
                return Err(Wrong::at("signature", message));
            }
            Some(signature) => {
                signature.check().map_err(|message| Wrong { key: "signature".to_owned(), message })?;
            }
            None => {}
        }
        for (group, setpoint) in &self.setpoints {
            setpoint.check(group)?;
            if !setpoint.part.is_empty() && !self.parts.contains_key(&setpoint.part) {
                let message =
                    format!("names a part that the profile does not have: add `[parts.{}]`", setpoint.part);
                return Err(Wrong::at(format!("setpoints.{group}.part"), message));
            }
        }
        for (name, setting) in &self.settings {
            setting.check(name)?;
        }
        for (command, table) in &self.commands {
            let key = format!("commands.{command}");
            table.check(command).map_err(|message| Wrong { key, message })?;
        }
        Ok(())
    }

    /// Every point, with its part (empty for the device itself) and its name.
    pub fn all_points(&self) -> impl Iterator<Item = (&str, &str, &Point)> {
        let own = self.points.iter().map(|(name, point)| ("", name.as_str(), point));
        let parts = self.parts.iter().flat_map(|(part, table)| {
            table.points.iter().map(move |(name, point)| (part.as_str(), name.as_str(), point))
        });
        own.chain(parts)
    }

    /// The maker's habits for a device, if any are known.
    pub fn maker(&self, manufacturer: &str, model: &str) -> Option<&Maker> {
        let begins = |text: &str, with: &str| {
            text.trim_start().get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        let fits = |maker: &&Maker| begins(manufacturer, &maker.manufacturer) && begins(model, &maker.model);
        self.maker.iter().find(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::{registry::FILES, *};

    #[test]
    fn every_profile_loads() {
        for (name, text) in FILES {
            let profile = Profile::parse(name, text).unwrap();
            assert!(!profile.sources.is_empty(), "{name} says where its facts come from");
        }
        assert!(builtin().contains_key("sunspec") && builtin().contains_key("eastron-sdm630"));
    }

    #[test]
    fn the_examples_of_the_guides_are_profiles() {
        let first = |guide: &'static str| guide.split("```toml\n").nth(1)?.split("```").next();
        let whole = first(include_str!("../../../README.md")).unwrap();
        assert!(Profile::parse("guide", whole).unwrap().commands.contains_key("set_battery_mode"));
        let extending = first(include_str!("../../../../README.md")).unwrap();
        let extending = Profile::parse("eastron-sdm630", extending).unwrap();
        assert_eq!((extending.limits.timeout.to_string().as_str(), extending.limits.block), ("3s", 80));
    }

    #[test]
    fn a_maker_is_known_by_how_its_name_begins() {
        let sunspec = &builtin()["sunspec"];
        for name in ["SolarEdge", "SolarEdge ", " SOLAREDGE Technologies"] {
            assert!(sunspec.maker(name, "SE5K").unwrap().export_is_positive, "{name}");
        }
        assert!(sunspec.maker("KOSTAL Solar Electric GmbH", "").unwrap().single_writes);
        assert_eq!((sunspec.maker("Solar", ""), sunspec.maker("", "")), (None, None));
    }

    #[test]
    fn a_mistake_names_its_place() {
        let error = Profile::parse("mine", "manufacturer = 'M'\nmodells = []\n").unwrap_err();
        assert_eq!(error.at, Some(19));
        let error = error.to_string();
        assert!(error.contains("mine") && error.contains("modells"), "{error}");
    }

    #[test]
    fn a_point_that_the_limits_keep_from_being_read_is_named() {
        let parse = |limits: &str, register: u32| {
            let head = "manufacturer = 'M'\nmodels = []\nprotocol = 'modbus'\ndevice_type = 'energy_meter'\n\
                        energy_role = 'monitor'\nsources = []\n[points]\n";
            let point = format!("activePower = {{ register = {register}, type = 'f32' }}\n");
            Profile::parse("mine", &format!("{head}{point}[limits]\n{limits}")).map_err(|e| e.message)
        };
        assert!(parse("forbidden = [{ from = 7, to = 9 }]\nreadable = [{ from = 4, to = 6 }]", 5).is_ok());
        for (limits, register, word) in [
            ("block = 1", 5, "limits.block allows 1"),
            ("forbidden = [{ from = 6, to = 9 }]", 5, "limits.forbidden"),
            ("readable = [{ function = 'input', from = 0, to = 9 }]", 5, "none of limits.readable"),
        ] {
            let error = parse(limits, register).unwrap_err();
            assert!(error.contains("points.activePower") && error.contains(word), "{error}");
        }
        let error = parse("forbidden = [{ from = 9, to = 7 }]", 5).unwrap_err();
        assert!(error.contains("from 9 to 7 that ends before it begins"), "{error}");
    }

    #[test]
    fn classes_are_parts_and_multiples_of_the_interval() {
        let of = |class: Class, seconds| {
            class.period(std::time::Duration::from_secs(seconds)).map(|p| p.as_secs())
        };
        assert_eq!(
            (of(Class::Fast, 5), of(Class::Normal, 5), of(Class::Slow, 5)),
            (Some(1), Some(5), Some(60))
        );
        assert_eq!((of(Class::Slow, 10), of(Class::Once, 10)), (Some(120), None));
    }

    #[test]
    fn a_signature_checks_something_and_stands_where_a_device_does_not_describe_itself() {
        let refused = |name: &str, signature: &str| {
            let text = FILES.iter().find(|(file, _)| *file == name).unwrap().1;
            let text = match text.find("[signature]") {
                Some(at) => text[..at].to_owned() + signature,
                None => format!("{text}\n{signature}"),
            };
            Profile::parse(name, &text).unwrap_err().to_string()
        };
        let empty = "[signature]\nchecks = []\n";
        assert!(refused("eastron-sdm630", empty).contains("a device of any kind would fit"));
        let check = "[signature]\nchecks = [{ register = 0, type = 'u16', equals = 1 }]\n";
        assert!(refused("sunspec", check).contains("leave out `signature`"));
        let wrong = "[signature]\nchecks = [{ register = 0, type = 'u16' }]\n";
        let error = refused("eastron-sdm630", wrong);
        assert!(error.contains("says nothing") && error.contains("eastron-sdm630"), "{error}");
    }
}
