//! Whether a unit answers, and when it is asked next. Pure: the caller brings the clock.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

/// A unit is set aside when it failed this often in a row …
const FAILURES: u32 = 2;
/// … and for this long.
const FAILING_FOR: Duration = Duration::from_secs(3);
/// The first pause of a unit that was set aside, and the longest.
/// Jitter adds up to as much again, so that it is asked every 5 minutes at least.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(150));

/// The pause, at most, while a setpoint of the unit has to be given back: with the probe's own time it is asked
/// every 10 s at least.
const URGENT_PAUSE: Duration = Duration::from_secs(7);

/// What a change of health means for the world outside.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It answers now and did not before.
    Up,
    /// It is set aside now and was not before.
    Down,
    /// As before.
    None,
}

pub(super) struct Health {
    interval: Duration,
    state: State,
    /// Next read or probe in the unit's rhythm.
    due: Instant,
    /// When it last answered or failed to.
    asked: Instant,
    /// A read out of turn, since then.
    extra: Option<Instant>,
}

enum State {
    /// Not asked yet.
    New,
    Live,
    Failing {
        since: Instant,
        times: u32,
    },
    /// Set aside: only probed, ever more rarely.
    Quarantined(ExponentialBackoff),
}

impl Health {
    pub fn new(interval: Duration, due: Instant) -> Self {
        Self { interval, state: State::New, due, asked: due, extra: None }
    }

    /// Next read, or next probe; `urgent`: a setpoint of the unit has to be given back.
    pub fn due(&self, urgent: bool) -> Instant {
        match self.state {
            State::Quarantined(_) if urgent => self.due.min(self.asked + URGENT_PAUSE),
            State::Live => self.extra.map_or(self.due, |extra| extra.min(self.due)),
            _ => self.due,
        }
    }

    /// A command changed it: it is read at once, and keeps its rhythm.
    pub fn read_soon(&mut self, now: Instant) {
        self.extra.get_or_insert(now);
    }

    /// Must the unit be probed before it is read?
    pub fn needs_probe(&self) -> bool {
        matches!(self.state, State::New | State::Quarantined(_))
    }

    /// Is it probed only, ever more rarely?
    pub fn is_set_aside(&self) -> bool {
        matches!(self.state, State::Quarantined(_))
    }

    /// It answered a probe: read it at once.
    pub fn probed(&mut self, now: Instant) -> Change {
        self.state = State::Live;
        (self.due, self.asked) = (now, now);
        Change::Up
    }

    /// It answered a read; missed turns are dropped, not piled up.
    pub fn answered(&mut self, now: Instant) {
        self.state = State::Live;
        self.asked = now;
        if self.extra.take().is_some() && self.due > now {
            return;
        }
        let next = self.due + self.interval;
        self.due = if next > now { next } else { now + self.interval };
    }

    /// It did not answer usefully.
    pub fn failed(&mut self, now: Instant) -> Change {
        (self.due, self.asked, self.extra) = (now + self.interval, now, None);
        match &mut self.state {
            State::New => self.set_aside(now),
            State::Live => {
                self.state = State::Failing { since: now, times: 1 };
                Change::None
            }
            State::Failing { since, times } => {
                *times += 1;
                if *times >= FAILURES && now - *since >= FAILING_FOR {
                    self.set_aside(now)
                } else {
                    Change::None
                }
            }
            State::Quarantined(pauses) => {
                self.due = now + pauses.next().unwrap_or(PAUSE.1);
                Change::None
            }
        }
    }

    /// It is known to be away.
    pub fn lost(&mut self, now: Instant) {
        self.set_aside(now);
    }

    fn set_aside(&mut self, now: Instant) -> Change {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE.0)
            .with_max_delay(PAUSE.1)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times()
            .build();
        (self.due, self.asked, self.extra) = (now + pauses.next().unwrap_or(PAUSE.1), now, None);
        self.state = State::Quarantined(pauses);
        Change::Down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_unit_is_set_aside_after_two_failures_over_three_seconds_and_probed_ever_more_rarely() {
        let mut now = Instant::now();
        let mut health = Health::new(Duration::from_secs(1), now);
        assert!(health.needs_probe());
        assert_eq!(health.probed(now), Change::Up);
        health.answered(now);
        assert_eq!(health.failed(now), Change::None);
        assert_eq!(health.failed(now + Duration::from_secs(1)), Change::None, "not for 3 s yet");
        assert_eq!(health.failed(now + Duration::from_secs(3)), Change::Down);
        let mut last = Duration::ZERO;
        for _ in 0..12 {
            now = health.due(false);
            assert_eq!(health.failed(now), Change::None);
            last = health.due(false) - now;
        }
        assert!(last >= PAUSE.1 && last <= PAUSE.1 * 2, "{last:?}");
        assert_eq!(health.probed(now), Change::Up);
        assert!(!health.needs_probe());
    }

    #[tokio::test(start_paused = true)]
    async fn missed_turns_are_dropped() {
        let now = Instant::now();
        let mut health = Health::new(Duration::from_secs(1), now);
        health.probed(now);
        let late = now + Duration::from_millis(4_300);
        health.answered(late);
        assert_eq!(health.due(false), late + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_out_of_turn_is_due_at_once_and_leaves_the_rhythm_alone() {
        let now = Instant::now();
        let mut health = Health::new(Duration::from_secs(10), now);
        health.probed(now);
        health.answered(now);
        let turn = now + Duration::from_secs(10);
        let later = now + Duration::from_secs(3);
        health.read_soon(later);
        assert_eq!(health.due(false), later);
        health.answered(later);
        assert_eq!(health.due(false), turn);
        // One that comes due together with its turn is that turn.
        health.read_soon(turn);
        health.answered(turn);
        assert_eq!(health.due(false), turn + Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_was_set_aside_is_asked_more_often_while_it_is_urgent() {
        let mut now = Instant::now();
        let mut health = Health::new(Duration::from_secs(5), now);
        health.lost(now);
        while health.due(false) < now + PAUSE.1 {
            now = health.due(false);
            health.failed(now);
        }
        assert_eq!(health.due(true), now + URGENT_PAUSE);
        health.probed(now);
        health.answered(now);
        assert_eq!(health.due(true), now + Duration::from_secs(5), "one that answers keeps its rhythm");
    }
}
