//! `set_battery_mode` and `set_battery_power` on model 124: one computation for both.
//!
//! | mode | power | StorCtl_Mod | OutWRte | InWRte | ChaGriSet |
//! | --- | --- | --- | --- | --- | --- |
//! | auto | | 0 | 100 % | 100 % | as it was |
//! | hold | | 2: discharge limited | 0 | 100 % | as it was |
//! | hold_charge | | 1: charge limited | 100 % | 0 | as it was |
//! | charge | −x | 2 | −x % | 100 % | 1: from the grid too |
//! | discharge | +x | 1 | 100 % | −x % | as it was |
//! | idle | 0 | 3: both limited | 0 | 0 | as it was |
//!
//! Rates are parts of WChaMax; makers use it for both directions, 124 has no other. The rates are
//! written first and the mode last: the mode makes them count.

use adapter_api::{Parameters, Value};

use super::{Ask, Block, Lasting, Order, holds, implemented, parameters, runs_none, slack};
use crate::{
    codec::{scaled, signed, unscaled},
    sunspec::{
        devices::Limits,
        models::storage::{GRID_AT, IN_RATE_AT, MAX_CHARGE, MODE_AT, OUT_RATE_AT, RATE_SCALE_AT},
    },
    wanted::{Wanted, bounded},
};

const WINDOW_AT: u16 = 14;
const REVERT_AT: u16 = 15;
const RAMP_AT: u16 = 16;

const CHARGE_LIMITED: u16 = 1;
const DISCHARGE_LIMITED: u16 = 2;
const LIMITS: u16 = CHARGE_LIMITED | DISCHARGE_LIMITED;

/// Rates are int16.
const MAX_RATE: u16 = 32_767;

