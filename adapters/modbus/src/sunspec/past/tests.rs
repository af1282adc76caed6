use super::*;

fn pv(all: &[f64]) -> Vec<Input> {
    let input = |wh: &f64| Input { role: Role::Pv, power: Some(1.0), given: Some(*wh), taken: None };
    all.iter().map(input).collect()
}

fn total(past: &Past, all: &[f64]) -> Option<f64> {
    past.sun.total(sun(&pv(all)))
}

#[test]
fn a_sum_is_told_only_while_all_that_counted_do() {
    let mut past = Past::default();
    assert!(past.grow(&pv(&[5000.0, 3000.0, 0.0]), false, None));
    assert_eq!(total(&past, &[5001.0, 3000.0, 0.0]), Some(8001.0), "nothing hangs on the third");
    assert_eq!(total(&past, &[5001.0, 0.0, 0.0]), None, "the second sleeps");
    assert_eq!(total(&past, &[5001.0]), None, "the second is gone");
    let mut silent = pv(&[5001.0, 3000.0]);
    silent[1].given = None;
    assert_eq!(past.sun.total(sun(&silent)), None);
    assert_eq!(Counted::default().total(sun(&pv(&[1.0]))), None);
}

#[test]
fn one_that_wakes_later_joins_without_a_leap() {
    let mut past = Past::default();
    past.grow(&pv(&[5000.0, 0.0]), false, None);
    assert_eq!(total(&past, &[5001.0, 3000.0]), Some(5001.0));
    assert!(past.grow(&pv(&[5001.0, 3000.0]), false, None));
    assert_eq!(total(&past, &[5001.0, 3000.0]), Some(5001.0));
    assert_eq!(total(&past, &[5002.0, 3005.0]), Some(5007.0));
    assert!(!past.grow(&pv(&[5002.0, 0.0]), false, None), "nothing is forgotten");
}

#[test]
fn the_hour_of_the_start_decides_which_counter_is_told_and_nothing_changes_it_later() {
    let (day, night) = (pv(&[5000.0, 3000.0]), pv(&[0.0, 0.0]));
    let ac = Some(9000.0);
    for (first, then, told_ac, inputs) in [(&day, &night, false, 3), (&night, &day, true, 0)] {
        let mut past = Past::default();
        past.grow(first, false, ac);
        past.grow(then, false, ac);
        past.grow(&day, false, ac);
        assert_eq!((past.ac, past.sun.inputs), (told_ac, inputs));
    }
    let mut dark = Past::default();
    dark.grow(&night, false, None);
    assert!(!dark.ac, "nothing was told yet");
    dark.grow(&day, false, ac);
    assert_eq!((dark.ac, dark.sun.less), (false, 0));
    let mut plain = Past::default();
    plain.grow(&[], false, None);
    assert!(plain.ac, "it has no other one");
}

#[test]
fn a_battery_that_is_found_later_ends_the_ac_counter_and_the_suns_begins_without_a_leap() {
    let mut past = Past::default();
    past.grow(&pv(&[0.0]), false, Some(9000.0));
    assert!(past.ac);
    past.grow(&pv(&[20_000.0]), true, Some(9000.0));
    assert_eq!(total(&past, &[20_010.0]), Some(10.0));
    past.grow(&pv(&[0.0]), false, Some(9000.0));
    assert!(past.battery, "a battery that shows nothing is there");
}

#[test]
fn a_note_says_all_of_it_and_a_strange_one_nothing() {
    let mut past = Past { serial: "SN-1".to_owned(), itself: Itself::Battery, ..Past::default() };
    past.grow(&pv(&[0.0, 7.0]), true, None);
    past.grow(&pv(&[300.0, 7.0]), true, None);
    past.charged = Counted { inputs: 1 << 63, less: u64::MAX };
    assert_eq!(Past::decode(&past.encode()), Some(past.clone()));
    let mut strange = past.encode();
    strange[0] = 2;
    assert_eq!((Past::decode(&strange), Past::decode(&past.encode()[..50])), (None, None));
}
