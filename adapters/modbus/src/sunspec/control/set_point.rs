//! `set_battery_mode` and `set_battery_power` on model 704: one set point for the whole inverter.
//!
//! | mode | power | WSetEna, last | WSet or WSetPct | revert: WSetRvrt, WSetEnaRvrt | WSetRvrtTms |
//! | --- | --- | --- | --- | --- | --- |
//! | auto | | 0, first | as it was | 0 | 0 |
//! | charge | −x | 1 | −x | 0 | the lease's timer |
//! | discharge | +x | 1 | +x | 0 | the lease's timer |
//! | idle | 0 | 1 | 0 | 0 | the lease's timer |
//!
//! In W (WSetMod 1), where the device has WSet, else in percent of 702.WMax (WSetMod 0). The other of the two is
//! never written. `hold` and `hold_charge` limit one direction, which no set point can say. The set point is the
//! inverter's AC side: what the sun adds to the same inverter comes on top of a charge.

mod unit;

use adapter_api::{Parameters, Value};

use self::unit::{NO_WATTS, PERCENT_AT, UNIT_AT, UNUSABLE, Unit};
use super::{
    Ask, Block, Capacity, Lasting, Order, holds, implemented, implemented_long, long, long_runs_none,
    parameters, timer_runs, words,
};
use crate::{
    sunspec::devices::Limits,
    wanted::{Wanted, bounded},
};

const ENABLED_AT: u16 = 22;
const REVERT_WATTS_AT: u16 = 26;
const REVERT_PERCENT_AT: u16 = 29;
const REVERT_ENABLED_AT: u16 = 30;
const REVERT_AT: u16 = 31;
const REMAINING_AT: u16 = 33;

const NONE: &str = "the device has no set point (704.WSetEna)";

/// The words of `set_battery_mode` that a set point can say.
pub(crate) const MODES: [&str; 3] = ["auto", "charge", "discharge"];

/// Has the device a set point?
pub(crate) fn exists(now: Block<'_>) -> bool {
    now.word(ENABLED_AT).is_some()
}

/// What the registers mean, in the words of the command.
pub(crate) fn mode(now: Block<'_>) -> Option<&'static str> {
    if now.word(ENABLED_AT)? != 1 {
        return Some("auto");
    }
    let unit = Unit::shown(now)?;
    Some(word(unit.raw(now)?))
}

/// The set point that holds now, W, and for how many seconds more where a timer ends it.
pub(crate) fn in_force(now: Block<'_>, capacity: Capacity) -> (Option<f64>, Option<f64>) {
    if now.word(ENABLED_AT) != Some(1) {
        return (None, None);
    }
    let power = Unit::shown(now).and_then(|unit| unit.watts(unit.raw(now)?, now, capacity));
    let remaining = long(now, REMAINING_AT).filter(|seconds| *seconds != u32::MAX);
    (power, remaining.filter(|_| timer_runs(now, REVERT_AT, REMAINING_AT)).map(f64::from))
}

fn word(raw: i32) -> &'static str {
    match raw {
        0 => "idle",
        1.. => "discharge",
        _ => "charge",
    }
}

/// The unit to say it in. One register at a time would tear a value of two: the half-written one may be any power.
fn chosen(now: Block<'_>, capacity: Capacity, singly: bool) -> Result<Unit, String> {
    let usable = |unit: &Unit| unit.step(now, capacity).is_some() && !(singly && *unit == Unit::Watts);
    match Unit::all(now).find(usable) {
        Some(unit) => Ok(unit),
        None if singly => {
            Err(format!("{UNUSABLE}; it takes one register at a time, so only WSetPct can be used"))
        }
        None => Err(UNUSABLE.to_owned()),
    }
}