/// What the registers mean, in the words of the command; `limited` is what no command of ours sets.
pub(crate) fn mode(now: Block<'_>) -> Option<&'static str> {
    let (out, inward) = (rate(now, OUT_RATE_AT), rate(now, IN_RATE_AT));
    let by_rate = |rate: Option<i16>, stopped, forced| match rate {
        Some(0) => stopped,
        Some(rate) if rate < 0 => forced,
        _ => "limited",
    };
    match now.word(MODE_AT)? & LIMITS {
        0 => Some("auto"),
        DISCHARGE_LIMITED => Some(by_rate(out, "hold", "charge")),
        CHARGE_LIMITED => Some(by_rate(inward, "hold_charge", "discharge")),
        _ if (out, inward) == (Some(0), Some(0)) => Some("idle"),
        _ => Some("limited"),
    }
}

fn rate(now: Block<'_>, at: u16) -> Option<i16> {
    now.raw(at).and_then(signed)
}

/// How the device counts its rates.
#[derive(Debug, Clone, Copy)]
struct Scale {
    shift: i16,
    /// Raw 100 %.
    full: u16,
    /// W at 100 %.
    full_power: Option<f64>,
}

impl Scale {
    fn of(now: Block<'_>) -> Result<Self, String> {
        let shift =
            now.shift(RATE_SCALE_AT).ok_or("the device does not say the scale of its battery rates")?;
        let full = unscaled(100.0, shift, MAX_RATE).ok_or("the device cannot express a rate of 100 %")?;
        Ok(Self { shift, full, full_power: now.number(MAX_CHARGE).filter(|power| *power > 0.0) })
    }

    /// The rate that forces the other direction with this power.
    fn forced(self, word: &str, power: Option<f64>, limit: Option<f64>) -> Result<u16, String> {
        let full_power = self
            .full_power
            .ok_or("the device does not say its greatest battery power (124.WChaMax), so none can be set")?;
        let power = bounded(word, power, full_power, limit)?;
        let raw = unscaled(power / full_power * 100.0, self.shift, MAX_RATE).unwrap_or(0);
        if raw == 0 {
            let step = scaled(1.0, self.shift) / 100.0 * full_power;
            return Err(format!("`power` is below the device's step of {step} W"));
        }
        Ok(raw.wrapping_neg())
    }

    fn watts(self, rate: i16) -> Option<f64> {
        self.full_power.map(|full| scaled(f64::from(-rate), self.shift) / 100.0 * full)
    }

    /// The power that a mode with these rates stands for, as the command says it.
    fn told(self, command: &str, mode: Option<&str>, out: Option<i16>, inward: Option<i16>) -> Option<f64> {
        let sign = if command == "set_battery_power" { -1.0 } else { 1.0 };
        match mode? {
            "charge" => out.and_then(|rate| self.watts(rate)).map(|power| sign * power),
            "discharge" => inward.and_then(|rate| self.watts(rate)),
            "idle" => Some(0.0),
            _ => None,
        }
    }
}

/// What the command comes to. `kept` is the grid setting that an earlier `charge` replaced.
///
/// # Errors
/// In words, when this device cannot do it or may not.
pub(crate) fn order(
    ask: Ask<'_>,
    now: Block<'_>,
    limits: Limits,
    kept: Option<u16>,
) -> Result<Order, String> {
    let wanted = Wanted::of(ask.command, ask.parameters)?;
    let scale = Scale::of(now)?;
    let full = scale.full;
    let (mode_word, out, inward) = match wanted {
        Wanted::Auto => (0, full, full),
        Wanted::Hold => (DISCHARGE_LIMITED, 0, full),
        Wanted::HoldCharge => (CHARGE_LIMITED, full, 0),
        Wanted::Idle => (LIMITS, 0, 0),
        Wanted::Charge(power) => (DISCHARGE_LIMITED, scale.forced("charge", power, limits.charge)?, full),
        Wanted::Discharge(power) => {
            (CHARGE_LIMITED, full, scale.forced("discharge", power, limits.discharge)?)
        }
    };

    let charges = matches!(wanted, Wanted::Charge(_));
    let grid = now.word(GRID_AT);
    let restored = kept.filter(|_| !charges && grid.is_some());
    let from_grid = grid.and(if charges { Some(1) } else { restored });
    // The device's own control needs nothing that ends it.
    let revert = implemented(now, REVERT_AT, if wanted == Wanted::Auto { 0 } else { ask.seconds() });
    let mut rates = vec![out, inward, implemented(now, WINDOW_AT, 0), revert, implemented(now, RAMP_AT, 0)];
    rates.extend(from_grid);
    let writes = vec![(OUT_RATE_AT, rates), (MODE_AT, vec![mode_word])];

    let (shown_out, shown_in, shown) = (rate(now, OUT_RATE_AT), rate(now, IN_RATE_AT), mode(now));
    let close = |shown: Option<i16>, rate: u16| {
        shown.is_some_and(|shown| shown.abs_diff(rate as i16) <= slack(scale.shift))
    };
    let applied = now.word(MODE_AT).map(|word| word & LIMITS) == Some(mode_word)
        && (mode_word & DISCHARGE_LIMITED == 0 || close(shown_out, out))
        && (mode_word & CHARGE_LIMITED == 0 || close(shown_in, inward))
        // Whether charging may take from the grid is up to the device's own page as well.
        && restored.is_none_or(|restored| grid == Some(restored));
    let asked_power = scale.told(ask.command, Some(wanted.word()), Some(out as i16), Some(inward as i16));
    let told = |mode: Option<&str>, power: Option<f64>, grid: Option<u16>| -> Parameters {
        parameters([
            ("mode", mode.map(Value::from)),
            ("power", power.map(Value::Number)),
            ("grid_charging", grid.map(|on| Value::Bool(on == 1))),
        ])
    };
    Ok(Order {
        already: holds(now, &writes) && runs_none(revert),
        applied,
        requested: told(Some(wanted.word()), asked_power, restored),
        observed: told(
            shown,
            scale.told(ask.command, shown, shown_out, shown_in),
            grid.filter(|_| charges || restored.is_some()),
        ),
        writes,
        keep: grid.filter(|grid| charges && *grid != 1 && kept.is_none()).map(|grid| vec![grid]),
        lasting: match kept {
            Some(kept) if grid != Some(kept) && shown == Some("charge") => Lasting::Held,
            Some(kept) if grid != Some(kept) => Lasting::Other,
            _ => Lasting::AsNoted,
        },
        forgets: kept.is_some() && !charges,
    })
}

#[cfg(test)]
mod tests;
