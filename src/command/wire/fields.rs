//! The keys of a message, each read with the words for what is wrong with it. Pure.

use std::{fmt::Display, str::FromStr, sync::Arc, time::Duration};

use adapter_api::Parameters;
use serde_json::{Map, Value as Json};

use super::{MAX_TEXT, time_ms, value};
use crate::command::{Refusal, RefusalCode};

pub(super) type Object = Map<String, Json>;

pub(super) fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::Malformed, message)
}

/// Nothing but these keys: a misspelt one would otherwise mean nothing.
pub(super) fn only(object: &Object, allowed: &[&str], place: &str) -> Result<(), Refusal> {
    match object.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(odd) => {
            Err(malformed(format!("unknown key `{odd}`{place}; allowed are {}", allowed.join(", "))))
        }
        None => Ok(()),
    }
}

pub(super) fn text(object: &Object, key: &str) -> Result<Option<String>, Refusal> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if !text.is_empty() && text.len() <= MAX_TEXT => Ok(Some(text.clone())),
        Some(_) => Err(malformed(format!("`{key}` must be a text of 1 to {MAX_TEXT} bytes"))),
    }
}

pub(super) fn word<T: FromStr<Err: Display>>(object: &Object, key: &str) -> Result<Option<T>, Refusal> {
    let Some(word) = text(object, key)? else { return Ok(None) };
    word.parse().map(Some).map_err(|error: T::Err| malformed(format!("`{key}`: {error}")))
}

pub(super) fn time(object: &Object, key: &str) -> Result<Option<i64>, Refusal> {
    let ms = match object.get(key) {
        None | Some(Json::Null) => return Ok(None),
        // A text of digits is more likely a mistake than a time.
        Some(Json::String(text)) if text.contains('-') => time_ms(text),
        Some(Json::Number(number)) => {
            number.as_i64().filter(|ms| jiff::Timestamp::from_millisecond(*ms).is_ok())
        }
        Some(_) => None,
    };
    let wrong = || malformed(format!("`{key}` must be a time like 2026-01-31T12:00:00Z, or ms since 1970"));
    ms.map(Some).ok_or_else(wrong)
}

/// Seconds between two bounds, both included.
pub(super) fn seconds(
    object: &Object,
    key: &str,
    least: f64,
    most: f64,
) -> Result<Option<Duration>, Refusal> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(json) => match json.as_f64() {
            Some(seconds) if (least..=most).contains(&seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
            _ => Err(malformed(format!("`{key}` must be seconds, from {least} to {most}"))),
        },
    }
}

pub(super) fn count(object: &Object, key: &str) -> Result<Option<u32>, Refusal> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(json) => match json.as_u64().and_then(|count| u32::try_from(count).ok()) {
            Some(count) => Ok(Some(count)),
            None => Err(malformed(format!("`{key}` must be a whole number from 0"))),
        },
    }
}

pub(super) fn parameters(object: &Object) -> Result<Parameters, Refusal> {
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
