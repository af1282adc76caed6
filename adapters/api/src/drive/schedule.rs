//! Whose turn it is, pure: the rhythm of each unit, how the units of all links are spread over their
//! intervals, and the order of those that are due. The caller brings the clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::UnitId;

/// A rhythm is no faster than this, whatever the configuration says.
const SHORTEST: Duration = Duration::from_millis(1);

/// When something is to be asked, and by when it should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub due: Instant,
    pub deadline: Instant,
}

/// Which of those that are due has the earliest deadline; of equal ones the first.
pub(super) fn earliest(asks: impl Iterator<Item = Ask>, now: Instant) -> Option<usize> {
    let due = asks.enumerate().filter(|(_, ask)| ask.due <= now);
    due.min_by_key(|(_, ask)| ask.deadline).map(|(at, _)| at)
}

/// Where in its interval the turns of a unit lie: `place` of `units` on its link after the place of
/// the link itself, which is the same at every start, so that links of one unit each are spread too.
pub(super) fn phase(link: &UnitId, place: usize, units: usize, interval: Duration) -> Duration {
    let of_link = scattered(link.as_str()) as f64 / (u64::MAX as f64 + 1.0);
    let of_unit = place as f64 / units.max(1) as f64;
    interval.mul_f64((of_link + of_unit).fract())
}

/// FNV-1a, then the last mix of MurmurHash3: ids that differ in one letter only lie far apart.
fn scattered(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53]
        .into_iter()
        .fold(hash, |hash, factor| (hash ^ (hash >> 33)).wrapping_mul(factor));
    mixed ^ (mixed >> 33)
}

/// The turns of one unit: at its phase, every interval, without drift.
pub(super) struct Rhythm {
    /// A turn that was or will be; all others are whole intervals away from it.
    origin: Instant,
    interval: Duration,
    /// The next turn that was not served.
    turn: Instant,
    /// A read out of turn, since then.
    extra: Option<Instant>,
}

impl Rhythm {
    /// The first turn comes after `start`, and no later than one interval after it.
    pub fn new(start: Instant, phase: Duration, interval: Duration) -> Self {
        let interval = interval.max(SHORTEST);
        let origin = start + phase;
        let mut rhythm = Self { origin, interval, turn: origin, extra: None };
        rhythm.resume(start);
        rhythm
    }

    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The next turn, or the read out of turn before it.
    pub fn ask(&self) -> Ask {
        let turn = Ask { due: self.turn, deadline: self.turn + self.interval };
        match self.extra {
            // Somebody changed something and wants to see it.
            Some(extra) if extra <= self.turn => Ask { due: extra, deadline: extra },
            _ => turn,
        }
    }

    /// A command changed the unit: it is read at once, and keeps its rhythm.
    pub fn read_soon(&mut self, now: Instant) {
        self.extra.get_or_insert(now);
    }

    /// The unit is asked now. At most one turn that is late is served before the one that is due;
    /// those before it are dropped: says how many.
    pub fn take(&mut self, now: Instant) -> u64 {
        self.extra = None;
        let passed = self.passed(now);
        let dropped = passed.saturating_sub(2);
        if passed > 0 {
            let caught_up = u32::from(passed > 1);
            self.turn = self.after(now) - self.interval * caught_up;
        }
        dropped
    }

    /// Goes on with the next turn after `now`; says how many are left out.
    pub fn resume(&mut self, now: Instant) -> u64 {
        self.extra = None;
        let passed = self.passed(now);
        self.turn = self.after(now);
        passed
    }

    /// How many turns came due and were not served.
    fn passed(&self, now: Instant) -> u64 {
        match now.checked_duration_since(self.turn) {
            Some(late) => {
                u64::try_from(late.as_nanos() / self.interval.as_nanos()).unwrap_or(u64::MAX - 1) + 1
            }
            None => 0,
        }
    }

    /// The first turn after an instant.
    fn after(&self, now: Instant) -> Instant {
        match now.checked_duration_since(self.origin) {
            Some(since) => {
                let into = since.as_nanos() % self.interval.as_nanos();
                now + (self.interval - Duration::from_nanos(u64::try_from(into).unwrap_or(0)))
            }
            None => self.origin,
        }
    }
}

#[cfg(test)]
#[path = "tests/schedule.rs"]
mod tests;
