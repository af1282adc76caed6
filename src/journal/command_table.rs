//! Rows of the table `command`: plain columns for all that one would ask for with `sqlite3`, words
//! of the data model as they are, booleans as 0 and 1, times in ms since 1970, JSON text as in
//! [`super::json`] (`parameters`, `requested`, `observed`, `lease`, `events`). `rev` grows with every
//! insert and update, for whoever mirrors commands. `number` grows with every insert and is never
//! used twice. `reached` is a time at which or before which this command and all with a lesser number
//! were accepted, whatever was done to the clock: it never falls from one number to the next.

use adapter_api::{DeviceId, Parameters};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, params_from_iter, types::Type};

use super::{
    command_record::{CommandRow, Reply},
    json, schema, tidy,
};

/// Who asked, for what and when: written once, so that an update touches none of their indexes.
const ASKED: &str = "id, device, source, owner, correlation_id, batch_id, issued_at, accepted_at, redelivery";
const ASKED_COUNT: usize = 9;
/// What an update replaces.
const STATE: &str = "command, parameters, priority, status, outcome, scheduled_at, expires_at, \
     executed_at, completed_at, attempts, max_retries, verified, written, requested, observed, \
     error_code, error_message, superseded_by, lease, effect, reverts, reply_topic, \
     reply_correlation, told, events, rev";
const STATE_COUNT: usize = 26;
const COUNT: usize = ASKED_COUNT + STATE_COUNT;

fn asked(row: &CommandRow) -> [Box<dyn ToSql>; ASKED_COUNT] {
    [
        Box::new(row.id.clone()),
        Box::new(row.device.as_str().to_owned()),
        Box::new(row.source.as_str()),
        Box::new(row.owner.clone()),
        Box::new(row.correlation_id.clone()),
        Box::new(row.batch_id.clone()),
        Box::new(row.issued_at),
        Box::new(row.accepted_at),
        Box::new(row.redelivery.clone()),
    ]
}

