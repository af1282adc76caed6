//! What can be set in a register device: which registers, to what, in which order, and what the device makes of it
//! when nobody sets it again. Pure data; adapters compute and write. The commands that an asker sees follow from
//! the setpoints (see `standard`), so that no profile can give a familiar name another meaning.
//!
//! `[setpoints.<group>]`, where the group is one of
//!
//! | group | states | gives the commands |
//! | --- | --- | --- |
//! | `battery` | `auto`, and any of `hold`, `hold_charge`, `charge`, `discharge`, `idle` | `set_battery_mode`; with `charge` and `discharge` also `set_battery_power` (0 W needs `idle`) |
//! | `power_limit`, `export_limit` | `limit`, `off` | `set_power_limit`, `set_export_limit` (`off` is `{enabled: false}`) |
//! | `reserve` | `soc` | `set_reserve` |
//!
//! A state lists its writes in the order in which they leave. A write says `value` (raw), or `from`, a quantity of
//! the command:
//!
//! | `from` | is |
//! | --- | --- |
//! | `power` | W, a magnitude |
//! | `percent` | %, as asked, or the power as part of what `of` names |
//! | `current` | A: the power divided by the battery's voltage now, which its point `voltage` says |
//! | `soc` | %: the reserve; for a battery command `until_soc`, or what `otherwise` says where none is given |
//! | `timer` | s: how long the device shall hold it by itself |
//! | `most` | the greatest raw value that the rating `of` allows (full power again) |
//!
//! raw = quantity / `scale`, rounded towards zero (a timer is rounded up), and must lie between `min` and `max`:
//! a timer is moved there, another quantity refused.
//!
//! **What wears out.** A register with `persistent` (said of the write or of the whole setpoint) is written only where
//! it shows something else, and what it held before a command held it is noted durably, of all registers that leave
//! in one request (`together`) where one of them does. Every other state of the group gives back what it does not
//! write itself, and `restore` and a revert all of it: a state `auto` need not list such registers.
//! `restore` of a limit or a reserve brings back what was noted, or, where nothing wears out, is `off`.

use std::collections::BTreeMap;

use serde::Deserialize;

pub use self::write::{Quantity, Rating, Write};
use super::{Check, PARTS, RegisterType, WordOrder, command::LONGEST_PROOF, error::Wrong};
use crate::Span;

mod write;

/// One setpoint.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setpoint {
    /// The part that takes it (`battery`, `grid`); empty for the device itself.
    #[serde(default)]
    pub part: String,
    /// Do its registers wear out?
    #[serde(default)]
    pub persistent: bool,
    /// How long the device holds it by itself when nobody sets it again; none: it keeps the last value.
    pub timer: Option<Timer>,
    /// When it falls back, in words, where that is not what it was given at most: `after 10 to 60 s`.
    pub after: Option<String>,
    /// What must be so at the device, or it would accept a command and do nothing.
    #[serde(default)]
    pub requires: Vec<Requirement>,
    /// How long fresh reads may still show the old value, 5 s unless said, up to 30 s.
    pub verify_for: Option<Span>,
    /// Least power that can be asked for, W.
    pub least: Option<f64>,
    /// Greatest power that can be asked for, W; the device's rating goes before.
    pub most: Option<f64>,
    /// Step of the power or the percentage; any unless said.
    #[serde(default)]
    pub step: f64,
    /// May it be told in percent, too? Of the greatest power.
    #[serde(default)]
    pub percent: bool,
    /// Its states by name.
    pub states: BTreeMap<String, State>,
}

/// The device's own timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timer {
    /// What it is given at most (`from = "timer"`), which the gateway caps at 120 s; or, with `fixed`, what it is.
    /// While a setpoint is held, it is written again at half of it.
    pub longest: Span,
    /// The device has a time of its own, and takes none.
    #[serde(default)]
    pub fixed: bool,
}

/// Something that must be so before a state is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Which registers must hold what; read fresh.
    pub check: Check,
    /// For which states; all but `auto` and `off` unless said. What gives a setpoint back (`auto`, `restore`) is never
    /// kept from it.
    #[serde(default)]
    pub states: Vec<String>,
    /// What is wrong otherwise and what to do, in words for an installer.
    pub otherwise: String,
}

/// One state of a setpoint.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// In the order in which they leave. Empty: what was noted is restored, and nothing else.
    #[serde(default)]
    pub writes: Vec<Write>,
}

/// A single register that may be written by hand (`write_point`), with `write_points = true` in the device's table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The first holding register.
    pub register: u16,
    /// How the value is laid into registers.
    #[serde(rename = "type", default = "plain")]
    pub kind: RegisterType,
    /// Order of the registers.
    #[serde(default)]
    pub order: WordOrder,
    /// value = raw × scale.
    #[serde(default = "one")]
    pub scale: f64,
    /// Unit of the value.
    #[serde(default)]
    pub unit: String,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// By function 6.
    #[serde(default)]
    pub single: bool,
}

/// The groups, and the states that each of them may have, those that it must have first.
const GROUPS: [(&str, &[&str], &[&str]); 4] = [
    ("battery", &["auto"], &["hold", "hold_charge", "charge", "discharge", "idle"]),
    ("power_limit", &["limit", "off"], &[]),
    ("export_limit", &["limit", "off"], &[]),
    ("reserve", &["soc"], &[]),
];

