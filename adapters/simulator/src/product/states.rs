//! Which state of a setpoint its registers mean, and what that is in watts. Pure.
//!
//! A state is meant when all of its constants stand in the registers (under their masks) and its quantities are
//! possible: not beyond their ends, a magnitude not below zero. The one with the most constants is meant most. Where
//! all registers are as the device came from the factory, it is `auto` or `off`; so is a state of that name without
//! constants nowhere else.

use std::{collections::BTreeMap, time::Duration};

use adapter_api::profile::{Quantity, Rating, Setpoint, State, Write};

use super::registers::{decoded, encoded};
use crate::plant::{BATTERY_W, RATED_W};

/// Holding registers that can be written, by address.
pub(super) type Memory = BTreeMap<u16, u16>;

/// The states in which a device does as it likes.
pub(super) const SAFE: [&str; 2] = ["auto", "off"];

/// The state that the registers mean; none when they mean nothing, as between two writes.
pub(super) fn meant<'a>(setpoint: &'a Setpoint, memory: &Memory, factory: &Memory) -> Option<&'a str> {
    let mut registers = setpoint.writes().flat_map(addresses);
    let untouched = registers.all(|at| memory.get(&at) == factory.get(&at));
    let safe = SAFE.iter().find_map(|name| setpoint.states.get_key_value(*name));
    if let Some((name, _)) = safe.filter(|_| untouched) {
        return Some(name);
    }
    let fitting = setpoint.states.iter().filter_map(|(name, state)| {
        let constants = weight(state, memory)?;
        (constants > 0 || !SAFE.contains(&name.as_str())).then_some((constants, name))
    });
    // Of two that are meant as much it is not the one in which nothing is told.
    let by = |(constants, name): &(usize, &String)| (*constants, !SAFE.contains(&name.as_str()));
    fitting.max_by_key(by).map(|(_, name)| name.as_str())
}

/// Least and greatest battery power of a state that is told `watts` of `most`, W; none: as it likes.
pub(super) fn window(state: &str, watts: i64, most: i64) -> Option<(i64, i64)> {
    Some(match state {
        "hold" => (-most, 0),
        "hold_charge" => (0, most),
        "idle" => (0, 0),
        "charge" => (-watts, -watts),
        "discharge" => (watts, watts),
        _ => return None,
    })
}

/// Which states hold the battery back, because what they wrote and wears out still stands, although another one is in
/// force.
pub(super) fn left_behind<'a>(setpoint: &'a Setpoint, in_force: &str, memory: &Memory) -> Vec<&'a str> {
    let writes = |state: &str| setpoint.states.get(state).map_or(&[][..], |state| &state.writes);
    let stands = |write: &Write| {
        constant(write).is_some_and(|wanted| (wanted ^ bits(write, memory)) & masked(write) == 0)
    };
    let overruled = |write: &Write| writes(in_force).iter().any(|other| other.register == write.register);
    let common = |write: &Write| {
        let same = |other: &Write| other.register == write.register && constant(other) == constant(write);
        ["auto", "charge", "discharge"].iter().any(|state| writes(state).iter().any(same))
    };
    let holds = |state: &str| {
        let wearing = writes(state).iter().filter(|write| setpoint.wears(write) && constant(write).is_some());
        let mut own = wearing.filter(|write| !overruled(write) && !common(write)).peekable();
        own.peek().is_some() && own.all(stands)
    };
    let states = setpoint.states.keys().map(String::as_str);
    states.filter(|state| ["hold", "hold_charge", "idle"].contains(state) && holds(state)).collect()
}

