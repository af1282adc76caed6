//! What one gets for handing changes over.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use super::JournalError;

/// Ends when the changes are committed, with one number for each of them: a command's number for an
/// insert and for an update, else 0. An update of a command that is not there gives 0 as well; the
/// other changes are written all the same. Dropping it changes nothing: what was handed over is
/// written.
///
/// An error means that nothing of it was written, or, with [`JournalError::Stopped`], that nobody
/// knows.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<Vec<u64>, JournalError>>);

impl Receipt {
    pub(super) fn new(answered: oneshot::Receiver<Result<Vec<u64>, JournalError>>) -> Self {
        Self(answered)
    }
}

impl Future for Receipt {
    type Output = Result<Vec<u64>, JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(JournalError::Stopped)))
    }
}
