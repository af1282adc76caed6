//! Questions to the table `command` that people ask: which commands, and how they did.

use adapter_api::{CommandSource, CommandStatus, DeviceId, Outcome};
use rusqlite::{Connection, Row, ToSql};

use super::{
    command_record::{CommandRow, CommandStats},
    command_table::{parsed, select},
};

/// Which commands to show; what is none does not matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommandFilter {
    /// For this device.
    pub device: Option<DeviceId>,
    /// This command.
    pub command: Option<String>,
    /// Standing here.
    pub status: Option<CommandStatus>,
    /// Ended so.
    pub outcome: Option<Outcome>,
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
    /// Accepted at this time or earlier, ms.
    pub until: Option<i64>,
    /// At most so many, the newest. Does not matter for [`super::Reader::command_stats`].
    pub limit: usize,
}

/// The `WHERE` of a filter, without its limit.
fn condition(filter: &CommandFilter) -> (String, Vec<Box<dyn ToSql>>) {
    let word = |word: Option<&str>| word.map(|word| Box::new(word.to_owned()) as Box<dyn ToSql>);
    let time = |time: Option<i64>| time.map(|time| Box::new(time) as Box<dyn ToSql>);
    let parts = [
        ("device = ?", word(filter.device.as_ref().map(|device| device.as_str()))),
        ("command = ?", word(filter.command.as_deref())),
        ("status = ?", word(filter.status.map(|status| status.as_str()))),
        ("outcome = ?", word(filter.outcome.map(|outcome| outcome.as_str()))),
        ("source = ?", word(filter.source.map(|source| source.as_str()))),
        ("owner = ?", word(filter.owner.as_deref())),
        ("correlation_id = ?", word(filter.correlation_id.as_deref())),
        ("batch_id = ?", word(filter.batch_id.as_deref())),
        ("accepted_at >= ?", time(filter.since)),
        ("accepted_at <= ?", time(filter.until)),
    ];
    let (conditions, values): (Vec<_>, Vec<_>) =
        parts.into_iter().filter_map(|(condition, value)| Some((condition, value?))).unzip();
    if conditions.is_empty() {
        return (String::new(), values);
    }
    (format!("WHERE {}", conditions.join(" AND ")), values)
}

/// What follows `FROM command` for the newest of a filter.
pub(super) fn newest(filter: &CommandFilter) -> (String, Vec<Box<dyn ToSql>>) {
    let (condition, mut values) = condition(filter);
    values.push(Box::new(i64::try_from(filter.limit).unwrap_or(i64::MAX)));
    // Numbers grow also when the clock is set back. By time alone, only this order comes out of an
    // index: else all commands would be walked, or sorted.
    let order = if is_by_time_alone(filter) { "accepted_at DESC, number DESC" } else { "number DESC" };
    (format!("{condition} ORDER BY {order} LIMIT ?"), values)
}

fn is_by_time_alone(filter: &CommandFilter) -> bool {
    let CommandFilter { device, status, owner, correlation_id, batch_id, since, until, .. } = filter;
    let words = [owner, correlation_id, batch_id];
    (since.is_some() || until.is_some())
        && device.is_none()
        && status.is_none()
        && words.iter().all(|word| word.is_none())
}

fn borrowed(values: &[Box<dyn ToSql>]) -> Vec<&dyn ToSql> {
    values.iter().map(|value| &**value).collect()
}

/// Commands that fit a filter, newest first.
pub(super) fn filtered(db: &Connection, filter: &CommandFilter) -> rusqlite::Result<Vec<CommandRow>> {
    let (condition, values) = newest(filter);
    Ok(select(db, &condition, &borrowed(&values))?.into_iter().map(|(_, row)| row).collect())
}

/// How the commands that fit a filter did, by source and device.
pub(super) fn stats(db: &Connection, filter: &CommandFilter) -> rusqlite::Result<Vec<CommandStats>> {
    let (condition, values) = condition(filter);
    // A clock that was set back while a command ran must not make its time negative.
    let sql = format!(
        "SELECT source, device, count(*), sum(status = 'completed'), sum(status = 'failed'),
           sum(status = 'timeout'), sum(status = 'cancelled'), sum(status IN ('pending', 'executing')),
           avg(CASE WHEN status IN ('completed', 'failed')
             THEN max(completed_at - coalesce(executed_at, accepted_at), 0) END)
         FROM command {condition} GROUP BY source, device ORDER BY source, device"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(&*borrowed(&values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        match stats_of_row(row) {
            Ok(stats) => found.push(stats),
            Err(error) => tracing::warn!(%error, "commands in the journal make no sense and are left out"),
        }
    }
    Ok(found)
}

fn stats_of_row(row: &Row<'_>) -> rusqlite::Result<CommandStats> {
    let count = |at| row.get::<_, i64>(at).map(|count| count as u64);
    Ok(CommandStats {
        source: parsed(row, 0, |text| text.parse().ok())?,
        device: parsed(row, 1, |text| DeviceId::new(text).ok())?,
        total: count(2)?,
        completed: count(3)?,
        failed: count(4)?,
        timeout: count(5)?,
        cancelled: count(6)?,
        open: count(7)?,
        mean_response_ms: row.get(8)?,
    })
}
