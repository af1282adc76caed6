//! The journal: the one durable store on this machine. It keeps readings, commands, devices, the
//! cursors of whoever carries them elsewhere, and small notes. It numbers readings and computes
//! their energy. It never speaks to a device, to a broker or to MongoDB, and decides nothing about
//! a command.
//!
//! One plain thread writes ([`thread`]); [`Journal`] is the handle to it, [`Reader`] reads beside it
//! on connections of its own. A reading is safe from a crash when it is in the pending file
//! ([`pending`], on tmpfs), and from a power cut when its group is committed (SQLite, WAL,
//! `synchronous=FULL`). Commands, their states and devices are committed before they are answered,
//! and take along what waits. Closed hours become chunks ([`compact`]).
//!
//! # On disk
//! `<data_dir>/journal.db` (open it with `sqlite3 -readonly`), `<data_dir>/lock` (one gateway per folder),
//! `<runtime_dir>/pending` ([`pending`]). `PRAGMA user_version` is 2 ([`schema`]). Times are ms since 1970, `hour` is
//! hours since 1970 (`datetime(hour * 3600, 'unixepoch')`), payloads are blobs as in [`payload`].
//!
//! | table | columns | rows |
//! | --- | --- | --- |
//! | `meta` | `k`, `v` | see below |
//! | `batch` | `first` number of its first reading; `n`; `t0`, `t1` least and greatest wall time; `boot` id; `payload` | one for each group of one boot and one hour of arrival; its numbers are `first` to `first + n - 1`. Deleted when it is in chunks and delivered |
//! | `chunk` | `dev`, `hour`, `first`, `n`, `payload` | readings of a device in an hour that is over; a late reading makes a further row |
//! | `roll_hour` | `dev`, `hour`, `point`, `n`, `avg`, `min`, `max` | numbers of good or fair readings in a chunk's hour |
//! | `device` | `id`, `adapter`, `availability`, `problem`, `remedy`, `seen_at`, `info` | every device ever announced ([`device_table`]) |
//! | `command` | see [`command_table`] | every command, until it is older than the retention |
//! | `command_batch` | see [`command_batch`] | every batch of commands, until its commands are gone |
//! | `note` | `space`, `key`, `value` | small notes, one space for each adapter and module |
//!
//! | `meta.k` | `meta.v` |
//! | --- | --- |
//! | `installation` | 16 random bytes, made once |
//! | `generation` | raised when the journal is restored from a copy |
//! | `clean` | 1 when the last end was an ordered one |
//! | `chunked` | batches whose first number is below it are in chunks |
//! | `next_number`, `last_rev`, `last_command` | floors for numbers of readings, revisions of commands and numbers of commands, written when rows are deleted |
//! | `cursor:<name>` | how far someone came; `cursor:mongodb.measurements` is the last reading that MongoDB has, `cursor:mongodb.commands` the last revision of a command |
//! | `dropped_undelivered` | readings that were deleted before MongoDB had them |
//! | `latest…` | see [`latest`] |

mod bytes;
mod columns;
mod command_batch;
mod command_filter;
mod command_record;
mod command_table;
mod compact;
mod counter;
mod damage;
mod device_table;
mod disbelief;
mod energy;
mod error;
mod group;
mod handle;
mod held;
mod json;
mod latest;
mod mail;
mod open;
mod payload;
mod pending;
mod points;
mod query;
mod reader;
mod receipt;
mod record;
mod schema;
mod switches;
mod thread;
mod tidy;
mod write;
mod writer;

use std::{path::PathBuf, time::Duration};

pub use command_filter::CommandFilter;
pub use command_record::{BatchRow, Change, CommandRow, CommandStats, Event, LeaseTerms, Reply, Step};
pub use error::JournalError;
pub use handle::Journal;
pub use mail::Health;
pub use open::Opened;
pub use query::Stats;
pub use reader::Reader;
pub use receipt::Receipt;
pub use record::{DeviceRow, Energy, EnergyBasis, Flow, HourRow, Recovery, Stored};

const MS_PER_HOUR: i64 = 3_600_000;

/// The hour of a wall time, in hours since 1970.
fn hour_of(wall_ms: i64) -> i64 {
    wall_ms.div_euclid(MS_PER_HOUR)
}

/// Where and how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Folder of the database, on a disk.
    pub data_dir: PathBuf,
    /// Folder of the pending file, on tmpfs and kept over restarts of the service.
    pub runtime_dir: PathBuf,
    /// How long readings wait for a commit; what a power cut may cost.
    pub group: Duration,
    /// Older readings and ended commands are deleted.
    pub retention: Duration,
    /// Bytes of the database above which the oldest readings are deleted.
    pub max_size: u64,
}

#[cfg(test)]
mod tests;
