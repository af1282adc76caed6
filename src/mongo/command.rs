//! Documents of `devicecommands`.
//!
//! | field | from |
//! | --- | --- |
//! | `_id` | second of acceptance, installation, the journal's command number |
//! | `userId`, `deviceId`, `deviceName`, `command`, `parameters`, `source`, `priority`, `correlationId`, `batchId` | the command |
//! | `status`, `executedAt`, `completedAt`, `errorMessage`, `result` | where it stands; `result` at its end |
//! | `scheduledAt` | when it may run; acceptance when it does not say |
//! | `duration` | ms from `executedAt` to `completedAt` |
//! | `retryCount`, `maxRetries` | a final failure or timeout has `maxRetries = retryCount`: the backend re-pends what has retries left |
//! | `createdAt`, `updatedAt` | acceptance, last change |
//! | *gateway*: `commandId`, `gatewayId`, `owner`, `outcome`, `verified`, `written`, `observed`, `expiresAt`, `supersededBy`, `effect`, `reverts`, `requestedMaxRetries`, `events` | the command; `reverts` is the `commandId` whose setpoint it gives back |
//! | *gateway*: `lease` | `{seconds, revert: {command, parameters}}`: how long it holds its setpoint from its execution on, and what comes after |
//! | `sourceDetails`, `tags` | always empty |

use adapter_api::{CommandSource, CommandStatus, Outcome, Parameters, Priority};
use mongodb::bson::{Document, doc, oid::ObjectId};

use super::{
    COMMANDS, Connection, MongoError,
    connection::within,
    fields::{date, free, put},
};

/// A command as it stands now; times in ms since 1970.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct CommandInput<'a> {
    pub id: ObjectId,
    pub user_id: &'a str,
    pub device_id: &'a str,
    pub gateway_id: &'a str,
    /// What installers call the device, where it is known.
    pub device_name: Option<&'a str>,
    /// The asker's id.
    pub command_id: &'a str,
    pub command: &'a str,
    pub parameters: &'a Parameters,
    pub priority: Priority,
    pub source: CommandSource,
    pub owner: &'a str,
    pub status: CommandStatus,
    pub outcome: Option<Outcome>,
    pub correlation_id: Option<&'a str>,
    pub batch_id: Option<&'a str>,
    pub accepted_at: i64,
    pub scheduled_at: Option<i64>,
    pub expires_at: i64,
    pub executed_at: Option<i64>,
    pub completed_at: Option<i64>,
    /// Times that it was given to an adapter; all but the first are retries.
    pub attempts: u32,
    /// Retries that were asked for.
    pub max_retries: u32,
    pub verified: Option<bool>,
    pub written: Option<bool>,
    pub observed: Option<&'a Parameters>,
    /// In words.
    pub error: Option<&'a str>,
    pub superseded_by: Option<&'a str>,
    pub lease: Option<LeaseInput<'a>>,
    /// Did the battery's power follow it?
    pub effect: Option<bool>,
    /// Id of the command whose setpoint it gives back.
    pub reverts: Option<&'a str>,
    pub events: Vec<CommandEvent<'a>>,
}

/// How a command holds its setpoint.
#[derive(Debug, Clone, Copy)]
pub struct LeaseInput<'a> {
    /// For how long, ms.
    pub lasts_ms: u64,
    /// The command that gives it back.
    pub command: &'a str,
    /// With what.
    pub parameters: &'a Parameters,
}

/// One change of state.
#[derive(Debug, Clone)]
pub struct CommandEvent<'a> {
    /// When, ms since 1970.
    pub at: i64,
    /// To what.
    pub status: CommandStatus,
    /// What kind of actor.
    pub source: CommandSource,
    /// Who.
    pub owner: &'a str,
    /// Why; empty when it goes without saying.
    pub reason: &'a str,
}

/// Most retries that the backend's schema takes.
const MOST_RETRIES: u32 = 10;

