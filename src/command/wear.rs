//! How often what wears out may be written: EEPROM and flash take some ten thousand writes, which a
//! controller that never tires uses up in weeks. Pure; the caller brings the time and keeps the
//! record.
//!
//! Kept as a note: space `wear`, key `<device>/<setpoint group, or the command>`, value the wall
//! times of the last writes, as many as a day allows, ms, as a JSON array, oldest first.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use adapter_api::DeviceId;

use crate::journal::Change;

/// The space in the journal's notes.
pub(super) const SPACE: &str = "wear";
const DAY_MS: i64 = 86_400_000;

/// How often one persistent register may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WearLimits {
    /// Least time between two writes.
    pub gap: Duration,
    /// Most writes in a day.
    pub per_day: usize,
}

/// One persistent register, or those that are written together.
pub(super) type Register = (DeviceId, String);

/// When persistent registers were written.
pub(super) struct WearGuard {
    limits: WearLimits,
    written: HashMap<Register, VecDeque<i64>>,
}

impl WearGuard {
    /// From the notes that were kept.
    pub fn new(limits: WearLimits, notes: Vec<(String, Vec<u8>)>) -> Self {
        let one = |(key, value): (String, Vec<u8>)| {
            let (device, register) = key.split_once('/')?;
            let times: VecDeque<i64> = serde_json::from_slice(&value).ok()?;
            Some(((DeviceId::new(device).ok()?, register.to_owned()), times))
        };
        Self { limits, written: notes.into_iter().filter_map(one).collect() }
    }

    /// May it be written now? If not: from when on, wall ms. What lies in the future was written
    /// while the clock was wrong and counts as just now.
    pub fn check(&self, register: &Register, now: i64) -> Result<(), i64> {
        let Some(times) = self.written.get(register) else { return Ok(()) };
        let times: Vec<i64> = times.iter().map(|at| (*at).min(now)).collect();
        let gap = i64::try_from(self.limits.gap.as_millis()).unwrap_or(i64::MAX);
        let gap = times.last().map_or(i64::MIN, |last| last.saturating_add(gap));
        let full = times.len().checked_sub(self.limits.per_day).and_then(|at| times.get(at));
        let next = gap.max(full.map_or(i64::MIN, |oldest| oldest + DAY_MS));
        if next > now { Err(next) } else { Ok(()) }
    }

    /// It was written.
    pub fn count(&mut self, register: &Register, now: i64) {
        let times = self.written.entry(register.clone()).or_default();
        times.push_back(now);
        while times.len() > self.limits.per_day {
            times.pop_front();
        }
    }

    /// The record as it is to be kept.
    pub fn note(&self, register: &Register) -> Change {
        let (device, name) = register;
        let times = self.written.get(register);
        let value = times.map(|times| serde_json::json!(times).to_string().into_bytes());
        Change::Note { space: SPACE, key: format!("{device}/{name}"), value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WearLimits = WearLimits { gap: Duration::from_secs(300), per_day: 24 };

    fn register() -> Register {
        (DeviceId::new("roof-battery").unwrap(), "reserve".to_owned())
    }

    #[test]
    fn writes_keep_a_gap_of_five_minutes() {
        let mut guard = WearGuard::new(LIMITS, Vec::new());
        assert_eq!(guard.check(&register(), 0), Ok(()));
        guard.count(&register(), 1_000);
        assert_eq!(guard.check(&register(), 2_000), Err(301_000));
        assert_eq!(guard.check(&register(), 301_000), Ok(()));
        assert_eq!(guard.check(&(register().0, "other".into()), 2_000), Ok(()));
    }

    #[test]
    fn the_twenty_fifth_write_of_a_day_waits_for_the_first_to_be_a_day_old() {
        let mut guard = WearGuard::new(LIMITS, Vec::new());
        let minutes = |minutes: i64| minutes * 60_000;
        (0..24).for_each(|write| guard.count(&register(), minutes(write * 10)));
        assert_eq!(guard.check(&register(), minutes(300)), Err(DAY_MS));
        assert_eq!(guard.check(&register(), DAY_MS), Ok(()));
    }

    #[test]
    fn the_record_outlives_a_restart_and_a_clock_that_was_ahead() {
        let mut guard = WearGuard::new(LIMITS, Vec::new());
        guard.count(&register(), 9_000_000_000);
        let Change::Note { key, value: Some(value), .. } = guard.note(&register()) else { panic!() };
        let guard = WearGuard::new(LIMITS, vec![(key, value), ("nonsense".into(), vec![])]);
        assert_eq!(guard.check(&register(), 1_000), Err(301_000), "not for a hundred days");
    }
}
