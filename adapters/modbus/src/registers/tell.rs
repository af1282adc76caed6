//! What registers mean in the words of a command. Pure.

use adapter_api::{
    Parameters, Value,
    profile::{Quantity, Rating, State, Write},
};

use super::{
    raw::most,
    target::{Ask, Facts, Target, is_power},
};
use crate::{codec, config::BATTERY};

/// What the registers say. The state of the target wins where several look the same; `is_so`: everything is as
/// the target wants it.
pub(super) fn tell(ask: &Ask<'_>, facts: &Facts<'_>, target: &Target<'_>, is_so: bool) -> Parameters {
    let wanted = is_so.then_some(target.state);
    // What was noted may be any state.
    let state = wanted.filter(|_| !target.restores).or_else(|| state_of(facts, target.state)).or(wanted);
    let writes = state.and_then(|name| facts.state(name));
    let power = writes.and_then(|state| power(facts, state));
    match facts.group {
        BATTERY => {
            let power = match state {
                Some("idle") => Some(0.0),
                Some("charge") if ask.command == "set_battery_power" => power.map(|power| 0.0 - power),
                Some("charge" | "discharge") => power,
                _ => None,
            };
            told([("mode", state.map(Value::from)), ("power", power.map(Value::Number))])
        }
        "reserve" => {
            let soc = facts.state("soc").and_then(|state| quantity(facts, state, Quantity::Soc));
            told([("soc", soc.map(Value::Number))])
        }
        _ => {
            let limit = state == Some("limit");
            let rated = facts.rated.of(Rating::Power);
            let by_percent = facts.state("limit").and_then(|state| quantity(facts, state, Quantity::Percent));
            let by_power = power.zip(rated).map(|(power, rated)| power / rated * 100.0);
            told([
                ("enabled", state.map(|_| Value::Bool(limit))),
                ("power", power.filter(|_| limit).map(Value::Number)),
                ("percent", by_percent.or(by_power).filter(|_| limit).map(Value::Number)),
            ])
        }
    }
}

/// How far the limit goes that the registers show, W; none: they show none, or do not say.
pub(super) fn limit_of(facts: &Facts<'_>) -> Option<f64> {
    let limit = state_of(facts, "limit").filter(|state| *state == "limit")?;
    power(facts, facts.state(limit)?)
}

/// The state whose constants the registers show: the one that says most, else the wanted one.
fn state_of<'a>(facts: &Facts<'a>, wanted: &str) -> Option<&'a str> {
    let weighed = facts.setpoint.states.iter().filter_map(|(name, state)| {
        let constants = constants(facts, state)?;
        let forced = matches!(name.as_str(), "charge" | "discharge");
        let mut powers = state.writes.iter().filter(|write| !write.blind && is_power(write)).peekable();
        // States that differ in the sign alone look alike else.
        if forced && !powers.all(|write| shown(facts, write).is_some_and(|raw| raw * write.scale > 0.0)) {
            return None;
        }
        let says = constants > 0 || name == "limit" || forced && state.writes.iter().any(is_power);
        says.then_some(((constants, name == wanted), name.as_str()))
    });
    weighed.max_by_key(|(weight, _)| *weight).map(|(_, name)| name)
}

/// How many constants of a state there are, where all of them show; none where one does not.
fn constants(facts: &Facts<'_>, state: &State) -> Option<usize> {
    let mut count = 0;
    for (place, write) in state.writes.iter().enumerate() {
        let again = state.writes[place + 1..]
            .iter()
            .any(|later| later.register == write.register && later.mask == write.mask);
        if write.blind || write.trigger || again {
            continue;
        }
        let wanted = match (write.value, write.from) {
            (Some(value), _) => value,
            (None, Some(Quantity::Most)) => most(write, facts).ok()?,
            _ => continue,
        };
        let words = codec::registers(wanted, write.kind, write.order);
        let now = facts.shown.held(write.register, write.kind.registers())?;
        let mask = write.mask.unwrap_or(u16::MAX);
        if !now.iter().zip(&words).all(|(now, word)| (now ^ word) & mask == 0) {
            return None;
        }
        count += 1;
    }
    Some(count)
}

/// The power that a state's registers say, W, a magnitude.
fn power(facts: &Facts<'_>, state: &State) -> Option<f64> {
    let percent = || {
        let write = readable(state, Quantity::Percent)?;
        Some(codec::times(shown(facts, write)?, write.scale) / 100.0 * facts.rated.of(write.of)?)
    };
    let current = || Some(quantity(facts, state, Quantity::Current)? * facts.voltage?);
    quantity(facts, state, Quantity::Power).or_else(percent).or_else(current)
}

fn quantity(facts: &Facts<'_>, state: &State, from: Quantity) -> Option<f64> {
    let write = readable(state, from)?;
    Some(codec::times(shown(facts, write)?, write.scale))
}

fn readable(state: &State, from: Quantity) -> Option<&Write> {
    state.writes.iter().find(|write| write.from == Some(from) && !write.blind)
}

fn shown(facts: &Facts<'_>, write: &Write) -> Option<f64> {
    let mut words = facts.shown.held(write.register, write.kind.registers())?;
    if let ([word], Some(mask)) = (&mut words[..], write.mask) {
        *word &= mask;
    }
    codec::number(&words, write.kind, write.order)
}

pub(super) fn told<const N: usize>(values: [(&str, Option<Value>); N]) -> Parameters {
    let given = values.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
    Parameters(given.collect())
}
