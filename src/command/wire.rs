//! Commands, results and refusals as JSON. Pure.
//!
//! | message | keys |
//! | --- | --- |
//! | command (in) | `command`; optional `deviceId` `parameters` `priority` `id` `correlationId` `batchId` `source` `owner` `issuedAt` `expiresIn` `scheduledAt` `maxRetries` |
//! | progress (out) | `id` `deviceId` `command` `correlationId` `batchId` `source` `owner` `status` (`accepted`, `executing`) `at` `attempts` |
//! | result (out) | `id` `correlationId` `batchId` `deviceId` `command` `parameters` `source` `owner` `status` `outcome` `verified` `written` `requested` `observed` `supersededBy` `attempts` `error` {`code` `message`} `acceptedAt` `executedAt` `completedAt` `duration` (ms) |
//! | refusal (out) | `id` `deviceId` `command` `correlationId` `status` `failed` `outcome` `rejected` `error` |
//!
//! Times are RFC 3339 in UTC with milliseconds; a command may also give them as ms since 1970.
//! Keys without a value are left out. An unknown key is refused, because a misspelt `expiresIn`
//! would otherwise execute what should have expired.

use std::{sync::Arc, time::Duration};

use adapter_api::{CommandSource, CommandStatus, Outcome, Parameters, Priority, Value};
use serde_json::{Map, Value as Json, json};

use super::{Refusal, RefusalCode, Request};
use crate::journal::CommandRow;

const KEYS: [&str; 13] = [
    "deviceId",
    "command",
    "parameters",
    "priority",
    "id",
    "correlationId",
    "batchId",
    "source",
    "owner",
    "issuedAt",
    "expiresIn",
    "scheduledAt",
    "maxRetries",
];
/// Longest id, correlation id, batch id and owner that is kept.
const MAX_TEXT: usize = 200;
/// Longest waiting time that can be asked for.
const MAX_EXPIRES_IN: f64 = 31_536_000.0;

/// What the door knows about the asker.
#[derive(Debug, Clone, Copy)]
pub struct Door<'a> {
    /// `mqtt`, `http`, `cli`.
    pub name: &'a str,
    /// Who asks when the message does not say.
    pub user: &'a str,
    /// The device when the topic or path names it.
    pub device: Option<&'a str>,
    /// What kind of asker, unless the message says.
    pub source: CommandSource,
}

/// Reads a command message.
///
/// # Errors
/// [`RefusalCode::Malformed`], naming the key and what is allowed there.
pub fn parse(payload: &[u8], door: Door<'_>) -> Result<Request, Refusal> {
    let json: Json = serde_json::from_slice(payload).map_err(|error| {
        malformed(format!("the message is no JSON ({error}); send an object like {EXAMPLE}"))
    })?;
    parse_object(&json, door)
}

const EXAMPLE: &str = r#"{"command": "set_power_limit", "parameters": {"power": 3000}}"#;

/// Reads a command that is JSON already.
///
/// # Errors
/// [`RefusalCode::Malformed`], naming the key and what is allowed there.
pub fn parse_object(json: &Json, door: Door<'_>) -> Result<Request, Refusal> {
    let Json::Object(object) = json else {
        return Err(malformed(format!("the message is no JSON object; send one like {EXAMPLE}")));
    };
    if let Some(odd) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(malformed(format!("unknown key `{odd}`; allowed are {}", KEYS.join(", "))));
    }
    let given = text(object, "deviceId")?;
    let device = match (door.device, given) {
        (Some(device), Some(other)) if device != other => {
            return Err(malformed(format!("deviceId is `{other}`, but the message was sent to `{device}`")));
        }
        (Some(device), _) => device.to_owned(),
        (None, Some(device)) => device,
        (None, None) => return Err(malformed("`deviceId` is missing")),
    };
    let command = text(object, "command")?.ok_or_else(|| malformed("`command` is missing"))?;
    let user = text(object, "owner")?.unwrap_or_else(|| door.user.to_owned());
    let request = Request::new(&device, &command, parameters(object)?, &format!("{}:{user}", door.name));
    Ok(Request {
        id: text(object, "id")?,
        priority: word::<Priority>(object, "priority")?.unwrap_or(Priority::Normal),
        source: word::<CommandSource>(object, "source")?.unwrap_or(door.source),
        correlation_id: text(object, "correlationId")?,
        batch_id: text(object, "batchId")?,
        issued_at: time(object, "issuedAt")?,
        expires_in: seconds(object, "expiresIn")?,
        scheduled_at: time(object, "scheduledAt")?,
        max_retries: count(object, "maxRetries")?,
        ..request
    })
}

fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::Malformed, message)
}

