//! Questions to the table `command` that people ask: which commands, and how they did.

use adapter_api::{CommandSource, CommandStatus, DeviceId, Outcome};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

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

type Values = Vec<Box<dyn ToSql>>;

/// The `WHERE` of a filter, without its limit.
fn condition(db: &Connection, filter: &CommandFilter) -> rusqlite::Result<(String, Values)> {
    let word = |word: Option<&str>| word.map(|word| Box::new(word.to_owned()) as Box<dyn ToSql>);
    let number = |number: Option<i64>| number.map(|number| Box::new(number) as Box<dyn ToSql>);
    let status = match filter.status {
        // Told to SQLite in words: the index that holds only these is used.
        Some(CommandStatus::Pending | CommandStatus::Executing) => {
            "status IN ('pending', 'executing') AND status = ?"
        }
        _ => "status = ?",
    };
    let first = filter.since.map(|since| first_since(db, since)).transpose()?;
    let parts = [
        ("device = ?", word(filter.device.as_ref().map(|device| device.as_str()))),
        ("command = ?", word(filter.command.as_deref())),
        (status, word(filter.status.map(|status| status.as_str()))),
        ("outcome = ?", word(filter.outcome.map(|outcome| outcome.as_str()))),
        ("source = ?", word(filter.source.map(|source| source.as_str()))),
        ("owner = ?", word(filter.owner.as_deref())),
        ("correlation_id = ?", word(filter.correlation_id.as_deref())),
        ("batch_id = ?", word(filter.batch_id.as_deref())),
        ("number >= ?", number(first)),
        ("accepted_at >= ?", number(filter.since)),
        ("accepted_at <= ?", number(filter.until)),
    ];
    let (conditions, values): (Vec<_>, Vec<_>) =
        parts.into_iter().filter_map(|(condition, value)| Some((condition, value?))).unzip();
    if conditions.is_empty() {
        return Ok((String::new(), values));
    }
    Ok((format!("WHERE {}", conditions.join(" AND ")), values))
}

/// A number below which no command was accepted at `since` or later: halves what is left of the
/// numbers by `reached`, which never falls, unlike the times of acceptance.
fn first_since(db: &Connection, since: i64) -> rusqlite::Result<i64> {
    let mut statement = db.prepare_cached(
        "SELECT number, reached FROM command WHERE number <= ?1 ORDER BY number DESC LIMIT 1",
    )?;
    // Those below `low` are too old, that at `high` is not, or is after the last.
    let (mut low, mut high) = (0, i64::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> =
            statement.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((number, reached)) if reached >= since => high = number,
            _ => low = middle + 1,
        }
    }
    Ok(low)
}

/// What follows `FROM command` for the newest of a filter. Without a device, a correlation or a batch
/// it walks the table from its newest end until there are enough.
pub(super) fn newest(db: &Connection, filter: &CommandFilter) -> rusqlite::Result<(String, Values)> {
    let (condition, mut values) = condition(db, filter)?;
    values.push(Box::new(i64::try_from(filter.limit).unwrap_or(i64::MAX)));
    Ok((format!("{condition} ORDER BY number DESC LIMIT ?"), values))
}

fn borrowed(values: &[Box<dyn ToSql>]) -> Vec<&dyn ToSql> {
    values.iter().map(|value| &**value).collect()
}

/// Commands that fit a filter, newest first.
pub(super) fn filtered(db: &Connection, filter: &CommandFilter) -> rusqlite::Result<Vec<CommandRow>> {
    let (condition, values) = newest(db, filter)?;
    Ok(select(db, &condition, &borrowed(&values))?.into_iter().map(|(_, row)| row).collect())
}

/// How the commands that fit a filter did, by source and device.
pub(super) fn stats(db: &Connection, filter: &CommandFilter) -> rusqlite::Result<Vec<CommandStats>> {
    let (condition, values) = condition(db, filter)?;
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
