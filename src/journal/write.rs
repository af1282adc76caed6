//! The statements of a commit.

use rusqlite::{Transaction, params};

use super::{
    JournalError, command_table, device_table,
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

/// Writes one thing. The outer error ends the whole commit, the inner one is this write's alone.
pub(super) fn apply(
    db: &Transaction<'_>,
    write: &Write,
    rev: &mut u64,
) -> rusqlite::Result<Result<u64, JournalError>> {
    match write {
        Write::Insert(command) => {
            *rev += 1;
            return command_table::insert(db, command, *rev).map(Ok);
        }
        Write::Update(command) => {
            *rev += 1;
            if !command_table::update(db, command, *rev)? {
                return Ok(Err(JournalError::NoSuchCommand(command.number)));
            }
        }
        Write::Device(device) => device_table::save(db, device)?,
        Write::Note { space, key, value: Some(value) } => {
            db.prepare_cached("INSERT OR REPLACE INTO note(space, key, value) VALUES(?1, ?2, ?3)")?
                .execute(params![space, key, value])?;
        }
        Write::Note { space, key, value: None } => {
            db.prepare_cached("DELETE FROM note WHERE space = ?1 AND key = ?2")?.execute([space, key])?;
        }
        Write::Chunks(chunks, hours) => {
            chunks.iter().try_for_each(|chunk| put_chunk(db, chunk))?;
            hours.iter().try_for_each(|hour| put_hour(db, hour))?;
        }
        Write::ChunkedTo(number) => schema::put_meta(db, "chunked", &(*number as i64))?,
    }
    Ok(Ok(0))
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
