//! The way to the disk and back: in order, and again where it must be.

use std::time::Duration;

use tokio::time::Instant;

use super::Dispatcher;
use crate::{
    command::{engine::Ticket, lease::Setpoint, wear::Register},
    journal::{Change, JournalError},
};

/// Pause before a commit is tried again: the disk was full or failed.
pub(super) const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// A commit of the engine.
#[derive(Clone)]
pub(super) struct Commit {
    pub changes: Vec<Change>,
    pub setpoints: Vec<Setpoint>,
    pub registers: Vec<Register>,
    pub must: bool,
}

impl Dispatcher {
    /// Sends a commit to the disk. While one that must be made fails, nothing new is begun and what
    /// must be made waits in order: the last note of a setpoint that is written is how it stands.
    pub(super) async fn commit(&mut self, ticket: Ticket, commit: Commit) {
        if let Some(error) = self.failing.clone() {
            if commit.must {
                self.failed.insert(ticket, commit);
            } else {
                self.engine.committed(ticket, Err(error), self.shared.clock.now());
            }
            return;
        }
        let mut changes = commit.changes.clone();
        changes.extend(self.engine.notes(&commit.setpoints, &commit.registers));
        if commit.must {
            self.must.insert(ticket, commit);
        }
        match self.shared.journal.hand_over(changes).await {
            Ok(receipt) => drop(self.commits.spawn(async move { (ticket, receipt.await) })),
            Err(error) => self.committed(ticket, Err(error)),
        }
    }

    pub(super) fn committed(&mut self, ticket: Ticket, result: Result<Vec<u64>, JournalError>) {
        match (self.must.remove(&ticket), result) {
            // A journal that stopped takes nothing: the next start finds how things stood.
            (Some(_), Err(JournalError::Stopped)) => {}
            (Some(commit), Err(error)) => {
                self.failed.insert(ticket, commit);
                self.failing = Some(error);
                self.retry_at.get_or_insert(Instant::now() + COMMIT_AGAIN);
            }
            (_, result) => self.engine.committed(ticket, result, self.shared.clock.now()),
        }
    }

    pub(super) async fn retry(&mut self) {
        (self.failing, self.retry_at) = (None, None);
        for (ticket, commit) in std::mem::take(&mut self.failed) {
            self.commit(ticket, commit).await;
        }
    }
}
