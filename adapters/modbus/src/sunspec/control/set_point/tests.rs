use std::time::Duration;

use super::*;

const KEYS: Limits = Limits { charge: Some(3000.0), discharge: None, rated: None };

/// 5000 W, charging with up to 4000 W, discharging with up to 4500 W.
fn capacity() -> Capacity {
    let mut words = vec![0xFFFF; 52];
    words[26] = 5000;
    words[34..36].copy_from_slice(&[4000, 4500]);
    words[45] = 0;
    Capacity::of(Some(Block(&words)))
}

/// Nothing set; W in whole ones, percents in 0.01.
fn off() -> Vec<u16> {
    let mut words = vec![0; 67];
    words[..2].copy_from_slice(&[704, 65]);
    words[56] = 0xFFFE;
    words
}

/// The registers without WSet.
fn percents() -> Vec<u16> {
    let mut words = off();
    words[24..28].copy_from_slice(&[0x8000, 0, 0x8000, 0]);
    words
}

fn asked(mode: &str, power: Option<f64>) -> Parameters {
    parameters([("mode", Some(Value::from(mode))), ("power", power.map(Value::Number))])
}

fn held(asked: &Parameters, now: &[u16]) -> Result<Order, String> {
    let timer = Some(Duration::from_secs(120));
    let ask = Ask { command: "set_battery_mode", parameters: asked, timer };
    order(ask, Block(now), KEYS, capacity(), false)
}

fn by_power(power: f64, now: &[u16], singly: bool) -> Result<Order, String> {
    let asked = parameters([("power", Some(Value::Number(power)))]);
    let ask = Ask { command: "set_battery_power", parameters: &asked, timer: None };
    let limits = Limits { discharge: Some(4000.0), ..KEYS };
    order(ask, Block(now), limits, capacity(), singly)
}

fn after(now: &[u16], writes: &[(u16, Vec<u16>)]) -> Vec<u16> {
    let mut words = now.to_vec();
    for (at, written) in writes {
        words[usize::from(*at)..][..written.len()].copy_from_slice(written);
    }
    words
}

#[test]
fn a_set_point_that_holds_is_told_in_watts_with_what_remains_of_its_timer() {
    let seen = |now: &[u16]| in_force(Block(now), capacity());
    let mut now = off();
    now[23..26].copy_from_slice(&[1, 0xFFFF, 0xFC18]);
    now[31..35].copy_from_slice(&[0, 120, 0, 90]);
    assert_eq!(seen(&now), (None, None), "it is there, and not enabled");
    now[22] = 1;
    assert_eq!(seen(&now), (Some(-1000.0), Some(90.0)));
    now[33..35].fill(0xFFFF);
    assert_eq!(seen(&now), (Some(-1000.0), None), "the device does not say what remains");
    now[31..35].fill(0);
    assert_eq!(seen(&now), (Some(-1000.0), None), "no timer ends it");
    let mut now = percents();
    (now[22], now[23], now[28]) = (1, 0, 2500);
    assert_eq!(seen(&now), (Some(1250.0), None), "25 % of 5000 W");
}

fn negative(value: i32) -> [u16; 2] {
    words(-value as u32)
}

#[test]
fn each_mode_is_the_row_of_the_table_with_the_enable_last() {
    let writes = |mode: &str, power| held(&asked(mode, power), &off()).unwrap().writes;
    let [high, low] = negative(2000);
    assert_eq!(
        writes("charge", Some(2000.0)),
        [(30, vec![0, 0, 120]), (23, vec![1, high, low, 0, 0]), (22, vec![1])]
    );
    assert_eq!(
        writes("discharge", Some(1000.0)),
        [(30, vec![0, 0, 120]), (23, vec![1, 0, 1000, 0, 0]), (22, vec![1])]
    );
    let idle = by_power(0.0, &off(), false).unwrap();
    assert_eq!(idle.writes, [(30, vec![0, 0, 0]), (23, vec![1, 0, 0, 0, 0]), (22, vec![1])]);
    let charging = after(&off(), &writes("charge", Some(2000.0)));
    let auto = held(&asked("auto", None), &charging).unwrap();
    assert_eq!(auto.writes, [(22, vec![0]), (30, vec![0, 0, 0])], "off comes first");
    assert!(!auto.applied && !auto.already);
}

