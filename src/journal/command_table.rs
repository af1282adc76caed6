//! Rows of the table `command`: plain columns for all that one would ask for with `sqlite3`, words
//! of the data model as they are, booleans as 0 and 1, times in ms since 1970, JSON text as in
//! [`super::json`]. `rev` grows with every insert and update, for whoever mirrors commands.

use adapter_api::{CommandSource, CommandStatus, DeviceId, Parameters};
use rusqlite::{Connection, Row, ToSql, params, params_from_iter, types::Type};

use super::{
    json,
    record::{CommandRow, Reply},
    schema,
};

/// In the order in which [`values`] gives and [`of_row`] reads them; `number` and `rev` are apart.
const COLUMNS: &str = "id, device, command, parameters, priority, source, owner, status, outcome, \
     correlation_id, batch_id, issued_at, accepted_at, scheduled_at, expires_at, executed_at, \
     completed_at, attempts, max_retries, verified, written, requested, observed, error_code, \
     error_message, superseded_by, reply_topic, reply_correlation, redelivery, told, events, rev";
const COUNT: usize = 32;

/// Which commands to show; what is none does not matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommandFilter {
    /// For this device.
    pub device: Option<DeviceId>,
    /// Standing here.
    pub status: Option<CommandStatus>,
    /// From this kind of asker.
    pub source: Option<CommandSource>,
    /// From this owner.
    pub owner: Option<String>,
    /// With this correlation id.
    pub correlation_id: Option<String>,
    /// Of this batch.
    pub batch_id: Option<String>,
    /// Accepted at this time or later, ms.
    pub since: Option<i64>,
    /// At most so many, the newest.
    pub limit: usize,
}

fn values(row: &CommandRow, rev: u64) -> [Box<dyn ToSql>; COUNT] {
    let parameters = |parameters: &Option<Parameters>| parameters.as_ref().map(json::parameters);
    let (error_code, error_message) = row.error.clone().unzip();
    let (reply_topic, reply_correlation) =
        row.reply.clone().map(|reply| (reply.topic, reply.correlation)).unzip();
    [
        Box::new(row.id.clone()),
        Box::new(row.device.as_str().to_owned()),
        Box::new(row.command.clone()),
        Box::new(json::parameters(&row.parameters)),
        Box::new(row.priority.as_str()),
        Box::new(row.source.as_str()),
        Box::new(row.owner.clone()),
        Box::new(row.status.as_str()),
        Box::new(row.outcome.map(|outcome| outcome.as_str())),
        Box::new(row.correlation_id.clone()),
        Box::new(row.batch_id.clone()),
        Box::new(row.issued_at),
        Box::new(row.accepted_at),
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
        Box::new(reply_topic),
        Box::new(reply_correlation.flatten()),
        Box::new(row.redelivery.clone()),
        Box::new(row.told),
        Box::new(json::events(&row.events)),
        Box::new(rev as i64),
    ]
}

fn marks() -> String {
    vec!["?"; COUNT].join(", ")
}

/// Inserts a command; returns its number.
pub(super) fn insert(db: &Connection, row: &CommandRow, rev: u64) -> rusqlite::Result<u64> {
    db.prepare_cached(&format!("INSERT INTO command({COLUMNS}) VALUES({})", marks()))?
        .execute(params_from_iter(values(row, rev)))?;
    Ok(db.last_insert_rowid() as u64)
}

/// Replaces a command; false when there is none with its number.
pub(super) fn update(db: &Connection, row: &CommandRow, rev: u64) -> rusqlite::Result<bool> {
    let number: Box<dyn ToSql> = Box::new(row.number as i64);
    let values = values(row, rev).into_iter().chain([number]);
    let sql = format!("UPDATE command SET ({COLUMNS}) = ({}) WHERE number = ?", marks());
    Ok(db.prepare_cached(&sql)?.execute(params_from_iter(values))? > 0)
}

/// The broker has the result.
pub(super) fn told(db: &Connection, number: u64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE command SET told = 1 WHERE number = ?1")?.execute([number as i64]).map(drop)
}

/// Commands that are looked at, and so deleted, at once.
pub(super) const PRUNED_MAX: usize = 500;

