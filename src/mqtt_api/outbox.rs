//! Results and summaries of batches on their way to the broker. Pure: the caller reads the journal
//! and owns the connection.
//!
//! What came from the broker stays `told = false` in the journal until the broker acknowledged each
//! of its messages. A connection that ends forgets what was on the way, and the next one sends it
//! again: a result or a summary may arrive twice and is never lost.

mod lane;
mod letter;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc};

use self::lane::Lane;
use super::{
    message::{Message, Ticket},
    topics::Topics,
};
use crate::journal::{BatchRow, CommandRow};

/// What to read from the journal, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Results(usize),
    Batches(usize),
}

#[derive(Default)]
pub(super) struct Outbox {
    pub results: Lane<CommandRow>,
    pub batches: Lane<BatchRow>,
    /// Messages of what is being sent.
    parts: VecDeque<(Message, Ticket)>,
}

impl Outbox {
    /// A command ended just now.
    pub fn add(&mut self, row: Arc<CommandRow>) {
        self.results.add(row);
    }

    /// A batch ended just now.
    pub fn add_batch(&mut self, row: Arc<BatchRow>) {
        self.batches.add(row);
    }

    /// Look into the journal at the next chance.
    pub fn look(&mut self) {
        self.results.look();
        self.batches.look();
    }

    /// The connection ended: what was on the way is sent again from the journal.
    pub fn lost(&mut self) {
        self.parts.clear();
        self.results.lost();
        self.batches.lost();
    }

    /// Nothing waits and nothing is on the way.
    pub fn is_idle(&self) -> bool {
        self.parts.is_empty() && self.results.is_idle() && self.batches.is_idle()
    }

    /// The next message to publish.
    pub fn next(&mut self, topics: &Topics) -> Option<(Message, Ticket)> {
        if self.parts.is_empty() {
            let next = self.results.next(topics);
            // A summary follows the results that it sums up.
            let next = next.or_else(|| self.results.is_read().then(|| self.batches.next(topics)).flatten());
            self.parts = next?;
        }
        self.parts.pop_front()
    }

    /// What to read from the journal now, if anything: more than is known here.
    pub fn read(&mut self) -> Option<Ask> {
        self.results.read().map(Ask::Results).or_else(|| self.batches.read().map(Ask::Batches))
    }
}
