//! Command messages in.

use std::{sync::Arc, time::Duration};

use adapter_api::{CommandSource, Parameters, Priority};
use serde_json::{Map, Value as Json};

use super::value;
use crate::command::{Refusal, RefusalCode, Request};

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
pub const MAX_TEXT: usize = 200;
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
        (None, None) => return Err(malformed("`deviceId` is missing; `maestro devices` lists them")),
    };
    let command = text(object, "command")?
        .ok_or_else(|| malformed(format!("`command` is missing; send an object like {EXAMPLE}")))?;
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