fn text(object: &Map<String, Json>, key: &str) -> Result<Option<String>, Refusal> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if !text.is_empty() && text.len() <= MAX_TEXT => Ok(Some(text.clone())),
        Some(_) => Err(malformed(format!("`{key}` must be a text of 1 to {MAX_TEXT} bytes"))),
    }
}

fn word<T: std::str::FromStr>(object: &Map<String, Json>, key: &str) -> Result<Option<T>, Refusal>
where
    T::Err: std::fmt::Display,
{
    let Some(word) = text(object, key)? else { return Ok(None) };
    word.parse().map(Some).map_err(|error: T::Err| malformed(format!("`{key}`: {error}")))
}

fn time(object: &Map<String, Json>, key: &str) -> Result<Option<i64>, Refusal> {
    let wrong = || malformed(format!("`{key}` must be a time like 2026-01-31T12:00:00Z, or ms since 1970"));
    match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => {
            text.parse::<jiff::Timestamp>().map(|time| Some(time.as_millisecond())).map_err(|_| wrong())
        }
        Some(Json::Number(number)) => {
            let ms = number.as_i64().filter(|ms| jiff::Timestamp::from_millisecond(*ms).is_ok());
            ms.map(Some).ok_or_else(wrong)
        }
        Some(_) => Err(wrong()),
    }
}

fn seconds(object: &Map<String, Json>, key: &str) -> Result<Option<Duration>, Refusal> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(json) => match json.as_f64() {
            Some(seconds) if (0.0..=MAX_EXPIRES_IN).contains(&seconds) => {
                Ok(Some(Duration::from_secs_f64(seconds)))
            }
            _ => Err(malformed(format!("`{key}` must be seconds, from 0 to {MAX_EXPIRES_IN}"))),
        },
    }
}

fn count(object: &Map<String, Json>, key: &str) -> Result<Option<u32>, Refusal> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(json) => match json.as_u64().and_then(|count| u32::try_from(count).ok()) {
            Some(count) => Ok(Some(count)),
            None => Err(malformed(format!("`{key}` must be a whole number from 0"))),
        },
    }
}

fn parameters(object: &Map<String, Json>) -> Result<Parameters, Refusal> {
    let given = match object.get("parameters") {
        None | Some(Json::Null) => return Ok(Parameters::default()),
        Some(Json::Object(given)) => given,
        Some(_) => return Err(malformed("`parameters` must be an object, like {\"power\": 3000}")),
    };
    let mut parameters = Parameters::default();
    for (name, json) in given {
        let value = value(json).ok_or_else(|| {
            malformed(format!("parameter `{name}` must be a number, a text, true or false"))
        })?;
        parameters.0.insert(Arc::from(name.as_str()), value);
    }
    Ok(parameters)
}

/// A parameter's or point's value from JSON.
pub fn value(json: &Json) -> Option<Value> {
    match json {
        Json::Number(number) => number.as_f64().map(Value::Number),
        Json::String(text) => Some(Value::from(text.as_str())),
        Json::Bool(on) => Some(Value::Bool(*on)),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// A value as JSON; whole numbers without a fraction, so that 3000 W reads 3000.
pub fn json(value: &Value) -> Json {
    match value {
        // 2^53: beyond it f64 is no longer exact on whole numbers.
        #[allow(clippy::cast_possible_truncation)]
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 => {
            json!(*number as i64)
        }
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(&**text),
        Value::Bool(on) => json!(on),
    }
}

/// Parameters as a JSON object.
pub fn parameters_json(parameters: &Parameters) -> Json {
    Json::Object(parameters.0.iter().map(|(name, value)| (name.to_string(), json(value))).collect())
}

/// ms since 1970 as RFC 3339.
pub fn time_text(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => ms.to_string(),
    }
}

/// The word for a status on the wire: a waiting command is told as accepted.
pub const fn status_word(status: CommandStatus) -> &'static str {
    match status {
        CommandStatus::Pending => "accepted",
        other => other.as_str(),
    }
}

/// A progress message.
pub fn progress(row: &CommandRow) -> Json {
    let at = row.events.last().map(|event| time_text(event.at));
    without_nulls(json!({
        "id": row.id,
        "deviceId": row.device.as_str(),
        "command": row.command,
        "correlationId": row.correlation_id,
        "batchId": row.batch_id,
        "source": row.source.as_str(),
        "owner": row.owner,
        "status": status_word(row.status),
        "at": at,
        "attempts": row.attempts,
    }))
}

