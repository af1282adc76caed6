//! Reading, beside the thread that writes: connections of its own, short transactions, on tokio's
//! blocking threads. Sees only what is committed, and never writes.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use adapter_api::DeviceId;
use rusqlite::{Connection, OptionalExtension, ToSql};
use tokio::sync::Semaphore;

use super::{
    JournalError, command_batch,
    command_filter::{self, CommandFilter},
    command_record::{BatchRow, CommandRow, CommandStats},
    command_table,
    damage::Damage,
    device_table,
    query::{self, Stats},
    record::{DeviceRow, HourRow, Stored},
    schema,
};

/// Connections at a time: more readers wait. Each costs up to 2 MB of cache.
const CONNECTIONS: usize = 3;

/// Reads the journal. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    path: Arc<PathBuf>,
    damage: Damage,
    idle: Arc<Mutex<Vec<Connection>>>,
    room: Arc<Semaphore>,
}

impl Reader {
    pub(super) fn new(path: PathBuf, damage: Damage) -> Self {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        Self { path: Arc::new(path), damage, idle: Arc::default(), room }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Damage) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let room = self.room.clone().acquire_owned().await.map_err(|_| JournalError::Stopped)?;
        let reader = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            // Inside, so that a caller who gives up does not let one more in while this one works.
            let _room = room;
            let idle = reader.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let db = match idle {
                Some(db) => db,
                None => schema::open_reader(&reader.path)?,
            };
            let wrong = |error| JournalError::sqlite(&reader.path, error);
            // One transaction: all that one question reads is of one moment.
            let transaction = db.unchecked_transaction().map_err(wrong)?;
            let read = work(&transaction, &reader.damage).map_err(wrong)?;
            transaction.finish().map_err(wrong)?;
            reader.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
            Ok(read)
        });
        read.await.map_err(|_| JournalError::Stopped)?
    }

    /// Committed readings after a number, in order of their numbers; fewer than `limit` only when
    /// there are no more. What is damaged or pruned is left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn stored_after(&self, number: u64, limit: usize) -> Result<Vec<Stored>, JournalError> {
        self.read(move |db, damage| query::stored_after(db, damage, number, limit)).await
    }

    /// The number of the last committed reading; 0 before the first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn last_number(&self) -> Result<u64, JournalError> {
        self.read(|db, _| Ok(schema::next_number(db)?.saturating_sub(1))).await
    }

    /// Readings of a device between two wall times, both included; the newest `limit` of them,
    /// newest last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn history(
        &self,
        device: &DeviceId,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Vec<Stored>, JournalError> {
        let device = device.clone();
        self.read(move |db, damage| query::history(db, damage, &device, from_ms, to_ms, limit)).await
    }

    /// Hourly values of a device for the closed hours that begin between two wall times, both
    /// included, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn hours(
        &self,
        device: &DeviceId,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<HourRow>, JournalError> {
        let device = device.clone();
        self.read(move |db, _| query::hours(db, &device, from_ms, to_ms)).await
    }

    /// Commands that fit, newest first: by their numbers, whatever was done to the clock.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn commands(&self, filter: CommandFilter) -> Result<Vec<CommandRow>, JournalError> {
        self.read(move |db, _| command_filter::filtered(db, &filter)).await
    }

    /// How the commands that fit did, by source and device.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn command_stats(&self, filter: CommandFilter) -> Result<Vec<CommandStats>, JournalError> {
        self.read(move |db, _| command_filter::stats(db, &filter)).await
    }

    /// How a batch of commands stands; none when neither it nor a command of it is known.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn batch(&self, id: &str) -> Result<Option<BatchRow>, JournalError> {
        let id = id.to_owned();
        self.read(move |db, _| command_batch::by_id(db, &id)).await
    }

    /// Batches that ended and whose summary the broker does not have yet, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn untold_batches(&self, limit: usize) -> Result<Vec<BatchRow>, JournalError> {
        self.read(move |db, _| command_batch::untold(db, limit)).await
    }

    async fn one(&self, condition: &'static str, word: String) -> Result<Option<CommandRow>, JournalError> {
        self.read(move |db, _| Ok(command_table::select(db, condition, &[&word])?.into_iter().next()))
            .await
            .map(|found| found.map(|(_, row)| row))
    }

    /// The newest command with this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn command_by_id(&self, id: &str) -> Result<Option<CommandRow>, JournalError> {
        self.one("WHERE id = ?1 ORDER BY number DESC LIMIT 1", id.to_owned()).await
    }

    /// The command with this number.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn command(&self, number: u64) -> Result<Option<CommandRow>, JournalError> {
        self.read(move |db, _| command_table::by_number(db, number)).await
    }

    /// The newest command that came in this very message, accepted at `since_ms` or later.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn command_by_redelivery(
        &self,
        redelivery: &str,
        since_ms: i64,
    ) -> Result<Option<CommandRow>, JournalError> {
        let found = self.one("WHERE redelivery = ?1 ORDER BY number DESC LIMIT 1", redelivery.to_owned());
        Ok(found.await?.filter(|row| row.accepted_at >= since_ms))
    }

    /// Ended commands whose result the broker does not have yet, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn untold(&self, limit: usize) -> Result<Vec<CommandRow>, JournalError> {
        self.read(move |db, _| {
            let condition =
                "WHERE told = 0 AND status NOT IN ('pending', 'executing') ORDER BY number LIMIT ?1";
            let rows = command_table::select(db, condition, &[&(limit as i64)])?;
            Ok(rows.into_iter().map(|(_, row)| row).collect())
        })
        .await
    }

    /// Commands that were inserted or updated after a revision, each once, with its last revision,
    /// in order of these.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn commands_changed_after(
        &self,
        rev: u64,
        limit: usize,
    ) -> Result<Vec<(u64, CommandRow)>, JournalError> {
        self.read(move |db, _| {
            let values: [&dyn ToSql; 2] = [&(rev as i64), &(limit as i64)];
            command_table::select(db, "WHERE rev > ?1 ORDER BY rev LIMIT ?2", &values)
        })
        .await
    }

    /// Every device that was ever announced, by id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn devices(&self) -> Result<Vec<DeviceRow>, JournalError> {
        self.read(|db, _| device_table::all(db)).await
    }

    /// A note.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn note(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let (space, key) = (space.to_owned(), key.to_owned());
        self.read(move |db, _| {
            db.prepare_cached("SELECT value FROM note WHERE space = ?1 AND key = ?2")?
                .query_row([space, key], |row| row.get(0))
                .optional()
        })
        .await
    }

    /// All notes of a space, by key.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn notes(&self, space: &str) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        let space = space.to_owned();
        self.read(move |db, _| {
            db.prepare_cached("SELECT key, value FROM note WHERE space = ?1 ORDER BY key")?
                .query_map([space], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .await
    }

    /// A cursor; 0 before it was set.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn cursor(&self, name: &str) -> Result<u64, JournalError> {
        let key = format!("cursor:{name}");
        self.read(move |db, _| schema::floor(db, &key)).await
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn stats(&self) -> Result<Stats, JournalError> {
        self.read(query::stats).await
    }
}
