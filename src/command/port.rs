//! Where one adapter pulls its commands. They are durably `executing` when they come.

use std::sync::Arc;

use adapter_api::{BoxFuture, CommandPort, Job, UnitId};
use tokio::sync::{oneshot, watch};

use super::{handle::Shared, messages::Message};

/// One adapter's port.
pub struct Port {
    adapter: String,
    shared: Arc<Shared>,
    wake: watch::Receiver<u64>,
}

impl Port {
    pub(super) fn new(adapter: &str, shared: Arc<Shared>) -> Self {
        let mut wake = shared.wake.subscribe();
        // Commands may have waited before this port existed.
        wake.mark_changed();
        Self { adapter: adapter.to_owned(), shared, wake }
    }

    async fn next(&mut self) -> Option<Job> {
        let messages = &self.shared.messages;
        // The place for the outcome is kept before the command is taken, so settling never waits.
        let place = messages.clone().reserve_owned().await.ok()?;
        let (reply, answer) = oneshot::channel();
        messages.send(Message::Take { adapter: self.adapter.clone(), place, reply }).await.ok()?;
        let hands = answer.await.ok()??;
        // Another one may be due as well.
        self.wake.mark_changed();
        Some(Job::new(hands.asked.clone(), hands))
    }
}

impl CommandPort for Port {
    fn ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // The sender lives in what this port shares, so this cannot fail.
            let _ = self.wake.changed().await;
        })
    }

    fn take(&mut self) -> BoxFuture<'_, Option<Job>> {
        Box::pin(self.next())
    }

    fn is_urgent(&self, unit: &UnitId) -> bool {
        self.shared.urgent.borrow().contains(unit)
    }
}
