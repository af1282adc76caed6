//! Whether the units of a link can be read as often as the configuration says: computed from what a
//! turn needs at least, and counted from turns that were missed. Pure; says what is to be told, once.

use std::time::Duration;

use tokio::time::Instant;

use super::Schedule;
use crate::UnitId;

/// Over which time missed turns are looked at.
const WINDOW: Duration = Duration::from_secs(60);
/// Polls are being missed when more than this share of a window's turns was …
const BEGINS: f64 = 0.05;
/// … and no longer when less than this one was.
const ENDS: f64 = 0.01;

/// What a unit asks of its link.
pub(super) struct Demand<'a> {
    pub unit: &'a UnitId,
    /// One turn takes at least this; zero where it is not known.
    pub turn: Duration,
    pub interval: Duration,
}

/// By which factor all intervals must grow so that every unit can have its turns; none when they can.
pub(super) fn stretch(demands: &[Demand<'_>]) -> Option<f64> {
    let share = |demand: &Demand<'_>| demand.turn.as_secs_f64() / demand.interval.as_secs_f64().max(0.001);
    let factor = demands.iter().map(share).sum::<f64>() / Schedule::ROOM;
    (factor > 1.0).then_some(factor)
}

/// The intervals that can be kept, in words for an installer.
pub(super) fn achievable(demands: &[Demand<'_>], factor: f64) -> String {
    let words = |demand: &Demand<'_>| {
        // Up to the next tenth, without what the last bits of a division add.
        let seconds = (demand.interval.as_secs_f64() * factor * 10.0 - 1e-6).ceil() / 10.0;
        format!("{} every {seconds} s instead of {} s", demand.unit, demand.interval.as_secs_f64())
    };
    demands.iter().map(words).collect::<Vec<_>>().join(", ")
}

/// What was last told of one condition.
#[derive(Default)]
pub(super) struct Told(Option<String>);

impl Told {
    /// Is it news?
    pub fn changes(&mut self, now: Option<String>) -> bool {
        let news = self.0 != now;
        self.0 = now;
        news
    }
}

/// What happened to the condition that polls are being missed.
#[derive(Debug, PartialEq)]
pub(super) enum Strain {
    /// It began. All intervals would have to be longer by this factor.
    Begins {
        /// Turns that were missed in the last window.
        missed: u64,
        /// Turns per turn served.
        factor: f64,
    },
    /// It ended.
    Ends,
}

/// Counts the turns of a link.
pub(super) struct Turns {
    since: Instant,
    served: u64,
    missed: u64,
    strained: bool,
}

impl Turns {
    pub fn new(now: Instant) -> Self {
        Self { since: now, served: 0, missed: 0, strained: false }
    }

    /// A turn is served, and so many before it were missed.
    pub fn take(&mut self, now: Instant, missed: u64) -> Option<Strain> {
        self.served += 1;
        self.missed += missed;
        if now - self.since < WINDOW {
            return None;
        }
        let (served, missed) = (self.served as f64, self.missed as f64);
        let share = missed / (served + missed);
        let change = match self.strained {
            false if share > BEGINS => {
                Some(Strain::Begins { missed: self.missed, factor: (served + missed) / served })
            }
            true if share < ENDS => Some(Strain::Ends),
            _ => None,
        };
        let strained = if change.is_some() { !self.strained } else { self.strained };
        *self = Self { strained, ..Self::new(now) };
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_asked_for_more_than_nine_tenths_of_its_time_names_what_it_can_do() {
        let (one, two) = (UnitId::from("bus/1"), UnitId::from("bus/2"));
        let demands = |turn: u64| {
            let turn = Duration::from_millis(turn);
            [
                Demand { unit: &one, turn, interval: Duration::from_secs(1) },
                Demand { unit: &two, turn, interval: Duration::from_millis(500) },
            ]
        };
        assert_eq!(stretch(&demands(0)), None, "not known");
        assert_eq!(stretch(&demands(300)), None, "just so");
        let factor = stretch(&demands(360)).unwrap();
        assert!((factor - 1.2).abs() < 1e-9, "{factor}");
        let words = achievable(&demands(360), factor);
        assert_eq!(words, "bus/1 every 1.2 s instead of 1 s, bus/2 every 0.6 s instead of 0.5 s");
        // What it names it can do.
        let longer =
            Demand { unit: &one, turn: Duration::from_millis(360), interval: Duration::from_millis(1200) };
        let other = Demand { unit: &two, interval: Duration::from_millis(600), ..longer };
        let longer = Demand { unit: &one, ..longer };
        assert!(stretch(&[longer, other]).is_none_or(|factor| factor < 1.000_001));
    }

    #[tokio::test(start_paused = true)]
    async fn missed_turns_are_news_when_they_become_many_and_when_they_are_none_again() {
        let start = Instant::now();
        let mut turns = Turns::new(start);
        let mut news = Vec::new();
        for second in 0..600_u64 {
            // One in the first minute is no condition; from 120 s to 300 s it is every second one.
            let missed = u64::from((120..300).contains(&second) || second == 30);
            news.extend(
                turns.take(start + Duration::from_secs(second), missed).map(|strain| (second, strain)),
            );
        }
        let [(begun, Strain::Begins { factor, missed }), (ended, Strain::Ends)] = &news[..] else {
            panic!("{news:?}");
        };
        assert!((120..=180).contains(begun) && *missed > 50, "{news:?}");
        assert!((1.9..=2.0).contains(factor), "{factor}");
        assert!((360..=420).contains(ended), "{ended}");
    }
}
