//! The larger questions to the database. Pure reading; what is damaged is skipped and counted.

use std::collections::HashSet;

use adapter_api::DeviceId;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    MS_PER_HOUR,
    damage::Damage,
    hour_of, payload,
    record::{HourRow, Stored},
    schema, tidy,
};

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Bytes of the database that hold something.
    pub bytes: u64,
    /// Readings that are kept.
    pub readings: u64,
    /// Readings that are dropped for age or size before MongoDB had them, ever.
    pub dropped_undelivered: u64,
    /// Parts that could not be read since the start.
    pub damaged: u64,
    /// Wall time of the oldest reading that is kept, ms; in whole hours for compacted ones.
    pub oldest_ms: Option<i64>,
    /// Number of the last committed reading.
    pub last_number: u64,
    /// The last reading that MongoDB has.
    pub delivered: u64,
}

pub(super) fn stored_after(
    db: &Connection,
    damage: &Damage,
    number: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Stored>> {
    let mut statement = db.prepare_cached(
        "SELECT first, payload FROM batch
         WHERE first >= coalesce((SELECT max(first) FROM batch WHERE first <= ?1 + 1), 0) ORDER BY first",
    )?;
    let mut rows = statement.query([number as i64])?;
    let mut found = Vec::new();
    while found.len() < limit {
        let Some(row) = rows.next()? else { break };
        let (first, blob): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        match payload::unseal(&blob).and_then(|content| payload::readings(&content, |_| true)) {
            Ok(readings) => found.extend(readings.into_iter().filter(|stored| stored.number > number)),
            Err(error) => damage.found("batch", first as u64, error),
        }
    }
    found.truncate(limit);
    Ok(found)
}

pub(super) fn history(
    db: &Connection,
    damage: &Damage,
    device: &DeviceId,
    from_ms: i64,
    to_ms: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Stored>> {
    let mut found: Vec<Stored> = Vec::new();
    let mut known = HashSet::new();
    let mut add = |what, first: i64, blob: &[u8], found: &mut Vec<Stored>| {
        let readings = payload::unseal(blob)
            .and_then(|content| payload::readings(&content, |section| device == section));
        match readings {
            Ok(readings) => found.extend(readings.into_iter().filter(|stored| {
                (from_ms..=to_ms).contains(&stored.reading.measured_at.wall_ms) && known.insert(stored.number)
            })),
            Err(error) => damage.found(what, first as u64, error),
        }
    };
    let mut statement = db.prepare_cached(
        "SELECT first, payload FROM batch WHERE first >= ?1 AND t1 >= ?2 AND t0 <= ?3 ORDER BY first",
    )?;
    let mut rows = statement.query(params![schema::floor(db, "chunked")? as i64, from_ms, to_ms])?;
    while let Some(row) = rows.next()? {
        add("batch", row.get(0)?, row.get_ref(1)?.as_blob()?, &mut found);
    }
    let mut statement = db.prepare_cached(
        "SELECT first, payload, hour FROM chunk WHERE dev = ?1 AND hour BETWEEN ?2 AND ?3
         ORDER BY hour DESC, first DESC",
    )?;
    let mut rows = statement.query(params![device.as_str(), hour_of(from_ms), hour_of(to_ms)])?;
    let mut last_hour = None;
    while let Some(row) = rows.next()? {
        let hour: i64 = row.get(2)?;
        if found.len() >= limit && last_hour.is_some_and(|last| last != hour) {
            break;
        }
        last_hour = Some(hour);
        add("chunk", row.get(0)?, row.get_ref(1)?.as_blob()?, &mut found);
    }
    found.sort_by_key(|stored| (stored.reading.measured_at.wall_ms, stored.number));
    found.drain(..found.len().saturating_sub(limit));
    Ok(found)
}

pub(super) fn hours(
    db: &Connection,
    device: &DeviceId,
    from_ms: i64,
    to_ms: i64,
) -> rusqlite::Result<Vec<HourRow>> {
    let mut statement = db.prepare_cached(
        "SELECT hour, point, n, avg, min, max FROM roll_hour
         WHERE dev = ?1 AND hour BETWEEN ?2 AND ?3 ORDER BY hour, point",
    )?;
    let first = hour_of(from_ms.saturating_add(MS_PER_HOUR - 1));
    statement
        .query_map(params![device.as_str(), first, hour_of(to_ms)], |row| {
            Ok(HourRow {
                device: device.clone(),
                hour: row.get::<_, i64>(0)? * MS_PER_HOUR,
                point: row.get::<_, String>(1)?.as_str().into(),
                n: row.get::<_, i64>(2)? as u64,
                avg: row.get(3)?,
                min: row.get(4)?,
                max: row.get(5)?,
            })
        })?
        .collect()
}

pub(super) fn stats(db: &Connection, damage: &Damage) -> rusqlite::Result<Stats> {
    let chunked = schema::floor(db, "chunked")? as i64;
    let one = |sql: &str| db.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0));
    let in_batches: i64 = db
        .prepare_cached("SELECT coalesce(sum(n), 0) FROM batch WHERE first >= ?1")?
        .query_row([chunked], |row| row.get(0))?;
    let in_chunks = one("SELECT coalesce(sum(n), 0) FROM chunk")?.unwrap_or(0);
    let oldest_batch = db
        .prepare_cached("SELECT t0 FROM batch ORDER BY first LIMIT 1")?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()?;
    let oldest_chunk = one("SELECT min(hour) FROM chunk")?.map(|hour| hour * MS_PER_HOUR);
    Ok(Stats {
        bytes: schema::used_bytes(db)?,
        readings: (in_batches + in_chunks) as u64,
        dropped_undelivered: schema::floor(db, "dropped_undelivered")?,
        damaged: damage.count(),
        oldest_ms: oldest_batch.into_iter().chain(oldest_chunk).min(),
        last_number: schema::next_number(db)?.saturating_sub(1),
        delivered: schema::floor(db, tidy::DELIVERED)?,
    })
}
