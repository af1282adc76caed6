//! `set_power_limit` on model 123: one write of value, timers and enable, side by side.
//!
//! A command with a timer holds the limit for a time: what lasted before is noted (value and enable), once,
//! and `restore` brings it back; without a note it lifts the limit. A command without a timer sets what
//! lasts from now on, so that nothing is owed any more.

use adapter_api::Value;

use super::{Ask, Block, ONLY_TRUE, Order, holds, implemented, parameters, runs_none, slack};
use crate::{
    codec::{scaled, unscaled},
    sunspec::models::immediate::{LIMIT_AT, LIMIT_ENABLED_AT, LIMIT_SCALE_AT},
};

/// Offsets of the window, revert and ramp times.
const WINDOW_AT: u16 = 6;
const REVERT_AT: u16 = 7;
const RAMP_AT: u16 = 8;

/// What the command comes to. `rated` is 121.WMax, W; `noted` the value and enable to go back to. `in_doubt`: it
/// may have been done, and its note forgotten, by a process that died.
///
/// # Errors
/// In words, when this device cannot do it.
pub(crate) fn order(
    ask: Ask<'_>,
    now: Block<'_>,
    rated: Option<f64>,
    noted: Option<[u16; 2]>,
    in_doubt: bool,
) -> Result<Order, String> {
    let asked = ask.parameters;
    let shift = now.shift(LIMIT_SCALE_AT).ok_or("the device does not say the scale of its power limit")?;
    let raw = |percent: f64| {
        unscaled(percent, shift, 0xFFFE).ok_or_else(|| format!("the device cannot express {percent} %"))
    };
    let shown = now.word(LIMIT_AT);
    let is_enabled = now.word(LIMIT_ENABLED_AT) == Some(1);
    // What a running timer will end is not what lasts: no limit does then.
    let lasting = shown.filter(|_| !is_enabled || now.raw(REVERT_AT).is_none_or(runs_none));
    let restores = asked.get("restore").is_some();
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
    } else if restores {
        match (asked.bool("restore"), noted, lasting) {
            (Some(true), Some([limit, enabled]), _) => (limit, enabled == 1),
            (Some(true), None, Some(limit)) if in_doubt && is_enabled => (limit, true),
            (Some(true), None, _) => (raw(100.0)?, false),
            _ => return Err(ONLY_TRUE.to_owned()),
        }
    } else {
        match asked.bool("enabled") {
            Some(true) => (shown.map_or_else(|| raw(100.0), Ok)?, true),
            Some(false) => (raw(100.0)?, false),
            None => return Err("say one of `power`, `percent`, `enabled` and `restore`".to_owned()),
        }
    };
    // At once, without a ramp, and with nothing left to end when it is switched off or given back.
    let revert = implemented(now, REVERT_AT, if enabled && !restores { ask.seconds() } else { 0 });
    let (window, ramp) = (implemented(now, WINDOW_AT, 0), implemented(now, RAMP_AT, 0));
    let writes = vec![(LIMIT_AT, vec![limit, window, revert, ramp, u16::from(enabled)])];
    let told = |limit: Option<u16>, enabled: bool| {
        let percent = limit.map(|raw| scaled(f64::from(raw), shift));
        let power = percent.zip(rated).map(|(percent, rated)| percent / 100.0 * rated);
        parameters([
            ("enabled", Some(Value::Bool(enabled))),
            ("percent", percent.map(Value::Number)),
            ("power", power.map(Value::Number)),
        ])
    };
    let before = match lasting {
        Some(limit) => vec![limit, u16::from(is_enabled)],
        None => vec![raw(100.0)?, 0],
    };
    // A limit that is switched off limits nothing, whatever it shows.
    let close = !enabled || shown.is_some_and(|shown| shown.abs_diff(limit) <= slack(shift));
    Ok(Order {
        already: holds(now, &writes) && runs_none(revert),
        applied: is_enabled == enabled && close,
        requested: told(Some(limit), enabled),
        observed: told(shown, is_enabled),
        writes,
        keep: (ask.timer.is_some() && noted.is_none()).then_some(before),
        forgets: ask.timer.is_none() && noted.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use adapter_api::Parameters;

    use super::*;

    fn block(limit: u16, revert: u16, enabled: u16) -> Vec<u16> {
        let mut words = vec![0; 26];
        words[..2].copy_from_slice(&[123, 24]);
        words[5..10].copy_from_slice(&[limit, 0, revert, 0xFFFF, enabled]);
        words[23] = 0xFFFE; // ×0.01
        words
    }

    fn order(asked: &Parameters, now: Block<'_>, rated: Option<f64>) -> Result<Order, String> {
        super::order(
            Ask { command: "set_power_limit", parameters: asked, timer: None },
            now,
            rated,
            None,
            false,
        )
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
    fn a_wanted_timer_is_written_even_when_all_is_so_already() {
        let words = block(4000, 60, 1);
        let asked = asked("percent", 40.0);
        let timer = Some(std::time::Duration::from_secs(60));
        let ask = Ask { command: "set_power_limit", parameters: &asked, timer };
        let again = super::order(ask, Block(&words), None, None, false).unwrap();
        assert_eq!(again.writes, [(5, vec![4000, 0, 60, 0xFFFF, 1])]);
        assert!(again.applied && !again.already, "writing starts it anew");
        let mut words = words;
        words[7] = 0xFFFF;
        assert!(
            super::order(ask, Block(&words), None, None, false).unwrap().already,
            "the device has no timer"
        );
    }

    #[test]
    fn a_step_as_coarse_as_the_question_must_fit_exactly() {
        let mut words = block(40, 0, 1);
        words[23] = 0; // whole percents
        assert!(order(&asked("percent", 40.0), Block(&words), None).unwrap().applied);
        assert!(!order(&asked("percent", 41.0), Block(&words), None).unwrap().applied);
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

    fn held(asked: &Parameters, words: &[u16], noted: Option<[u16; 2]>) -> Order {
        let timer = Some(std::time::Duration::from_secs(60));
        let ask = Ask { command: "set_power_limit", parameters: asked, timer };
        super::order(ask, Block(words), None, noted, false).unwrap()
    }

    fn restored(words: &[u16], noted: Option<[u16; 2]>, in_doubt: bool) -> Order {
        let asked = asked("restore", true);
        let ask = Ask { command: "set_power_limit", parameters: &asked, timer: None };
        super::order(ask, Block(words), None, noted, in_doubt).unwrap()
    }

    #[test]
    fn what_lasted_is_noted_once_before_a_limit_is_held() {
        let percent = asked("percent", 40.0);
        assert_eq!(held(&percent, &block(7000, 0, 1), None).keep, Some(vec![7000, 1]));
        assert_eq!(held(&percent, &block(7000, 60, 0), None).keep, Some(vec![7000, 0]));
        assert_eq!(
            held(&percent, &block(7000, 60, 1), None).keep,
            Some(vec![10_000, 0]),
            "it ends by itself"
        );
        assert_eq!(held(&percent, &block(4000, 60, 1), Some([7000, 1])).keep, None);
        let lifted = held(&asked("enabled", false), &block(7000, 0, 1), None);
        assert_eq!((lifted.keep, lifted.forgets), (Some(vec![7000, 1]), false), "lifted for a time");
        // A device without a timer may show it already, and nothing is written.
        let same = held(&percent, &block(4000, 0xFFFF, 1), None);
        assert_eq!((same.already, same.keep), (true, Some(vec![4000, 1])));
        for outright in [&percent, &asked("enabled", false)] {
            let ask = Ask { command: "set_power_limit", parameters: outright, timer: None };
            let order = super::order(ask, Block(&block(4000, 0, 1)), None, Some([7000, 1]), false).unwrap();
            assert_eq!((order.keep, order.forgets), (None, true));
        }
    }

    #[test]
    fn a_restore_is_proven_against_what_is_noted() {
        let order = restored(&block(4000, 60, 1), Some([7000, 1]), false);
        assert_eq!(order.writes, [(5, vec![7000, 0, 0, 0xFFFF, 1])]);
        assert!(!order.applied && order.forgets);
        assert_eq!(
            (order.requested.number("percent"), order.observed.number("percent")),
            (Some(70.0), Some(40.0))
        );
        let order = restored(&block(7000, 0, 1), Some([7000, 1]), false);
        assert!(order.applied && order.already);
        assert!(
            !restored(&block(7000, 0, 0), Some([7000, 1]), false).applied,
            "the device's timer lifted it"
        );
        assert!(restored(&block(7000, 0, 0), Some([10_000, 0]), false).applied, "off is off");
        assert!(!restored(&block(4000, 60, 1), Some([10_000, 0]), false).applied);
    }

    #[test]
    fn a_restore_without_a_note_lifts_the_limit_unless_it_may_have_been_done() {
        let words = block(7000, 0, 1);
        assert_eq!(restored(&words, None, false).writes, [(5, vec![10_000, 0, 0, 0xFFFF, 0])]);
        assert!(!restored(&words, None, false).applied);
        assert!(
            restored(&words, None, true).applied,
            "it was restored and forgotten before the process died"
        );
        assert!(!restored(&block(4000, 60, 1), None, true).applied, "a timer runs: that is what was held");
        let words = block(4000, 0, 1);
        assert!(order(&asked("restore", false), Block(&words), None).unwrap_err().contains("only be true"));
    }
}
