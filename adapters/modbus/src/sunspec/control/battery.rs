//! `set_battery_mode` on model 124.
//!
//! | mode | StorCtl_Mod | OutWRte | InWRte | ChaGriSet |
//! | --- | --- | --- | --- | --- |
//! | auto | 0 | 100 % | 100 % | as it was |
//! | hold | 2: discharge limited | 0 | 100 % | as it was |
//! | hold_charge | 1: charge limited | 100 % | 0 | as it was |
//! | charge | 2 | −x % | 100 % | 1: from the grid too |
//! | discharge | 1 | 100 % | −x % | as it was |
//!
//! Rates are parts of WChaMax; makers use it for both directions, 124 has no other. The rates are
//! written first and the mode last: the mode makes them count.

use adapter_api::{Parameters, Value};

use super::{Block, Order, holds, implemented, parameters};
use crate::{
    codec::{scaled, signed, unscaled},
    sunspec::{
        devices::Limits,
        models::storage::{GRID_AT, IN_RATE_AT, MAX_CHARGE, MODE_AT, OUT_RATE_AT, RATE_SCALE_AT},
    },
};

const WINDOW_AT: u16 = 14;
const REVERT_AT: u16 = 15;
const RAMP_AT: u16 = 16;

const CHARGE_LIMITED: u16 = 1;
const DISCHARGE_LIMITED: u16 = 2;
const LIMITS: u16 = CHARGE_LIMITED | DISCHARGE_LIMITED;

/// Seconds until the device goes back to automatic by itself. Every mode but auto sets it, so that
/// no shorter one that another tool left stays, and so that the device is free again when the
/// gateway is dead. As long as a battery command holds when it does not say.
const REVERT: u16 = 3600;

/// Rates are int16.
const MAX_RATE: u16 = 32_767;

