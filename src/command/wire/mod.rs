//! Commands, results and refusals as JSON. Pure.
//!
//! | message | keys |
//! | --- | --- |
//! | command (in) | `command`; optional `deviceId` `parameters` `priority` `id` `correlationId` `batchId` `source` `owner` `issuedAt` `expiresIn` `scheduledAt` `maxRetries` |
//! | progress (out) | `id` `deviceId` `command` `correlationId` `batchId` `source` `owner` `status` (`accepted`, `executing`) `at` `attempts` |
//! | result (out) | `id` `correlationId` `batchId` `deviceId` `command` `parameters` `source` `owner` `status` `outcome` `verified` `written` `requested` `observed` `supersededBy` `attempts` `error` {`code` `message`} `acceptedAt` `executedAt` `completedAt` `duration` (ms) |
//! | refusal (out) | `id` `deviceId` `command` `correlationId` `status` `outcome` (`rejected`, or `expired` when it came too late) `error` |
//!
//! Times are RFC 3339 in UTC with milliseconds; a command may also give them as ms since 1970.
//! Keys without a value are left out. An unknown key is refused, because a misspelt `expiresIn`
//! would otherwise execute what should have expired.

mod parse;
mod told;

use adapter_api::{Parameters, Value};
use serde_json::{Value as Json, json};

pub use self::{
    parse::{Door, MAX_TEXT, parse, parse_object},
    told::{progress, refusal, result, status_word},
};

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
