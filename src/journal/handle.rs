//! The handle to the journal's thread.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use adapter_api::{Clock, Closed, Counter, DeviceId, Reading};
use crossbeam_channel::Sender;
use tokio::sync::{Semaphore, oneshot};

use super::{
    Health, JournalError, Opened, Reader, Settings,
    command_record::{Change, CommandRow},
    disbelief::Disbelief,
    mail::{Ask, CONTROL_ROOM, Control, Letter, Publish, READINGS_ROOM, Write},
    open,
    pending::Identity,
    receipt::Receipt,
    record::{DeviceRow, Stored},
};

/// Writes to the journal. Cheap to clone. Dropping the last one without [`Journal::close`] ends the
/// journal as a crash would: nothing that was taken is lost, and the next start replays it.
#[derive(Clone)]
pub struct Journal {
    readings: Sender<Publish>,
    readings_room: Arc<Semaphore>,
    control: Sender<Letter>,
    control_room: Arc<Semaphore>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    reader: Reader,
    identity: Identity,
    disbelief: Disbelief,
}

impl Journal {
    /// Opens or makes the journal, mends what a crash or a power cut left, and starts its thread.
    /// `taken` is called on that thread with what was taken, once it is safe from a crash; it must
    /// be quick. Blocks on the disk.
    ///
    /// # Errors
    /// [`JournalError`] with the file and the remedy.
    pub fn open(
        settings: &Settings,
        clock: Clock,
        taken: impl FnMut(&[Stored]) + Send + 'static,
    ) -> Result<Opened, JournalError> {
        open::open(settings, clock, taken)
    }

    pub(super) fn new(
        readings: Sender<Publish>,
        control: Sender<Letter>,
        thread: JoinHandle<()>,
        reader: Reader,
        identity: Identity,
        disbelief: Disbelief,
    ) -> Self {
        Self {
            readings,
            readings_room: Arc::new(Semaphore::new(READINGS_ROOM)),
            control,
            control_room: Arc::new(Semaphore::new(CONTROL_ROOM)),
            thread: Arc::new(Mutex::new(Some(thread))),
            reader,
            identity,
            disbelief,
        }
    }

    /// Hands readings over; waits only for room. They are safe from a crash a moment later, and
    /// from a power cut after the next group commit.
    ///
    /// # Errors
    /// [`Closed`] when the journal has stopped.
    pub async fn publish(&self, readings: Vec<Reading>) -> Result<(), Closed> {
        self.send_readings(readings, None).await
    }

    /// Hands readings over and returns after their commit.
    ///
    /// # Errors
    /// [`Closed`] when the journal stopped before it.
    pub async fn publish_durable(&self, readings: Vec<Reading>) -> Result<(), Closed> {
        if readings.is_empty() {
            return Ok(());
        }
        let (committed, commit) = oneshot::channel();
        self.send_readings(readings, Some(committed)).await?;
        commit.await.map_err(|_| Closed)
    }

    async fn send_readings(
        &self,
        readings: Vec<Reading>,
        committed: Option<oneshot::Sender<()>>,
    ) -> Result<(), Closed> {
        if readings.is_empty() {
            return Ok(());
        }
        // The permit is the room in the channel: with it, try_send cannot find it full.
        let permit = self.readings_room.clone().acquire_owned().await.map_err(|_| Closed)?;
        self.readings.try_send(Publish { readings, committed, permit }).map_err(|_| Closed)
    }

    async fn send(&self, control: Control) -> Result<(), JournalError> {
        let permit = self.control_room.clone().acquire_owned().await.map_err(|_| JournalError::Stopped)?;
        self.control.try_send(Letter { control, permit }).map_err(|_| JournalError::Stopped)
    }

