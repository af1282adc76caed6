use adapter_api::{Parameters, Value};

use super::{super::super::parameters, *};

fn block(limit: u16, revert: u16, enabled: u16) -> Vec<u16> {
    let mut words = vec![0; 26];
    words[..2].copy_from_slice(&[123, 24]);
    words[5..10].copy_from_slice(&[limit, 0, revert, 0xFFFF, enabled]);
    words[23] = 0xFFFE; // ×0.01
    words
}

fn order(asked: &Parameters, now: Block<'_>, rated: Option<f64>) -> Result<Order, String> {
    super::order(Ask { command: "set_power_limit", parameters: asked, timer: None }, now, rated, None, false)
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
    assert!(super::order(ask, Block(&words), None, None, false).unwrap().already, "the device has no timer");
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
    assert_eq!(held(&percent, &block(7000, 60, 1), None).keep, Some(vec![10_000, 0]), "it ends by itself");
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
    assert!(!restored(&block(7000, 0, 0), Some([7000, 1]), false).applied, "the device's timer lifted it");
    assert!(restored(&block(7000, 0, 0), Some([10_000, 0]), false).applied, "off is off");
    assert!(!restored(&block(4000, 60, 1), Some([10_000, 0]), false).applied);
}

#[test]
fn a_restore_without_a_note_lifts_the_limit_unless_it_may_have_been_done() {
    let words = block(7000, 0, 1);
    assert_eq!(restored(&words, None, false).writes, [(5, vec![10_000, 0, 0, 0xFFFF, 0])]);
    assert!(!restored(&words, None, false).applied);
    assert!(restored(&words, None, true).applied, "it was restored and forgotten before the process died");
    assert!(!restored(&block(4000, 60, 1), None, true).applied, "a timer runs: that is what was held");
    let words = block(4000, 0, 1);
    assert!(order(&asked("restore", false), Block(&words), None).unwrap_err().contains("only be true"));
}

#[test]
fn a_limit_without_value_enable_or_scale_is_none() {
    assert!(exists(Block(&block(4000, 0, 0))));
    for at in [5, 9] {
        let mut words = block(4000, 0, 0);
        words[at] = 0xFFFF;
        assert!(!exists(Block(&words)));
    }
    let mut words = block(4000, 0, 0);
    words[23] = 0x8000;
    assert!(!exists(Block(&words)));
}
