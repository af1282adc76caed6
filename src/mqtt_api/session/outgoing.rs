//! What goes to the broker, in which order, and what its acknowledgement settles.

use std::time::Duration;

use rumqttc::v5::mqttbytes::{QoS, v5::PubAckReason};
use tokio::time::{Instant, sleep};

use super::{
    super::{
        DEVICES, SPACE,
        link::Link,
        message::{BatchEnd, Message, Ticket},
        outbox::Ask,
        topics::Leaf,
    },
    Chore, Connection, Out,
    farewell::Farewell,
};
use crate::{
    command::{LeaseLost, wire},
    journal::{CommandRow, Journal},
};

/// Progress that waits for the client; the oldest is dropped, it is worth nothing late.
const PROGRESS: usize = 256;
/// Pause before the journal is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Pause before a broker that could not take a result is asked again.
const TRY_AGAIN: Duration = Duration::from_secs(60);

impl Connection {
    /// The broker took a message, or said why not.
    pub(super) fn settle(&mut self, ticket: Option<Ticket>, reason: PubAckReason) {
        let Some(ticket) = ticket else { return };
        let taken = matches!(reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers);
        if !taken && !std::mem::replace(&mut self.refusals_told, true) {
            tracing::warn!(
                ?reason,
                ?ticket,
                "MQTT broker refuses messages: allow the gateway's user to publish below the base topic and \
                 to Response Topics"
            );
        }
        match ticket {
            Ticket::Plain => {}
            Ticket::State(device) => self.states.sent(&device),
            Ticket::Cleared(device) => {
                let note = self.states.cleared(&device);
                self.keep(note);
            }
            Ticket::Offline => self.disconnect(),
            Ticket::Result(number) if may_be_taken_later(reason) => {
                self.outbox.results.refused(&number);
                self.try_again.get_or_insert(Instant::now() + TRY_AGAIN);
            }
            Ticket::Batch(end) if may_be_taken_later(reason) => {
                self.outbox.batches.refused(&end);
                self.try_again.get_or_insert(Instant::now() + TRY_AGAIN);
            }
            Ticket::Result(number) if self.outbox.results.taken(&number) => {
                let journal = self.journal.clone();
                self.chores.spawn(async move {
                    if let Err(error) = journal.command_told(number).await {
                        // The next start tells it once more.
                        tracing::debug!(command = number, %error, "result is told, and not noted as told");
                    }
                    Chore::Kept
                });
            }
            Ticket::Batch(end) if self.outbox.batches.taken(&end) => self.batch_told(end),
            // More messages of it are on the way.
            Ticket::Result(_) | Ticket::Batch(_) => {}
        }
    }

    fn batch_told(&mut self, end: BatchEnd) {
        let journal = self.journal.clone();
        self.chores.spawn(async move {
            if let Err(error) = journal.batch_told(&end.id, end.at).await {
                tracing::debug!(batch = end.id, %error, "summary is told, and not noted as told");
            }
            Chore::Kept
        });
    }

    /// Hands the client what it has room for, the most urgent first.
    pub(super) fn fill(&mut self) {
        if self.is_up() {
            let now = Instant::now();
            let note = self.states.look(now);
            self.keep(note);
            if self.try_again.is_some_and(|at| at <= now) {
                self.try_again = None;
                self.outbox.look();
            }
        }
        self.leave();
        self.fetch();
        while self.link.as_ref().is_some_and(Link::has_room) {
            let Some((out, ticket)) = self.next() else { break };
            let Some(link) = &mut self.link else { break };
            let unsent = match out {
                Out::Publish(message) => link.publish(message, ticket),
                Out::Acknowledge(pkid) => {
                    link.acknowledge(pkid);
                    self.arrivals.acknowledged(pkid);
                    None
                }
            };
            self.settle(unsent, PubAckReason::Success);
        }
        while let Some(end) = self.outbox.batches.needless() {
            self.batch_told(end);
        }
        while self.is_up()
            && let Some(ask) = self.outbox.read()
        {
            self.chores.spawn(untold(self.journal.clone(), ask));
        }
    }

    fn next(&mut self) -> Option<(Out, Ticket)> {
        // Nothing may follow a disconnect.
        if self.fetching || self.farewell.is_some_and(Farewell::is_leaving) {
            return None;
        }
        if let Some(out) = self.replies.pop_front() {
            return Some((out, Ticket::Plain));
        }
        // Before results, so that `executing` never follows the end.
        if let Some(message) = self.progress.pop_front() {
            return Some((Out::Publish(message), Ticket::Plain));
        }
        let (message, ticket) = self.outbox.next(&self.topics).or_else(|| self.states.next(&self.topics))?;
        Some((Out::Publish(message), ticket))
    }

    pub(super) fn progress(&mut self, row: &CommandRow) {
        let topic = self.topics.device(&row.device, Leaf::Progress);
        self.tell_soon(|| Message::json(topic, QoS::AtMostOnce, &wire::progress(row)));
    }

    /// The holder hears of it where it wanted its answers, everybody on the device's topic.
    pub(super) fn lease_lost(&mut self, lost: &LeaseLost) {
        let json = wire::lease_lost(lost);
        if let Some(reply) = &lost.reply {
            self.tell_soon(|| Message::reply(reply, &json));
        }
        let topic = self.topics.device(&lost.device, Leaf::Progress);
        self.tell_soon(|| Message::json(topic, QoS::AtMostOnce, &json));
    }

    fn tell_soon(&mut self, message: impl FnOnce() -> Message) {
        if !self.is_up() {
            return;
        }
        if self.progress.len() >= PROGRESS {
            self.progress.pop_front();
        }
        self.progress.push_back(message());
    }

    pub(super) fn keep(&mut self, note: Option<Vec<u8>>) {
        let Some(note) = note else { return };
        let journal = self.journal.clone();
        self.chores.spawn(async move {
            if let Err(error) = journal.put_note(SPACE, DEVICES, Some(note)).await {
                // Costs a retained topic of a device that is removed while the gateway is off.
                tracing::debug!(%error, "list of devices with retained topics is not kept");
            }
            Chore::Kept
        });
    }
}

async fn untold(journal: Journal, ask: Ask) -> Chore {
    let reader = journal.reader();
    let read = match ask {
        Ask::Results(limit) => {
            let rows = reader.untold(limit).await;
            rows.map(|rows| Chore::Untold { all: rows.len() < limit, rows })
        }
        Ask::Batches(limit) => {
            let rows = reader.untold_batches(limit).await;
            rows.map(|rows| Chore::UntoldBatches { all: rows.len() < limit, rows })
        }
    };
    match read {
        Ok(chore) => chore,
        Err(error) => {
            tracing::debug!(%error, "what the broker does not have yet cannot be read");
            sleep(ASK_AGAIN).await;
            match ask {
                Ask::Results(_) => Chore::Untold { rows: Vec::new(), all: false },
                Ask::Batches(_) => Chore::UntoldBatches { rows: Vec::new(), all: false },
            }
        }
    }
}

/// Will the broker take it another time?
fn may_be_taken_later(reason: PubAckReason) -> bool {
    matches!(
        reason,
        PubAckReason::UnspecifiedError
            | PubAckReason::ImplementationSpecificError
            | PubAckReason::PacketIdentifierInUse
            | PubAckReason::QuotaExceeded
    )
}
