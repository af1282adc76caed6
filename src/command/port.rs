//! Where one adapter pulls its commands: the commit of `executing` stands between the queue and
//! the adapter.

use std::sync::Arc;

use adapter_api::{BoxFuture, CommandPort, Job};
use tokio::sync::{mpsc::OwnedPermit, oneshot, watch};

use super::{
    Notice,
    handle::Shared,
    messages::{Message, Taken},
};

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
        let Shared { messages, journal, notices, .. } = &*self.shared;
        // The place for the outcome is kept before the command is taken, so settling never waits.
        let place = messages.clone().reserve_owned().await.ok()?;
        let (reply, answer) = oneshot::channel();
        messages.send(Message::Take { adapter: self.adapter.clone(), reply }).await.ok()?;
        let Taken { row, unit, purpose, verify_for } = answer.await.ok()??;
        let number = row.number;
        let mut taken = Hands { number, place: Some(place) };
        // Another one may be due as well.
        self.wake.mark_changed();
        if let Err(error) = journal.update_command((*row).clone()).await {
            tracing::debug!(command = number, %error, "command waits because `executing` is not durable");
            return None;
        }
        let place = taken.place.take()?;
        let _ = notices.send(Notice::Progress(row.clone()));
        let (command, parameters) = (Arc::from(row.command.as_str()), row.parameters.clone());
        Some(Job::new(
            number,
            row.device.clone(),
            unit,
            command,
            parameters,
            purpose,
            verify_for,
            move |outcome| {
                place.send(Message::Settled { number, outcome });
            },
        ))
    }
}

/// A taken command that is not a job yet. An adapter that is cut off here gives it back, else its
/// unit would be busy for ever.
struct Hands {
    number: u64,
    place: Option<OwnedPermit<Message>>,
}

impl Drop for Hands {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            place.send(Message::NotTaken { number: self.number });
        }
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
}
