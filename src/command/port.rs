//! Where one adapter pulls its commands: the commit of `executing` stands between the queue and
//! the adapter.

use std::sync::Arc;

use adapter_api::{BoxFuture, CommandPort, Job};
use tokio::sync::{oneshot, watch};

use super::{
    Notice,
    dispatcher::{Message, Taken},
    handle::Shared,
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
        // Another one may be due as well.
        self.wake.mark_changed();
        if let Err(error) = journal.update_command((*row).clone()).await {
            tracing::debug!(command = row.number, %error, "command waits because `executing` is not durable");
            place.send(Message::NotTaken { number: row.number });
            return None;
        }
        let _ = notices.send(Notice::Progress(row.clone()));
        let number = row.number;
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

impl CommandPort for Port {
    fn ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if self.wake.changed().await.is_err() {
                // The dispatcher is gone: nothing will come, and shutdown ends the adapter.
                std::future::pending::<()>().await;
            }
        })
    }

    fn take(&mut self) -> BoxFuture<'_, Option<Job>> {
        Box::pin(self.next())
    }
}
