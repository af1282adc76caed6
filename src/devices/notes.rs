//! An adapter's notes, kept in the journal under its own name.

use adapter_api::{BoxFuture, StoreError, StorePort};

use crate::journal::{Journal, JournalError};

/// One adapter's notes.
pub struct Notes {
    space: String,
    journal: Journal,
}

impl Notes {
    /// For the adapter with this worker's name.
    pub fn new(adapter: &str, journal: Journal) -> Self {
        Self { space: adapter.to_owned(), journal }
    }
}

fn told(error: JournalError) -> StoreError {
    StoreError(error.to_string())
}

impl StorePort for Notes {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { self.journal.reader().note(&self.space, key).await.map_err(told) })
    }

    fn put<'a>(&'a self, key: &'a str, note: Option<Vec<u8>>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.journal.put_note(&self.space, key, note).await.map_err(told) })
    }
}
