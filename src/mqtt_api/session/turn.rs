//! What wakes the connection beside its client, and what is done about it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Chore, Connection, REPLIES, farewell::Farewell};
use crate::{command::Notice, mqtt_api::inbox::Answer};

pub(super) enum Turn {
    Answer(Answer),
    /// None: some were missed.
    Notice(Option<Notice>),
    Done(Chore),
    Live,
    Devices,
    Leases,
    Time,
    Stop,
}

impl Connection {
    /// Waits for anything but the client. Can be cancelled.
    pub(super) async fn turn(&mut self, shutdown: &CancellationToken) -> Turn {
        let alarm = self.alarm();
        tokio::select! {
            Some(answer) = self.answers.recv(), if self.replies.len() < REPLIES => Turn::Answer(answer),
            notice = self.notices.recv() => Turn::Notice(notice.ok()),
            Some(Ok(chore)) = self.chores.join_next() => Turn::Done(chore),
            Ok(()) = self.changes.live.changed() => Turn::Live,
            Ok(()) = self.changes.devices.changed() => Turn::Devices,
            Ok(()) = self.changes.leases.changed() => Turn::Leases,
            () = sleep_until(alarm) => Turn::Time,
            () = shutdown.cancelled(), if self.farewell.is_none() => Turn::Stop,
        }
    }

    /// When time alone brings something to do.
    fn alarm(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let look = if self.is_up() { self.states.due().min(self.try_again.unwrap_or(far)) } else { far };
        look.min(self.farewell.map_or(far, Farewell::due))
    }

    pub(super) fn handle(&mut self, turn: Turn) {
        match turn {
            Turn::Answer(answer) => self.answer(answer),
            Turn::Notice(Some(Notice::Progress(row))) => self.progress(&row),
            Turn::Notice(Some(Notice::Result(row))) if self.is_up() => self.outbox.add(row),
            Turn::Notice(Some(Notice::Batch(row))) if self.is_up() => self.outbox.add_batch(row),
            Turn::Notice(Some(Notice::LeaseLost(lost))) => self.lease_lost(&lost),
            Turn::Notice(_) => self.outbox.look(),
            Turn::Done(Chore::Untold { rows, all }) => self.outbox.results.found(rows, all),
            Turn::Done(Chore::UntoldBatches { rows, all }) => self.outbox.batches.found(rows, all),
            Turn::Done(Chore::Kept) | Turn::Time => {}
            Turn::Live => self.states.live_changed(),
            Turn::Devices => self.states.devices_changed(),
            Turn::Leases => self.states.leases_changed(),
            Turn::Stop => self.stop(),
        }
    }
}
