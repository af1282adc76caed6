//! How long failing is borne, and how the pauses grow after that: the same rule for a unit and for a
//! whole link. Pure: the caller brings the clock.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

/// What failed this often in a row …
const FAILURES: u32 = 2;
/// … and for this long, is told to be away.
const FAILING_FOR: Duration = Duration::from_secs(3);

/// The first pause, and the longest that the growth leads to. Jitter adds up to as much again, so
/// that what is away is asked every 5 minutes at least.
pub(super) const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(150));
/// No pause is longer.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

/// The pause, at most, while a setpoint has to be given back: with the probe's own time it is asked
/// every 10 s at least.
pub(super) const URGENT_PAUSE: Duration = Duration::from_secs(7);

/// Probes of the silent units of a link leave this many times their own time to the others.
const SHARE: u32 = 20;

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
/// `took` may come again after `SHARE` times as long. With `aside` units taking turns each waits
/// that many of these pauses, but no longer than the longest.
pub(super) fn between_probes(took: Duration, aside: usize) -> Duration {
    let aside = u32::try_from(aside).unwrap_or(u32::MAX).max(1);
    took.saturating_mul(SHARE).min(LONGEST / aside)
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
    fn a_probe_leaves_twenty_times_its_time_to_the_others_within_five_minutes() {
        let second = Duration::from_secs(1);
        assert_eq!(between_probes(second, 1), second * 20);
        assert_eq!(between_probes(second, 10), second * 20, "each of the ten waits 200 s");
        assert_eq!(between_probes(second, 30), second * 10, "each of the thirty waits 5 min");
        assert_eq!(between_probes(Duration::from_secs(30), 1), LONGEST);
    }
}
