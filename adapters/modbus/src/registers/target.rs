//! What a command wants of a setpoint: which state, with which quantities. Pure.

use std::time::Duration;

use adapter_api::{
    Bounds, Parameters, Purpose,
    profile::{Quantity, Rating, Requirement, Setpoint, State, Write},
};

use super::{found::Rated, notes::Noted, shown::Shown, tell::limit_of};
use crate::{
    config::BATTERY,
    wanted::{Wanted, bounded},
};

/// `restore` says what to do, and nothing else.
const ONLY_TRUE: &str = "`restore` can only be true; to change the value say the value instead";

/// What is asked of a setpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub command: &'a str,
    pub parameters: &'a Parameters,
    /// For how long the device shall hold it by itself; none: what is set lasts.
    pub timer: Option<Duration>,
    pub purpose: Purpose,
}

/// What the command is worked out against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub group: &'a str,
    pub setpoint: &'a Setpoint,
    /// Fresh registers.
    pub shown: &'a Shown,
    /// How strong the device is, with the configuration's keys where it does not say.
    pub rated: Rated,
    /// What no command goes beyond, from the configuration.
    pub bounds: Bounds,
    /// The battery's, now.
    pub voltage: Option<f64>,
    pub noted: Option<&'a Noted>,
}

/// What shall be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Target<'a> {
    /// The state's name.
    pub state: &'a str,
    /// W, a magnitude.
    pub power: Option<f64>,
    pub percent: Option<f64>,
    pub soc: Option<f64>,
    /// What is noted goes before what the state says: the setpoint is given back.
    pub restores: bool,
    /// What is noted and the state does not write is brought back along.
    pub returns: bool,
}

impl<'a> Facts<'a> {
    /// The writes of a state; none where the device has no such state.
    pub fn state(&self, name: &str) -> Option<&'a State> {
        self.setpoint.states.get(name)
    }

    /// Least of what the profile and the device's rating allow, W.
    fn most(&self, rated: Option<f64>) -> f64 {
        rated.into_iter().chain(self.setpoint.most).fold(f64::INFINITY, f64::min)
    }
}

pub(super) fn is_power(write: &Write) -> bool {
    matches!(write.from, Some(Quantity::Power | Quantity::Percent | Quantity::Current))
}

/// What must be so before the command is written, by the state that it wants; nothing where it gives the setpoint
/// back, which is never refused.
pub(super) fn required<'s>(
    setpoint: &'s Setpoint,
    command: &str,
    parameters: &Parameters,
) -> Vec<&'s Requirement> {
    let state = match command {
        _ if parameters.bool("restore").is_some() => return Vec::new(),
        "set_battery_mode" | "set_battery_power" => match Wanted::of(command, parameters) {
            Ok(wanted) => wanted.word(),
            // It is refused in words later.
            Err(_) => return Vec::new(),
        },
        "set_reserve" => "soc",
        _ if parameters.bool("enabled") == Some(false) => "off",
        _ => "limit",
    };
    setpoint.required(state).collect()
}

impl<'a> Target<'a> {
    fn plain(state: &'a str) -> Self {
        Self { state, power: None, percent: None, soc: None, restores: false, returns: false }
    }

    /// What the command wants.
    ///
    /// # Errors
    /// In words, when this device cannot do it or may not.
    pub fn of(ask: &Ask<'_>, facts: &Facts<'a>) -> Result<Self, String> {
        let target = match facts.group {
            BATTERY => Self::of_battery(ask, facts)?,
            "reserve" => Self::of_reserve(ask, facts)?,
            _ => Self::of_limit(ask, facts)?,
        };
        let fixed = facts
            .setpoint
            .timer
            .filter(|timer| timer.fixed && ask.purpose == Purpose::Execute && ask.timer.is_none());
        match fixed {
            Some(timer) if !target.restores && target.state != "off" => Err(format!(
                "the device falls back by itself after {}: say for how long it shall hold, with `lease`",
                timer.longest
            )),
            _ => Ok(target),
        }
    }

    fn of_battery(ask: &Ask<'_>, facts: &Facts<'a>) -> Result<Self, String> {
        let wanted = Wanted::of(ask.command, ask.parameters)?;
        let word = wanted.word();
        let Some((state, table)) = facts.setpoint.states.get_key_value(word) else {
            let known = facts.setpoint.states.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(format!("the device has no way to {word}; it can {known}"));
        };
        let (power, rated, key) = match wanted {
            Wanted::Charge(power) => (power, facts.rated.of(Rating::Charge), facts.bounds.charge),
            Wanted::Discharge(power) => (power, facts.rated.of(Rating::Discharge), facts.bounds.discharge),
            _ => {
                let auto = wanted == Wanted::Auto;
                let soc = ask.parameters.number("until_soc");
                return Ok(Self { soc, restores: auto, returns: true, ..Self::plain(state) });
            }
        };
        let mut powers = table.writes.iter().filter(|write| is_power(write)).peekable();
        let power = if powers.peek().is_none() {
            match power {
                Some(_) => {
                    let words =
                        format!("the device takes no power to {word}: use `set_battery_mode` without it");
                    return Err(words);
                }
                None => None,
            }
        } else if power.is_none() && key.is_none() && powers.all(|write| write.otherwise.is_some()) {
            None
        } else {
            Some(bounded(word, power, facts.most(rated), key)?)
        };
        if let (Some(power), Some(least)) = (power, facts.setpoint.least)
            && power < least
        {
            return Err(format!("`power` must be at least {least} W, not {power}"));
        }
        let soc = ask.parameters.number("until_soc");
        Ok(Self { power, soc, returns: true, ..Self::plain(state) })
    }

