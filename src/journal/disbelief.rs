//! How often what a device counted was not believed, since the start of the process. The journal's thread
//! writes it, the registry of devices reads it. Decides nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use adapter_api::{Counter, DeviceId};

/// Devices that are counted, at most: more than a home has, and no adapter that makes up ids fills the memory.
const DEVICES: usize = 4_096;

/// What was not believed of one reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Doubted {
    /// One of its counters stood lower.
    pub fell: bool,
    /// One of its counters had risen by more than the device can move.
    pub leapt: bool,
}

impl Doubted {
    /// One more counter that is not believed.
    pub fn add(&mut self, lower: bool) {
        (self.fell, self.leapt) = (self.fell || lower, self.leapt || !lower);
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    fallen: u64,
    leaps: u64,
}

/// A handle to the counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Disbelief(Arc<RwLock<BTreeMap<DeviceId, Count>>>);

impl Disbelief {
    /// One reading was taken.
    pub fn count(&self, device: &DeviceId, doubted: Doubted) {
        if doubted == Doubted::default() {
            return;
        }
        let mut counts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= DEVICES && !counts.contains_key(device) {
            return;
        }
        let count = counts.entry(device.clone()).or_default();
        count.fallen += u64::from(doubted.fell);
        count.leaps += u64::from(doubted.leapt);
    }

    /// What was counted of a device; what never happened is left out.
    pub fn of(&self, device: &str) -> BTreeMap<Counter, u64> {
        let counts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Count { fallen, leaps } = counts.get(device).copied().unwrap_or_default();
        let both = [(Counter::FallingCounters, fallen), (Counter::Leaps, leaps)];
        both.into_iter().filter(|(_, times)| *times > 0).collect()
    }

    /// Forgets all other devices.
    pub fn retain(&self, keep: impl Fn(&DeviceId) -> bool) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|device, _| keep(device));
    }
}
