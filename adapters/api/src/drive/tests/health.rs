use super::{
    super::patience::{LONGEST, PAUSE},
    *,
};

const SECOND: Duration = Duration::from_secs(1);

/// A unit whose turns come at whole intervals from now on.
fn unit(interval: Duration, now: Instant) -> Health {
    Health::new(Rhythm::new(now, Duration::ZERO, interval), now)
}

fn live(interval: Duration, now: Instant) -> Health {
    let mut health = unit(interval, now);
    health.probed(now);
    assert!(health.answered(now));
    health
}

fn due(health: &Health) -> Instant {
    health.ask(false, None).due
}

#[tokio::test(start_paused = true)]
async fn a_unit_is_set_aside_after_two_silences_over_three_seconds_and_probed_ever_more_rarely() {
    let mut now = Instant::now();
    let mut health = unit(SECOND, now);
    assert!(health.needs_probe());
    health.probed(now);
    assert!(!health.needs_probe() && due(&health) == now);
    assert!(health.answered(now));
    assert!(!health.failed(now, Failure::Silent).0);
    assert!(!health.failed(now + SECOND, Failure::Silent).0, "not for 3 s yet");
    assert!(health.failed(now + SECOND * 3, Failure::Silent).0);
    assert!(health.needs_probe() && health.is_set_aside());
    let mut last = Duration::ZERO;
    for _ in 0..12 {
        now = due(&health);
        assert!(health.failed(now, Failure::Silent).0);
        last = due(&health) - now;
    }
    assert!((PAUSE.1..=LONGEST).contains(&last), "{last:?}");
    health.probed(now);
    assert!(!health.needs_probe() && due(&health) == now, "a probe that it answered is followed by a read");
    assert!(health.answered(now), "it is back");
    assert!(!health.answered(now + SECOND), "it was back already");
}

