//! Which commands somebody wants to see, from a query. Pure.

use adapter_api::{CommandSource, CommandStatus, DeviceId, Outcome};
use serde::Deserialize;

use crate::{command::wire, journal::CommandFilter};

/// Rows of one answer unless it is said, and at most.
const LIMIT: (usize, usize) = (50, 1_000);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Wanted {
    device: Option<String>,
    status: Option<String>,
    source: Option<CommandSource>,
    owner: Option<String>,
    correlation_id: Option<String>,
    batch_id: Option<String>,
    command: Option<String>,
    outcome: Option<Outcome>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<usize>,
}

impl Wanted {
    /// The filter, or what is wrong in words.
    pub fn filter(self) -> Result<CommandFilter, String> {
        let time = |key: &str, text: Option<String>| {
            let Some(text) = text else { return Ok(None) };
            let wrong = || format!("`{key}` must be a time like 2026-01-31T12:00:00Z, or ms since 1970");
            wire::time_ms(&text).map(Some).ok_or_else(wrong)
        };
        let status = match self.status.as_deref() {
            // As a waiting command is told.
            Some("accepted") => Some(CommandStatus::Pending),
            Some(word) => Some(word.parse().map_err(|error| format!("`status`: {error}"))?),
            None => None,
        };
        let device = self.device.as_deref().map(DeviceId::new).transpose();
        Ok(CommandFilter {
            device: device.map_err(|error| format!("`device`: {error}"))?,
            status,
            source: self.source,
            owner: self.owner,
            correlation_id: self.correlation_id,
            batch_id: self.batch_id,
            command: self.command,
            outcome: self.outcome,
            since: time("since", self.since)?,
            until: time("until", self.until)?,
            limit: self.limit.unwrap_or(LIMIT.0).min(LIMIT.1),
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::*;

    fn read(query: &str) -> Result<CommandFilter, String> {
        let uri = format!("http://maestro/v1/commands?{query}").parse().unwrap();
        let Query(wanted) = Query::<Wanted>::try_from_uri(&uri).map_err(|error| error.body_text())?;
        wanted.filter()
    }

    #[test]
    fn a_query_says_which_commands() {
        assert_eq!(read(""), Ok(CommandFilter { limit: 50, ..CommandFilter::default() }));
        let filter = read(
            "device=roof&status=accepted&source=user&owner=cli:anna&correlationId=c&batchId=b&command=refresh\
             &outcome=done&since=2026-01-31T12:00:00Z&until=1769860800001&limit=5000",
        );
        let expected = CommandFilter {
            device: Some(DeviceId::new("roof").unwrap()),
            status: Some(CommandStatus::Pending),
            source: Some(CommandSource::User),
            owner: Some("cli:anna".into()),
            correlation_id: Some("c".into()),
            batch_id: Some("b".into()),
            command: Some("refresh".into()),
            outcome: Some(Outcome::Done),
            since: Some(1_769_860_800_000),
            until: Some(1_769_860_800_001),
            limit: 1_000,
        };
        assert_eq!(filter, Ok(expected));
    }

    #[test]
    fn what_is_wrong_in_a_query_is_named() {
        for (query, words) in [
            ("since=yesterday", "`since` must be a time"),
            ("until=soon", "`until` must be a time"),
            ("status=open", "pending"),
            ("device=a%20b", "`device`"),
            ("odd=1", "odd"),
            ("source=martian", "martian"),
            ("outcome=fine", "fine"),
        ] {
            let message = read(query).unwrap_err();
            assert!(message.contains(words), "{query}: {message}");
        }
    }
}
