//! Quantities of a command → raw values, as the device counts them. Pure.

use adapter_api::profile::{Quantity, Rating, Write};

use super::target::{Ask, Facts, Target, no_rating};

/// 2000 W of 5000 W in steps of 0.01 % may be 3999.9999999999995.
const ROUNDING: f64 = 1e-6;
/// A current follows from the battery's voltage, which moves when the battery is told to: as far as this
/// part of it, what is shown is what was written.
const DRIFT: f64 = 0.1;

/// A raw value, and how far from it what is shown may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw {
    pub value: i64,
    pub slack: i64,
}

impl Raw {
    fn exact(value: i64) -> Self {
        Self { value, slack: 0 }
    }
}

/// The raw value of a write.
///
/// # Errors
/// In words, when the device cannot express it, or nobody knows what it needs.
pub(super) fn raw(
    write: &Write,
    ask: &Ask<'_>,
    facts: &Facts<'_>,
    target: &Target<'_>,
) -> Result<Raw, String> {
    let Some(from) = write.from else { return Ok(Raw::exact(write.value.unwrap_or_default())) };
    let (name, unit, quantity) = match from {
        Quantity::Timer => return Ok(Raw::exact(timer(write, ask, facts))),
        Quantity::Most => return most(write, facts).map(Raw::exact),
        Quantity::Power => ("power", "W", power(target)),
        Quantity::Percent => ("power", "%", percent(write, facts, target)?),
        Quantity::Current => ("power", "A", current(facts, target)?),
        Quantity::Soc if ask.command == "set_reserve" => ("soc", "%", target.soc),
        Quantity::Soc => ("until_soc", "%", target.soc),
    };
    let Some(quantity) = quantity else {
        return match (write.otherwise, from) {
            (Some(raw), _) => Ok(Raw::exact(raw)),
            (None, Quantity::Power) if target.percent.is_some() => Err(no_rating(Rating::Power)),
            (None, _) => Err(format!("say `{name}`")),
        };
    };
    let exact = quantity / write.scale;
    let value = (exact.abs() + ROUNDING).floor().copysign(exact) as i64;
    if value == 0 && quantity > 0.0 && target.state != "limit" && from != Quantity::Soc {
        return Err(format!("`{name}` is below the device's step of {} {unit}", write.scale.abs()));
    }
    let (least, greatest) = range(write);
    if !(least..=greatest).contains(&value) {
        let ends = [least, greatest].map(|raw| raw as f64 * write.scale);
        let (from, to) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        return Err(format!("`{name}` must come to {from} to {to} {unit} on this device, not {quantity}"));
    }
    let is_rounded = (exact - value as f64).abs() > ROUNDING;
    let drift = if from == Quantity::Current { (exact.abs() * DRIFT).ceil() as i64 } else { 0 };
    Ok(Raw { value, slack: drift.max(i64::from(is_rounded)) })
}

/// Least and greatest raw value that may be written: also where the profile says more, no more than the mask
/// lets through.
fn range(write: &Write) -> (i64, i64) {
    let (least, greatest) = match write.mask {
        Some(mask) => (0, i64::from(mask)),
        None => write.kind.bounds(),
    };
    let (min, max) = (write.min.unwrap_or(least), write.max.unwrap_or(greatest));
    (min.max(least), max.min(greatest))
}

/// Whole steps, never shorter than asked for unless the device holds nothing for so long.
fn timer(write: &Write, ask: &Ask<'_>, facts: &Facts<'_>) -> i64 {
    let (least, greatest) = range(write);
    let Some(timer) = ask.timer else { return write.otherwise.unwrap_or_else(|| 0.clamp(least, greatest)) };
    let longest = facts.setpoint.timer.map_or(timer, |own| own.longest.0);
    let steps = timer.min(longest).as_secs_f64() / write.scale;
    ((steps - ROUNDING).ceil() as i64).max(1).clamp(least, greatest)
}

/// As far as the device goes.
pub(super) fn most(write: &Write, facts: &Facts<'_>) -> Result<i64, String> {
    let (least, greatest) = range(write);
    match (facts.rated.of(write.of), write.max) {
        (Some(rated), _) => Ok((((rated / write.scale).abs() + ROUNDING).floor().copysign(write.scale)
            as i64)
            .clamp(least, greatest)),
        (None, Some(most)) => Ok(most),
        (None, None) => Err(no_rating(write.of)),
    }
}

fn power(target: &Target<'_>) -> Option<f64> {
    target.power
}

fn percent(write: &Write, facts: &Facts<'_>, target: &Target<'_>) -> Result<Option<f64>, String> {
    match (target.percent, target.power) {
        (Some(percent), _) => Ok(Some(percent)),
        (None, None) => Ok(None),
        (None, Some(power)) => {
            let rated = facts.rated.of(write.of).ok_or_else(|| no_rating(write.of))?;
            let percent = power / rated * 100.0;
            if percent > 100.0 + ROUNDING {
                return Err(format!("`power` must be at most {rated} W, not {power}"));
            }
            Ok(Some(percent))
        }
    }
}

fn current(facts: &Facts<'_>, target: &Target<'_>) -> Result<Option<f64>, String> {
    let Some(power) = target.power else { return Ok(None) };
    let voltage = facts.voltage.filter(|voltage| *voltage > 0.0 && voltage.is_finite());
    let voltage =
        voltage.ok_or("the device does not say the voltage of its battery now, which a current needs")?;
    Ok(Some(power / voltage))
}
