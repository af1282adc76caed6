//! An adapter's own notes: what it learned and wants to know again after a restart.

use std::sync::Arc;

use crate::BoxFuture;

/// The note could not be kept or read; the adapter goes on without it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal did not answer for the adapter's notes: {0}")]
pub struct StoreError(pub String);

/// The gateway's side of [`Store`].
pub trait StorePort: Send + Sync {
    /// A note, if there is one.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>>;
    /// Keeps a note, or removes it.
    fn put<'a>(&'a self, key: &'a str, note: Option<Vec<u8>>) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// A small key-value space in the journal, one per adapter. Notes are small (a few kB).
#[derive(Clone)]
pub struct Store(Arc<dyn StorePort>);

impl Store {
    /// Wraps the gateway's side.
    pub fn new(port: impl StorePort + 'static) -> Self {
        Self(Arc::new(port))
    }

    /// A note, if there is one.
    ///
    /// # Errors
    /// When the journal does not answer.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key).await
    }

    /// Keeps a note durably.
    ///
    /// # Errors
    /// When the journal cannot keep it.
    pub async fn put(&self, key: &str, note: Vec<u8>) -> Result<(), StoreError> {
        self.0.put(key, Some(note)).await
    }

    /// Removes a note.
    ///
    /// # Errors
    /// When the journal does not answer.
    pub async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.0.put(key, None).await
    }
}