/// Deletes ended and told commands older than `before`, a few at a time. Returns how many. The
/// last revision is kept, so that revisions never restart.
pub(super) fn prune(db: &Connection, before: i64, rev: u64) -> rusqlite::Result<usize> {
    let old = format!(
        "SELECT number FROM (SELECT number, completed_at, told FROM command ORDER BY number LIMIT {PRUNED_MAX})
         WHERE completed_at < ?1 AND told = 1"
    );
    if !db.prepare_cached(&old)?.exists([before])? {
        return Ok(0);
    }
    schema::put_meta(db, "last_rev", &(rev as i64))?;
    db.prepare_cached(&format!("DELETE FROM command WHERE number IN ({old})"))?.execute([before])
}

/// Commands by a condition, with their revisions.
pub(super) fn select(
    db: &Connection,
    condition: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<Vec<(u64, CommandRow)>> {
    let sql = format!("SELECT {COLUMNS}, number FROM command {condition}");
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

/// Commands that fit a filter, newest first.
pub(super) fn filtered(db: &Connection, filter: &CommandFilter) -> rusqlite::Result<Vec<CommandRow>> {
    let mut conditions = vec!["1"];
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let words = [
        ("device = ?", filter.device.as_ref().map(|device| device.as_str().to_owned())),
        ("status = ?", filter.status.map(|status| status.as_str().to_owned())),
        ("source = ?", filter.source.map(|source| source.as_str().to_owned())),
        ("owner = ?", filter.owner.clone()),
        ("correlation_id = ?", filter.correlation_id.clone()),
        ("batch_id = ?", filter.batch_id.clone()),
    ];
    for (condition, word) in words {
        if let Some(word) = word {
            conditions.push(condition);
            values.push(Box::new(word));
        }
    }
    if let Some(since) = filter.since {
        conditions.push("accepted_at >= ?");
        values.push(Box::new(since));
    }
    values.push(Box::new(i64::try_from(filter.limit).unwrap_or(i64::MAX)));
    let condition = format!("WHERE {} ORDER BY number DESC LIMIT ?", conditions.join(" AND "));
    let values: Vec<&dyn ToSql> = values.iter().map(|value| &**value).collect();
    Ok(select(db, &condition, &values)?.into_iter().map(|(_, row)| row).collect())
}

/// The command with this number, if it is there.
pub(super) fn by_number(db: &Connection, number: u64) -> rusqlite::Result<Option<CommandRow>> {
    let found = select(db, "WHERE number = ?1", params![number as i64])?;
    Ok(found.into_iter().next().map(|(_, row)| row))
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<CommandRow> {
    let error: Option<String> = row.get(23)?;
    let reply: Option<String> = row.get(26)?;
    Ok(CommandRow {
        number: row.get::<_, i64>(COUNT)? as u64,
        id: row.get(0)?,
        device: parsed(row, 1, |text| DeviceId::new(text).ok())?,
        command: row.get(2)?,
        parameters: parsed(row, 3, json::to_parameters)?,
        priority: parsed(row, 4, |text| text.parse().ok())?,
        source: parsed(row, 5, |text| text.parse().ok())?,
        owner: row.get(6)?,
        status: parsed(row, 7, |text| text.parse().ok())?,
        outcome: maybe(row, 8, |text| text.parse().ok())?,
        correlation_id: row.get(9)?,
        batch_id: row.get(10)?,
        issued_at: row.get(11)?,
        accepted_at: row.get(12)?,
        scheduled_at: row.get(13)?,
        expires_at: row.get(14)?,
        executed_at: row.get(15)?,
        completed_at: row.get(16)?,
        attempts: row.get(17)?,
        max_retries: row.get(18)?,
        verified: row.get(19)?,
        written: row.get(20)?,
        requested: maybe(row, 21, json::to_parameters)?,
        observed: maybe(row, 22, json::to_parameters)?,
        error: error.zip(row.get::<_, Option<String>>(24)?),
        superseded_by: row.get(25)?,
        reply: match reply {
            Some(topic) => Some(Reply { topic, correlation: row.get(27)? }),
            None => None,
        },
        redelivery: row.get(28)?,
        told: row.get(29)?,
        events: parsed(row, 30, json::to_events)?,
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
