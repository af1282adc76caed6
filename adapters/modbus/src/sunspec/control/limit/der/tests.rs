use std::time::Duration;

use adapter_api::{Parameters, Value};

use super::{super::super::parameters, *};

/// Limit and enable, what they revert to, timer and what remains of it; percents in 0.01.
fn block(now: [u16; 2], then: [u16; 2], timer: u16, remaining: u16) -> Vec<u16> {
    let mut words = vec![0; 67];
    words[..2].copy_from_slice(&[704, 65]);
    words[14..22].copy_from_slice(&[now[1], now[0], then[0], then[1], 0, timer, 0, remaining]);
    words[54] = 0xFFFE;
    words
}

/// No limit.
fn free() -> Vec<u16> {
    block([10_000, 0], [10_000, 0], 0, 0)
}

fn asked(name: &str, value: impl Into<Value>) -> Parameters {
    parameters([(name, Some(value.into()))])
}

/// Without a timer.
fn outright(asked: &Parameters, now: &[u16], noted: Option<[u16; 2]>) -> Result<Order, String> {
    let ask = Ask { command: "set_power_limit", parameters: asked, timer: None };
    order(ask, Block(now), Some(5000.0), noted, false)
}

fn held(asked: &Parameters, now: &[u16], noted: Option<[u16; 2]>) -> Order {
    let timer = Some(Duration::from_secs(0x0001_0002));
    let ask = Ask { command: "set_power_limit", parameters: asked, timer };
    order(ask, Block(now), Some(5000.0), noted, false).unwrap()
}

fn restored(now: &[u16], noted: Option<[u16; 2]>, in_doubt: bool) -> Order {
    let asked = asked("restore", true);
    let ask = Ask { command: "set_power_limit", parameters: &asked, timer: None };
    order(ask, Block(now), Some(5000.0), noted, in_doubt).unwrap()
}

fn after(now: &[u16], order: &Order) -> Vec<u16> {
    let mut words = now.to_vec();
    for (at, written) in &order.writes {
        words[usize::from(*at)..][..written.len()].copy_from_slice(written);
    }
    words
}

#[test]
fn each_way_is_the_column_of_the_table_with_the_enable_last() {
    let forty = asked("percent", 40.0);
    let order = held(&forty, &block([7000, 1], [1, 1], 9, 0), None);
    assert_eq!(order.writes, [(15, vec![4000, 7000, 1, 1, 2]), (14, vec![1])], "32 bits of seconds");
    let order = outright(&forty, &block([7000, 1], [3000, 1], 9, 0), None).unwrap();
    assert_eq!(order.writes, [(15, vec![4000, 3000, 1, 0, 0]), (14, vec![1])]);
    let order = held(&asked("enabled", false), &block([7000, 1], [3000, 1], 9, 9), None);
    assert_eq!(order.writes, [(15, vec![10_000, 3000, 1, 0, 0]), (14, vec![0])]);
    let order = restored(&block([4000, 1], [7000, 1], 9, 9), Some([7000, 1]), false);
    assert_eq!(order.writes, [(15, vec![7000, 7000, 1, 0, 0]), (14, vec![1])]);
    let on = outright(&asked("enabled", true), &block([4000, 0], [0, 0], 0, 0), None).unwrap();
    assert_eq!(on.writes, [(15, vec![4000, 0, 0, 0, 0]), (14, vec![1])]);
}

#[test]
fn power_becomes_percent_of_the_rating_and_is_told_as_both() {
    let order = outright(&asked("power", 2000.0), &free(), None).unwrap();
    assert_eq!(order.writes[0].1[0], 4000);
    assert_eq!(
        (order.requested.number("power"), order.requested.number("percent")),
        (Some(2000.0), Some(40.0))
    );
    assert_eq!(order.observed.bool("enabled"), Some(false));
    assert!(outright(&asked("power", 5001.0), &free(), None).unwrap_err().contains("0 to 5000 W"));
    assert!(outright(&asked("percent", 100.5), &free(), None).unwrap_err().contains("0 to 100"));
    let power = asked("power", 2000.0);
    let ask = Ask { command: "set_power_limit", parameters: &power, timer: None };
    assert!(super::order(ask, Block(&free()), None, None, false).unwrap_err().contains("use `percent`"));
}

#[test]
fn what_is_written_is_proven_and_a_clamped_value_is_not() {
    let forty = asked("percent", 40.0);
    for order in [held(&forty, &free(), None), outright(&forty, &free(), None).unwrap()] {
        assert!(!order.applied && !order.already);
        let mut words = after(&free(), &order);
        assert!(held(&forty, &words, None).applied);
        words[15] -= 1;
        assert!(held(&forty, &words, None).applied, "the device's own rounding");
        words[15] -= 1;
        assert!(!held(&forty, &words, None).applied);
        words[14..16].copy_from_slice(&[0, 4000]);
        assert!(!held(&forty, &words, None).applied, "not enabled");
    }
}

