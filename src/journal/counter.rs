//! One lifetime counter: which of its values are believed, and what each adds. Pure: the moments come
//! with the values.
//!
//! | value | meaning |
//! | --- | --- |
//! | up by no more than the device can move | believed |
//! | further up: a leap | believed when it stays for three readings |
//! | down | believed when it stays for three readings and 60 s: a wrap near the end of its type, else a new start, which adds nothing |
//! | back above where it was before a new start, within two days | it had bounced, or trembled: it adds what came since then |

use adapter_api::Moment;

use super::{disbelief::Doubted, energy::Traits};

/// A value that is not believed must stay for so many readings …
const PROOF: u32 = 3;
/// … and a lower one also this long: devices bounce to zero for some readings, ms.
const LOWER_FOR: u64 = 60_000;
/// Devices forget their counters for a night, and know them again in the morning, ms.
const RETURNS_WITHIN: u64 = 48 * 3_600_000;
/// How many values counters of 16 and 32 bits have, and the Wh that one of them may be.
const ENDS: [u64; 2] = [1 << 16, 1 << 32];
const STEPS: [u64; 4] = [1, 10, 100, 1000];
/// A counter is near its end in the last part of its values, one of so many.
const LAST: u64 = 8;

/// When something was believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    pub at: Moment,
    /// Monotonic times of another boot mean nothing.
    pub same_boot: bool,
}

impl Since {
    fn now(at: Moment) -> Self {
        Self { at, same_boot: true }
    }

    fn elapsed_ms(self, now: Moment) -> u64 {
        if self.same_boot {
            now.mono_ms.saturating_sub(self.at.mono_ms)
        } else {
            u64::try_from(now.wall_ms.saturating_sub(self.at.wall_ms)).unwrap_or(0)
        }
    }
}

/// A value that is waiting to be believed.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    lower: bool,
    first: u64,
    last: u64,
    last_at: u64,
    times: u32,
}

/// Where a counter stood before it began anew.
#[derive(Debug, Clone, Copy)]
struct Before {
    total: u64,
    since: Since,
    /// Where it began anew.
    low: u64,
    /// What it has added since then, Wh.
    added: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counter {
    believed: Option<(u64, Since)>,
    doubt: Option<Doubt>,
    before: Option<Before>,
}

impl Counter {
    /// One that stood there, Wh.
    pub fn known(total: u64, since: Since) -> Self {
        Self { believed: Some((total, since)), ..Self::default() }
    }

    /// What is believed of it, Wh.
    pub fn total(&self) -> Option<u64> {
        self.believed.map(|(total, _)| total)
    }

    /// What the counter adds, Wh; none for the first value and for one that is not (yet) believed.
    pub fn take(&mut self, traits: Traits, value: u64, now: Moment, doubted: &mut Doubted) -> Option<u64> {
        let Some((believed, since)) = self.believed else {
            self.believe(value, now, 0);
            return None;
        };
        let limit = limit(traits, since.elapsed_ms(now), believed, value);
        if let Some(increment) = value.checked_sub(believed).filter(|increment| *increment <= limit) {
            // It stands where it was before: it trembled; or it came back from so far below that nobody can
            // have used so much, although the time would allow it.
            let came_back = |before: Before| (before.low > before.total / 2) || believed <= before.total / 2;
            let came_back = self.before.is_some_and(came_back);
            let returned = self.returned(traits, value, now).filter(|_| came_back);
            let increment = returned.map_or(increment, |came| came.min(increment));
            self.believe(value, now, increment);
            return Some(increment);
        }
        let lower = value < believed;
        if !self.stays(traits, lower, value, now.mono_ms) {
            doubted.add(lower);
            return None;
        }
        let increment = if lower {
            let wrapped = wrapped(believed, value, limit);
            if wrapped.is_none() {
                self.begins_anew(believed, since, value, now);
            }
            wrapped.unwrap_or(0)
        } else {
            self.returned(traits, value, now).unwrap_or({
                // Zero before a leap was a device that had not read its memory yet, not a house that used
                // a lifetime's energy in one moment.
                if believed == 0 { 0 } else { value - believed }
            })
        };
        self.believe(value, now, increment);
        Some(increment)
    }

    fn believe(&mut self, value: u64, now: Moment, added: u64) {
        self.believed = Some((value, Since::now(now)));
        self.doubt = None;
        // Once it has counted past where it was it can no longer come back to there.
        self.before = self.before.filter(|before| value < before.total);
        if let Some(before) = &mut self.before {
            before.added += added;
        }
    }

    /// It stands lower for good, as far as one can see. Of several falls the first one counts, that is where it
    /// may come back to; unless that is so long ago that it will not.
    fn begins_anew(&mut self, total: u64, since: Since, low: u64, now: Moment) {
        self.before = self.before.filter(|before| before.since.elapsed_ms(now) <= RETURNS_WITHIN);
        self.before.get_or_insert(Before { total, since, low, added: 0 });
    }

    /// What came while it had forgotten where it was, if it is that.
    fn returned(&self, traits: Traits, value: u64, now: Moment) -> Option<u64> {
        let Before { total, since, added, .. } = self.before?;
        let elapsed = since.elapsed_ms(now);
        let came = value.checked_sub(total)?;
        let possible = elapsed <= RETURNS_WITHIN && came <= limit(traits, elapsed, total, value);
        possible.then(|| came.saturating_sub(added))
    }

    /// Counts this value among the doubtful ones; true when it stayed long enough.
    fn stays(&mut self, traits: Traits, lower: bool, value: u64, now: u64) -> bool {
        let goes_on = |doubt: &Doubt| {
            let elapsed = now.saturating_sub(doubt.last_at);
            doubt.lower == lower
                && value
                    .checked_sub(doubt.last)
                    .is_some_and(|increment| increment <= limit(traits, elapsed, doubt.last, value))
        };
        let doubt = match self.doubt.filter(goes_on) {
            Some(doubt) => Doubt { last: value, last_at: now, times: doubt.times + 1, ..doubt },
            None => Doubt { lower, first: now, last: value, last_at: now, times: 1 },
        };
        self.doubt = Some(doubt);
        doubt.times >= PROOF && (!lower || now.saturating_sub(doubt.first) >= LOWER_FOR)
    }
}

/// The most that can lie between two values, Wh: what the device can move in that time, and one step of a counter
/// that counts in coarse ones, for it had nearly made that when it was read before.
fn limit(traits: Traits, elapsed_ms: u64, before: u64, after: u64) -> u64 {
    let is_step = |step: &&u64| before.is_multiple_of(**step) && after.is_multiple_of(**step);
    let step = STEPS.iter().rev().find(is_step).copied().unwrap_or(1);
    traits.plausible(elapsed_ms) + if step > 1 { step } else { 0 }
}

/// What a counter added that went on from zero at the end of its type: as much as the device can have moved. One that
/// counts single Wh does not end where one of coarse steps does.
fn wrapped(believed: u64, value: u64, limit: u64) -> Option<u64> {
    let counts = |step: &u64| believed.is_multiple_of(*step) && value.is_multiple_of(*step);
    let ends = ENDS.iter().flat_map(|end| STEPS.into_iter().filter(counts).map(move |step| end * step));
    let added = ends.filter_map(|end| {
        let rest = end.checked_sub(believed).filter(|rest| *rest <= end / LAST)?;
        Some(rest + value)
    });
    added.filter(|added| *added <= limit).min()
}
