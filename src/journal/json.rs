//! Values as JSON text, for the columns that nobody searches in.
//!
//! | text | shape |
//! | --- | --- |
//! | parameters, requested, observed | object: name → number, string or boolean |
//! | lease | `{"lasts_ms", "revert": {"command", "parameters"}}`, parameters as above |
//! | events | array of `{"at": ms, "status", "by", "reason"}` |

use std::sync::Arc;

use adapter_api::{Parameters, Value};
use serde_json::{Map, Value as Json, json};

use super::command_record::{Event, LeaseTerms, Step};

pub(super) fn parameters(parameters: &Parameters) -> String {
    object(parameters).to_string()
}

/// Parameters inside other JSON.
pub(super) fn object(parameters: &Parameters) -> Json {
    let object: Map<String, Json> =
        parameters.0.iter().map(|(name, value)| (name.to_string(), of_value(value))).collect();
    Json::Object(object)
}

fn of_value(value: &Value) -> Json {
    match value {
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(&**text),
        Value::Bool(on) => json!(on),
    }
}

pub(super) fn to_parameters(text: &str) -> Option<Parameters> {
    of_object(&serde_json::from_str(text).ok()?)
}

/// See [`object`].
pub(super) fn of_object(json: &Json) -> Option<Parameters> {
    let values = json.as_object()?.iter();
    Some(Parameters(
        values.filter_map(|(name, value)| Some((Arc::from(name.as_str()), to_value(value)?))).collect(),
    ))
}

fn to_value(value: &Json) -> Option<Value> {
    match value {
        Json::Number(number) => number.as_f64().map(Value::Number),
        Json::String(text) => Some(Value::from(text.as_str())),
        Json::Bool(on) => Some(Value::Bool(*on)),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

pub(super) fn lease(lease: &LeaseTerms) -> String {
    let Step { command, parameters } = &lease.revert;
    let revert = json!({"command": command, "parameters": object(parameters)});
    json!({"lasts_ms": lease.lasts_ms, "revert": revert}).to_string()
}

pub(super) fn to_lease(text: &str) -> Option<LeaseTerms> {
    let lease: Json = serde_json::from_str(text).ok()?;
    let revert = lease.get("revert")?;
    Some(LeaseTerms {
        lasts_ms: lease.get("lasts_ms")?.as_u64()?,
        revert: Step {
            command: revert.get("command")?.as_str()?.to_owned(),
            parameters: of_object(revert.get("parameters")?)?,
        },
    })
}

pub(super) fn events(events: &[Event]) -> String {
    let array = events.iter().map(
        |event| json!({"at": event.at, "status": event.status.as_str(), "by": event.by, "reason": event.reason}),
    );
    Json::Array(array.collect()).to_string()
}

pub(super) fn to_events(text: &str) -> Option<Vec<Event>> {
    let Json::Array(array) = serde_json::from_str(text).ok()? else { return None };
    array
        .iter()
        .map(|event| {
            Some(Event {
                at: event.get("at")?.as_i64()?,
                status: event.get("status")?.as_str()?.parse().ok()?,
                by: event.get("by")?.as_str()?.to_owned(),
                reason: event.get("reason")?.as_str()?.to_owned(),
            })
        })
        .collect()
}