#[test]
fn what_is_so_already_needs_no_write_unless_a_timer_is_set_or_wanted() {
    let forty = asked("percent", 40.0);
    let same = block([4000, 1], [7000, 1], 0, 0);
    assert!(outright(&forty, &same, None).unwrap().already);
    assert!(!outright(&forty, &block([4000, 1], [7000, 1], 60, 9), None).unwrap().already);
    let again = after(&same, &held(&forty, &same, None));
    assert!(!held(&forty, &again, Some([4000, 1])).already, "writing starts it anew");
    assert!(outright(&asked("enabled", false), &free(), None).unwrap().already);
}

#[test]
fn what_lasted_is_noted_once_and_is_what_the_device_reverts_to() {
    let forty = asked("percent", 40.0);
    for (now, lasted) in [
        (free(), [10_000, 0]),
        (block([7000, 1], [10_000, 0], 0, 0), [7000, 1]),
        // A timer that has run out ends nothing.
        (block([7000, 1], [10_000, 0], 60, 0), [7000, 1]),
        // What a running one brings is what lasts.
        (block([3000, 1], [6000, 1], 60, 9), [6000, 1]),
        (block([3000, 1], [0xFFFF, 0xFFFF], 60, 9), [10_000, 0]),
        (block([3000, 1], [6000, 0xFFFF], 60, 9), [6000, 1]),
        (block([3000, 0], [6000, 1], 60, 9), [3000, 0]),
    ] {
        let order = held(&forty, &now, None);
        assert_eq!(order.keep, Some(lasted.to_vec()), "{now:?}");
        let shown = |at: usize, word| if now[at] == 0xFFFF { 0xFFFF } else { word };
        assert_eq!(order.writes[0].1[1..3], [shown(16, lasted[0]), shown(17, lasted[1])]);
        let again = held(&asked("percent", 30.0), &after(&now, &order), Some([7000, 1]));
        assert_eq!((again.keep, &again.writes[0].1[..2]), (None, &[3000, shown(16, 7000)][..]));
    }
    for outright in [&forty, &asked("enabled", false)] {
        let order = super::tests::outright(outright, &free(), Some([7000, 1])).unwrap();
        assert_eq!((order.keep, order.forgets), (None, true));
    }
}

#[test]
fn a_limit_that_was_off_does_not_come_back_on_where_only_the_value_reverts() {
    let now = block([4000, 0], [0, 0xFFFF], 0, 0);
    let order = held(&asked("percent", 30.0), &now, None);
    assert_eq!((order.writes[0].1[1], order.keep), (10_000, Some(vec![4000, 0])));
}

#[test]
fn a_restore_goes_back_to_what_is_noted_or_lifts_unless_it_may_have_been_done() {
    let limited = block([4000, 1], [7000, 1], 60, 9);
    let order = restored(&limited, Some([7000, 1]), false);
    assert!(!order.applied && order.forgets);
    assert_eq!(
        (order.requested.number("percent"), order.observed.number("percent")),
        (Some(70.0), Some(40.0))
    );
    let back = after(&limited, &order);
    assert!(restored(&back, Some([7000, 1]), false).already);
    assert!(!restored(&free(), Some([7000, 1]), false).applied);
    assert!(restored(&block([1, 0], [0, 0], 0, 0), Some([10_000, 0]), false).applied, "off is off");
    let lasting = block([7000, 1], [7000, 1], 0, 0);
    assert_eq!(restored(&lasting, None, false).writes[0].1[0], 10_000);
    assert!(!restored(&lasting, None, false).applied);
    assert!(restored(&lasting, None, true).applied, "it was restored and forgotten before the process died");
    assert!(!restored(&limited, None, true).applied, "a timer runs: that is what was held");
    assert!(outright(&asked("restore", false), &free(), None).unwrap_err().contains("only be true"));
}

#[test]
fn what_is_not_implemented_keeps_its_sentinel_or_is_said() {
    let mut words = free();
    words[16..22].copy_from_slice(&[0xFFFF; 6]);
    let forty = asked("percent", 40.0);
    let order = held(&forty, &words, None);
    assert_eq!(order.writes[0].1, [4000, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF]);
    let words = after(&words, &order);
    let again = held(&forty, &words, Some([10_000, 0]));
    assert!(again.applied && again.already, "it has no timer that could be set anew");
    let mut words = free();
    words[14] = 0xFFFF;
    assert!(!exists(Block(&words)) && exists(Block(&free())));
    assert!(outright(&forty, &words, None).unwrap_err().contains("704.WMaxLimPctEna"));
    let mut words = free();
    words[54] = 0x8000;
    assert!(outright(&forty, &words, None).unwrap_err().contains("scale"));
    assert!(outright(&Parameters::default(), &free(), None).unwrap_err().contains("`enabled`"));
}
