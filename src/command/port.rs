//! Where one adapter pulls its commands. They are durably `executing` when they come.

use std::{collections::HashMap, sync::Arc};

use adapter_api::{BoxFuture, CommandPort, Job, UnitId};
use tokio::sync::{oneshot, watch};

use super::{handle::Shared, messages::Message};

/// How often there may have been something to do: for all adapters, and for single ones. With
/// hundreds of connections, most of what happens is nothing for most of them.
#[derive(Debug, Default)]
pub(super) struct Turns {
    all: u64,
    adapters: HashMap<String, u64>,
}

impl Turns {
    pub fn turn(&mut self, adapter: Option<String>) {
        match adapter {
            Some(adapter) => *self.adapters.entry(adapter).or_default() += 1,
            None => self.all += 1,
        }
    }

    fn of(&self, adapter: &str) -> (u64, u64) {
        (self.all, self.adapters.get(adapter).copied().unwrap_or_default())
    }
}

/// One adapter's port.
pub struct Port {
    adapter: String,
    shared: Arc<Shared>,
    wake: watch::Receiver<Turns>,
    seen: (u64, u64),
    /// There may be more, whatever was seen.
    again: bool,
}

impl Port {
    pub(super) fn new(adapter: &str, shared: Arc<Shared>) -> Self {
        let wake = shared.wake.subscribe();
        let seen = wake.borrow().of(adapter);
        // Commands may have waited before this port existed.
        Self { adapter: adapter.to_owned(), shared, wake, seen, again: true }
    }

    async fn next(&mut self) -> Option<Job> {
        let messages = &self.shared.messages;
        // The place for the outcome is kept before the command is taken, so settling never waits.
        let place = messages.clone().reserve_owned().await.ok()?;
        let (reply, answer) = oneshot::channel();
        messages.send(Message::Take { adapter: self.adapter.clone(), place, reply }).await.ok()?;
        let hands = answer.await.ok()??;
        // Another one may be due as well.
        self.again = true;
        Some(Job::new(hands.asked.clone(), hands))
    }
}

impl CommandPort for Port {
    fn ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            while !std::mem::take(&mut self.again) {
                let turns = self.wake.borrow_and_update().of(&self.adapter);
                if turns != self.seen {
                    self.seen = turns;
                    return;
                }
                // The sender lives in what this port shares, so this cannot fail.
                let _ = self.wake.changed().await;
            }
        })
    }

    fn take(&mut self) -> BoxFuture<'_, Option<Job>> {
        Box::pin(self.next())
    }

    fn is_urgent(&self, unit: &UnitId) -> bool {
        self.shared.urgent.borrow().contains(unit)
    }
}
