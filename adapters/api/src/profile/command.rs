//! A command in a profile: what admission needs to know. How it is written is the adapter's.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Deserialize;

use crate::{Capability, CommandSpec, ParameterKind, ParameterSpec, Parameters, Span, Value};

/// A proof may take no longer, whatever a device needs: somebody waits for the answer.
pub(super) const LONGEST_PROOF: Duration = Duration::from_secs(30);

/// One command of a device or of one of its parts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandTable {
    /// The part that takes it (`battery`, `grid`); empty for the device itself.
    #[serde(default)]
    pub part: String,
    /// The capability that it belongs to.
    pub capability: Capability,
    /// Setpoint group.
    pub group: Option<String>,
    /// May it be sent again in doubt?
    #[serde(default)]
    pub idempotent: bool,
    /// How long fresh reads may still show the old value, 5 s unless said, up to 30 s.
    pub verify_for: Option<Span>,
    /// Does it write what wears out?
    #[serde(default)]
    pub persistent: bool,
    /// Does it always hold its setpoint for a while?
    #[serde(default)]
    pub leased: bool,
    /// The parameters with which it gives its setpoint back; one command of a group has them.
    pub safe: Option<BTreeMap<String, Plain>>,
    /// Is its target read fresh (`toggle`)?
    #[serde(default)]
    pub relative: bool,
    /// Is it taken from this machine's own socket only?
    #[serde(default)]
    pub local: bool,
    /// Parameters of which exactly one must be given.
    #[serde(default)]
    pub exactly_one: Vec<String>,
    /// Its parameters.
    #[serde(default)]
    pub parameters: BTreeMap<String, ParameterTable>,
    /// Does the device give it back by itself when nobody sets it again? The adapter sets its timer then.
    #[serde(default)]
    pub falls_back: bool,
    /// Do some of its registers wear out, although not all?
    #[serde(skip)]
    pub wears: bool,
    /// The most that the device's own timer is given; none: the gateway's own longest.
    #[serde(skip)]
    pub timer_most: Option<Duration>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterTable {
    /// `number`, `word` or `bool`.
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// Missing: 0, or the device's own rating where it is `signed`.
    pub(super) min: Option<f64>,
    /// Missing: the device's own rating decides.
    pub(super) max: Option<f64>,
    /// Goes below zero as well, as far as the device does.
    #[serde(default)]
    pub(super) signed: bool,
    #[serde(default)]
    pub(super) step: f64,
    #[serde(default)]
    pub(super) unit: String,
    #[serde(default)]
    pub(super) words: Vec<String>,
    #[serde(default)]
    pub(super) required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Number,
    Word,
    Bool,
}

/// A value as a profile writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "write true, false, a number or a text in quotes")]
#[allow(missing_docs)]
pub enum Plain {
    Bool(bool),
    Number(f64),
    Text(String),
}

impl From<&Plain> for Value {
    fn from(plain: &Plain) -> Self {
        match plain {
            Plain::Bool(on) => Self::Bool(*on),
            Plain::Number(number) => Self::Number(*number),
            Plain::Text(text) => Self::from(text.as_str()),
        }
    }
}

/// Which way a rating counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As a magnitude.
    Either,
    /// Above zero.
    Up,
    /// Below zero.
    Down,
}