/// How many of its constants stand there; none where one does not, or a quantity cannot be.
fn weight(state: &State, memory: &Memory) -> Option<usize> {
    let mut constants = 0;
    for (place, write) in state.writes.iter().enumerate() {
        // Of a register that is written twice, the last value is what stands there.
        let same = |later: &Write| later.register == write.register && later.mask == write.mask;
        if state.writes[place + 1..].iter().any(same) {
            continue;
        }
        match constant(write) {
            Some(wanted) => {
                if (wanted ^ bits(write, memory)) & masked(write) != 0 {
                    return None;
                }
                constants += 1;
            }
            None if !possible(write, memory) => return None,
            None => {}
        }
    }
    Some(constants)
}

/// The raw bits of a write that does not depend on the command.
pub(super) fn constant(write: &Write) -> Option<u64> {
    let raw = match (write.value, write.from) {
        (Some(raw), _) => raw as f64,
        (None, Some(Quantity::Most)) => full(write.of) / write.scale,
        _ => return None,
    };
    Some(encoded(write.kind, raw.trunc()))
}

/// The bits that a write changes.
pub(super) fn masked(write: &Write) -> u64 {
    write.mask.map_or(u64::MAX >> (64 - 16 * write.kind.registers()), u64::from)
}

fn possible(write: &Write, memory: &Memory) -> bool {
    let raw = raw(write, memory);
    let within =
        write.min.is_none_or(|min| raw >= min as f64) && write.max.is_none_or(|max| raw <= max as f64);
    let taken = write.otherwise.is_some_and(|otherwise| raw == otherwise as f64);
    (within || taken) && raw * write.scale >= 0.0
}

/// The number in a write's registers.
pub(super) fn raw(write: &Write, memory: &Memory) -> f64 {
    let bits = bits(write, memory);
    match write.mask {
        Some(_) => (bits & masked(write)) as f64,
        None => decoded(write.kind, bits),
    }
}

fn bits(write: &Write, memory: &Memory) -> u64 {
    let join = |bits: u64, at: &u16| bits << 16 | u64::from(memory.get(at).copied().unwrap_or_default());
    let registers = addresses(write);
    match write.order {
        adapter_api::profile::WordOrder::Big => registers.iter().fold(0, join),
        adapter_api::profile::WordOrder::Little => registers.iter().rev().fold(0, join),
    }
}

/// The registers of a write.
pub(super) fn addresses(write: &Write) -> Vec<u16> {
    (write.register..=u16::MAX).take(write.kind.registers().into()).collect()
}

/// What a percentage is a part of, W.
pub(super) fn full(of: Rating) -> f64 {
    match of {
        Rating::Power => f64::from(RATED_W),
        Rating::Charge | Rating::Discharge => f64::from(BATTERY_W),
    }
}

/// The power that a state's registers say, W, a magnitude; none where it says none.
pub(super) fn watts(state: &State, memory: &Memory, volts: f64) -> Option<f64> {
    let of = |quantity: Quantity| {
        let write = state.writes.iter().find(|write| write.from == Some(quantity))?;
        let told = (raw(write, memory) * write.scale).abs();
        Some(match quantity {
            Quantity::Percent => told / 100.0 * full(write.of),
            Quantity::Current => told * volts,
            _ => told,
        })
    };
    [Quantity::Power, Quantity::Percent, Quantity::Current].into_iter().find_map(of)
}

/// What a state says about the content, %.
pub(super) fn soc(state: &State, memory: &Memory) -> Option<f64> {
    let write = state.writes.iter().find(|write| write.from == Some(Quantity::Soc))?;
    Some(raw(write, memory) * write.scale)
}

/// How long the device holds a state by itself; none: until it is told otherwise.
pub(super) fn holds_for(setpoint: &Setpoint, name: &str, memory: &Memory) -> Option<Duration> {
    let timer = setpoint.timer.filter(|_| !SAFE.contains(&name))?;
    if timer.fixed {
        return Some(timer.longest.0);
    }
    let writes = &setpoint.states.get(name)?.writes;
    let write = writes.iter().find(|write| write.from == Some(Quantity::Timer))?;
    let seconds = raw(write, memory) * write.scale;
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds))
}
