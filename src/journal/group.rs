//! When a group of readings is committed. Pure: the caller brings the time.

use std::time::{Duration, Instant};

/// So many readings are one commit and at most one batch: more would not be cheaper per reading.
pub(super) const BATCH_MAX: usize = 1000;
/// Whoever waits for a commit before it acknowledges waits no longer …
const DURABLE_WAIT: Duration = Duration::from_secs(1);
/// … and not until its window of unacknowledged messages is full.
const DURABLE_MAX: usize = 512;

/// What waits for the next commit.
#[derive(Debug, Default)]
pub(super) struct Group {
    readings: usize,
    durable: usize,
    oldest: Option<Instant>,
    oldest_durable: Option<Instant>,
    hurried: bool,
}

impl Group {
    /// Readings came; `durable` of them are waited for.
    pub fn add(&mut self, now: Instant, readings: usize, durable: usize) {
        self.readings += readings;
        self.durable += durable;
        self.oldest.get_or_insert(now);
        if durable > 0 {
            self.oldest_durable.get_or_insert(now);
        }
    }

    /// Something came that may ride along with the next commit, but not wait for ever.
    pub fn add_lazy(&mut self, now: Instant) {
        self.oldest.get_or_insert(now);
    }

    /// What came last must not wait.
    pub fn hurry(&mut self) {
        self.hurried = true;
    }

    /// When the commit is due; none while nothing waits.
    pub fn due_at(&self, group: Duration) -> Option<Instant> {
        let oldest = self.oldest?;
        if self.hurried || self.readings >= BATCH_MAX || self.durable >= DURABLE_MAX {
            return Some(oldest);
        }
        let durable = self.oldest_durable.map(|oldest| oldest + DURABLE_WAIT);
        Some(durable.map_or(oldest + group, |durable| durable.min(oldest + group)))
    }

    /// All of it is committed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: Duration = Duration::from_secs(10);

    #[test]
    fn readings_wait_for_the_group_and_nothing_waits_when_nothing_came() {
        let (mut group, now) = (Group::default(), Instant::now());
        assert_eq!(group.due_at(GROUP), None);
        group.add(now, 1, 0);
        group.add(now + Duration::from_secs(9), 998, 0);
        assert_eq!(group.due_at(GROUP), Some(now + GROUP));
        group.clear();
        assert_eq!(group.due_at(GROUP), None);
    }

    #[test]
    fn a_thousand_readings_are_due_at_once() {
        let (mut group, now) = (Group::default(), Instant::now());
        group.add(now, 1000, 0);
        assert_eq!(group.due_at(GROUP), Some(now));
    }

    #[test]
    fn durable_readings_are_due_after_a_second_or_when_the_window_is_half_full() {
        let (mut group, now) = (Group::default(), Instant::now());
        group.add(now, 1, 0);
        group.add(now + Duration::from_secs(2), 1, 1);
        assert_eq!(group.due_at(GROUP), Some(now + Duration::from_secs(3)));
        group.add(now + Duration::from_secs(2), 511, 511);
        assert_eq!(group.due_at(GROUP), Some(now));
    }
}
