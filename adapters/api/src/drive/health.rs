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
    /// Next read, or next probe.
    pub due: Instant,
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
        Self { interval, state: State::New, due }
    }

    /// Must the unit be probed before it is read?
    pub fn needs_probe(&self) -> bool {
        matches!(self.state, State::New | State::Quarantined(_))
    }

    /// It answered a probe: read it at once.
    pub fn probed(&mut self, now: Instant) -> Change {
        self.state = State::Live;
        self.due = now;
        Change::Up
    }

    /// It answered a read that was due at `self.due`; missed turns are dropped, not piled up.
    pub fn answered(&mut self, now: Instant) {
        self.state = State::Live;
        let next = self.due + self.interval;
        self.due = if next > now { next } else { now + self.interval };
    }

    /// It did not answer usefully.
    pub fn failed(&mut self, now: Instant) -> Change {
        self.due = now + self.interval;
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
        self.due = now + pauses.next().unwrap_or(PAUSE.1);
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
            now = health.due;
            assert_eq!(health.failed(now), Change::None);
            last = health.due - now;
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
        assert_eq!(health.due, late + Duration::from_secs(1));
    }
}
