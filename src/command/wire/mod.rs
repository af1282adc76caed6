//! Commands, results and refusals as JSON. Pure.
//!
//! | message | keys |
//! | --- | --- |
//! | command (in) | `command`; optional `deviceId` `parameters` `priority` `id` `correlationId` `batchId` `source` `owner` `issuedAt` `expiresIn` (s) `scheduledAt` `maxRetries` `lease` |
//! | `lease` (in) | `seconds` (1 to 604800); optional `revert` {`command` `parameters`}, the profile's safe command unless said |
//! | batch (in) | an array of 1 to 1,000 commands; those that say a `batchId` say the same one |
//! | progress (out) | `id` `deviceId` `command` `correlationId` `batchId` `source` `owner` `status` (`accepted`, `executing`) `at` `attempts` |
//! | lease lost (out) | `id` (of the command that held) `deviceId` `setpoint` `command` `owner` `status` (`lease_lost`) `at` `reason` |
//! | result (out) | `id` `correlationId` `batchId` `deviceId` `command` `parameters` `priority` `source` `owner` `status` `outcome` `verified` `written` `requested` `observed` `effect` `supersededBy` `reverts` (id of the command whose setpoint it gives back) `lease` {`seconds` `revert`} `attempts` `error` {`code` `message`} `acceptedAt` `scheduledAt` `expiresAt` `executedAt` `completedAt` `duration` (ms) |
//! | refusal (out) | `id` `correlationId` `batchId` `deviceId` `command` `owner` `status` `outcome` (`rejected`, or `expired` when it came too late) `error` |
//! | answer to a cancellation (out) | a result as it stands, with `cancel`: `cancelled`, `too_late` (an adapter has it), `ended`; or `id` `cancel` (`refused`) `error` |
//! | batch summary (out) | `batchId` `total` `completed` `failed` (or refused) `timeout` `cancelled` |
//! | lease in a state (out) | `owner` `id` `command` `parameters` `priority` `since` `until` `reverting` (why it is given back) |
//! | setpoint (out) | `deviceId` `setpoint` `holder` (a lease as in a state, and `source` `revert` `dropped`) `writers` [`at` `owner` `id` `command` `parameters` `outcome`] `refusals` [`at` `owner` `command` `reason`]; newest last |
//!
//! Times are RFC 3339 in UTC with milliseconds; a command may also give them as ms since 1970.
//! Keys without a value are left out. An unknown key is refused, because a misspelt `expiresIn`
//! would otherwise execute what should have expired.
//!
//! `owner` is the door and its user: `mqtt:`, `http:` or `cli:`, and then what the message says as
//! `owner`, else whom the door knows (the Response Topic, the user at the terminal). So two
//! automations behind one door are told apart by what they say, and none can speak for another
//! door's owner.

mod batch;
mod fields;
mod lease;
mod parse;
#[cfg(test)]
mod tests;
mod told;

use adapter_api::{Parameters, Value};
use serde_json::{Value as Json, json};

pub use self::{
    batch::{MAX_BATCH, parse_batch},
    lease::{lease_lost, lease_state, leases},
    parse::{Door, MAX_TEXT, message, parse, parse_object, understood},
    told::{batch, cancel_refusal, cancelled, progress, refusal, result, status_word},
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

/// ms since 1970 from RFC 3339, or from the number itself.
pub fn time_ms(text: &str) -> Option<i64> {
    match text.parse::<i64>() {
        Ok(ms) => jiff::Timestamp::from_millisecond(ms).ok().map(|_| ms),
        Err(_) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
    }
}

/// Keys without a value are left out.
fn without_nulls(json: Json) -> Json {
    match json {
        Json::Object(object) => {
            Json::Object(object.into_iter().filter(|(_, value)| !value.is_null()).collect())
        }
        other => other,
    }
}
