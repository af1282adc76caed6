//! The gateway's side of a driver for tests: notes in memory, and hands that take whatever becomes of a job.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use adapter_api::{BoxFuture, JobPort, Parameters, StoreError, StorePort, WriteOutcome};

/// Notes in memory.
#[derive(Clone, Default)]
pub(crate) struct Notes(pub Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Notes {
    /// All but what a unit was seen to be: what its commands owe.
    pub fn owed(&self) -> Vec<(String, Vec<u8>)> {
        let notes = self.0.lock().unwrap().clone().into_iter();
        notes.filter(|(key, _)| !key.starts_with("known/")).collect()
    }
}

impl StorePort for Notes {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().get(key).cloned()) })
    }

    fn put<'a>(&'a self, key: &'a str, note: Option<Vec<u8>>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut notes = self.0.lock().unwrap();
            match note {
                Some(note) => notes.insert(key.to_owned(), note),
                None => notes.remove(key),
            };
            Ok(())
        })
    }
}

/// Takes whatever becomes of a job.
pub(crate) struct Hands;

impl JobPort for Hands {
    fn resolve<'a>(&'a mut self, _: &'a Arc<str>, _: &'a Parameters) -> BoxFuture<'a, bool> {
        Box::pin(async { true })
    }

    fn settle(self: Box<Self>, _: Option<WriteOutcome>) {}
}
