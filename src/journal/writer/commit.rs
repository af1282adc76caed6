//! One commit: all that waits, in one transaction, and what is so once it is on disk.

use std::time::{Duration, Instant};

use rusqlite::TransactionBehavior;

use super::Writer;
use crate::journal::{
    JournalError, command_batch, command_table,
    energy::Traits,
    group::BATCH_MAX,
    held::Held,
    latest,
    mail::Write,
    schema,
    write::{apply, insert_batch},
};

/// A failing commit is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

impl Writer {
    /// Commits these writes and everything that waits. Gives what each write's asker is answered; an
    /// error means that nothing at all was written. Readings are kept then, the writes are not.
    pub fn commit(&mut self, writes: &[&Write]) -> Result<Vec<Vec<u64>>, JournalError> {
        match self.try_commit(writes) {
            Ok((results, rev)) => {
                self.rev = rev;
                self.committed();
                for write in writes {
                    if let Write::Device(device) = write {
                        self.know(&device.info.id, Traits::of(&device.info));
                    }
                }
                Ok(results)
            }
            Err(error) => {
                let error = JournalError::sqlite(&self.path, error);
                if self.failing.is_none() {
                    tracing::error!(%error, source = ?std::error::Error::source(&error), "the journal cannot commit; readings are kept in memory and it is tried again each second");
                }
                self.failing = Some((error.clone(), Instant::now() + RETRY));
                Err(error)
            }
        }
    }

    fn try_commit(&mut self, writes: &[&Write]) -> rusqlite::Result<(Vec<Vec<u64>>, u64)> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for run in self.held.chunk_by(Held::goes_with) {
            run.chunks(BATCH_MAX).try_for_each(|batch| insert_batch(&transaction, batch))?;
        }
        if self.fresh {
            command_batch::close_all(&transaction)?;
        }
        self.told.iter().try_for_each(|number| command_table::told(&transaction, *number))?;
        self.batches_told.iter().try_for_each(|(id, at)| command_batch::told(&transaction, id, *at))?;
        for (name, value) in &self.cursors {
            schema::put_meta(&transaction, &format!("cursor:{name}"), &(*value as i64))?;
        }
        if let Some(clean) = self.clean {
            schema::put_meta(&transaction, "clean", &clean)?;
        }
        if self.clean == Some(true) || writes.iter().any(|write| matches!(write, Write::ChunkedTo(_))) {
            let next = self.held.first().map_or(self.next, |held| held.stored.number);
            latest::save(&transaction, &self.latest, &self.boot, next)?;
        }
        let (mut rev, now) = (self.rev, self.clock.now().wall_ms);
        let results = writes
            .iter()
            .map(|write| apply(&transaction, write, &mut rev, now))
            .collect::<rusqlite::Result<_>>()?;
        transaction.commit()?;
        Ok((results, rev))
    }

    fn committed(&mut self) {
        for held in self.held.drain(..) {
            self.latest.insert(held.stored.reading.device.clone(), (held.stored, held.boot));
        }
        self.held_bytes = 0;
        self.group.clear();
        self.told.clear();
        self.batches_told.clear();
        self.fresh = false;
        self.cursors.clear();
        self.clean = None;
        self.committed_at = Some(self.clock.now().wall_ms);
        if let Err(error) = self.pending.clear() {
            // Nothing is wrong yet: what is committed is skipped when the file is read.
            tracing::warn!(%error, "the pending file could not be emptied");
        }
        if self.failing.take().is_some() {
            tracing::info!("the journal commits again; nothing was lost");
        }
    }
}
