//! `set_power_limit`: what it wants, whichever model carries it.
//!
//! A command with a timer holds the limit for a time: what lasted before is noted (value and enable), once,
//! and `restore` brings it back; without a note it lifts the limit. A command without a timer sets what
//! lasts from now on, so that nothing is owed any more.

pub(super) mod der;
pub(super) mod immediate;

use adapter_api::Value;

use super::{Ask, Lasting, ONLY_TRUE, Order, parameters, slack};
use crate::codec::{scaled, unscaled};

const NO_SCALE: &str = "the device does not say the scale of its power limit";

/// A model's limit, as it is now.
#[derive(Clone, Copy)]
struct Shown {
    shift: i16,
    /// W at 100 %.
    rated: Option<f64>,
    limit: Option<u16>,
    enabled: bool,
    /// Will a timer that runs end it?
    ends: bool,
}

/// What it shall be.
#[derive(Clone, Copy)]
struct Target {
    limit: u16,
    enabled: bool,
    /// May a timer end it? Nothing is left to end when it is switched off or given back.
    timed: bool,
}

impl Shown {
    /// The raw limit for so many percent.
    fn raw(self, percent: f64) -> Result<u16, String> {
        unscaled(percent, self.shift, 0xFFFE).ok_or_else(|| format!("the device cannot express {percent} %"))
    }

    fn target(self, ask: Ask<'_>, noted: Option<[u16; 2]>, in_doubt: bool) -> Result<Target, String> {
        let asked = ask.parameters;
        let restores = asked.get("restore").is_some();
        let (limit, enabled) = if let Some(percent) = asked.number("percent") {
            if !(0.0..=100.0).contains(&percent) {
                return Err(format!("`percent` must be 0 to 100, not {percent}"));
            }
            (self.raw(percent)?, true)
        } else if let Some(power) = asked.number("power") {
            let rated =
                self.rated.ok_or("the device does not say what its limit refers to: use `percent`")?;
            if !(0.0..=rated).contains(&power) {
                return Err(format!("`power` must be 0 to {rated} W, not {power}"));
            }
            (self.raw(power / rated * 100.0)?, true)
        } else if restores {
            match (asked.bool("restore"), noted, self.limit) {
                (Some(true), Some([limit, enabled]), _) => (limit, enabled == 1),
                (Some(true), None, Some(limit)) if in_doubt && self.enabled && !self.ends => (limit, true),
                (Some(true), None, _) => (self.raw(100.0)?, false),
                _ => return Err(ONLY_TRUE.to_owned()),
            }
        } else {
            match asked.bool("enabled") {
                Some(true) => (self.limit.map_or_else(|| self.raw(100.0), Ok)?, true),
                Some(false) => (self.raw(100.0)?, false),
                None => return Err("say one of `power`, `percent`, `enabled` and `restore`".to_owned()),
            }
        };
        Ok(Target { limit, enabled, timed: enabled && !restores })
    }

    /// All of an order but its writes. `before`: the value and enable that last until now.
    fn order(self, ask: Ask<'_>, target: Target, noted: Option<[u16; 2]>, before: [u16; 2]) -> Order {
        let told = |limit: Option<u16>, enabled: bool| {
            let percent = limit.map(|raw| scaled(f64::from(raw), self.shift));
            let power = percent.zip(self.rated).map(|(percent, rated)| percent / 100.0 * rated);
            parameters([
                ("enabled", Some(Value::Bool(enabled))),
                ("percent", percent.map(Value::Number)),
                ("power", power.map(Value::Number)),
            ])
        };
        // A limit that is switched off limits nothing, whatever it shows.
        let close = !target.enabled
            || self.limit.is_some_and(|shown| shown.abs_diff(target.limit) <= slack(self.shift));
        Order {
            writes: Vec::new(),
            already: false,
            applied: self.enabled == target.enabled && close,
            requested: told(Some(target.limit), target.enabled),
            observed: told(self.limit, self.enabled),
            keep: (ask.timer.is_some() && noted.is_none()).then(|| before.to_vec()),
            lasting: match noted {
                Some(_) if self.ends => Lasting::Held,
                Some(noted) if noted != before => Lasting::Other,
                _ => Lasting::AsNoted,
            },
            forgets: ask.timer.is_none() && noted.is_some(),
        }
    }
}