/// What the registers mean, in the words of the command; `limited` is what no mode of ours sets.
pub(crate) fn mode(now: Block<'_>) -> Option<&'static str> {
    let (out, inward) = (now.raw(OUT_RATE_AT).and_then(signed), now.raw(IN_RATE_AT).and_then(signed));
    let by_rate = |rate: Option<i16>, stopped, forced| match rate {
        Some(0) => stopped,
        Some(rate) if rate < 0 => forced,
        _ => "limited",
    };
    match now.word(MODE_AT)? & LIMITS {
        0 => Some("auto"),
        DISCHARGE_LIMITED => Some(by_rate(out, "hold", "charge")),
        CHARGE_LIMITED => Some(by_rate(inward, "hold_charge", "discharge")),
        _ => Some("limited"),
    }
}

/// What the command comes to. `kept` is the grid setting that an earlier `charge` replaced.
///
/// # Errors
/// In words, when this device cannot do it or may not.
pub(crate) fn order(
    asked: &Parameters,
    now: Block<'_>,
    limits: Limits,
    kept: Option<u16>,
) -> Result<Order, String> {
    let wanted = asked.word("mode").ok_or("say `mode`")?;
    let shift = now.shift(RATE_SCALE_AT).ok_or("the device does not say the scale of its battery rates")?;
    let full = unscaled(100.0, shift, MAX_RATE).ok_or("the device cannot express a rate of 100 %")?;
    let full_power = now.number(MAX_CHARGE).filter(|power| *power > 0.0);
    let forced = |key: &str, limit: Option<f64>| -> Result<u16, String> {
        let full_power = full_power
            .ok_or("the device does not say its greatest battery power (124.WChaMax), so none can be set")?;
        let most = limit.map_or(full_power, |limit| limit.min(full_power));
        let power = match asked.number("power") {
            Some(power) if power > 0.0 && power <= most => power,
            Some(power) => {
                return Err(format!(
                    "`power` must be above 0 and at most {most} W for `{wanted}`, not {power}"
                ));
            }
            None if limit.is_some() => most,
            None => return Err(format!("say `power`, or set `{key}` for the device in the configuration")),
        };
        let raw = unscaled(power / full_power * 100.0, shift, MAX_RATE).unwrap_or(0);
        if raw == 0 {
            let step = scaled(1.0, shift) / 100.0 * full_power;
            return Err(format!("`power` is below the device's step of {step} W"));
        }
        Ok(raw)
    };
    let (mode_word, out, inward) = match wanted {
        "auto" => (0, full, full),
        "hold" => (DISCHARGE_LIMITED, 0, full),
        "hold_charge" => (CHARGE_LIMITED, full, 0),
        "charge" => (DISCHARGE_LIMITED, forced("charge_power", limits.charge)?.wrapping_neg(), full),
        "discharge" => (CHARGE_LIMITED, full, forced("discharge_power", limits.discharge)?.wrapping_neg()),
        other => {
            return Err(format!(
                "`{other}` is no mode; allowed are auto, hold, hold_charge, charge, discharge"
            ));
        }
    };

    let grid = now.word(GRID_AT);
    let from_grid = match (wanted, grid) {
        (_, None) => None,
        ("charge", Some(_)) => Some(1),
        (_, Some(_)) => kept,
    };
    let revert = implemented(now, REVERT_AT, if wanted == "auto" { 0 } else { REVERT });
    let mut rates = vec![out, inward, implemented(now, WINDOW_AT, 0), revert, implemented(now, RAMP_AT, 0)];
    rates.extend(from_grid);
    let writes = vec![(OUT_RATE_AT, rates), (MODE_AT, vec![mode_word])];

    let shown_mode = now.word(MODE_AT).map(|word| word & LIMITS);
    let close = |at: u16, rate: u16| {
        let shown = now.raw(at).and_then(signed);
        shown.is_some_and(|shown| shown.abs_diff(rate as i16) <= 1)
    };
    let applied = shown_mode == Some(mode_word)
        && match mode_word {
            DISCHARGE_LIMITED => close(OUT_RATE_AT, out),
            CHARGE_LIMITED => close(IN_RATE_AT, inward),
            _ => true,
        };
    let watts =
        |rate: i16| full_power.map(|full| Value::Number(scaled(f64::from(-rate), shift) / 100.0 * full));
    let power_of = |mode: Option<&str>, out: Option<i16>, inward: Option<i16>| match mode {
        Some("charge") => out.and_then(watts),
        Some("discharge") => inward.and_then(watts),
        _ => None,
    };
    let shown = mode(now);
    let shown_power =
        power_of(shown, now.raw(OUT_RATE_AT).and_then(signed), now.raw(IN_RATE_AT).and_then(signed));
    Ok(Order {
        already: holds(now, &writes) && matches!(revert, 0 | 0xFFFF),
        applied,
        requested: parameters([
            ("mode", Some(Value::from(wanted))),
            ("power", power_of(Some(wanted), Some(out as i16), Some(inward as i16))),
        ]),
        observed: parameters([
            ("mode", shown.map(Value::from)),
            ("power", shown_power),
            // The device's own page can forbid what was written here.
            ("grid_charging", (wanted == "charge").then_some(grid).flatten().map(|on| Value::Bool(on == 1))),
        ]),
        writes,
        keep: grid.filter(|grid| wanted == "charge" && *grid != 1 && kept.is_none()),
        restores: kept.is_some() && wanted != "charge",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITED: Limits = Limits { charge: Some(3000.0), discharge: None, rated: None };

    /// Mode, out and in rate, revert time, grid; 5000 W, rates in 0.01 %.
    fn block(mode: u16, out: i16, inward: i16, revert: u16, grid: u16) -> Vec<u16> {
        let mut words = vec![0; 26];
        words[..3].copy_from_slice(&[124, 24, 5000]);
        words[5] = mode;
        words[12..18].copy_from_slice(&[out as u16, inward as u16, 0, revert, 0, grid]);
        words[25] = 0xFFFE;
        words
    }

    fn asked(mode: &str, power: Option<f64>) -> Parameters {
        parameters([("mode", Some(Value::from(mode))), ("power", power.map(Value::Number))])
    }

    fn auto() -> Vec<u16> {
        block(0, 10_000, 10_000, 0, 0)
    }

    #[test]
    fn each_mode_is_the_row_of_the_table_with_the_enabling_write_last() {
        let words = auto();
        let writes = |mode: &str, power| {
            order(&asked(mode, power), Block(&words), Limits::default(), None).unwrap().writes
        };
        let negative = |rate: i16| (-rate) as u16;
        assert_eq!(writes("auto", None), [(12, vec![10_000, 10_000, 0, 0, 0]), (5, vec![0])]);
        assert_eq!(writes("hold", None), [(12, vec![0, 10_000, 0, 3600, 0]), (5, vec![2])]);
        assert_eq!(writes("hold_charge", None), [(12, vec![10_000, 0, 0, 3600, 0]), (5, vec![1])]);
        assert_eq!(
            writes("charge", Some(2000.0)),
            [(12, vec![negative(4000), 10_000, 0, 3600, 0, 1]), (5, vec![2])]
        );
        assert_eq!(
            writes("discharge", Some(1000.0)),
            [(12, vec![10_000, negative(2000), 0, 3600, 0]), (5, vec![1])]
        );
    }

    #[test]
    fn what_a_mode_writes_reads_back_as_that_mode() {
        for (wanted, power) in [
            ("auto", None),
            ("hold", None),
            ("hold_charge", None),
            ("charge", Some(2000.0)),
            ("discharge", Some(500.0)),
        ] {
            let mut words = auto();
            let before = order(&asked(wanted, power), Block(&words), Limits::default(), None).unwrap();
            assert_eq!(before.applied, wanted == "auto");
            for (at, written) in &before.writes {
                words[usize::from(*at)..][..written.len()].copy_from_slice(written);
            }
            let after = order(&asked(wanted, power), Block(&words), Limits::default(), None).unwrap();
            assert!(after.applied, "{wanted}");
            assert_eq!(after.already, wanted == "auto", "a running timer is to be set anew: {wanted}");
            assert_eq!((mode(Block(&words)), after.observed.number("power")), (Some(wanted), power));
            assert_eq!(after.requested.word("mode"), Some(wanted));
        }
    }

    #[test]
    fn power_comes_from_the_command_or_the_key_and_never_exceeds_key_or_device() {
        let words = auto();
        let ask = |mode: &str, power, limits| order(&asked(mode, power), Block(&words), limits, None);
        assert_eq!(ask("charge", None, LIMITED).unwrap().requested.number("power"), Some(3000.0));
        let beyond = Limits { charge: Some(9000.0), ..LIMITED };
        assert_eq!(ask("charge", None, beyond).unwrap().requested.number("power"), Some(5000.0));
        assert!(ask("charge", Some(3001.0), LIMITED).unwrap_err().contains("at most 3000 W"));
        assert!(ask("discharge", Some(5001.0), LIMITED).unwrap_err().contains("at most 5000 W"));
        assert!(ask("discharge", Some(0.0), LIMITED).unwrap_err().contains("above 0"));
        assert!(ask("discharge", None, LIMITED).unwrap_err().contains("`discharge_power`"));
        assert!(ask("charge", Some(0.1), LIMITED).unwrap_err().contains("step of 0.5 W"));
        assert!(ask("sleep", None, LIMITED).unwrap_err().contains("hold_charge"));
    }

    #[test]
    fn a_device_that_does_not_say_its_power_can_still_be_held() {
        let mut words = auto();
        words[2] = 0xFFFF;
        assert!(order(&asked("hold", None), Block(&words), LIMITED, None).is_ok());
        assert!(order(&asked("charge", None), Block(&words), LIMITED, None).unwrap_err().contains("WChaMax"));
        words[25] = 0x8000;
        assert!(order(&asked("hold", None), Block(&words), LIMITED, None).unwrap_err().contains("scale"));
    }

    #[test]
    fn grid_charging_is_kept_before_it_is_switched_on_and_restored_by_every_other_mode() {
        let words = auto();
        let charge = order(&asked("charge", None), Block(&words), LIMITED, None).unwrap();
        assert_eq!((charge.keep, charge.restores), (Some(0), false));
        let words = block(2, -4000, 10_000, 3600, 1);
        let again = order(&asked("charge", None), Block(&words), LIMITED, Some(0)).unwrap();
        assert_eq!(again.keep, None, "the first value is the one to go back to");
        let auto = order(&asked("auto", None), Block(&words), LIMITED, Some(0)).unwrap();
        assert_eq!(auto.writes[0].1.last(), Some(&0));
        assert!(auto.restores);
        let mut words = words;
        words[17] = 0xFFFF;
        let without = order(&asked("charge", None), Block(&words), LIMITED, None).unwrap();
        assert_eq!((without.writes[0].1.len(), without.keep), (5, None), "the device has no such setting");
    }

    #[test]
    fn a_device_without_a_revert_timer_keeps_its_sentinel_and_needs_no_rewrite() {
        let words = block(2, 0, 10_000, 0xFFFF, 0);
        let hold = order(&asked("hold", None), Block(&words), LIMITED, None).unwrap();
        assert_eq!(hold.writes[0].1[3], 0xFFFF);
        assert!(hold.already);
    }

    #[test]
    fn what_another_tool_set_is_called_limited() {
        assert_eq!(mode(Block(&block(3, 0, 0, 0, 0))), Some("limited"));
        assert_eq!(mode(Block(&block(2, 5000, 10_000, 0, 0))), Some("limited"));
        assert_eq!(mode(Block(&block(0xFFFF, 0, 0, 0, 0))), None);
    }
}
