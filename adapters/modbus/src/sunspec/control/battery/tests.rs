use std::time::Duration;

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

fn order(asked: &Parameters, now: Block<'_>, limits: Limits, kept: Option<u16>) -> Result<Order, String> {
    let timer = Some(Duration::from_secs(3600));
    super::order(Ask { command: "set_battery_mode", parameters: asked, timer }, now, limits, kept)
}

/// `set_battery_power` without a timer.
fn by_power(power: f64, now: &[u16], limits: Limits, kept: Option<u16>) -> Result<Order, String> {
    let asked = parameters([("power", Some(Value::Number(power)))]);
    let ask = Ask { command: "set_battery_power", parameters: &asked, timer: None };
    super::order(ask, Block(now), limits, kept)
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
    assert_eq!((charge.keep, charge.forgets), (Some(vec![0]), false));
    let words = block(2, -4000, 10_000, 3600, 1);
    let again = order(&asked("charge", None), Block(&words), LIMITED, Some(0)).unwrap();
    assert_eq!(again.keep, None, "the first value is the one to go back to");
    for wanted in ["auto", "hold", "hold_charge", "discharge"] {
        let other = order(&asked(wanted, Some(500.0)), Block(&words), LIMITED, Some(0)).unwrap();
        assert_eq!((other.writes[0].1.last(), other.forgets), (Some(&0), true), "{wanted}");
    }
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
    assert_eq!(mode(Block(&block(3, 0, 100, 0, 0))), Some("limited"));
    assert_eq!(mode(Block(&block(2, 5000, 10_000, 0, 0))), Some("limited"));
    assert_eq!(mode(Block(&block(0xFFFF, 0, 0, 0, 0))), None);
}

#[test]
fn a_signed_power_is_the_mode_of_that_magnitude_and_zero_stands_still() {
    let words = auto();
    let limits = Limits { discharge: Some(4000.0), ..LIMITED };
    let by_mode = |mode: &str, power| {
        let asked = asked(mode, Some(power));
        let ask = Ask { command: "set_battery_mode", parameters: &asked, timer: None };
        super::order(ask, Block(&words), limits, None).unwrap()
    };
    let charge = by_power(-2000.0, &words, limits, None).unwrap();
    assert_eq!((charge.writes, charge.keep), (by_mode("charge", 2000.0).writes, Some(vec![0])));
    assert_eq!(
        (charge.requested.word("mode"), charge.requested.number("power")),
        (Some("charge"), Some(-2000.0))
    );
    assert_eq!(by_power(1000.0, &words, limits, None).unwrap().writes, by_mode("discharge", 1000.0).writes);
    let still = by_power(0.0, &words, limits, None).unwrap();
    assert_eq!(still.writes, [(12, vec![0, 0, 0, 0, 0]), (5, vec![3])]);
    assert!(by_power(-3001.0, &words, limits, None).unwrap_err().contains("at most 3000 W to charge"));
    assert!(by_power(4001.0, &words, limits, None).unwrap_err().contains("at most 4000 W to discharge"));
    assert!(by_power(f64::NAN, &words, limits, None).unwrap_err().contains("a number"));
}

#[test]
fn what_a_power_writes_reads_back_as_that_power() {
    for power in [-2000.0, 0.0, 1500.0] {
        let mut words = auto();
        for (at, written) in by_power(power, &words, LIMITED, None).unwrap().writes {
            words[usize::from(at)..][..written.len()].copy_from_slice(&written);
        }
        let after = by_power(power, &words, LIMITED, None).unwrap();
        assert!(after.applied && after.already, "no timer is wanted and none runs: {power}");
        assert_eq!(after.observed.number("power"), Some(power));
        let other = by_power(power + 500.0, &words, LIMITED, None).unwrap();
        assert!(!other.applied, "{power}");
    }
    // Both rates count.
    assert!(!by_power(0.0, &block(3, 0, 100, 0, 0), LIMITED, None).unwrap().applied);
    assert_eq!(mode(Block(&block(3, 0, 0, 0, 0))), Some("idle"));
}

#[test]
fn a_charge_by_power_takes_part_in_the_grid_setting() {
    let words = block(2, -4000, 10_000, 0, 1);
    for power in [0.0, 1000.0] {
        let other = by_power(power, &words, LIMITED, Some(0)).unwrap();
        assert_eq!((other.writes[0].1.last(), other.forgets), (Some(&0), true));
    }
    let charge = by_power(-2000.0, &words, LIMITED, Some(0)).unwrap();
    assert!(charge.applied && !charge.forgets);
}

#[test]
fn a_mode_is_not_proven_before_the_grid_setting_is_back() {
    let mut words = block(0, 10_000, 10_000, 0, 1);
    let auto = order(&asked("auto", None), Block(&words), LIMITED, Some(0)).unwrap();
    assert!(!auto.applied && !auto.already);
    assert_eq!(
        (auto.requested.bool("grid_charging"), auto.observed.bool("grid_charging")),
        (Some(false), Some(true))
    );
    words[17] = 0;
    let auto = order(&asked("auto", None), Block(&words), LIMITED, Some(0)).unwrap();
    assert!(auto.applied && auto.already && auto.forgets);
}

#[test]
fn a_timer_is_set_anew_by_every_write_and_left_behind_by_none() {
    let timed = |seconds: Option<u64>, words: &[u16]| {
        let asked = asked("hold", None);
        let ask =
            Ask { command: "set_battery_mode", parameters: &asked, timer: seconds.map(Duration::from_secs) };
        super::order(ask, Block(words), LIMITED, None).unwrap()
    };
    let running = block(2, 0, 10_000, 60, 0);
    assert_eq!(timed(Some(120), &running).writes[0].1[3], 120);
    assert!(!timed(Some(60), &running).already, "the same timer starts anew");
    let without = timed(None, &running);
    assert_eq!((without.writes[0].1[3], without.already), (0, false), "a timer that another tool left");
    assert!(timed(None, &block(2, 0, 10_000, 0, 0)).already);
}
