//! A reading between its arrival and its commit.

use std::{borrow::Borrow, sync::Arc};

use super::record::Stored;

/// A reading that waits for its commit.
pub(super) struct Held {
    pub stored: Stored,
    pub boot: Arc<str>,
    /// Of its arrival: a batch does not span two.
    pub hour: i64,
}

impl Held {
    /// May the next one be in the same batch? A batch's numbers have no gap.
    pub fn goes_with(&self, next: &Self) -> bool {
        self.boot == next.boot && self.hour == next.hour && self.stored.number + 1 == next.stored.number
    }
}

impl Borrow<Stored> for Held {
    fn borrow(&self) -> &Stored {
        &self.stored
    }
}
