//! What handles and the compactor send to the journal's thread.

use adapter_api::Reading;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    JournalError,
    command_record::Change,
    record::{DeviceRow, HourRow},
};

/// Messages with readings that may wait in the channel. Enough for the thread to take a thousand at
/// once while it commits; more would only be memory.
pub(super) const READINGS_ROOM: usize = 1024;
/// Other messages that may wait: commands, devices, notes. More than one house sends while one
/// commit runs.
pub(super) const CONTROL_ROOM: usize = 256;

/// Readings on their way in. The permit is the room in the channel and is given back when the
/// thread takes the message out.
pub(super) struct Publish {
    pub readings: Vec<Reading>,
    /// Told after the commit; dropped when there will be none.
    pub committed: Option<oneshot::Sender<()>>,
    pub permit: OwnedSemaphorePermit,
}

/// Anything else.
pub(super) enum Control {
    Write(Ask),
    Told(u64),
    BatchTold(String, i64),
    Cursor(String, u64),
    Uplink(bool),
    Heartbeat(oneshot::Sender<Health>),
    Close(oneshot::Sender<Result<(), JournalError>>),
    #[cfg(test)]
    Sql(String, oneshot::Sender<()>),
}

/// A control message with its room.
pub(super) struct Letter {
    pub control: Control,
    pub permit: OwnedSemaphorePermit,
}

/// A write that someone waits for.
pub(super) struct Ask {
    pub write: Write,
    /// A number for each of [`Write::Changes`], see [`super::Receipt`]; else nothing.
    pub answer: oneshot::Sender<Result<Vec<u64>, JournalError>>,
}

/// What a commit writes beside readings.
pub(super) enum Write {
    Changes(Vec<Change>),
    Device(Box<DeviceRow>),
    Note {
        space: String,
        key: String,
        value: Option<Vec<u8>>,
    },
    Chunks(Vec<ChunkRow>, Vec<HourRow>),
    /// All batches below this number are in chunks.
    ChunkedTo(u64),
}

/// One row of the table `chunk`.
pub(super) struct ChunkRow {
    pub device: String,
    pub hour: i64,
    pub first: u64,
    pub n: usize,
    pub payload: Vec<u8>,
}

/// How the journal is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Readings that wait for a commit.
    pub held: u64,
    /// Why commits fail, with the remedy; none while they work.
    pub failing: Option<String>,
    /// Wall time of the last commit, ms; none before the first.
    pub committed_at: Option<i64>,
}
