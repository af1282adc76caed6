//! Whether the link of all units can be opened, and when that is tried next: one attempt for all of
//! its units, never one for each. Pure: the caller brings the clock.

use std::time::Duration;

use tokio::time::Instant;

use super::patience::{Pauses, Run, URGENT_PAUSE};

/// The pause between two attempts while nothing is told yet.
const ATTEMPT_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Link {
    state: State,
    /// Nothing is asked before.
    due: Instant,
    /// The last attempt.
    asked: Instant,
}

enum State {
    /// Not tried yet.
    New,
    Open,
    Failing(Run),
    Down(Pauses),
}

impl Link {
    pub fn new(now: Instant) -> Self {
        Self { state: State::New, due: now, asked: now }
    }

    /// No unit is asked before. `urgent`: a setpoint of one of its units has to be given back.
    pub fn free_at(&self, urgent: bool) -> Instant {
        if urgent && self.is_down() { self.due.min(self.asked + URGENT_PAUSE) } else { self.due }
    }

    /// Is it told to be away?
    pub fn is_down(&self) -> bool {
        matches!(self.state, State::Down(_))
    }

    /// It could not be opened; true when it is away for all of its units.
    pub fn failed(&mut self, now: Instant) -> bool {
        let run = match std::mem::replace(&mut self.state, State::New) {
            State::New => return self.down(now, Pauses::new()),
            State::Down(pauses) => return self.down(now, pauses),
            State::Open => Run::longer(None, now),
            State::Failing(run) => Run::longer(Some(run), now),
        };
        if run.is_over(now) {
            return self.down(now, Pauses::new());
        }
        (self.state, self.due, self.asked) = (State::Failing(run), now + ATTEMPT_AGAIN, now);
        false
    }

    /// A command found out that it is away.
    pub fn lost(&mut self, now: Instant) {
        if !self.is_down() {
            self.down(now, Pauses::new());
        }
    }

    fn down(&mut self, now: Instant, mut pauses: Pauses) -> bool {
        (self.due, self.asked) = (now + pauses.next(), now);
        self.state = State::Down(pauses);
        true
    }

    /// Something came through; true when it was away.
    pub fn opened(&mut self, now: Instant) -> bool {
        let was_down = self.is_down();
        (self.state, self.due) = (State::Open, now);
        was_down
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::patience::{LONGEST, PAUSE};

    #[tokio::test(start_paused = true)]
    async fn a_link_that_was_open_is_away_after_two_failures_over_three_seconds() {
        let start = Instant::now();
        let second = |n: u64| start + Duration::from_secs(n);
        let mut link = Link::new(start);
        assert!(!link.opened(start), "it was not away");
        assert!(!link.failed(start));
        assert_eq!(link.free_at(true), second(1), "no attempt more, for whomever");
        assert!(!link.failed(second(2)));
        assert!(link.failed(second(3)));
        assert!(link.opened(second(5)), "it was away");
        assert!(!link.failed(second(6)) && !link.is_down(), "the next failure is the first one again");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_never_was_open_is_away_at_once_and_tried_ever_more_rarely() {
        let mut now = Instant::now();
        let mut link = Link::new(now);
        assert!(link.failed(now));
        let first = link.free_at(false) - now;
        assert!((PAUSE.0..=PAUSE.0 * 2).contains(&first), "{first:?}");
        for _ in 0..12 {
            now = link.free_at(false);
            assert!(link.failed(now));
        }
        let last = link.free_at(false) - now;
        assert!((PAUSE.1..=LONGEST).contains(&last), "{last:?}");
        assert_eq!(link.free_at(true), now + URGENT_PAUSE);
    }
}