impl CommandTable {
    /// What is wrong with it, in words.
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        let unknown = |given: &&String| !self.parameters.contains_key(*given);
        let safe = self.safe.iter().flat_map(BTreeMap::keys);
        if let Some(given) = self.exactly_one.iter().chain(safe).find(unknown) {
            return Err(format!(
                "commands.{name} has no parameter `{given}`: add it to `parameters`, or take it out of `safe` and `exactly_one`"
            ));
        }
        if self.verify_for.is_some_and(|span| span.0 > LONGEST_PROOF) {
            return Err(format!("commands.{name}.verify_for must be at most {}", Span(LONGEST_PROOF)));
        }
        Ok(())
    }

    /// What admission checks against; `most` gives how far a parameter goes, as a number above 0,
    /// where the profile leaves it to the device's rating.
    pub fn spec(&self, name: &str, most: impl Fn(&str, Way) -> Option<f64>) -> CommandSpec {
        let parameters = self.parameters.iter().map(|(name, table)| ParameterSpec {
            name: Arc::from(name.as_str()),
            kind: match table.kind {
                Kind::Number => ParameterKind::Number {
                    min: table.min.unwrap_or_else(|| match table.signed {
                        true => -most(name, Way::Down).unwrap_or(f64::MAX),
                        false => 0.0,
                    }),
                    max: table
                        .max
                        .or_else(|| most(name, if table.signed { Way::Up } else { Way::Either }))
                        .unwrap_or(f64::MAX),
                    step: table.step,
                    unit: Arc::from(table.unit.as_str()),
                },
                Kind::Word => {
                    ParameterKind::Word(table.words.iter().map(|word| Arc::from(word.as_str())).collect())
                }
                Kind::Bool => ParameterKind::Bool,
            },
            required: table.required,
        });
        let plain = CommandSpec::plain(name, self.capability);
        CommandSpec {
            parameters: parameters.collect(),
            exactly_one: self.exactly_one.iter().map(|name| Arc::from(name.as_str())).collect(),
            group: self.group.as_deref().map(Arc::from),
            idempotent: self.idempotent,
            verify_for: self.verify_for.map_or(plain.verify_for, |span| span.0),
            persistent: self.persistent,
            wears: self.wears,
            leased: self.leased,
            safe: self.safe.as_ref().map(|safe| {
                let value = |(name, plain): (&String, &Plain)| (Arc::from(name.as_str()), Value::from(plain));
                Parameters(safe.iter().map(value).collect())
            }),
            relative: self.relative,
            local: self.local,
            timer_most: self.timer_most,
            ..plain
        }
    }
}

impl CommandSpec {
    /// `refresh`, which every device takes: read now.
    pub fn refresh(capability: Capability) -> Self {
        Self { idempotent: true, harmless: true, ..Self::plain("refresh", capability) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> CommandTable {
        toml::from_str(&format!("capability = 'energy_storage'\n{text}")).unwrap()
    }

    #[test]
    fn what_a_profile_says_about_a_command_reaches_admission() {
        let plain = table("").spec("plain", |_, _| None);
        assert_eq!(plain, CommandSpec::plain("plain", Capability::EnergyStorage));
        let all = table(
            "persistent = true\nleased = true\nrelative = true\nlocal = true\nverify_for = '7s'\n\
             safe = { mode = 'auto', power = 0, on = false }\n",
        );
        let all = all.spec("all", |_, _| None);
        assert!(all.persistent && all.leased && all.relative && all.local);
        assert_eq!(all.verify_for, Duration::from_secs(7));
        let safe = all.safe.unwrap();
        assert_eq!((safe.word("mode"), safe.number("power")), (Some("auto"), Some(0.0)));
        assert_eq!(safe.bool("on"), Some(false));
    }

    #[test]
    fn a_rating_bounds_what_the_profile_leaves_open_in_both_ways() {
        let table = table(
            "[parameters]\nsigned = { type = 'number', signed = true }\nmagnitude = { type = 'number', min = 1 }\n\
             fixed = { type = 'number', max = 100 }\n",
        );
        let most = |_: &str, way| match way {
            Way::Either => Some(5000.0),
            Way::Up => Some(4000.0),
            Way::Down => Some(3000.0),
        };
        let ranges = |spec: CommandSpec| -> BTreeMap<String, (f64, f64)> {
            let range = |parameter: &ParameterSpec| match parameter.kind {
                ParameterKind::Number { min, max, .. } => (parameter.name.to_string(), (min, max)),
                _ => panic!("a number"),
            };
            spec.parameters.iter().map(range).collect()
        };
        let known = ranges(table.spec("it", most));
        assert_eq!(known["signed"], (-3000.0, 4000.0));
        assert_eq!((known["magnitude"], known["fixed"]), ((1.0, 5000.0), (0.0, 100.0)));
        assert_eq!(ranges(table.spec("it", |_, _| None))["signed"], (f64::MIN, f64::MAX));
    }

    #[test]
    fn a_mistake_in_a_command_is_named() {
        let wrong = |text: &str| table(text).check("it").unwrap_err();
        assert!(wrong("safe = { mode = 'auto' }").contains("commands.it has no parameter `mode`"));
        assert!(wrong("exactly_one = ['a']").contains("`a`"));
        assert!(wrong("verify_for = '31s'").contains("at most 30s"));
    }
}
