//! What could not be read: counted and said once, never fatal.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::bytes::Damaged;

/// More are counted as one: a card that is this far gone needs replacing, not counting.
const REMEMBERED: usize = 10_000;

/// Shared by everything in the journal that reads payloads.
#[derive(Clone, Default)]
pub(super) struct Damage(Arc<Mutex<BTreeSet<(&'static str, u64)>>>);

impl Damage {
    /// A payload is damaged. Logged the first time that it is met.
    pub fn found(&self, what: &'static str, first: u64, error: Damaged) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < REMEMBERED && known.insert((what, first)) {
            tracing::error!(what, first, %error, "a part of the journal is damaged and is skipped");
        }
    }

    /// How many different ones were met.
    pub fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}