impl Setpoint {
    /// What is wrong with it.
    pub(super) fn check(&self, group: &str) -> Result<(), Wrong> {
        let key = format!("setpoints.{group}");
        let Some((_, must, may)) = GROUPS.iter().find(|(name, ..)| *name == group) else {
            let known = GROUPS.map(|(name, ..)| name).join(", ");
            return Err(Wrong::at(key, format!("is no setpoint; known are {known}")));
        };
        if let Some(missing) = must.iter().find(|state| !self.states.contains_key(**state)) {
            return Err(Wrong::at(
                key.clone(),
                format!(
                    "needs the state `{missing}`: write a table `[{key}.states.{missing}]` with its `writes`"
                ),
            ));
        }
        if self.verify_for.is_some_and(|span| span.0 > LONGEST_PROOF) {
            return Err(Wrong::at(
                format!("{key}.verify_for"),
                format!("must be at most {}", Span(LONGEST_PROOF)),
            ));
        }
        if !self.part.is_empty() && !PARTS.contains(&self.part.as_str()) {
            return Err(Wrong::at(format!("{key}.part"), format!("must be one of {}", PARTS.join(", "))));
        }
        for Requirement { states, otherwise, .. } in &self.requires {
            let key = format!("{key}.requires");
            if let Some(state) = states.iter().find(|state| !self.states.contains_key(*state)) {
                let known = self.states.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let message =
                    format!("names the state `{state}`, which the setpoint has not; it has {known}");
                return Err(Wrong::at(key, message));
            }
            if otherwise.trim().is_empty() {
                return Err(Wrong::at(key, "has an empty `otherwise`: say what is wrong and what to do"));
            }
        }
        let wears = self.persistent || self.writes().any(|write| write.persistent);
        for (state, table) in &self.states {
            let key = format!("{key}.states.{state}");
            if !must.contains(&state.as_str()) && !may.contains(&state.as_str()) {
                let known = [*must, *may].concat().join(", ");
                return Err(Wrong::at(key, format!("is no state of `{group}`; known are {known}")));
            }
            if table.writes.is_empty() && !(wears && matches!(state.as_str(), "auto" | "off")) {
                return Err(Wrong::at(
                    key,
                    "has no `writes`: list at least one, like [{ register = 1, value = 0 }]",
                ));
            }
            let mut before = None;
            for write in &table.writes {
                write
                    .check(before, self.timer)
                    .map_err(|message| Wrong::at(format!("{key}.writes"), message))?;
                before = Some(write);
            }
        }
        Ok(())
    }

    /// The writes of all states.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.states.values().flat_map(|state| &state.writes)
    }

    /// What must be so before a state is written.
    pub fn required(&self, state: &str) -> impl Iterator<Item = &Requirement> {
        self.requires.iter().filter(move |required| match &required.states[..] {
            [] => !matches!(state, "auto" | "off"),
            states => state != "auto" && states.iter().any(|name| name == state),
        })
    }

    /// Does this write wear out what it writes?
    pub fn wears(&self, write: &Write) -> bool {
        self.persistent || write.persistent
    }
}

impl Setting {
    pub(super) fn check(&self, name: &str) -> Result<(), Wrong> {
        let key = format!("settings.{name}");
        let orderly = self.min.is_finite() && self.max.is_finite() && self.min <= self.max;
        if !orderly || self.scale == 0.0 || !self.scale.is_finite() {
            return Err(Wrong::at(key, "needs `min` up to `max`, and a `scale` other than 0"));
        }
        if self.single && self.kind.registers() > 1 {
            return Err(Wrong::at(key, "has `single`, which goes with one register: leave it out"));
        }
        Ok(())
    }
}

const fn plain() -> RegisterType {
    RegisterType::U16
}

const fn one() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_so_first_names_states_that_there_are_and_says_what_to_do() {
        let parsed = |requires: &str| {
            let text = format!(
                "requires = [{{ check = {{ register = 7, text = 'AB' }}, {requires} }}]\n[states]\n\
                 auto.writes = [{{ register = 1, value = 0 }}]\nhold.writes = [{{ register = 1, value = 1 }}]\n"
            );
            let setpoint: Setpoint = toml::from_str(&text).unwrap();
            let wrong = setpoint.check("battery").err().map(|wrong| (wrong.key, wrong.message));
            let states = ["auto", "hold"].map(|state| setpoint.required(state).count());
            (states, wrong)
        };
        assert_eq!(parsed("otherwise = 'no'"), ([0, 1], None));
        assert_eq!(parsed("otherwise = 'no', states = ['hold']"), ([0, 1], None));
        let (_, wrong) = parsed("otherwise = 'no', states = ['hodl']");
        let (key, message) = wrong.unwrap();
        assert_eq!(key, "setpoints.battery.requires");
        assert!(message.contains("`hodl`") && message.contains("auto, hold"), "{message}");
        assert!(parsed("otherwise = ' '").1.unwrap().1.contains("`otherwise`"));
    }
}
