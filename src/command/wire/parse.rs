//! One command in.

use adapter_api::{CommandSource, Parameters, Priority};
use serde_json::Value as Json;

use super::fields::{Object, count, malformed, only, parameters, seconds, text, time, word};
use crate::{
    command::{LeaseRequest, Refusal, Request},
    journal::Step,
};

const KEYS: [&str; 14] = [
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
    "lease",
];
/// Longest id, correlation id, batch id and owner that is kept.
pub const MAX_TEXT: usize = 200;
/// Longest waiting time that can be asked for, seconds.
const MAX_EXPIRES_IN: f64 = 31_536_000.0;
/// Shortest and longest lease, seconds: a week is longer than any automation plans, and a holder
/// that is forgotten should not keep a setpoint for ever.
const LEASE: (f64, f64) = (1.0, 604_800.0);

const EXAMPLE: &str = r#"{"command": "set_power_limit", "parameters": {"power": 3000}}"#;
const LEASE_EXAMPLE: &str =
    r#"{"seconds": 60, "revert": {"command": "set_battery_mode", "parameters": {"mode": "auto"}}}"#;

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
    /// Is it this machine's own socket?
    pub local: bool,
}

impl Door<'_> {
    /// The owner: the door and its user. Nobody names another door's owner.
    pub fn owner(&self, user: Option<&str>) -> String {
        format!("{}:{}", self.name, user.unwrap_or(self.user))
    }
}

/// Reads what may be a command, or an array of them.
///
/// # Errors
/// [`crate::command::RefusalCode::Malformed`], when it is no JSON.
pub fn message(payload: &[u8]) -> Result<Json, Refusal> {
    serde_json::from_slice(payload).map_err(|error| {
        malformed(format!("the message is no JSON ({error}); send an object like {EXAMPLE}"))
    })
}

/// Reads a command message.
///
/// # Errors
/// [`crate::command::RefusalCode::Malformed`], naming the key and what is allowed there.
pub fn parse(payload: &[u8], door: Door<'_>) -> Result<Request, Refusal> {
    parse_object(&message(payload)?, door)
}

/// Reads a command that is JSON already.
///
/// # Errors
/// [`crate::command::RefusalCode::Malformed`], naming the key and what is allowed there.
pub fn parse_object(json: &Json, door: Door<'_>) -> Result<Request, Refusal> {
    let Json::Object(object) = json else {
        return Err(malformed(format!("the message is no JSON object; send one like {EXAMPLE}")));
    };
    only(object, &KEYS, "")?;
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
    let owner = door.owner(text(object, "owner")?.as_deref());
    Ok(Request {
        id: text(object, "id")?,
        priority: word::<Priority>(object, "priority")?.unwrap_or(Priority::Normal),
        source: word::<CommandSource>(object, "source")?.unwrap_or(door.source),
        correlation_id: text(object, "correlationId")?,
        batch_id: text(object, "batchId")?,
        issued_at: time(object, "issuedAt")?,
        expires_in: seconds(object, "expiresIn", 0.0, MAX_EXPIRES_IN)?,
        scheduled_at: time(object, "scheduledAt")?,
        max_retries: count(object, "maxRetries")?,
        lease: lease(object)?,
        local: door.local,
        ..Request::new(&device, &command, parameters(object)?, &owner)
    })
}

/// What can be said about a command that is refused, so that the asker recognises it.
pub fn understood(json: &Json, door: Door<'_>) -> Option<Request> {
    let object = json.as_object()?;
    let text = |key| text(object, key).ok().flatten();
    let device = door.device.map(str::to_owned).or_else(|| text("deviceId"))?;
    let owner = door.owner(text("owner").as_deref());
    Some(Request {
        id: text("id"),
        correlation_id: text("correlationId"),
        batch_id: text("batchId"),
        ..Request::new(&device, &text("command")?, Parameters::default(), &owner)
    })
}

fn lease(object: &Object) -> Result<Option<LeaseRequest>, Refusal> {
    let lease = match object.get("lease") {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Object(lease)) => lease,
        Some(_) => return Err(malformed(format!("`lease` must be an object like {LEASE_EXAMPLE}"))),
    };
    only(lease, &["seconds", "revert"], " in `lease`")?;
    let lasts = seconds(lease, "seconds", LEASE.0, LEASE.1)
        .map_err(|refusal| malformed(format!("`lease`: {}", refusal.message)))?
        .ok_or_else(|| malformed(format!("`lease` needs `seconds`, like {LEASE_EXAMPLE}")))?;
    let revert = match lease.get("revert") {
        None | Some(Json::Null) => None,
        Some(Json::Object(revert)) => {
            only(revert, &["command", "parameters"], " in `lease.revert`")?;
            let command = text(revert, "command")?
                .ok_or_else(|| malformed(format!("`lease.revert` needs `command`, like {LEASE_EXAMPLE}")))?;
            Some(Step { command, parameters: parameters(revert)? })
        }
        Some(_) => {
            return Err(malformed(format!("`lease.revert` must be an object, like in {LEASE_EXAMPLE}")));
        }
    };
    Ok(Some(LeaseRequest { lasts, revert }))
}