/// What the command comes to. `singly`: the device takes one register at a time.
///
/// # Errors
/// In words, when this device cannot do it or may not.
pub(crate) fn order(
    ask: Ask<'_>,
    now: Block<'_>,
    limits: Limits,
    capacity: Capacity,
    singly: bool,
) -> Result<Order, String> {
    let wanted = Wanted::of(ask.command, ask.parameters)?;
    let enabled = now.word(ENABLED_AT).ok_or(NONE)? == 1;
    let forced = |power, most: Option<f64>, limit: Option<f64>| -> Result<(Unit, i32), String> {
        let unit = chosen(now, capacity, singly)?;
        let most = most.or(limit).ok_or_else(|| {
            format!(
                "neither the device (702) nor `{0}_power` in the configuration says how much it may {0}",
                wanted.word()
            )
        })?;
        let power = bounded(wanted.word(), power, most, limit)?;
        Ok((unit, unit.magnitude(power, now, capacity)?))
    };
    let asked = match wanted {
        Wanted::Auto => None,
        Wanted::Idle => Some((chosen(now, capacity, singly)?, 0)),
        Wanted::Charge(power) => {
            let (unit, raw) = forced(power, capacity.charge(), limits.charge)?;
            Some((unit, -raw))
        }
        Wanted::Discharge(power) => Some(forced(power, capacity.discharge(), limits.discharge)?),
        Wanted::Hold | Wanted::HoldCharge => {
            let (word, allowed) = (wanted.word(), MODES.join(", "));
            return Err(format!(
                "a set point of the whole inverter (704.WSet) cannot say `{word}`; allowed are {allowed}"
            ));
        }
    };
    // The device's own control needs nothing that ends it.
    let timer = implemented_long(now, REVERT_AT, asked.map_or(0, |_| ask.long_seconds()));
    let revert = [&[implemented(now, REVERT_ENABLED_AT, 0)][..], &timer].concat();
    let writes = match asked {
        // Off first: a set point without its timer would stay for ever if nothing more were taken.
        None => {
            let left = (REVERT_ENABLED_AT, revert);
            let is_clear = holds(now, std::slice::from_ref(&left));
            [Some((ENABLED_AT, vec![0])), Some(left).filter(|_| !is_clear)].into_iter().flatten().collect()
        }
        Some((unit, raw)) => set(now, unit, raw, revert),
    };

    let comes_back = timer_runs(now, REVERT_AT, REMAINING_AT) && now.word(REVERT_ENABLED_AT) == Some(1);
    let shown = Unit::shown(now).filter(|_| enabled);
    let value = shown.and_then(|unit| Some((unit, unit.raw(now)?)));
    let applied = match asked {
        None => !enabled && !comes_back,
        Some((unit, raw)) => value.is_some_and(|(shown, value)| {
            let close = value.abs_diff(raw) <= unit.slack(now) && value.signum() == raw.signum();
            shown == unit && close
        }),
    };
    let told = |mode: Option<&str>, value: Option<(Unit, i32)>| -> Parameters {
        let power = value.and_then(|(unit, raw)| unit.watts(raw, now, capacity));
        let signed = ask.command == "set_battery_power";
        // Not "-0".
        let power = power.map(|power| if signed { power } else { power.abs() } + 0.0);
        parameters([("mode", mode.map(Value::from)), ("power", power.map(Value::Number))])
    };
    Ok(Order {
        already: holds(now, &writes) && long_runs_none(timer),
        applied,
        requested: told(Some(wanted.word()), asked),
        observed: told(mode(now), value),
        writes,
        keep: None,
        lasting: Lasting::AsNoted,
        forgets: false,
    })
}

/// The writes of a set point: what ends it, the value with the unit that it is said in, and the enable last. A unit
/// that is written alone comes after its value, for the old value would count in the new unit.
fn set(now: Block<'_>, unit: Unit, raw: i32, revert: Vec<u16>) -> Vec<(u16, Vec<u16>)> {
    let mut writes = match unit {
        Unit::Watts => {
            let back = if long(now, REVERT_WATTS_AT) == Some(NO_WATTS) { NO_WATTS } else { 0 };
            let value = [&[implemented(now, UNIT_AT, 1)][..], &words(raw as u32), &words(back)].concat();
            vec![(REVERT_ENABLED_AT, revert), (UNIT_AT, value)]
        }
        Unit::Percent => {
            let back = now.raw(REVERT_PERCENT_AT).filter(|word| *word == 0x8000).unwrap_or(0);
            let value = [&[raw as u16, back][..], &revert].concat();
            let named = matches!(now.raw(UNIT_AT), Some(0 | 0xFFFF));
            let name = Some((UNIT_AT, vec![0])).filter(|_| !named);
            [(PERCENT_AT, value)].into_iter().chain(name).collect()
        }
    };
    writes.push((ENABLED_AT, vec![1]));
    writes
}

#[cfg(test)]
mod tests;