#[tokio::test(start_paused = true)]
async fn what_is_silent_at_its_first_probe_is_told_and_set_aside_after_two_times_and_three_seconds_only() {
    let start = Instant::now();
    let second = |n: u32| start + SECOND * n;
    let fresh = || unit(SECOND, start);
    let lost = || {
        let mut health = live(SECOND, start);
        health.lost(start, Failure::Silent);
        health
    };
    let unlinked = || {
        let mut health = live(SECOND, start);
        health.unlinked(start);
        health
    };
    for (mut health, silences) in [(fresh(), 0), (unlinked(), 0), (lost(), 1)] {
        if silences == 0 {
            assert!(health.failed(start, Failure::Silent).0, "it is told");
        }
        assert!(!health.is_set_aside() && health.needs_probe());
        assert_eq!(due(&health), second(2));
        let gate = second(5);
        assert_eq!(health.ask(true, Some(gate)).due, gate, "nothing is urgent enough to come before it");
        assert!(health.failed(second(2), Failure::Silent).0 && !health.is_set_aside(), "not for 3 s yet");
        assert!(health.failed(second(3), Failure::Silent).0 && health.is_set_aside());
    }
    // One that answers, and be it without use, was not set aside.
    let mut health = lost();
    health.failed(second(2), Failure::Refused);
    assert!(!health.is_doubted() && !health.is_set_aside());
    let mut health = lost();
    health.probed(second(2));
    assert!(health.answered(second(2)) && health.is_in_use());
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_without_use_is_told_after_the_same_time_and_asked_at_its_own_interval() {
    let start = Instant::now();
    let mut health = live(SECOND * 5, start);
    assert!(!health.failed(start + SECOND * 5, Failure::Refused).0);
    assert!(health.failed(start + SECOND * 10, Failure::Refused).0);
    for turn in 3..100_u32 {
        assert!(health.needs_probe() && !health.is_set_aside());
        assert_eq!(due(&health), start + SECOND * 5 * turn);
        health.probed(due(&health));
        let asked = start + SECOND * 5 * turn;
        assert!(health.failed(asked + SECOND / 10, Failure::Refused).0, "the read after it is refused");
    }
    // A fast one is asked every second.
    let mut health = live(SECOND / 5, start);
    for at in [1, 5] {
        health.failed(start + SECOND * at, Failure::Refused);
    }
    assert_eq!(due(&health), start + SECOND * 6);
}

#[tokio::test(start_paused = true)]
async fn only_silence_that_lasts_makes_the_pauses_grow() {
    let start = Instant::now();
    let second = |n: u32| start + SECOND * n;
    let mut health = live(SECOND, start);
    // Busy and silent in turns: it is offline, and asked every second.
    for n in 1..50 {
        health.failed(second(n), if n % 2 == 0 { Failure::Silent } else { Failure::Refused });
        assert!(!health.is_set_aside(), "{n}");
    }
    for n in 50..=53 {
        health.failed(second(n), Failure::Silent);
    }
    assert!(health.is_set_aside());
    health.failed(second(60), Failure::Refused);
    assert!(!health.is_set_aside(), "it answers");
    assert_eq!(due(&health), second(61));
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_fails_costs_one_timeout_for_each_interval() {
    let start = Instant::now();
    let mut health = live(SECOND, start);
    assert_eq!(health.begin(start + SECOND), 0);
    // 2.5 s of waiting for nothing: two turns are gone, the next one is at 4 s.
    assert_eq!(health.failed(start + SECOND * 7 / 2, Failure::Silent), (false, 2));
    assert_eq!(due(&health), start + SECOND * 4);
}

#[tokio::test(start_paused = true)]
async fn a_read_out_of_turn_is_due_at_once_and_leaves_the_rhythm_alone() {
    let now = Instant::now();
    let mut health = live(SECOND * 10, now);
    let turn = now + SECOND * 10;
    let later = now + SECOND * 3;
    health.read_soon(later);
    assert_eq!(due(&health), later);
    assert_eq!(health.begin(later), 0);
    assert!(!health.answered(later));
    assert_eq!(due(&health), turn);
    // One that comes due together with its turn is that turn.
    health.read_soon(turn);
    assert_eq!(health.begin(turn), 0);
    health.answered(turn);
    assert_eq!(due(&health), turn + SECOND * 10);
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_was_set_aside_is_asked_more_often_while_it_is_urgent() {
    let mut now = Instant::now();
    let mut health = live(SECOND * 5, now);
    health.lost(now, Failure::Silent);
    assert!(!health.is_early(now, Some(now + LONGEST)), "not set aside yet");
    while due(&health) < now + PAUSE.1 {
        now = due(&health);
        health.failed(now, Failure::Silent);
    }
    let gate = Some(now + LONGEST * 2);
    assert_eq!(health.ask(false, gate).due, now + LONGEST * 2, "not for the sake of the others");
    let urgent = health.ask(true, gate);
    assert_eq!((urgent.due, urgent.deadline), (now + URGENT_PAUSE, now + URGENT_PAUSE));
    assert!(health.is_early(urgent.due, gate) && !health.is_early(now + LONGEST * 2, gate));
    assert!(!health.is_early(urgent.due, None), "nobody is to be spared");
    let own = due(&health);
    health.glanced(urgent.due);
    assert_eq!(health.ask(true, gate).due, urgent.due + URGENT_PAUSE);
    assert_eq!(due(&health), own, "its own turn stays");
    health.probed(now);
    health.answered(now);
    assert!(health.ask(true, gate).due <= now + SECOND * 5, "one that answers keeps its rhythm");
}

#[tokio::test(start_paused = true)]
async fn a_unit_whose_link_was_away_is_asked_at_once_and_forgets_its_pauses() {
    let now = Instant::now();
    let mut health = live(SECOND, now);
    health.lost(now, Failure::Silent);
    for _ in 0..10 {
        health.failed(now, Failure::Silent);
    }
    health.unlinked(now + SECOND);
    assert!(health.needs_probe() && !health.is_set_aside());
    assert_eq!(due(&health), now + SECOND);
    assert!(health.failed(now + SECOND, Failure::Silent).0);
    assert!(due(&health) <= now + SECOND + PAUSE.0 * 2);
}