#[test]
fn percents_are_used_where_there_are_no_watts() {
    let charge = held(&asked("charge", Some(2000.0)), &percents()).unwrap();
    let rate = (-4000_i16) as u16;
    assert_eq!(charge.writes, [(28, vec![rate, 0, 0, 0, 120]), (22, vec![1])]);
    let mut in_watts = percents();
    in_watts[23] = 1;
    let turned = held(&asked("discharge", Some(500.0)), &in_watts).unwrap();
    assert_eq!(turned.writes, [(28, vec![1000, 0, 0, 0, 120]), (23, vec![0]), (22, vec![1])]);
}

#[test]
fn what_is_written_reads_back_as_that_mode_and_power() {
    for now in [off(), percents()] {
        for (word, power) in [("charge", 2000.0), ("discharge", 500.0)] {
            let asked = asked(word, Some(power));
            let first = held(&asked, &now).unwrap();
            assert!(!first.applied && !first.already);
            let words = after(&now, &first.writes);
            let again = held(&asked, &words).unwrap();
            assert!(again.applied && !again.already, "a running timer is to be set anew");
            assert_eq!(again.observed, again.requested);
            assert_eq!((mode(Block(&words)), again.observed.number("power")), (Some(word), Some(power)));
        }
        for power in [-2000.0, 0.0, 1500.0] {
            let words = after(&now, &by_power(power, &now, false).unwrap().writes);
            let again = by_power(power, &words, false).unwrap();
            assert!(again.applied && again.already, "no timer is wanted and none runs: {power}");
            assert_eq!(again.observed.number("power"), Some(power));
            assert!(!by_power(power + 500.0, &words, false).unwrap().applied);
        }
    }
}

#[test]
fn hold_is_refused_with_the_words_that_a_set_point_knows() {
    for word in ["hold", "hold_charge"] {
        let error = held(&asked(word, None), &off()).unwrap_err();
        assert!(error.contains(word) && error.contains("auto, charge, discharge"), "{error}");
    }
}

#[test]
fn power_never_exceeds_the_key_the_battery_or_the_inverter() {
    let error = |word: &str, power| held(&asked(word, power), &off()).unwrap_err();
    assert!(error("charge", Some(3001.0)).contains("at most 3000 W to charge"));
    assert!(error("discharge", Some(4501.0)).contains("at most 4500 W to discharge"));
    assert!(error("discharge", None).contains("`discharge_power`"));
    assert!(error("charge", Some(0.5)).contains("step of 1 W"));
    assert!(by_power(4001.0, &off(), false).unwrap_err().contains("at most 4000 W"));
    assert!(by_power(f64::NAN, &off(), false).unwrap_err().contains("a number"));
    let by_key = held(&asked("charge", None), &off()).unwrap();
    assert_eq!(by_key.requested.number("power"), Some(3000.0), "what the key says");
    // A device that says nothing goes by the key, and without one by nothing.
    let silent = |word: &str| {
        let asked = asked(word, Some(1000.0));
        let ask = Ask { command: "set_battery_mode", parameters: &asked, timer: None };
        order(ask, Block(&off()), KEYS, Capacity::default(), false)
    };
    assert!(silent("charge").is_ok());
    assert!(silent("discharge").unwrap_err().contains("`discharge_power`"));
}

#[test]
fn a_power_is_never_rounded_up_and_fits_its_registers() {
    let mut words = off();
    words[55] = 2; // hundreds of W
    let order = by_power(-1999.0, &words, false).unwrap();
    assert_eq!(order.writes[1].1[1..3], negative(19));
    assert_eq!(order.requested.number("power"), Some(-1900.0));
    words[55] = (-7_i16) as u16;
    assert!(by_power(1000.0, &words, false).unwrap_err().contains("cannot express 1000 W"));
    let mut words = percents();
    words[56] = (-3_i16) as u16;
    assert!(by_power(2000.0, &words, false).unwrap_err().contains("cannot express 2000 W"));
}