fn state(row: &CommandRow, rev: u64) -> [Box<dyn ToSql>; STATE_COUNT] {
    let parameters = |parameters: &Option<Parameters>| parameters.as_ref().map(json::parameters);
    let (error_code, error_message) = row.error.clone().unzip();
    let (reply_topic, reply_correlation) =
        row.reply.clone().map(|reply| (reply.topic, reply.correlation)).unzip();
    [
        Box::new(row.command.clone()),
        Box::new(json::parameters(&row.parameters)),
        Box::new(row.priority.as_str()),
        Box::new(row.status.as_str()),
        Box::new(row.outcome.map(|outcome| outcome.as_str())),
        Box::new(row.scheduled_at),
        Box::new(row.expires_at),
        Box::new(row.executed_at),
        Box::new(row.completed_at),
        Box::new(row.attempts),
        Box::new(row.max_retries),
        Box::new(row.verified),
        Box::new(row.written),
        Box::new(parameters(&row.requested)),
        Box::new(parameters(&row.observed)),
        Box::new(error_code),
        Box::new(error_message),
        Box::new(row.superseded_by.clone()),
        Box::new(row.lease.as_ref().map(json::lease)),
        Box::new(row.effect),
        Box::new(row.reverts.clone()),
        Box::new(reply_topic),
        Box::new(reply_correlation.flatten()),
        Box::new(row.told),
        Box::new(json::events(&row.events)),
        Box::new(rev as i64),
    ]
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Inserts a command; returns its number.
pub(super) fn insert(db: &Connection, row: &CommandRow, rev: u64) -> rusqlite::Result<u64> {
    let (last, reached) = last(db)?.unwrap_or((0, i64::MIN));
    let number = last.max(schema::floor(db, LAST_COMMAND)? as i64) + 1;
    let own: [Box<dyn ToSql>; 2] = [Box::new(number), Box::new(reached.max(row.accepted_at))];
    let values = own.into_iter().chain(asked(row)).chain(state(row, rev));
    let marks = marks(COUNT + 2);
    db.prepare_cached(&format!("INSERT INTO command(number, reached, {ASKED}, {STATE}) VALUES({marks})"))?
        .execute(params_from_iter(values))?;
    Ok(number as u64)
}

/// Number and `reached` of the newest command that is there.
fn last(db: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    db.prepare_cached("SELECT number, reached FROM command ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Replaces a command's state; false when there is none with its number.
pub(super) fn update(db: &Connection, row: &CommandRow, rev: u64) -> rusqlite::Result<bool> {
    let number: Box<dyn ToSql> = Box::new(row.number as i64);
    let values = state(row, rev).into_iter().chain([number]);
    let sql = format!("UPDATE command SET ({STATE}) = ({}) WHERE number = ?", marks(STATE_COUNT));
    Ok(db.prepare_cached(&sql)?.execute(params_from_iter(values))? > 0)
}

/// The broker has the result.
pub(super) fn told(db: &Connection, number: u64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE command SET told = 1 WHERE number = ?1")?.execute([number as i64]).map(drop)
}

/// In `meta`: no number up to this one is given again, although its command may be gone.
const LAST_COMMAND: &str = "last_command";
/// What follows `FROM command` for those with one of the statuses in which a command has not ended. In
/// words, so that the index is used, which holds only these.
pub(super) const STANDING: &str = "WHERE status IN ('pending', 'executing') AND status = ?1 ORDER BY number";
/// Commands that are deleted at once.
pub(super) const PRUNED_MAX: usize = 500;

/// What follows `FROM command` for those that may go. Their index holds all that it asks of them.
pub(super) const OLD: &str = "WHERE told = 1 AND completed_at < ?1 AND rev <= ?2 AND NOT EXISTS
       (SELECT 1 FROM command_batch WHERE command_batch.id = batch_id AND command_batch.told = 0)
     ORDER BY completed_at";

/// Deletes ended and told commands older than `before`, a few at a time. Returns how many. Those
/// stay whose last change MongoDB does not have, while the uplink is on, and those that a summary
/// of their batch still has to count. The last revision and number are kept, so that they never restart.
pub(super) fn prune(db: &Connection, before: i64, rev: u64, uplink: bool) -> rusqlite::Result<usize> {
    let delivered = if uplink { schema::floor(db, tidy::COMMANDS_DELIVERED)? as i64 } else { i64::MAX };
    let old = format!("SELECT number FROM command {OLD} LIMIT {PRUNED_MAX}");
    if !db.prepare_cached(&old)?.exists([before, delivered])? {
        return Ok(0);
    }
    let transaction = db.unchecked_transaction()?;
    schema::put_meta(db, "last_rev", &(rev as i64))?;
    let number = last(db)?.map_or(0, |(number, _)| number).max(schema::floor(db, LAST_COMMAND)? as i64);
    schema::put_meta(db, LAST_COMMAND, &number)?;
    let gone = db
        .prepare_cached(&format!("DELETE FROM command WHERE number IN ({old})"))?
        .execute([before, delivered])?;
    transaction.commit()?;
    Ok(gone)
}

/// Commands by a condition, with their revisions.
pub(super) fn select(
    db: &Connection,
    condition: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<Vec<(u64, CommandRow)>> {
    let sql = format!("SELECT {ASKED}, {STATE}, number FROM command {condition}");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        match of_row(row) {
            Ok(command) => found.push((row.get::<_, i64>(COUNT - 1)? as u64, command)),
            // One row that makes no sense must not keep the gateway from starting.
            Err(error) => {
                let number: Option<i64> = row.get("number").ok();
                tracing::warn!(number, %error, "a command in the journal makes no sense and is left out");
            }
        }
    }
    Ok(found)
}

/// The command with this number, if it is there.
pub(super) fn by_number(db: &Connection, number: u64) -> rusqlite::Result<Option<CommandRow>> {
    let found = select(db, "WHERE number = ?1", params![number as i64])?;
    Ok(found.into_iter().next().map(|(_, row)| row))
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<CommandRow> {
    let error: Option<String> = row.get(24)?;
    let reply: Option<String> = row.get(30)?;
    let correlation = row.get(31)?;
    Ok(CommandRow {
        number: row.get::<_, i64>(COUNT)? as u64,
        id: row.get(0)?,
        device: parsed(row, 1, |text| DeviceId::new(text).ok())?,
        command: row.get(9)?,
        parameters: parsed(row, 10, json::to_parameters)?,
        priority: parsed(row, 11, |text| text.parse().ok())?,
        source: parsed(row, 2, |text| text.parse().ok())?,
        owner: row.get(3)?,
        status: parsed(row, 12, |text| text.parse().ok())?,
        outcome: maybe(row, 13, |text| text.parse().ok())?,
        correlation_id: row.get(4)?,
        batch_id: row.get(5)?,
        issued_at: row.get(6)?,
        accepted_at: row.get(7)?,
        scheduled_at: row.get(14)?,
        expires_at: row.get(15)?,
        executed_at: row.get(16)?,
        completed_at: row.get(17)?,
        attempts: row.get(18)?,
        max_retries: row.get(19)?,
        verified: row.get(20)?,
        written: row.get(21)?,
        requested: maybe(row, 22, json::to_parameters)?,
        observed: maybe(row, 23, json::to_parameters)?,
        error: error.zip(row.get::<_, Option<String>>(25)?),
        superseded_by: row.get(26)?,
        lease: maybe(row, 27, json::to_lease)?,
        effect: row.get(28)?,
        reverts: row.get(29)?,
        reply: reply.map(|topic| Reply { topic, correlation }),
        redelivery: row.get(8)?,
        told: row.get(32)?,
        events: parsed(row, 33, json::to_events)?,
    })
}

/// A column that must be there and must make sense.
pub(super) fn parsed<T>(
    row: &Row<'_>,
    at: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text: String = row.get(at)?;
    parse(&text).ok_or_else(|| {
        let what = format!("`{text}` makes no sense here");
        rusqlite::Error::FromSqlConversionFailure(at, Type::Text, what.into())
    })
}

/// A column that may be empty.
pub(super) fn maybe<T>(
    row: &Row<'_>,
    at: usize,
    parse: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(at)?;
    if text.is_some() { parsed(row, at, parse).map(Some) } else { Ok(None) }
}
