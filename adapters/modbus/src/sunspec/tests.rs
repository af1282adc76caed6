//! A unit against a device on a socket, beyond what one dump can show.

use adapter_api::{BoxFuture, StoreError, StorePort};

/// A store without notes.
pub(super) struct NoNotes;

impl StorePort for NoNotes {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn put<'a>(&'a self, _: &'a str, _: Option<Vec<u8>>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}
