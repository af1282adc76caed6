//! One kind of letters, in the order in which the journal has them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use super::letter::Letter;
use crate::mqtt_api::{
    message::{Message, Ticket},
    topics::Topics,
};

/// Letters that wait in memory; the rest waits in the journal.
pub(super) const ROOM: usize = 64;
/// Told letters that the journal may not have written down yet; more make it be asked.
const TOLD: usize = 1024;

pub(in crate::mqtt_api) struct Lane<L: Letter> {
    ready: VecDeque<Arc<L>>,
    /// Messages without PUBACK, by letter.
    open: HashMap<L::Key, usize>,
    /// The broker has them all. The journal writes that down with its next commit and shows them
    /// as untold until then.
    told: HashSet<L::Key>,
    /// There was nothing to say; the journal does not know that yet.
    needless: Vec<L::Key>,
    reading: bool,
    /// There may be more in the journal.
    behind: bool,
}

impl<L: Letter> Default for Lane<L> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            open: HashMap::new(),
            told: HashSet::new(),
            needless: Vec::new(),
            reading: false,
            behind: false,
        }
    }
}

impl<L: Letter> Lane<L> {
    pub fn add(&mut self, letter: Arc<L>) {
        if self.ready.len() >= ROOM {
            self.behind = true;
        } else if !self.knows(&letter.key()) {
            self.ready.push_back(letter);
        }
    }

    pub fn look(&mut self) {
        self.behind = true;
    }

    pub fn lost(&mut self) {
        self.ready.clear();
        self.open.clear();
        self.behind = true;
    }

    /// Nothing waits here, and the journal has no more.
    pub fn is_read(&self) -> bool {
        self.ready.is_empty() && !self.reading && !self.behind
    }

    pub fn is_idle(&self) -> bool {
        self.is_read() && self.open.is_empty() && self.needless.is_empty()
    }

    /// The messages of the next letter.
    pub fn next(&mut self, topics: &Topics) -> Option<VecDeque<(Message, Ticket)>> {
        loop {
            let letter = self.ready.pop_front()?;
            let (key, messages) = (letter.key(), letter.messages(topics));
            // What no broker must have is published once and not followed.
            let ticket = if letter.is_told() { Ticket::Plain } else { L::ticket(key.clone()) };
            if !letter.is_told() && messages.is_empty() {
                self.told.insert(key.clone());
                self.needless.push(key);
            } else if !letter.is_told() {
                self.open.insert(key, messages.len());
            }
            if !messages.is_empty() {
                return Some(messages.into_iter().map(|message| (message, ticket.clone())).collect());
            }
        }
    }

    /// The next letter of which there was nothing to say: the journal is to be told.
    pub fn needless(&mut self) -> Option<L::Key> {
        self.needless.pop()
    }

    /// The broker took one message of this letter. True when it has them all and the journal is to
    /// be told.
    pub fn taken(&mut self, key: &L::Key) -> bool {
        let Some(left) = self.open.get_mut(key) else { return false };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return false;
        }
        self.open.remove(key);
        self.told.insert(key.clone());
        self.behind |= self.told.len() > TOLD;
        true
    }

    /// The broker could not take it now; it is sent again when the journal is next looked into.
    pub fn refused(&mut self, key: &L::Key) {
        self.open.remove(key);
    }

    /// How many untold letters to read from the journal now, if any: more than are known here.
    pub fn read(&mut self) -> Option<usize> {
        if !self.behind || self.reading || !self.ready.is_empty() {
            return None;
        }
        self.behind = false;
        self.reading = true;
        Some(ROOM + self.open.len() + self.told.len())
    }

    /// What the journal had; `all` when there is no more.
    pub fn found(&mut self, letters: Vec<L>, all: bool) {
        self.reading = false;
        self.behind |= !all;
        if all {
            let untold: HashSet<_> = letters.iter().map(Letter::key).collect();
            self.told.retain(|key| untold.contains(key));
        }
        for letter in letters {
            if !self.knows(&letter.key()) {
                self.ready.push_back(Arc::new(letter));
            }
        }
    }

    fn knows(&self, key: &L::Key) -> bool {
        self.open.contains_key(key)
            || self.told.contains(key)
            || self.ready.iter().any(|letter| letter.key() == *key)
    }
}
