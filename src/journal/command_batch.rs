//! Rows of the table `command_batch`: commands that were sent together, of which one summary is due.
//! How many ended how is counted from their commands; here stands what these do not know.
//!
//! | column | holds |
//! | --- | --- |
//! | `id` | the asker's or ours |
//! | `open` | 1 while it is being taken in; 0 after a restart, whatever was missing then |
//! | `refused`, `expired` | how many were refused for another reason than coming too late, and for that one |
//! | `reply_topic`, `reply_correlation` | where the asker wants the summary |
//! | `told` | 1 when the broker has the summary, or shall not have one |
//! | `at` | last change of what it takes in, ms since 1970; later each time that more of it comes, whatever the clock says, so that it tells one end of the batch from another |

use adapter_api::CommandStatus;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    command_record::{BatchRow, Reply},
    command_table::parsed,
};

/// True for a row of `command_batch` of which no command is still to end.
const ENDED: &str = "open = 0 AND NOT EXISTS (SELECT 1 FROM command
     WHERE batch_id = command_batch.id AND +status IN ('pending', 'executing'))";

/// A batch begins or goes on; `open` while more of it comes. What is still to be told, and to whom,
/// is not forgotten.
pub(super) fn begin(
    db: &Connection,
    id: &str,
    reply: Option<&Reply>,
    tell: bool,
    open: bool,
    now: i64,
) -> rusqlite::Result<()> {
    let topic = reply.map(|reply| &reply.topic);
    let correlation = reply.and_then(|reply| reply.correlation.as_ref());
    db.prepare_cached(
        "INSERT INTO command_batch(id, open, refused, expired, reply_topic, reply_correlation, told, at)
         VALUES(?1, ?6, 0, 0, ?2, ?3, ?4, ?5)
         ON CONFLICT(id) DO UPDATE SET open = max(open, ?6), told = min(told, ?4), at = max(?5, at + 1),
           reply_topic = CASE WHEN ?2 IS NULL THEN reply_topic ELSE ?2 END,
           reply_correlation = CASE WHEN ?2 IS NULL THEN reply_correlation ELSE ?3 END",
    )?
    .execute(params![id, topic, correlation, !tell, now, open])
    .map(drop)
}

/// All of it was taken in.
pub(super) fn complete(
    db: &Connection,
    id: &str,
    refused: u64,
    expired: u64,
    now: i64,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE command_batch SET open = 0, refused = ?2, expired = ?3, at = max(?4, at) WHERE id = ?1",
    )?
    .execute(params![id, refused as i64, expired as i64, now])
    .map(drop)
}

/// Nothing more comes of what was being taken in when the gateway ended. A batch of which nothing had
/// been taken in has never been.
pub(super) fn close_all(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM command_batch WHERE open = 1 AND refused + expired = 0
           AND NOT EXISTS (SELECT 1 FROM command WHERE batch_id = command_batch.id)",
    )?
    .execute([])?;
    db.prepare_cached("UPDATE command_batch SET open = 0 WHERE open = 1")?.execute([]).map(drop)
}

/// The broker has the summary of the end with this [`BatchRow::at`]. A later one stays to be told.
pub(super) fn told(db: &Connection, id: &str, at: i64) -> rusqlite::Result<()> {
    db.prepare_cached(&format!("UPDATE command_batch SET told = 1 WHERE id = ?1 AND at = ?2 AND {ENDED}"))?
        .execute(params![id, at])
        .map(drop)
}

/// Deletes told batches older than `before` whose commands are gone.
pub(super) fn prune(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "DELETE FROM command_batch WHERE at < ?1 AND told = 1 AND open = 0
           AND NOT EXISTS (SELECT 1 FROM command WHERE batch_id = command_batch.id)",
    )?
    .execute([before])
}

/// A batch, also one of which only its commands know.
pub(super) fn by_id(db: &Connection, id: &str) -> rusqlite::Result<Option<BatchRow>> {
    let (mut batch, known) = match begun(db, id)? {
        Some(batch) => (batch, true),
        None => (BatchRow { id: id.to_owned(), told: true, ..BatchRow::default() }, false),
    };
    let mut statement =
        db.prepare_cached("SELECT status, count(*) FROM command WHERE batch_id = ?1 GROUP BY status")?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        let count = row.get::<_, i64>(1)? as u64;
        batch.total += count;
        *match parsed(row, 0, |text| text.parse().ok())? {
            CommandStatus::Pending | CommandStatus::Executing => &mut batch.waiting,
            CommandStatus::Completed => &mut batch.completed,
            CommandStatus::Failed => &mut batch.failed,
            CommandStatus::Timeout => &mut batch.timeout,
            CommandStatus::Cancelled => &mut batch.cancelled,
        } += count;
    }
    Ok((known || batch.total > 0).then_some(batch))
}

/// With what its commands do not know.
fn begun(db: &Connection, id: &str) -> rusqlite::Result<Option<BatchRow>> {
    db.prepare_cached(
        "SELECT open, refused, expired, reply_topic, reply_correlation, told, at FROM command_batch WHERE id = ?1",
    )?
    .query_row([id], |row| {
        let (refused, expired) = (row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64);
        let correlation = row.get(4)?;
        Ok(BatchRow {
            id: id.to_owned(),
            total: refused + expired,
            failed: refused,
            timeout: expired,
            waiting: row.get::<_, bool>(0)?.into(),
            reply: row.get::<_, Option<String>>(3)?.map(|topic| Reply { topic, correlation }),
            told: row.get(5)?,
            at: row.get(6)?,
            ..BatchRow::default()
        })
    })
    .optional()
}

/// Batches whose summary is due, oldest first.
pub(super) fn untold(db: &Connection, limit: usize) -> rusqlite::Result<Vec<BatchRow>> {
    let sql = format!("SELECT id FROM command_batch WHERE told = 0 AND {ENDED} ORDER BY at, id LIMIT ?1");
    let mut statement = db.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids: Vec<String> =
        statement.query_map([limit], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let batches: Vec<_> = ids.iter().map(|id| by_id(db, id)).collect::<rusqlite::Result<_>>()?;
    Ok(batches.into_iter().flatten().collect())
}