/// Makes a command's document or brings it up to date.
///
/// # Errors
/// As any call.
pub async fn upsert_command(connection: &Connection, input: &CommandInput<'_>) -> Result<(), MongoError> {
    let update = doc! { "$set": fields(input), "$setOnInsert": { "createdAt": date(input.accepted_at) } };
    let commands = connection.collection(COMMANDS);
    within(commands.update_one(doc! { "_id": input.id }, update).upsert(true)).await.map(|_| ())
}

fn fields(input: &CommandInput<'_>) -> Document {
    let retry_count = input.attempts.saturating_sub(1).min(MOST_RETRIES);
    let failed = matches!(input.status, CommandStatus::Failed | CommandStatus::Timeout);
    let max_retries = if failed { retry_count } else { input.max_retries.min(MOST_RETRIES) };
    let changed_at = input.events.last().map_or(input.accepted_at, |event| event.at);
    let mut document = doc! {
        "userId": input.user_id,
        "deviceId": input.device_id,
        "command": input.command,
        "parameters": parameters(input.parameters),
        "status": input.status.as_str(),
        "scheduledAt": date(input.scheduled_at.unwrap_or(input.accepted_at)),
        "retryCount": small(retry_count),
        "maxRetries": small(max_retries),
        "source": input.source.as_str(),
        "sourceDetails": {},
        "priority": input.priority.as_str(),
        "tags": [],
        "updatedAt": date(changed_at),
        "commandId": input.command_id,
        "gatewayId": input.gateway_id,
        "owner": input.owner,
        "expiresAt": date(input.expires_at),
        "requestedMaxRetries": small(input.max_retries),
        "events": input.events.iter().map(event).collect::<Vec<_>>(),
    };
    put(&mut document, "deviceName", input.device_name);
    put(&mut document, "executedAt", input.executed_at.map(date));
    put(&mut document, "completedAt", input.completed_at.map(date));
    put(&mut document, "duration", elapsed(input.executed_at, input.completed_at));
    put(&mut document, "errorMessage", input.error);
    put(&mut document, "correlationId", input.correlation_id);
    put(&mut document, "batchId", input.batch_id);
    put(&mut document, "outcome", input.outcome.map(Outcome::as_str));
    put(&mut document, "verified", input.verified);
    put(&mut document, "written", input.written);
    put(&mut document, "observed", input.observed.map(parameters));
    put(&mut document, "supersededBy", input.superseded_by);
    put(&mut document, "lease", input.lease.map(lease));
    put(&mut document, "effect", input.effect);
    put(&mut document, "reverts", input.reverts);
    put(&mut document, "result", input.completed_at.map(|at| result(input, at, retry_count)));
    document
}

fn result(input: &CommandInput<'_>, at: i64, retry_count: u32) -> Document {
    let mut document = doc! {
        "success": input.status == CommandStatus::Completed,
        "timestamp": date(at),
        "responseTime": at.saturating_sub(input.executed_at.unwrap_or(input.accepted_at)).max(0),
        "retryCount": small(retry_count),
    };
    put(&mut document, "result", input.observed.map(parameters));
    put(&mut document, "error", input.error);
    document
}

fn lease(lease: LeaseInput<'_>) -> Document {
    doc! {
        "seconds": lease.lasts_ms as f64 / 1000.0,
        "revert": { "command": lease.command, "parameters": parameters(lease.parameters) },
    }
}

fn event(event: &CommandEvent<'_>) -> Document {
    doc! {
        "at": date(event.at), "status": event.status.as_str(), "source": event.source.as_str(),
        "owner": event.owner, "reason": event.reason,
    }
}

fn parameters(parameters: &Parameters) -> Document {
    free(parameters.0.iter().map(|(name, value)| (&**name, value)))
}

/// A clock that was set back meanwhile must not make it negative.
fn elapsed(from: Option<i64>, to: Option<i64>) -> Option<i64> {
    Some(to?.saturating_sub(from?).max(0))
}

fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use adapter_api::Value;

    use super::*;

    fn input(parameters: &Parameters) -> CommandInput<'_> {
        CommandInput {
            id: ObjectId::from_bytes([1; 12]),
            user_id: "u",
            device_id: "h-roof",
            gateway_id: "h",
            device_name: Some("Roof"),
            command_id: "c-1",
            command: "set_power_limit",
            parameters,
            priority: Priority::High,
            source: CommandSource::Api,
            owner: "mqtt:x",
            status: CommandStatus::Pending,
            outcome: None,
            correlation_id: None,
            batch_id: None,
            accepted_at: 1_000,
            scheduled_at: None,
            expires_at: 61_000,
            executed_at: None,
            completed_at: None,
            attempts: 0,
            max_retries: 3,
            verified: None,
            written: None,
            observed: None,
            error: None,
            superseded_by: None,
            lease: None,
            effect: None,
            reverts: None,
            events: Vec::new(),
        }
    }

    #[test]
    fn a_pending_command_is_due_at_its_acceptance_and_has_no_result_yet() {
        let parameters = Parameters([("power".into(), Value::from(5.0))].into());
        let wanted = doc! {
            "userId": "u", "deviceId": "h-roof", "command": "set_power_limit", "parameters": { "power": 5.0 },
            "status": "pending", "scheduledAt": date(1_000), "retryCount": 0, "maxRetries": 3, "source": "api",
            "sourceDetails": {}, "priority": "high", "tags": [], "updatedAt": date(1_000), "commandId": "c-1",
            "gatewayId": "h", "owner": "mqtt:x", "expiresAt": date(61_000), "requestedMaxRetries": 3,
            "events": [], "deviceName": "Roof",
        };
        assert_eq!(fields(&input(&parameters)), wanted);
    }

    #[test]
    fn a_final_failure_leaves_the_backend_nothing_to_retry() {
        let parameters = Parameters::default();
        for (status, max_retries) in
            [(CommandStatus::Failed, 1), (CommandStatus::Timeout, 1), (CommandStatus::Cancelled, 5)]
        {
            let document =
                fields(&CommandInput { status, attempts: 2, max_retries: 5, ..input(&parameters) });
            assert_eq!(document.get_i32("maxRetries").unwrap(), max_retries, "{status}");
            assert_eq!(document.get_i32("requestedMaxRetries").unwrap(), 5);
        }
    }

    #[test]
    fn a_completed_command_tells_what_was_observed_and_how_long_it_took() {
        let observed = Parameters([("power".into(), Value::from(4.0))].into());
        let document = fields(&CommandInput {
            status: CommandStatus::Completed,
            outcome: Some(Outcome::Done),
            executed_at: Some(2_000),
            completed_at: Some(2_250),
            attempts: 1,
            observed: Some(&observed),
            events: vec![CommandEvent {
                at: 2_250,
                status: CommandStatus::Completed,
                source: CommandSource::System,
                owner: "gateway",
                reason: "",
            }],
            ..input(&observed)
        });
        let wanted = doc! {
            "success": true, "timestamp": date(2_250), "responseTime": 250_i64, "retryCount": 0,
            "result": { "power": 4.0 },
        };
        assert_eq!(document.get_document("result").unwrap(), &wanted);
        assert_eq!(document.get_i64("duration").unwrap(), 250);
        assert_eq!(document.get_datetime("updatedAt").unwrap(), &date(2_250));
        assert!(!document.contains_key("lease"));
    }

    #[test]
    fn a_lease_is_told_with_what_comes_after_it_and_whether_the_battery_followed() {
        let parameters = Parameters([("mode".into(), Value::from("auto"))].into());
        let lease = LeaseInput { lasts_ms: 1_500, command: "set_battery_mode", parameters: &parameters };
        let (lease, effect, reverts) = (Some(lease), Some(false), Some("c-0"));
        let document = fields(&CommandInput { lease, effect, reverts, ..input(&parameters) });
        let revert = doc! { "command": "set_battery_mode", "parameters": { "mode": "auto" } };
        assert_eq!(document.get_document("lease").unwrap(), &doc! { "seconds": 1.5, "revert": revert });
        assert!(!document.get_bool("effect").unwrap());
        assert_eq!(document.get_str("reverts").unwrap(), "c-0");
    }
}
