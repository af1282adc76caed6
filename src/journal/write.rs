//! The statements of a commit.

use rusqlite::{Transaction, params};

use super::{
    command_batch,
    command_record::Change,
    command_table, device_table,
    held::Held,
    hour_of,
    latest::sealing,
    mail::{ChunkRow, Write},
    payload,
    record::HourRow,
    schema,
};

/// One batch, of readings whose numbers have no gap.
pub(super) fn insert_batch(db: &Transaction<'_>, batch: &[Held]) -> rusqlite::Result<()> {
    let Some(first) = batch.first() else { return Ok(()) };
    let wall = |held: &Held| held.stored.reading.measured_at.wall_ms;
    let blob = payload::seal(&payload::content(batch)).map_err(sealing)?;
    db.prepare_cached("INSERT INTO batch(first, n, t0, t1, boot, payload) VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            first.stored.number as i64,
            batch.len() as i64,
            batch.iter().map(wall).min(),
            batch.iter().map(wall).max(),
            &*first.boot,
            blob
        ])
        .map(drop)
}

/// Writes one thing; gives what its asker is answered. An error ends the whole commit.
pub(super) fn apply(
    db: &Transaction<'_>,
    write: &Write,
    rev: &mut u64,
    now: i64,
) -> rusqlite::Result<Vec<u64>> {
    match write {
        Write::Changes(changes) => {
            return changes.iter().map(|change| apply_change(db, change, rev, now)).collect();
        }
        Write::Device(device) => device_table::save(db, device)?,
        Write::Note { space, key, value } => put_note(db, space, key, value.as_deref())?,
        Write::Chunks(chunks, hours) => {
            chunks.iter().try_for_each(|chunk| put_chunk(db, chunk))?;
            hours.iter().try_for_each(|hour| put_hour(db, hour))?;
        }
        Write::ChunkedTo(number) => schema::put_meta(db, "chunked", &(*number as i64))?,
    }
    Ok(Vec::new())
}

/// Gives the number of the command that it inserted or updated; else, and where there is none, 0.
fn apply_change(db: &Transaction<'_>, change: &Change, rev: &mut u64, now: i64) -> rusqlite::Result<u64> {
    match change {
        Change::Insert(command) => {
            *rev += 1;
            return command_table::insert(db, command, *rev);
        }
        Change::Update(command) => {
            *rev += 1;
            if command_table::update(db, command, *rev)? {
                return Ok(command.number);
            }
            let (number, id) = (command.number, &command.id);
            tracing::warn!(number, id, "a command that the journal does not have was to be changed");
        }
        Change::Note { space, key, value } => put_note(db, space, key, value.as_deref())?,
        Change::BatchBegin { id, reply, tell } => {
            command_batch::begin(db, id, reply.as_ref(), *tell, true, now)?;
        }
        Change::BatchJoin { id, reply, tell } => {
            command_batch::begin(db, id, reply.as_ref(), *tell, false, now)?;
        }
        Change::BatchComplete { id, refused, expired } => {
            command_batch::complete(db, id, *refused, *expired, now)?;
        }
    }
    Ok(0)
}

fn put_note(db: &Transaction<'_>, space: &str, key: &str, value: Option<&[u8]>) -> rusqlite::Result<()> {
    match value {
        Some(value) => db
            .prepare_cached("INSERT OR REPLACE INTO note(space, key, value) VALUES(?1, ?2, ?3)")?
            .execute(params![space, key, value]),
        None => db.prepare_cached("DELETE FROM note WHERE space = ?1 AND key = ?2")?.execute([space, key]),
    }
    .map(drop)
}

fn put_chunk(db: &Transaction<'_>, chunk: &ChunkRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO chunk(dev, hour, first, n, payload) VALUES(?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![chunk.device, chunk.hour, chunk.first as i64, chunk.n as i64, chunk.payload])
    .map(drop)
}

fn put_hour(db: &Transaction<'_>, hour: &HourRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO roll_hour(dev, hour, point, n, avg, min, max) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        hour.device.as_str(),
        hour_of(hour.hour),
        hour.point.as_str(),
        hour.n as i64,
        hour.avg,
        hour.min,
        hour.max
    ])
    .map(drop)
}
