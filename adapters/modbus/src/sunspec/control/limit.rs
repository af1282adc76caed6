//! `set_power_limit` on model 123: one write of value, timers and enable, side by side.

use adapter_api::{Parameters, Value};

use super::{Block, Order, holds, implemented, parameters};
use crate::{
    codec::{scaled, unscaled},
    sunspec::models::immediate::{LIMIT_AT, LIMIT_ENABLED_AT, LIMIT_SCALE_AT},
};

/// Offsets of the window, revert and ramp times: at once, for good, without a ramp.
const TIMERS: [u16; 3] = [6, 7, 8];

/// What the command comes to. `rated` is 121.WMax, W.
///
/// # Errors
/// In words, when this device cannot do it.
pub(crate) fn order(asked: &Parameters, now: Block<'_>, rated: Option<f64>) -> Result<Order, String> {
    let shift = now.shift(LIMIT_SCALE_AT).ok_or("the device does not say the scale of its power limit")?;
    let raw = |percent: f64| {
        unscaled(percent, shift, 0xFFFE).ok_or_else(|| format!("the device cannot express {percent} %"))
    };
    let shown = now.word(LIMIT_AT);
    let (limit, enabled) = if let Some(percent) = asked.number("percent") {
        if !(0.0..=100.0).contains(&percent) {
            return Err(format!("`percent` must be 0 to 100, not {percent}"));
        }
        (raw(percent)?, true)
    } else if let Some(power) = asked.number("power") {
        let rated = rated.ok_or("the device does not say what its limit refers to: use `percent`")?;
        if !(0.0..=rated).contains(&power) {
            return Err(format!("`power` must be 0 to {rated} W, not {power}"));
        }
        (raw(power / rated * 100.0)?, true)
    } else {
        match asked.bool("enabled") {
            Some(true) => (shown.map_or_else(|| raw(100.0), Ok)?, true),
            Some(false) => (raw(100.0)?, false),
            None => return Err("say one of `power`, `percent` and `enabled`".to_owned()),
        }
    };
    let mut words = vec![limit];
    words.extend(TIMERS.map(|at| implemented(now, at, 0)));
    words.push(u16::from(enabled));
    let writes = vec![(LIMIT_AT, words)];
    let told = |limit: Option<u16>, enabled: bool| {
        let percent = limit.map(|raw| scaled(f64::from(raw), shift));
        let power = percent.zip(rated).map(|(percent, rated)| percent / 100.0 * rated);
        parameters([
            ("enabled", Some(Value::Bool(enabled))),
            ("percent", percent.map(Value::Number)),
            ("power", power.map(Value::Number)),
        ])
    };
    let is_enabled = now.word(LIMIT_ENABLED_AT) == Some(1);
    // A limit that is switched off limits nothing, whatever it shows.
    let close = !enabled || shown.is_some_and(|shown| shown.abs_diff(limit) <= 1);
    Ok(Order {
        already: holds(now, &writes),
        applied: is_enabled == enabled && close,
        requested: told(Some(limit), enabled),
        observed: told(shown, is_enabled),
        writes,
        keep: None,
        restores: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(limit: u16, revert: u16, enabled: u16) -> Vec<u16> {
        let mut words = vec![0; 26];
        words[..2].copy_from_slice(&[123, 24]);
        words[5..10].copy_from_slice(&[limit, 0, revert, 0xFFFF, enabled]);
        words[23] = 0xFFFE; // ×0.01
        words
    }

    fn asked(name: &str, value: impl Into<Value>) -> Parameters {
        parameters([(name, Some(value.into()))])
    }

    #[test]
    fn power_becomes_percent_and_all_five_registers_go_in_one_write() {
        let words = block(10_000, 60, 0);
        let order = order(&asked("power", 2000.0), Block(&words), Some(5000.0)).unwrap();
        assert_eq!(order.writes, [(5, vec![4000, 0, 0, 0xFFFF, 1])], "a missing register keeps its sentinel");
        assert!(!order.already && !order.applied);
        assert_eq!(order.requested.number("power"), Some(2000.0));
        assert_eq!(order.observed.bool("enabled"), Some(false));
    }

    #[test]
    fn a_limit_is_never_rounded_up() {
        let words = block(10_000, 0, 0);
        let order = order(&asked("power", 1000.0), Block(&words), Some(3000.0)).unwrap();
        assert_eq!(order.writes[0].1[0], 3333);
    }

    #[test]
    fn one_step_of_difference_is_applied_and_two_are_not() {
        for (shown, applied) in [(4000, true), (3999, true), (4001, true), (3998, false)] {
            let words = block(shown, 0, 1);
            let order = order(&asked("percent", 40.0), Block(&words), None).unwrap();
            assert_eq!(order.applied, applied, "{shown}");
        }
        let words = block(4000, 0, 0);
        assert!(!order(&asked("percent", 40.0), Block(&words), None).unwrap().applied, "not enabled");
    }

    #[test]
    fn what_is_so_already_needs_no_write_unless_a_timer_runs() {
        let words = block(4000, 0, 1);
        assert!(order(&asked("percent", 40.0), Block(&words), None).unwrap().already);
        let words = block(4000, 60, 1);
        assert!(!order(&asked("percent", 40.0), Block(&words), None).unwrap().already);
    }

    #[test]
    fn switching_off_lifts_the_limit_and_switching_on_keeps_its_value() {
        let words = block(4000, 0, 1);
        let off = order(&asked("enabled", false), Block(&words), None).unwrap();
        assert_eq!(off.writes, [(5, vec![10_000, 0, 0, 0xFFFF, 0])]);
        let words = block(4000, 0, 0);
        let on = order(&asked("enabled", true), Block(&words), None).unwrap();
        assert_eq!(on.writes, [(5, vec![4000, 0, 0, 0xFFFF, 1])]);
        assert!(order(&asked("enabled", false), Block(&words), None).unwrap().applied, "off is off");
    }

    #[test]
    fn what_cannot_be_done_is_said_in_words() {
        let words = block(4000, 0, 1);
        let wrong = |asked: &Parameters, rated| order(asked, Block(&words), rated).unwrap_err();
        assert!(wrong(&asked("percent", 101.0), None).contains("0 to 100"));
        assert!(wrong(&asked("power", 6000.0), Some(5000.0)).contains("0 to 5000 W"));
        assert!(wrong(&asked("power", 1.0), None).contains("use `percent`"));
        assert!(wrong(&Parameters::default(), None).contains("`enabled`"));
    }
}
