//! Device profiles: what a device model is, reads and takes, as data.
//!
//! One TOML file per model in `config/profiles`, compiled in. A profile with `discovery =
//! "sunspec"` describes no registers: the device describes itself, and the profile holds what its
//! description leaves open.

mod command;
mod point;
mod signature;

use std::{
    collections::BTreeMap,
    sync::{LazyLock, PoisonError, RwLock},
};

use serde::Deserialize;

pub use self::{
    command::{CommandTable, ParameterTable, Plain, Way},
    point::{Class, Function, Point, Range, RegisterType, Setup, WordOrder},
    signature::{Check, Expect, Good, Signature},
};
use crate::{Capability, DeviceType, EnergyRole, Protocol, Span, Usage};

const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

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
    /// How it is recognised by its registers.
    pub signature: Option<Signature>,
    /// What the link must respect.
    #[serde(default)]
    pub limits: Limits,
    /// Its points by name.
    #[serde(default)]
    pub points: BTreeMap<String, Point>,
    /// What it is set up with.
    #[serde(default)]
    pub setup: Vec<Setup>,
    /// Its commands by name.
    #[serde(default)]
    pub commands: BTreeMap<String, CommandTable>,
    /// Makers whose devices differ from the standard that they describe themselves in.
    #[serde(default)]
    pub maker: Vec<Maker>,
    /// Where the facts come from, and what is unverified.
    pub sources: Vec<String>,
}

/// How a device describes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discovery {
    /// By SunSpec models.
    Sunspec,
}

/// What a link must respect.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most registers in one request, up to 125.
    pub block: u16,
    /// Most unwanted registers between two wanted ones in one request.
    pub gap: u16,
    /// How long an answer may take.
    pub timeout: Span,
    /// Pause between two requests.
    pub spacing: Span,
    /// Registers that no request may contain: the device answers wrongly, or restarts.
    pub forbidden: Vec<Range>,
    /// Where there are any, a request lies within one of them.
    pub readable: Vec<Range>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block: 125,
            gap: 16,
            timeout: Span(ms(2000)),
            spacing: Span(ms(0)),
            forbidden: Vec::new(),
            readable: Vec::new(),
        }
    }
}

impl Limits {
    fn check(&self) -> Result<(), String> {
        let ranges = self.forbidden.iter().chain(&self.readable);
        match ranges.into_iter().find(|range| range.from > range.to) {
            Some(Range { from, to, .. }) => {
                Err(format!("limits: the range from {from} to {to} ends before it begins"))
            }
            None => Ok(()),
        }
    }

    /// A point that the limits themselves keep from being read.
    fn check_point(&self, name: &str, point: &Point) -> Result<(), String> {
        let (first, count) = (point.register, point.kind.registers());
        let last = point.last().ok_or_else(|| format!("points.{name} ends above register 65535"))?;
        if count > self.block {
            return Err(format!("points.{name} has {count} registers, limits.block allows {}", self.block));
        }
        if self.forbidden.iter().any(|range| range.touches(point.function, first, last)) {
            return Err(format!("points.{name} lies in limits.forbidden"));
        }
        let within = |range: &Range| range.contains(point.function, first, last);
        if !self.readable.is_empty() && !self.readable.iter().any(within) {
            return Err(format!("points.{name} lies in none of limits.readable"));
        }
        Ok(())
    }
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

const fn one() -> u8 {
    1
}

const fn ms(count: u64) -> std::time::Duration {
    std::time::Duration::from_millis(count)
}

/// A profile's file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("profile {name}: {message}")]
pub struct ProfileError {
    /// The profile.
    pub name: String,
    /// What is wrong.
    pub message: String,
    /// Where in the text the parser found it, in bytes.
    pub at: Option<usize>,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// When the text is no profile.
    pub fn parse(name: &str, text: &str) -> Result<Self, ProfileError> {
        let wrong = |message: String| ProfileError { name: name.to_owned(), message, at: None };
        let profile: Self = toml::from_str(text).map_err(|error| ProfileError {
            at: error.span().map(|span| span.start),
            ..wrong(error.message().trim_end().to_owned())
        })?;
        if profile.discovery.is_none() && profile.points.is_empty() {
            return Err(wrong("it has neither points nor `discovery`".to_owned()));
        }
        if !(1..=125).contains(&profile.limits.block) {
            return Err(wrong("limits.block must be 1 to 125".to_owned()));
        }
        profile.limits.check().map_err(wrong)?;
        for (name, point) in &profile.points {
            profile.limits.check_point(name, point).map_err(wrong)?;
        }
        match &profile.signature {
            Some(_) if profile.discovery.is_some() => {
                return Err(wrong("it describes itself: leave out `signature`".to_owned()));
            }
            Some(signature) => signature.check().map_err(wrong)?,
            None => {}
        }
        for (command, table) in &profile.commands {
            table.check(command).map_err(wrong)?;
        }
        Ok(Self { name: name.to_owned(), ..profile })
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

static BUILTIN: LazyLock<BTreeMap<String, Profile>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(name, text)| {
            let profile = Profile::parse(name, text).expect("the profiles that are compiled in are tested");
            ((*name).to_owned(), profile)
        })
        .collect()
});

/// All profiles that are compiled in, by name.
pub fn builtin() -> &'static BTreeMap<String, Profile> {
    &BUILTIN
}

/// What the installer added; none as long as nothing was.
static OWN: RwLock<Option<&'static BTreeMap<String, Profile>>> = RwLock::new(None);

/// All profiles that can be used, by name: those that are compiled in, and those of [`install`] over them.
pub fn known() -> &'static BTreeMap<String, Profile> {
    OWN.read().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(builtin)
}

/// Makes the installer's own profiles known, in place of those that were. What runs keeps what it has.
/// Profiles live as long as the process: a call that changes nothing costs nothing.
pub fn install(own: BTreeMap<String, Profile>) {
    let mut all = builtin().clone();
    all.extend(own);
    if all != *known() {
        let all: &'static _ = Box::leak(Box::new(all));
        *OWN.write().unwrap_or_else(PoisonError::into_inner) = Some(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_loads() {
        for (name, text) in FILES {
            Profile::parse(name, text).unwrap();
        }
        assert!(builtin().contains_key("sunspec") && builtin().contains_key("eastron-sdm630"));
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
            ("", 65_535, "65535"),
        ] {
            let error = parse(limits, register).unwrap_err();
            assert!(error.contains("points.activePower") && error.contains(word), "{error}");
        }
        let error = parse("forbidden = [{ from = 9, to = 7 }]", 5).unwrap_err();
        assert!(error.contains("from 9 to 7 ends before it begins"), "{error}");
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
