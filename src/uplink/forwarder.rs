//! Readings to `energymeasurements`: oldest first, in batches, each exactly once.
//!
//! The cursor moves when the whole batch is acknowledged. A reading that is no measurement, and a
//! document that MongoDB refuses for good, are passed: they stay in the journal.

use std::{collections::HashSet, time::Duration};

use adapter_api::DeviceId;
use tokio::time::Instant;

use super::{Identity, UplinkError, convert, mirror::Mirror};
use crate::{
    journal::{Journal, Reader, Stored},
    mongo::{Built, CollectionKind, Connection, Document, Inserter, build_measurement},
};

/// Number of the last reading that was delivered. The journal lets go of readings by it, under this name.
pub(super) const CURSOR: &str = "mongodb.measurements";
/// Readings of one batch at most: measured, larger ones gain nothing. It must not change between two
/// tries: what is read back must hold all that was sent.
const BATCH: usize = 1_000;
/// So many waiting readings are sent at once …
const ENOUGH: u64 = 500;
/// … and fewer when the oldest has waited this long.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

pub(super) struct Forwarder {
    journal: Journal,
    reader: Reader,
    identity: Identity,
    installation: [u8; 16],
    inserter: Inserter,
    delivered: u64,
    /// The last reading that a process before this one can have sent: the journal writes the cursor
    /// with its next commit, so that process may have been many batches ahead of it.
    maybe_sent: u64,
    backlog: u64,
    waiting_since: Option<Instant>,
    /// Points that are out of range now: said when it starts and when it ends.
    out_of_range: HashSet<(DeviceId, &'static str)>,
    refused: u64,
}

impl Forwarder {
    pub(super) async fn open(
        journal: &Journal,
        connection: Connection,
        identity: &Identity,
        kind: CollectionKind,
    ) -> Result<Self, UplinkError> {
        let reader = journal.reader();
        Ok(Self {
            installation: journal.installation(),
            delivered: reader.cursor(CURSOR).await?,
            maybe_sent: reader.last_number().await?,
            journal: journal.clone(),
            reader,
            inserter: Inserter::new(connection, &identity.gateway_id, kind),
            identity: identity.clone(),
            backlog: 0,
            waiting_since: None,
            out_of_range: HashSet::new(),
            refused: 0,
        })
    }

    pub(super) fn set_kind(&mut self, kind: CollectionKind) {
        self.inserter.set_kind(kind);
    }

    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) const fn backlog(&self) -> u64 {
        self.backlog
    }

    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Sends one batch if one is due, or if `all` shall go. True when another is due at once.
    pub(super) async fn step(&mut self, all: bool, mirror: &Mirror) -> Result<bool, UplinkError> {
        self.backlog = self.reader.last_number().await?.saturating_sub(self.delivered);
        if self.backlog == 0 {
            self.waiting_since = None;
            return Ok(false);
        }
        let waited = self.waiting_since.get_or_insert_with(Instant::now).elapsed();
        if !all && !due(self.backlog, waited) {
            return Ok(false);
        }
        let batch = self.reader.stored_after(self.delivered, BATCH).await?;
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            // What was there is damaged, or was let go when the disk became full.
            (self.waiting_since, self.backlog) = (None, 0);
            return Ok(false);
        };
        let (maybe_there, last) = (first.number <= self.maybe_sent, last.number);
        let (numbers, documents) = self.documents(&batch, mirror);
        for refusal in self.inserter.insert(&documents, maybe_there).await? {
            self.refused += 1;
            let number = numbers[refusal.index];
            tracing::error!(
                number,
                reason = refusal.reason,
                "MongoDB refuses a reading for good: it stays in the journal"
            );
        }
        self.journal.set_cursor(CURSOR, last).await?;
        self.backlog = self.backlog.saturating_sub(last.saturating_sub(self.delivered));
        self.delivered = last;
        self.waiting_since = None;
        Ok(if all { self.backlog > 0 } else { due(self.backlog, Duration::ZERO) })
    }

    fn documents(&mut self, batch: &[Stored], mirror: &Mirror) -> (Vec<u64>, Vec<Document>) {
        let mut numbers = Vec::with_capacity(batch.len());
        let mut documents = Vec::with_capacity(batch.len());
        for stored in batch {
            // Another gateway's device of this name must not get our readings.
            if mirror.is_foreign(&stored.reading.device) {
                self.refused += 1;
                continue;
            }
            // Its role says which counter is its main one.
            let row = mirror.device(&stored.reading.device);
            let device_id = self.identity.device(&stored.reading.device);
            let input = convert::measurement(stored, row, &self.identity, &device_id, &self.installation);
            let Built { document, dropped } = build_measurement(&input);
            self.tell_ranges(stored, &dropped);
            if let Some(document) = document {
                numbers.push(stored.number);
                documents.push(document);
            }
        }
        (numbers, documents)
    }

    fn tell_ranges(&mut self, stored: &Stored, dropped: &[(&'static str, f64)]) {
        let device = &stored.reading.device;
        for (point, value) in dropped {
            if self.out_of_range.insert((device.clone(), point)) {
                let number = stored.number;
                tracing::warn!(%device, point, value, number, "a value is out of the database's range and is left out");
            }
        }
        if self.out_of_range.is_empty() {
            return;
        }
        self.out_of_range.retain(|(of, point)| {
            let over = of == device
                && stored.reading.point(point).is_some()
                && !dropped.iter().any(|(name, _)| name == point);
            if over {
                tracing::info!(%device, point, "the value is back in range");
            }
            !over
        });
    }
}

fn due(backlog: u64, waited: Duration) -> bool {
    backlog >= ENOUGH || (backlog > 0 && waited >= LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_due_when_enough_wait_or_the_oldest_waited_long() {
        assert!(!due(0, Duration::from_secs(3600)));
        assert!(!due(499, Duration::from_secs(9)));
        assert!(due(500, Duration::ZERO));
        assert!(due(1, LONGEST_WAIT));
    }
}