    fn of_reserve(ask: &Ask<'_>, facts: &Facts<'a>) -> Result<Self, String> {
        let (least, most) = (facts.setpoint.least.unwrap_or(0.0), facts.setpoint.most.unwrap_or(100.0));
        match (ask.parameters.number("soc"), restores(ask)?) {
            (Some(soc), _) if (least..=most).contains(&soc) => {
                Ok(Self { soc: Some(soc), ..Self::plain("soc") })
            }
            (Some(soc), _) => Err(format!("`soc` must be {least} to {most} %, not {soc}")),
            (None, true) => Ok(Self { restores: true, returns: true, ..Self::plain("soc") }),
            (None, false) => Err("say one of `soc` and `restore`".to_owned()),
        }
    }

    fn of_limit(ask: &Ask<'_>, facts: &Facts<'a>) -> Result<Self, String> {
        let rated = facts.rated.of(Rating::Power);
        let own = if facts.group == "export_limit" { facts.bounds.export } else { None };
        let most = own.map_or(facts.most(rated), |bound| bound.min(facts.most(rated)));
        let least = facts.setpoint.least.unwrap_or(0.0);
        let limit = Self::plain("limit");
        if let Some(percent) = ask.parameters.number("percent") {
            if !(0.0..=100.0).contains(&percent) {
                return Err(format!("`percent` must be 0 to 100, not {percent}"));
            }
            let power = rated.map(|rated| rated * percent / 100.0);
            return match (power, own) {
                (Some(power), Some(bound)) if power > bound => Err(format!(
                    "{percent} % are {power} W, and `max_export` of the configuration allows {bound} W"
                )),
                (None, Some(_)) => Err(format!("{}: say `power` instead", no_rating(Rating::Power))),
                _ => Ok(Self { percent: Some(percent), power, ..limit }),
            };
        }
        if let Some(power) = ask.parameters.number("power") {
            return if (least..=most).contains(&power) {
                Ok(Self { power: Some(power), ..limit })
            } else {
                Err(format!("`power` must be {least} to {most} W, not {power}"))
            };
        }
        let noted = facts.noted.is_some();
        if restores(ask)? {
            // No revert goes beyond what the configuration allows. Where nothing is owed, what wears out stays as
            // somebody else set it.
            let is_within = |bound: &f64| match facts.noted {
                Some(noted) => noted_limit(facts, noted).is_some_and(|power| power <= *bound),
                None => facts.setpoint.persistent,
            };
            return Ok(match own.filter(|bound| !is_within(bound)) {
                Some(bound) => Self { power: Some(bound), ..limit },
                None => Self { restores: true, returns: true, ..Self::plain("off") },
            });
        }
        match (ask.parameters.bool("enabled"), own) {
            (Some(true), _) => Err("say how far: `power` or `percent`".to_owned()),
            (Some(false), Some(bound)) => {
                Err(format!("`max_export` of the configuration allows {bound} W: set `power`"))
            }
            (Some(false), None) => {
                let empty = facts.state("off").is_some_and(|off| off.writes.is_empty());
                match (empty, noted) {
                    (true, false) => {
                        Err("the device cannot be told to have no limit: set `power`".to_owned())
                    }
                    (empty, _) => Ok(Self { restores: empty, returns: empty, ..Self::plain("off") }),
                }
            }
            (None, _) => Err("say one of `power`, `percent`, `enabled` and `restore`".to_owned()),
        }
    }
}

/// How far the limit goes that is noted, W; none: it is none, or nobody knows.
fn noted_limit(facts: &Facts<'_>, noted: &Noted) -> Option<f64> {
    let mut then = facts.shown.clone();
    noted.words.iter().for_each(|(register, word)| then.put(*register, &[*word]));
    limit_of(&Facts { shown: &then, ..*facts })
}

fn restores(ask: &Ask<'_>) -> Result<bool, String> {
    match (ask.parameters.get("restore"), ask.parameters.bool("restore")) {
        (None, _) => Ok(false),
        (_, Some(true)) => Ok(true),
        _ => Err(ONLY_TRUE.to_owned()),
    }
}

/// What to do about a rating that nobody knows.
pub(super) fn no_rating(of: Rating) -> String {
    let (what, key) = match of {
        Rating::Power => ("greatest power", "max_power"),
        Rating::Charge => ("greatest power to charge", "charge_power"),
        Rating::Discharge => ("greatest power to discharge", "discharge_power"),
    };
    format!("the device does not say its {what}: set `{key}` for it in the configuration")
}