    async fn hand_over_write(&self, write: Write) -> Result<Receipt, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.send(Control::Write(Ask { write, answer })).await?;
        Ok(Receipt::new(answered))
    }

    async fn write(&self, write: Write) -> Result<(), JournalError> {
        self.hand_over_write(write).await?.await.map(drop)
    }

    /// Hands changes over; waits only for room. All of them are written in one transaction, after
    /// what was handed over before and before what comes later; the [`Receipt`] tells when it is
    /// done.
    ///
    /// # Errors
    /// When the journal has stopped.
    pub async fn hand_over(&self, changes: Vec<Change>) -> Result<Receipt, JournalError> {
        self.hand_over_write(Write::Changes(changes)).await
    }

    /// Writes changes in one transaction: all of them or, with an error, none. Returns after the
    /// commit, with a number for each as in [`Receipt`].
    ///
    /// # Errors
    /// When it could not be committed; nothing is changed then.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<Vec<u64>, JournalError> {
        self.hand_over(changes).await?.await
    }

    /// Keeps a device; returns after the commit.
    ///
    /// # Errors
    /// When it could not be committed; nothing is kept then.
    pub async fn save_device(&self, device: DeviceRow) -> Result<(), JournalError> {
        self.write(Write::Device(Box::new(device))).await
    }

    /// Keeps a new command as it is, with the status that it has; returns it with its number,
    /// after the commit.
    ///
    /// # Errors
    /// When it could not be committed; it does not exist then.
    pub async fn insert_command(&self, mut command: CommandRow) -> Result<CommandRow, JournalError> {
        let numbers = self.commit(vec![Change::Insert(command.clone())]).await?;
        command.number = numbers.first().copied().unwrap_or(0);
        Ok(command)
    }

    /// [`Change::Update`] alone; returns after the commit.
    ///
    /// # Errors
    /// When it could not be committed, the old one stays then; or when there is none.
    pub async fn update_command(&self, command: CommandRow) -> Result<(), JournalError> {
        let number = command.number;
        let updated = self.commit(vec![Change::Update(command)]).await?;
        if updated == [number] { Ok(()) } else { Err(JournalError::NoSuchCommand(number)) }
    }

    /// The broker has a command's result. Written with the next commit, at most `group` later: until
    /// then [`Reader::untold`] still shows it. An [`Journal::update_command`] after it decides anew.
    ///
    /// # Errors
    /// When the journal has stopped.
    pub async fn command_told(&self, number: u64) -> Result<(), JournalError> {
        self.send(Control::Told(number)).await
    }

    /// The broker has a batch's summary, that of its end with this [`super::BatchRow::at`]. Written like
    /// [`Journal::command_told`]; nothing is written when more of the batch came meanwhile: there will
    /// be a newer summary.
    ///
    /// # Errors
    /// When the journal has stopped.
    pub async fn batch_told(&self, id: &str, at: i64) -> Result<(), JournalError> {
        self.send(Control::BatchTold(id.to_owned(), at)).await
    }

    /// Keeps a small note, or removes it; returns after the commit.
    ///
    /// # Errors
    /// When it could not be committed; the old one stays then.
    pub async fn put_note(&self, space: &str, key: &str, value: Option<Vec<u8>>) -> Result<(), JournalError> {
        let (space, key) = (space.to_owned(), key.to_owned());
        self.write(Write::Note { space, key, value }).await
    }

    /// Moves a cursor. Written with the next commit, at most `group` later.
    ///
    /// # Errors
    /// When the journal has stopped.
    pub async fn set_cursor(&self, name: &str, value: u64) -> Result<(), JournalError> {
        self.send(Control::Cursor(name.to_owned(), value)).await
    }

    /// Whether readings and commands wait for MongoDB. Without, batches go as soon as they are in
    /// chunks, and commands at the end of their time. On until it is said otherwise.
    ///
    /// # Errors
    /// When the journal has stopped.
    pub async fn uplink(&self, on: bool) -> Result<(), JournalError> {
        self.send(Control::Uplink(on)).await
    }

    /// Answered by the thread itself: it turns, although the disk may be full.
    ///
    /// # Errors
    /// When the journal has stopped.
    pub async fn heartbeat(&self) -> Result<Health, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.send(Control::Heartbeat(answer)).await?;
        answered.await.map_err(|_| JournalError::Stopped)
    }

    /// Ends the journal in good order: commits all that was handed over, marks the end as clean,
    /// empties the write-ahead log and waits for the thread. Later calls on any handle fail.
    ///
    /// # Errors
    /// When the last commit failed; what it held is in the pending file then.
    pub async fn close(&self) -> Result<(), JournalError> {
        let (answer, answered) = oneshot::channel();
        self.send(Control::Close(answer)).await?;
        self.readings_room.close();
        self.control_room.close();
        let closed = answered.await.map_err(|_| JournalError::Stopped)?;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join());
            if !matches!(joined.await, Ok(Ok(()))) {
                return Err(JournalError::Stopped);
            }
        }
        closed
    }

    /// Reads beside the thread.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// How many readings of a device had a counter that was not believed, since the start of the process: it
    /// had fallen, or leapt. What never happened is left out.
    pub fn disbelieved(&self, device: &str) -> BTreeMap<Counter, u64> {
        self.disbelief.of(device)
    }

    /// Forgets that of all other devices.
    pub fn retain_disbelieved(&self, keep: impl Fn(&DeviceId) -> bool) {
        self.disbelief.retain(keep);
    }

    /// This installation, for ever.
    pub fn installation(&self) -> [u8; 16] {
        self.identity.installation
    }

    /// How often this journal was restored from a copy, counted from 1.
    pub fn generation(&self) -> u64 {
        self.identity.generation
    }

    #[cfg(test)]
    pub(super) async fn sql(&self, sql: &str) {
        let (done, finished) = oneshot::channel();
        self.send(Control::Sql(sql.to_owned(), done)).await.expect("the journal runs");
        finished.await.expect("the journal runs");
    }
}