/// A result, also of a command that has not ended yet.
pub fn result(row: &CommandRow) -> Json {
    let duration = row.completed_at.zip(row.executed_at).map(|(end, start)| (end - start).max(0));
    without_nulls(json!({
        "id": row.id,
        "correlationId": row.correlation_id,
        "batchId": row.batch_id,
        "deviceId": row.device.as_str(),
        "command": row.command,
        "parameters": parameters_json(&row.parameters),
        "priority": row.priority.as_str(),
        "source": row.source.as_str(),
        "owner": row.owner,
        "status": status_word(row.status),
        "outcome": row.outcome.map(Outcome::as_str),
        "verified": row.verified,
        "written": row.written,
        "requested": row.requested.as_ref().map(parameters_json),
        "observed": row.observed.as_ref().map(parameters_json),
        "supersededBy": row.superseded_by,
        "attempts": row.attempts,
        "error": row.error.as_ref().map(|(code, message)| json!({"code": code, "message": message})),
        "acceptedAt": time_text(row.accepted_at),
        "expiresAt": time_text(row.expires_at),
        "executedAt": row.executed_at.map(time_text),
        "completedAt": row.completed_at.map(time_text),
        "duration": duration,
    }))
}

/// A refusal, told like a result. `request` is what could be understood of it.
pub fn refusal(refusal: &Refusal, request: Option<&Request>) -> Json {
    without_nulls(json!({
        "id": request.and_then(|request| request.id.as_deref()),
        "correlationId": request.and_then(|request| request.correlation_id.as_deref()),
        "batchId": request.and_then(|request| request.batch_id.as_deref()),
        "deviceId": request.map(|request| request.device.as_str()),
        "command": request.map(|request| request.command.as_str()),
        "owner": request.map(|request| request.owner.as_str()),
        "status": CommandStatus::Failed.as_str(),
        "outcome": Outcome::Rejected.as_str(),
        "error": {"code": refusal.code.as_str(), "message": refusal.message},
    }))
}

fn without_nulls(json: Json) -> Json {
    match json {
        Json::Object(object) => {
            Json::Object(object.into_iter().filter(|(_, value)| !value.is_null()).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOOR: Door<'static> =
        Door { name: "mqtt", user: "me", device: None, source: CommandSource::Automation };

    fn said(payload: &str) -> String {
        parse(payload.as_bytes(), DOOR).unwrap_err().message
    }

    #[test]
    fn a_whole_command_is_understood() {
        let text = r#"{"deviceId": "roof-battery", "command": "set_battery_mode", "parameters": {"mode": "charge",
            "power": 2000}, "priority": "high", "id": "a", "correlationId": "c", "batchId": "b", "source": "user",
            "owner": "night", "issuedAt": "2026-01-31T12:00:00Z", "expiresIn": 1.5, "maxRetries": 0}"#;
        let request = parse(text.as_bytes(), DOOR).unwrap();
        assert_eq!(request.owner, "mqtt:night");
        assert_eq!(request.priority, Priority::High);
        assert_eq!(request.issued_at, Some(1_769_860_800_000));
        assert_eq!(request.expires_in, Some(Duration::from_millis(1500)));
        assert_eq!(request.parameters.number("power"), Some(2000.0));
        assert_eq!(request.parameters.word("mode"), Some("charge"));
    }

    #[test]
    fn what_is_malformed_is_named() {
        assert!(said("{").starts_with("the message is no JSON"));
        assert!(said("[1]").starts_with("the message is no JSON object"));
        assert!(
            said(r#"{"deviceId": "a", "command": "x", "expiresln": 3}"#).contains("unknown key `expiresln`")
        );
        assert!(said(r#"{"command": "x"}"#).contains("`deviceId` is missing"));
        assert!(said(r#"{"deviceId": "a"}"#).contains("`command` is missing"));
        assert!(
            said(r#"{"deviceId": "a", "command": "x", "priority": "now"}"#).contains("low, normal, high")
        );
        assert!(said(r#"{"deviceId": "a", "command": "x", "expiresIn": -1}"#).contains("`expiresIn`"));
        assert!(said(r#"{"deviceId": "a", "command": "x", "issuedAt": "today"}"#).contains("`issuedAt`"));
        assert!(said(r#"{"deviceId": "a", "command": "x", "maxRetries": 1.5}"#).contains("`maxRetries`"));
        assert!(said(r#"{"deviceId": "a", "command": "x", "parameters": [1]}"#).contains("`parameters`"));
        assert!(said(r#"{"deviceId": "a", "command": "x", "parameters": {"p": null}}"#).contains("`p`"));
    }

    #[test]
    fn a_topic_that_names_another_device_than_the_message_is_refused() {
        let door = Door { device: Some("roof"), ..DOOR };
        let refusal = parse(br#"{"deviceId": "attic", "command": "refresh"}"#, door).unwrap_err();
        assert!(refusal.message.contains("attic") && refusal.message.contains("roof"));
        assert_eq!(parse(br#"{"command": "refresh"}"#, door).unwrap().device, "roof");
    }
}
