//! How long failing is borne, and how the pauses grow after that: the same rule for a unit and for a
//! whole link. Pure: the caller brings the clock.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

/// What failed this often in a row …
const FAILURES: u32 = 2;
/// … and for this long, is told to be away.
const FAILING_FOR: Duration = Duration::from_secs(3);

/// The pause before what was silent at its first probe is asked once more: one lost frame sets nothing
/// aside. With a timeout of a second, the second silence is one that lasted.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The first pause, and the longest that the growth leads to. Jitter adds up to as much again, so
/// that what is away is asked every 5 minutes, unless [`between_probes`] makes it wait for others.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(150));
/// No pause is longer.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

/// The pause, at most, while a setpoint has to be given back: with the probe's own time it is asked
/// every 10 s at least. This one is kept whatever it costs the neighbours: one such unit costs them a
/// [`Answers::glance`] each time, which is less than a turn where answers are quick. Where answers take
/// a good part of a second, or many units of one link have something to give back, the neighbours lose
/// more than 5 % of their polls until that is done.
pub(super) const URGENT_PAUSE: Duration = Duration::from_secs(7);

/// Probes of the silent units of a link leave this many times their own time to the others.
const SHARE: u32 = 20;

/// A glance lasts so many times the longest answer of the link …
const MARGIN: u32 = 3;
/// … and this long at least.
const SHORTEST_GLANCE: Duration = Duration::from_millis(300);
/// What is left of the longest answer with each one after it: half of it after 700.
const FADES: f64 = 0.999;

/// Failures in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    since: Instant,
    times: u32,
}

impl Run {
    /// One more.
    pub fn longer(run: Option<Self>, now: Instant) -> Self {
        run.map_or(Self { since: now, times: 1 }, |run| Self { times: run.times + 1, ..run })
    }

    /// Is it borne no longer?
    pub fn is_over(self, now: Instant) -> bool {
        self.times >= FAILURES && now - self.since >= FAILING_FOR
    }
}

/// Ever longer pauses.
pub(super) struct Pauses(ExponentialBackoff);

impl Pauses {
    pub fn new() -> Self {
        let growing = ExponentialBuilder::default()
            .with_min_delay(PAUSE.0)
            .with_max_delay(PAUSE.1)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times();
        Self(growing.build())
    }

    /// The next one.
    pub fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(PAUSE.1).min(LONGEST)
    }
}

/// The pause between two probes of silent units on a link with others that answer: one that took
/// `took` may come again after `SHARE` times as long. The units take turns, so that each of them waits
/// for as many such pauses as there are; with a timeout of 1 s that is longer than the longest pause
/// from 15 of them on. The neighbours' period goes before the 5 minutes then.
pub(super) fn between_probes(took: Duration) -> Duration {
    took.saturating_mul(SHARE)
}

/// The pause before the second probe of one of `doubted` units, on a link with others that answer: soon
/// when it is one, for that may be a lost frame, and as after any other probe when they are many.
pub(super) fn before_second(took: Duration, doubted: usize) -> Duration {
    took.saturating_mul(u32::try_from(doubted).unwrap_or(SHARE).clamp(1, SHARE))
}

/// How long the answers of a link take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answers {
    longest: Duration,
}

impl Answers {
    /// One came, after so long. What is long ago counts ever less.
    pub fn took(&mut self, took: Duration) {
        self.longest = self.longest.mul_f64(FADES).max(took);
    }

    /// How long a unit that is set aside is waited for when it is probed out of turn, because a setpoint
    /// has to be given back. One that answers more slowly is found by the probe that is its turn.
    pub fn glance(self) -> Duration {
        self.longest.saturating_mul(MARGIN).max(SHORTEST_GLANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_minutes_at_most_and_differ_from_each_other() {
        let mut pauses = Pauses::new();
        let first: Vec<_> = std::iter::repeat_with(|| pauses.next()).take(30).collect();
        assert!((PAUSE.0..=PAUSE.0 * 2).contains(&first[0]), "{first:?}");
        assert!(first[8..].iter().all(|pause| (PAUSE.1..=LONGEST).contains(pause)), "{first:?}");
        assert!(first[8..].iter().any(|pause| *pause != first[8]), "no jitter: {first:?}");
    }

    #[test]
    fn a_probe_leaves_twenty_times_its_time_to_the_others() {
        let second = Duration::from_secs(1);
        assert_eq!(between_probes(second), second * 20);
        assert_eq!(between_probes(second * 30), second * 600, "more than 5 min");
        let pauses = [1, 5, 20, 40].map(|doubted| before_second(second, doubted));
        assert_eq!(pauses, [second, second * 5, second * 20, second * 20]);
    }

    #[test]
    fn a_glance_lasts_three_times_the_longest_answer_of_late() {
        let mut answers = Answers::default();
        assert_eq!(answers.glance(), SHORTEST_GLANCE);
        answers.took(Duration::from_millis(200));
        answers.took(Duration::from_millis(20));
        assert!(answers.glance().abs_diff(Duration::from_millis(600)) < Duration::from_millis(2));
        (0..700).for_each(|_| answers.took(Duration::from_millis(20)));
        assert_eq!(answers.glance(), SHORTEST_GLANCE);
        (0..10_000).for_each(|_| answers.took(Duration::from_millis(150)));
        assert_eq!(answers.glance(), Duration::from_millis(450));
    }
}
