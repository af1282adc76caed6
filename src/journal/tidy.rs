//! Deletes what is delivered, too old or too much, in small transactions, so that a command never
//! waits long behind one. Never touches what was not asked for: each step says what it deleted.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{MS_PER_HOUR, hour_of, schema};

/// The uplink's cursor in `meta`: the last reading that MongoDB has.
pub(super) const DELIVERED: &str = "cursor:mongodb.measurements";
/// Likewise: the last revision of a command that MongoDB has.
pub(super) const COMMANDS_DELIVERED: &str = "cursor:mongodb.commands";
/// Batches that one step deletes at most.
const STEP: i64 = 100;

/// How much may stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Older readings go, ms.
    pub retention_ms: i64,
    /// More bytes go, oldest first.
    pub max_size: u64,
    /// Readings and commands wait for MongoDB. Readings not for ever: what is too old or too much
    /// goes, and is counted. Commands do; they are few.
    pub uplink: bool,
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pruned {
    /// There may be more to do.
    pub again: bool,
    /// It was for age, not for size.
    pub aged: bool,
    /// Readings that went before MongoDB had them.
    pub undelivered: u64,
}

/// Deletes batches that are in chunks and delivered. True when there may be more.
pub(super) fn forget_delivered(db: &mut Connection, uplink: bool) -> rusqlite::Result<bool> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let chunked = schema::floor(&transaction, "chunked")?;
    let delivered = delivered(&transaction, uplink)?;
    let end = chunked.min(delivered.saturating_add(1)) as i64;
    let gone = delete_batches(&transaction, "first < ?1 AND first + n <= ?1", end, STEP)?;
    transaction.commit()?;
    Ok(gone.batches == STEP)
}

/// Is there more than there may be?
pub(super) fn is_over(db: &Connection, rules: Rules) -> rusqlite::Result<bool> {
    Ok(schema::used_bytes(db)? > rules.max_size)
}

/// Deletes the oldest that is too old, or too much. Age goes by the given time.
pub(super) fn prune(db: &mut Connection, rules: Rules, now_ms: i64) -> rusqlite::Result<Pruned> {
    let over = is_over(db, rules)?;
    let cutoff = now_ms.saturating_sub(rules.retention_ms);
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let chunk: Option<i64> = transaction.query_row("SELECT min(hour) FROM chunk", [], |row| row.get(0))?;
    let batch: Option<i64> = transaction
        .query_row("SELECT t1 FROM batch ORDER BY first LIMIT 1", [], |row| row.get(0))
        .optional()?;
    let chunk_is_oldest = match (chunk, batch) {
        (Some(chunk), Some(batch)) => chunk <= hour_of(batch),
        (chunk, _) => chunk.is_some(),
    };
    let expired = chunk.filter(|hour| (hour + 1).saturating_mul(MS_PER_HOUR) <= cutoff);
    let mut pruned = Pruned { aged: expired.is_some(), ..Pruned::default() };
    if let Some(hour) = expired.or(chunk.filter(|_| over && chunk_is_oldest)) {
        delete_hour(&transaction, hour)?;
        pruned.again = true;
    }
    // Only the oldest thousand are looked at: a reading from the future must not make it walk all.
    let (condition, value) = if over && !chunk_is_oldest {
        ("?1 = ?1", 0)
    } else {
        ("t1 < ?1 AND first IN (SELECT first FROM batch ORDER BY first LIMIT 1000)", cutoff)
    };
    let gone = delete_batches(&transaction, condition, value, STEP)?;
    if gone.batches > 0 {
        pruned.aged |= !over;
        pruned.again |= gone.batches == STEP || over;
        pruned.undelivered =
            if rules.uplink { gone.readings_after(delivered(&transaction, true)?) } else { 0 };
    }
    if pruned.undelivered > 0 {
        let dropped = schema::floor(&transaction, "dropped_undelivered")? + pruned.undelivered;
        schema::put_meta(&transaction, "dropped_undelivered", &(dropped as i64))?;
    }
    transaction.commit()?;
    Ok(pruned)
}

fn delivered(db: &Connection, uplink: bool) -> rusqlite::Result<u64> {
    if uplink { schema::floor(db, DELIVERED) } else { Ok(i64::MAX as u64) }
}

fn delete_hour(db: &Transaction<'_>, hour: i64) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("DELETE FROM chunk WHERE hour = ?1 RETURNING dev")?;
    let devices: Vec<String> =
        statement.query_map([hour], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for device in devices {
        db.prepare_cached("DELETE FROM roll_hour WHERE dev = ?1 AND hour <= ?2")?
            .execute(params![device, hour])?;
    }
    Ok(())
}

/// Deleted batches: first number and count of each.
struct Gone {
    batches: i64,
    ranges: Vec<(u64, u64)>,
}

impl Gone {
    fn readings_after(&self, delivered: u64) -> u64 {
        let after = |(first, n): &(u64, u64)| (first + n).saturating_sub((delivered + 1).max(*first));
        self.ranges.iter().map(after).sum()
    }
}

fn delete_batches(db: &Transaction<'_>, condition: &str, value: i64, limit: i64) -> rusqlite::Result<Gone> {
    let next = schema::next_number(db)?;
    let sql = format!(
        "DELETE FROM batch WHERE first IN (SELECT first FROM batch WHERE {condition} ORDER BY first LIMIT ?2)
         RETURNING first, n"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let ranges: Vec<(u64, u64)> = statement
        .query_map([value, limit], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))?
        .collect::<rusqlite::Result<_>>()?;
    if !ranges.is_empty() {
        // Numbers go on although the rows that they came from go away.
        schema::put_meta(db, "next_number", &(next as i64))?;
    }
    Ok(Gone { batches: ranges.len() as i64, ranges })
}
