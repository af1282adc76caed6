//! Values as JSON text, for the columns that nobody searches in.
//!
//! | text | shape |
//! | --- | --- |
//! | parameters, requested, observed | object: name → number, string or boolean |
//! | events | array of `{"at": ms, "status", "by", "reason"}` |

use std::sync::Arc;

use adapter_api::{Parameters, Value};
use serde_json::{Map, Value as Json, json};

use super::record::Event;

pub(super) fn parameters(parameters: &Parameters) -> String {
    let object: Map<String, Json> =
        parameters.0.iter().map(|(name, value)| (name.to_string(), of_value(value))).collect();
    Json::Object(object).to_string()
}

fn of_value(value: &Value) -> Json {
    match value {
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(&**text),
        Value::Bool(on) => json!(on),
    }
}

pub(super) fn to_parameters(text: &str) -> Option<Parameters> {
    let Json::Object(object) = serde_json::from_str(text).ok()? else { return None };
    Some(Parameters(
        object.into_iter().filter_map(|(name, value)| Some((Arc::from(name), to_value(&value)?))).collect(),
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
