use proptest::{collection::vec, prelude::*};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn turns_come_at_their_phase_without_drift_however_late_they_are_served() {
    let start = Instant::now();
    let mut rhythm = Rhythm::new(start, ms(300), SECOND);
    for turn in 0..100_000_u64 {
        let due = start + ms(300) + SECOND * u32::try_from(turn).unwrap();
        assert_eq!(rhythm.ask(), Ask { due, deadline: due + SECOND });
        assert_eq!(rhythm.take(due + ms(turn % 1000)), 0);
    }
}

#[test]
fn one_late_turn_is_caught_up_and_those_before_it_are_dropped_and_counted() {
    let start = Instant::now();
    let mut rhythm = Rhythm::new(start, Duration::ZERO, SECOND);
    // Turns 1 to 7 are due: 6 is served late, 7 is next, 1 to 5 are gone.
    let late = start + ms(7_400);
    assert_eq!(rhythm.take(late), 5);
    assert_eq!(rhythm.ask().due, start + SECOND * 7);
    assert_eq!(rhythm.take(late + ms(10)), 0);
    assert_eq!(rhythm.ask().due, start + SECOND * 8);
    // One that goes on later leaves them all out.
    assert_eq!(rhythm.resume(start + ms(9_500)), 2);
    assert_eq!(rhythm.ask().due, start + SECOND * 10);
}

#[test]
fn units_of_a_link_and_links_of_one_unit_each_are_spread_over_the_interval() {
    let bus = UnitId::from("bus/1");
    let mut phases: Vec<_> = (0..4).map(|place| phase(&bus, place, 4, SECOND)).collect();
    phases.sort();
    for pair in phases.windows(2) {
        assert!((pair[1] - pair[0]).abs_diff(ms(250)) < ms(1), "{phases:?}");
    }
    // 200 links, named as people name them: no tenth of the interval gets twice its share.
    let mut tenths = [0; 10];
    for link in 0..200 {
        let of_link = phase(&UnitId::from(format!("inverter{link}/1")), 0, 1, SECOND);
        assert!(of_link < SECOND);
        tenths[usize::try_from(of_link.as_millis() / 100).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|links| (8..=40).contains(links)), "{tenths:?}");
    assert_eq!(phase(&bus, 0, 1, SECOND), phase(&bus, 0, 1, SECOND), "the same at every start");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Serving one after the other what is earliest is what sorting by deadline gives.
    #[test]
    fn the_order_of_those_that_are_due_is_that_of_their_deadlines(
        units in vec((0..2_000_u64, 1..2_000_u64), 0..30),
        now in 0..2_000_u64,
    ) {
        let start = Instant::now();
        let now = start + ms(now);
        let ask = |(due, interval): &(u64, u64)| Ask {
            due: start + ms(*due),
            deadline: start + ms(due + interval),
        };
        let mut waiting: Vec<Ask> = units.iter().map(ask).collect();
        let mut sorted: Vec<Ask> = waiting.iter().copied().filter(|ask| ask.due <= now).collect();
        sorted.sort_by_key(|ask| ask.deadline);
        let mut served = Vec::new();
        while let Some(at) = earliest(waiting.iter().copied(), now) {
            served.push(waiting.remove(at));
        }
        prop_assert_eq!(served, sorted);
        prop_assert!(waiting.iter().all(|ask| ask.due > now));
    }

    /// Whatever the delays are: every turn that passed was served or is counted, but for the one
    /// that may still be caught up.
    #[test]
    fn no_turn_is_lost_without_being_counted(delays in vec(0..5_000_u64, 1..100), phase in 0..1_000_u64) {
        let start = Instant::now();
        let mut rhythm = Rhythm::new(start, ms(phase), SECOND);
        let first = rhythm.ask().due;
        let (mut now, mut served, mut dropped) = (start, 0_u64, 0_u64);
        for delay in delays {
            now += ms(delay);
            if rhythm.ask().due <= now {
                dropped += rhythm.take(now);
                served += 1;
            }
            let passed = now.checked_duration_since(first).map_or(0, |since| since.as_secs() + 1);
            let waiting = u64::from(rhythm.ask().due <= now);
            prop_assert_eq!(served + dropped + waiting, passed);
        }
    }
}
