//! The database file: opening it, its settings, its tables. See the table in [`super`].

use std::path::Path;

use rusqlite::{
    Connection, OpenFlags, OptionalExtension, ToSql, TransactionBehavior, params, types::FromSql,
};

use super::JournalError;

/// `PRAGMA user_version` is the number of steps that a file has behind it. A step that was released
/// never changes; what is new is a new step.
const STEPS: [&str; 2] = [FIRST, LEASES_AND_BATCHES];
pub(super) const SCHEMA: i64 = STEPS.len() as i64;

const FIRST: &str = "
CREATE TABLE meta(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE batch(
    first INTEGER PRIMARY KEY, n INTEGER NOT NULL, t0 INTEGER NOT NULL, t1 INTEGER NOT NULL,
    boot TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE chunk(
    dev TEXT NOT NULL, hour INTEGER NOT NULL, first INTEGER NOT NULL, n INTEGER NOT NULL,
    payload BLOB NOT NULL, PRIMARY KEY(dev, hour, first));
CREATE INDEX chunk_hour ON chunk(hour, n);
CREATE TABLE roll_hour(
    dev TEXT NOT NULL, hour INTEGER NOT NULL, point TEXT NOT NULL, n INTEGER NOT NULL,
    avg REAL NOT NULL, min REAL NOT NULL, max REAL NOT NULL, PRIMARY KEY(dev, hour, point)) WITHOUT ROWID;
CREATE TABLE device(
    id TEXT PRIMARY KEY, adapter TEXT NOT NULL, availability TEXT, problem TEXT, remedy TEXT,
    seen_at INTEGER, info TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE command(
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, device TEXT NOT NULL,
    command TEXT NOT NULL, parameters TEXT NOT NULL, priority TEXT NOT NULL, source TEXT NOT NULL,
    owner TEXT NOT NULL, status TEXT NOT NULL, outcome TEXT, correlation_id TEXT, batch_id TEXT,
    issued_at INTEGER, accepted_at INTEGER NOT NULL, scheduled_at INTEGER, expires_at INTEGER NOT NULL,
    executed_at INTEGER, completed_at INTEGER, attempts INTEGER NOT NULL, max_retries INTEGER NOT NULL,
    verified INTEGER, written INTEGER, requested TEXT, observed TEXT, error_code TEXT,
    error_message TEXT, superseded_by TEXT, reply_topic TEXT, reply_correlation BLOB, redelivery TEXT,
    told INTEGER NOT NULL, events TEXT NOT NULL, rev INTEGER NOT NULL);
CREATE INDEX command_id ON command(id);
CREATE INDEX command_device ON command(device, accepted_at);
CREATE INDEX command_status ON command(status);
CREATE INDEX command_rev ON command(rev);
CREATE INDEX command_redelivery ON command(redelivery) WHERE redelivery IS NOT NULL;
CREATE INDEX command_untold ON command(number) WHERE told = 0;
CREATE TABLE note(space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY(space, key)) WITHOUT ROWID;
";

/// Each index is a page more that an accepted command writes, and without `AUTOINCREMENT` it is one
/// less: only what must be found among very many has one, and where it can, for few rows. What is
/// old is found without a look at what may not go, however much that is. For the rows that were
/// there, `reached` is as late as any of them, which is true of each and reads them only once.
const LEASES_AND_BATCHES: &str = "
ALTER TABLE command RENAME TO command_1;
CREATE TABLE command(
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, device TEXT NOT NULL,
    command TEXT NOT NULL, parameters TEXT NOT NULL, priority TEXT NOT NULL, source TEXT NOT NULL,
    owner TEXT NOT NULL, status TEXT NOT NULL, outcome TEXT, correlation_id TEXT, batch_id TEXT,
    issued_at INTEGER, accepted_at INTEGER NOT NULL, scheduled_at INTEGER, expires_at INTEGER NOT NULL,
    executed_at INTEGER, completed_at INTEGER, attempts INTEGER NOT NULL, max_retries INTEGER NOT NULL,
    verified INTEGER, written INTEGER, requested TEXT, observed TEXT, error_code TEXT,
    error_message TEXT, superseded_by TEXT, reply_topic TEXT, reply_correlation BLOB, redelivery TEXT,
    told INTEGER NOT NULL, events TEXT NOT NULL, rev INTEGER NOT NULL, lease TEXT, effect INTEGER,
    reverts TEXT, reached INTEGER NOT NULL);
INSERT INTO meta(k, v) SELECT 'last_command', seq FROM sqlite_sequence WHERE name = 'command_1';
INSERT INTO command SELECT *, NULL, NULL, NULL, (SELECT max(accepted_at) FROM command_1) FROM command_1;
DROP TABLE command_1;
CREATE INDEX command_id ON command(id);
CREATE INDEX command_device ON command(device);
CREATE INDEX command_status ON command(number) WHERE status IN ('pending', 'executing');
CREATE INDEX command_rev ON command(rev);
CREATE INDEX command_redelivery ON command(redelivery) WHERE redelivery IS NOT NULL;
CREATE INDEX command_untold ON command(number) WHERE told = 0;
CREATE INDEX command_correlation ON command(correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX command_batch_id ON command(batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX command_old ON command(completed_at, rev, batch_id)
    WHERE told = 1 AND completed_at IS NOT NULL;
CREATE TABLE command_batch(
    id TEXT PRIMARY KEY, open INTEGER NOT NULL, refused INTEGER NOT NULL, expired INTEGER NOT NULL,
    reply_topic TEXT, reply_correlation BLOB, told INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX command_batch_untold ON command_batch(at) WHERE told = 0;
";

/// Opens the database for the one who writes; makes the tables in an empty one, and brings those of
/// an older version to ours.
pub(super) fn open(path: &Path) -> Result<Connection, JournalError> {
    let wrong = |error| JournalError::sqlite(path, error);
    let mut db = Connection::open(path).map_err(wrong)?;
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(wrong)?;
    if found > SCHEMA {
        return Err(JournalError::Newer { path: path.to_owned(), found, known: SCHEMA });
    }
    // FULL: a commit is on the disk when it returns. Few and large ones keep the card alive.
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000;
         PRAGMA journal_size_limit=16777216; PRAGMA cache_size=-8000; PRAGMA busy_timeout=5000;",
    )
    .map_err(wrong)?;
    db.set_prepared_statement_cache_capacity(64);
    if found < SCHEMA {
        migrate(&mut db, found).map_err(wrong)?;
    }
    Ok(db)
}

/// All steps in one transaction: a crash or a full disk leaves the file as it was.
fn migrate(db: &mut Connection, found: i64) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    if found == 0 {
        put_meta(&transaction, "installation", &uuid::Uuid::new_v4().as_bytes().to_vec())?;
        put_meta(&transaction, "generation", &1i64)?;
        put_meta(&transaction, "clean", &1i64)?;
    }
    transaction.commit()?;
    if found > 0 {
        tracing::info!(from = found, to = SCHEMA, "the journal of an older version is brought up to date");
    }
    Ok(())
}

/// Opens the database for one who only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let db = Connection::open_with_flags(path, flags)?;
        db.execute_batch("PRAGMA busy_timeout=5000; PRAGMA cache_size=-2000;")?;
        Ok(db)
    };
    open().map_err(|error| JournalError::sqlite(path, error))
}

pub(super) fn meta<T: FromSql>(db: &Connection, key: &str) -> rusqlite::Result<Option<T>> {
    db.prepare_cached("SELECT v FROM meta WHERE k = ?1")?.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn put_meta(db: &Connection, key: &str, value: &dyn ToSql) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO meta(k, v) VALUES(?1, ?2) ON CONFLICT(k) DO UPDATE SET v = excluded.v")?
        .execute(params![key, value])
        .map(drop)
}

/// A number that never restarts, although the rows that it came from may all be gone: the floor is
/// written whenever rows are deleted.
pub(super) fn floor(db: &Connection, key: &str) -> rusqlite::Result<u64> {
    Ok(meta::<i64>(db, key)?.unwrap_or(0) as u64)
}

/// The number of the next reading.
pub(super) fn next_number(db: &Connection) -> rusqlite::Result<u64> {
    let after_last: Option<i64> = db
        .prepare_cached("SELECT first + n FROM batch ORDER BY first DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(floor(db, "next_number")?.max(after_last.unwrap_or(1) as u64))
}

/// The last revision of any command.
pub(super) fn last_rev(db: &Connection) -> rusqlite::Result<u64> {
    let last: Option<i64> = db.query_row("SELECT max(rev) FROM command", [], |row| row.get(0))?;
    Ok(floor(db, "last_rev")?.max(last.unwrap_or(0) as u64))
}

/// Bytes that hold something; free pages inside the file do not count.
pub(super) fn used_bytes(db: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma| db.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    Ok((pages * number("PRAGMA page_size")?) as u64)
}
