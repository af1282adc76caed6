//! What the engine wants done.

use std::sync::Arc;

use super::{Asker, Dispatcher, commits::Commit};
use crate::{
    command::{
        Notice,
        engine::Action,
        messages::{Admission, Hands},
    },
    journal::BatchRow,
};

impl Dispatcher {
    pub(super) async fn act(&mut self, action: Action) {
        match action {
            Action::Commit { ticket, changes, setpoints, registers, must } => {
                self.commit(ticket, Commit { changes, setpoints, registers, must }).await;
            }
            Action::Answer(to, answer) => {
                if let Some(Asker::Admission(keys, reply)) = self.askers.remove(&to) {
                    self.release(keys);
                    let _ = reply.send(Admission::Done(answer));
                }
            }
            Action::Hand(to, taken) => {
                let Some(Asker::Take(place, reply)) = self.askers.remove(&to) else { return };
                let messages = self.shared.messages.clone();
                let hands = taken.map(|taken| Hands::new(taken.what, taken.asked, place, messages));
                // An adapter that is gone drops them, and they come back.
                let _ = reply.send(hands);
            }
            Action::Cancelled(to, answer) => {
                if let Some(Asker::Cancel(reply)) = self.askers.remove(&to) {
                    let _ = reply.send(answer);
                }
            }
            Action::Kept(to, kept) => {
                if let Some(Asker::Kept(reply)) = self.askers.remove(&to) {
                    let _ = reply.send(kept);
                }
            }
            Action::Notice(notice) => drop(self.shared.notices.send(notice)),
            Action::CheckBatch(id) => {
                let reader = self.shared.journal.reader();
                self.batches.spawn(async move { reader.batch(&id).await.ok().flatten() });
            }
            Action::Wake(adapter) => self.wake(adapter),
        }
    }

    pub(super) fn told_batch(&mut self, batch: Option<BatchRow>) {
        if let Some(batch) = batch.filter(|batch| batch.waiting == 0) {
            let _ = self.shared.notices.send(Notice::Batch(Arc::new(batch)));
        }
    }
}