#[test]
fn one_step_of_the_devices_own_rounding_is_proof_and_the_wrong_side_never() {
    let mut words = after(&off(), &by_power(-2000.0, &off(), false).unwrap().writes);
    words[24..26].copy_from_slice(&negative(1999));
    assert!(by_power(-2000.0, &words, false).unwrap().applied);
    words[24..26].copy_from_slice(&negative(1998));
    let order = by_power(-2000.0, &words, false).unwrap();
    assert!(!order.applied && order.observed.number("power") == Some(-1998.0));
    words[24..26].copy_from_slice(&[0, 0]);
    assert!(!by_power(1.0, &words, false).unwrap().applied, "standing still is no discharge");
    words[55] = 1; // tens of W: a step is a question of its own
    words[24..26].copy_from_slice(&[0, 101]);
    assert!(!by_power(1000.0, &words, false).unwrap().applied);
    let mut words = after(&percents(), &by_power(1000.0, &percents(), false).unwrap().writes);
    words[28] -= 1;
    assert!(by_power(1000.0, &words, false).unwrap().applied);
    words[28] -= 1;
    assert!(!by_power(1000.0, &words, false).unwrap().applied);
}

#[test]
fn every_write_sets_its_timer_or_clears_what_another_tool_left() {
    let mut words = off();
    words[30..35].copy_from_slice(&[1, 1, 600, 0, 9]);
    let auto = held(&asked("auto", None), &words).unwrap();
    assert!(!auto.applied, "what it reverts to would come back");
    assert_eq!(auto.writes, [(22, vec![0]), (30, vec![0, 0, 0])]);
    words[30] = 0;
    let auto = held(&asked("auto", None), &words).unwrap();
    assert!(auto.applied && !auto.already, "it ends as nothing, and is cleared");
    let still = by_power(0.0, &words, false).unwrap();
    assert_eq!(still.writes[0], (30, vec![0, 0, 0]));
    let idle = after(&words, &still.writes);
    assert!(by_power(0.0, &idle, false).unwrap().already);
    let mut timed = idle;
    timed[32] = 600;
    assert!(!by_power(0.0, &timed, false).unwrap().already);
    let done = held(&asked("auto", None), &off()).unwrap();
    assert!(done.applied && done.already);
    assert_eq!(done.writes, [(22, vec![0])]);
}

#[test]
fn what_is_not_implemented_keeps_its_sentinel_and_runs_no_timer() {
    let mut words = off();
    words[23] = 0xFFFF;
    words[26..28].copy_from_slice(&[0x8000, 0]);
    words[30..35].copy_from_slice(&[0xFFFF; 5]);
    let charge = held(&asked("charge", Some(2000.0)), &words).unwrap();
    let [high, low] = negative(2000);
    assert_eq!(
        charge.writes,
        [(30, vec![0xFFFF; 3]), (23, vec![0xFFFF, high, low, 0x8000, 0]), (22, vec![1])]
    );
    let words = after(&words, &charge.writes);
    let again = held(&asked("charge", Some(2000.0)), &words).unwrap();
    assert!(again.applied && again.already, "it has no timer that could be set anew");
    let mut words = off();
    words[22] = 0xFFFF;
    assert!(!exists(Block(&words)) && exists(Block(&off())));
    assert_eq!(mode(Block(&words)), None);
    assert!(held(&asked("auto", None), &words).unwrap_err().contains("704.WSetEna"));
    let mut words = percents();
    words[28] = 0x8000;
    assert!(held(&asked("charge", None), &words).unwrap_err().contains("WSetPct"));
    assert!(held(&asked("auto", None), &words).unwrap().applied, "nothing is needed to let it go");
}

#[test]
fn one_register_at_a_time_never_tears_a_power() {
    let charge = by_power(-2000.0, &off(), true).unwrap();
    let rate = (-4000_i16) as u16;
    assert_eq!(charge.writes, [(28, vec![rate, 0, 0, 0, 0]), (22, vec![1])]);
    let mut shown = after(&off(), &charge.writes);
    assert!(by_power(-2000.0, &shown, true).unwrap().applied);
    // The same number, but of W: another unit counts.
    shown[23] = 1;
    shown[24..26].copy_from_slice(&negative(4000));
    let order = by_power(-2000.0, &shown, true).unwrap();
    assert!(!order.applied && order.observed.number("power") == Some(-4000.0));
    let mut without = off();
    without[28] = 0x8000;
    assert!(by_power(-2000.0, &without, true).unwrap_err().contains("one register at a time"));
    assert!(by_power(-2000.0, &without, false).is_ok());
}
