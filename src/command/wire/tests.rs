use std::time::Duration;

use adapter_api::{CommandSource, CommandStatus, DeviceId, Outcome, Parameters, Priority};
use serde_json::{Value as Json, json};

use super::*;
use crate::{
    command::{Cancelled, Holder, LeaseLost, LeaseView, Refusal, RefusalCode, Refused, Writer},
    journal::{BatchRow, CommandRow, LeaseTerms, Step},
};

const DOOR: Door<'static> =
    Door { name: "mqtt", user: "me", device: None, source: CommandSource::Automation, local: false };

fn said(payload: &str) -> String {
    parse(payload.as_bytes(), DOOR).unwrap_err().message
}

fn parameters(name: &str, value: impl Into<Value>) -> Parameters {
    Parameters([(name.into(), value.into())].into())
}

fn auto() -> Step {
    Step { command: "set_battery_mode".into(), parameters: parameters("mode", "auto") }
}

#[test]
fn a_whole_command_is_understood() {
    let text = r#"{"deviceId": "roof-battery", "command": "set_battery_mode", "parameters": {"mode": "charge",
        "power": 2000}, "priority": "high", "id": "a", "correlationId": "c", "batchId": "b", "source": "user",
        "owner": "night", "issuedAt": "2026-01-31T12:00:00Z", "expiresIn": 1.5, "maxRetries": 0,
        "lease": {"seconds": 60, "revert": {"command": "set_battery_mode", "parameters": {"mode": "auto"}}}}"#;
    let request = parse(text.as_bytes(), DOOR).unwrap();
    assert_eq!(request.owner, "mqtt:night");
    assert_eq!(request.priority, Priority::High);
    assert_eq!(request.issued_at, Some(1_769_860_800_000));
    assert_eq!(request.expires_in, Some(Duration::from_millis(1500)));
    assert_eq!(request.parameters.number("power"), Some(2000.0));
    assert_eq!(request.parameters.word("mode"), Some("charge"));
    let lease = request.lease.unwrap();
    assert_eq!((lease.lasts, lease.revert), (Duration::from_secs(60), Some(auto())));
    assert!(!request.local);
}

#[test]
fn what_is_malformed_is_named() {
    assert!(said("{").starts_with("the message is no JSON"));
    assert!(said("[1]").starts_with("the message is no JSON object"));
    let with = |more: &str| said(&format!(r#"{{"deviceId": "a", "command": "x", {more}}}"#));
    assert!(with(r#""expiresln": 3"#).contains("unknown key `expiresln`"));
    assert!(said(r#"{"command": "x"}"#).contains("`deviceId` is missing"));
    assert!(said(r#"{"deviceId": "a"}"#).contains("`command` is missing"));
    assert!(with(r#""priority": "now""#).contains("low, normal, high"));
    assert!(with(r#""expiresIn": -1"#).contains("`expiresIn`"));
    assert!(with(r#""issuedAt": "today""#).contains("`issuedAt`"));
    assert!(with(r#""issuedAt": "1769860800000""#).contains("`issuedAt`"));
    assert!(with(r#""maxRetries": 1.5"#).contains("`maxRetries`"));
    assert!(with(r#""parameters": [1]"#).contains("`parameters`"));
    assert!(with(r#""parameters": {"p": null}"#).contains("`p`"));
}

#[test]
fn a_lease_that_makes_no_sense_is_named() {
    let with = |lease: &str| said(&format!(r#"{{"deviceId": "a", "command": "x", "lease": {lease}}}"#));
    assert!(with("60").contains("`lease` must be an object like"));
    assert!(with("{}").contains("needs `seconds`"));
    for seconds in ["0", "0.5", "604801", "-1", "\"60\"", "true"] {
        let words = with(&format!(r#"{{"seconds": {seconds}}}"#));
        assert!(words.contains("`seconds` must be seconds, from 1 to 604800"), "{seconds}: {words}");
    }
    assert!(with(r#"{"seconds": 60, "until": 1}"#).contains("unknown key `until` in `lease`"));
    assert!(with(r#"{"seconds": 60, "revert": "auto"}"#).contains("`lease.revert` must be an object"));
    assert!(with(r#"{"seconds": 60, "revert": {}}"#).contains("`lease.revert` needs `command`"));
    let odd = with(r#"{"seconds": 60, "revert": {"command": "x", "priority": "low"}}"#);
    assert!(odd.contains("unknown key `priority` in `lease.revert`"), "{odd}");
    for fine in ["null", r#"{"seconds": 1}"#, r#"{"seconds": 604800, "revert": null}"#] {
        let text = format!(r#"{{"deviceId": "a", "command": "x", "lease": {fine}}}"#);
        let request = parse(text.as_bytes(), DOOR).unwrap();
        assert!(request.lease.is_none_or(|lease| lease.revert.is_none()), "{fine}");
    }
}

#[test]
fn a_topic_that_names_another_device_than_the_message_is_refused() {
    let door = Door { device: Some("roof"), ..DOOR };
    let refusal = parse(br#"{"deviceId": "attic", "command": "refresh"}"#, door).unwrap_err();
    assert!(refusal.message.contains("attic") && refusal.message.contains("roof"));
    assert_eq!(parse(br#"{"command": "refresh"}"#, door).unwrap().device, "roof");
}

#[test]
fn nobody_speaks_for_the_owner_of_another_door() {
    let text = br#"{"deviceId": "a", "command": "x", "owner": "cli:anna"}"#;
    assert_eq!(parse(text, DOOR).unwrap().owner, "mqtt:cli:anna");
    let socket = Door { name: "http", user: "local", local: true, ..DOOR };
    let request = parse(br#"{"deviceId": "a", "command": "x"}"#, socket).unwrap();
    assert_eq!((request.owner.as_str(), request.local), ("http:local", true));
}

fn item(more: Json) -> Json {
    let mut item = json!({"deviceId": "a", "command": "x"});
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

#[test]
fn one_bad_command_of_an_array_is_refused_alone_and_all_get_the_batch_id() {
    let array =
        json!([item(json!({})), 1, item(json!({"batchId": "b", "id": "i"})), item(json!({"odd": 1}))]);
    let batch = parse_batch(&array, DOOR).unwrap();
    assert_eq!(batch.id.as_deref(), Some("b"));
    let [Ok(first), Err(number), Ok(third), Err(odd)] = &batch.requests[..] else {
        panic!("{:?}", batch.requests)
    };
    assert_eq!((first.batch_id.as_deref(), third.batch_id.as_deref()), (Some("b"), Some("b")));
    assert_eq!((&first.id, third.id.as_deref()), (&None, Some("i")));
    assert!(number.message.contains("no JSON object"));
    assert!(odd.message.contains("unknown key `odd`"));
    let none = parse_batch(&json!([item(json!({}))]), DOOR).unwrap();
    assert_eq!((none.id, none.requests[0].as_ref().unwrap().batch_id.clone()), (None, None));
}

#[test]
fn an_array_that_is_no_batch_is_refused_as_a_whole() {
    let words = |json: &Json| parse_batch(json, DOOR).unwrap_err().message;
    assert!(words(&item(json!({}))).contains("JSON array"));
    assert!(words(&json!([])).contains("empty"));
    let many = Json::Array(vec![item(json!({})); MAX_BATCH + 1]);
    assert!(words(&many).contains("1001 commands; at most 1000"));
    let two = json!([item(json!({"batchId": "b"})), item(json!({"batchId": "c"}))]);
    let two = words(&two);
    assert!(two.contains("`b`") && two.contains("`c`") && two.contains("the same"), "{two}");
    assert_eq!(
        parse_batch(&Json::Array(vec![item(json!({})); MAX_BATCH]), DOOR).unwrap().requests.len(),
        1000
    );
}

#[test]
fn of_a_refused_command_stays_what_its_asker_knows_it_by() {
    let odd = item(json!({"id": "i", "correlationId": 7, "owner": "night", "odd": 1}));
    let request = understood(&odd, DOOR).unwrap();
    assert_eq!(
        (request.id.as_deref(), request.correlation_id, request.owner.as_str()),
        (Some("i"), None, "mqtt:night")
    );
    assert_eq!(understood(&json!([1]), DOOR), None);
}

#[test]
fn times_are_rfc_3339_or_ms() {
    assert_eq!(time_ms("2026-01-31T12:00:00Z"), Some(1_769_860_800_000));
    assert_eq!(time_ms("2026-01-31T13:00:00+01:00"), Some(1_769_860_800_000));
    assert_eq!(time_ms("1769860800000"), Some(1_769_860_800_000));
    assert_eq!(time_ms("yesterday"), None);
    assert_eq!(time_ms("9223372036854775807"), None);
    assert_eq!(time_text(1_769_860_800_000), "2026-01-31T12:00:00.000Z");
}

fn row() -> CommandRow {
    CommandRow {
        number: 7,
        id: "i".into(),
        device: DeviceId::new("roof-battery").unwrap(),
        command: "set_battery_mode".into(),
        parameters: parameters("mode", "charge"),
        priority: Priority::Normal,
        source: CommandSource::Automation,
        owner: "mqtt:night".into(),
        status: CommandStatus::Completed,
        outcome: Some(Outcome::Done),
        correlation_id: None,
        batch_id: Some("b".into()),
        issued_at: None,
        accepted_at: 1_000,
        scheduled_at: Some(2_000),
        expires_at: 62_000,
        executed_at: Some(3_000),
        completed_at: Some(3_400),
        attempts: 1,
        max_retries: 3,
        verified: Some(true),
        written: Some(true),
        requested: None,
        observed: None,
        error: None,
        superseded_by: None,
        lease: Some(LeaseTerms { lasts_ms: 60_000, revert: auto() }),
        effect: Some(false),
        reverts: None,
        reply: None,
        redelivery: None,
        told: true,
        events: vec![],
    }
}

#[test]
fn a_result_carries_its_lease_its_effect_and_its_times() {
    let told = result(&row());
    let revert = json!({"command": "set_battery_mode", "parameters": {"mode": "auto"}});
    assert_eq!(told["lease"], json!({"seconds": 60, "revert": revert}));
    assert_eq!((&told["effect"], &told["batchId"]), (&json!(false), &json!("b")));
    assert_eq!(told["scheduledAt"], "1970-01-01T00:00:02.000Z");
    assert_eq!(told["expiresAt"], "1970-01-01T00:01:02.000Z");
    assert_eq!(told["duration"], 400);
    assert!(told.get("reverts").is_none() && told.get("supersededBy").is_none());
    let short = CommandRow {
        lease: Some(LeaseTerms { lasts_ms: 1_500, revert: auto() }),
        reverts: Some("held".into()),
        ..row()
    };
    let told = result(&short);
    assert_eq!((&told["lease"]["seconds"], &told["reverts"]), (&json!(1.5), &json!("held")));
}

#[test]
fn a_cancellation_is_answered_with_the_command_as_it_stands() {
    let answer = cancelled(&Cancelled::Ended(row().into()));
    assert_eq!(
        (&answer["cancel"], &answer["status"], &answer["id"]),
        (&json!("ended"), &json!("completed"), &json!("i"))
    );
    assert_eq!(cancelled(&Cancelled::Now(row().into()))["cancel"], "cancelled");
    assert_eq!(cancelled(&Cancelled::TooLate(row().into()))["cancel"], "too_late");
    let refused = cancel_refusal(&Refusal::new(RefusalCode::UnknownId, "none"), "x");
    assert_eq!(
        refused,
        json!({"id": "x", "cancel": "refused", "error": {"code": "unknown_id", "message": "none"}})
    );
}

#[test]
fn a_batch_is_summed_up() {
    let row = BatchRow {
        id: "b".into(),
        total: 4,
        completed: 1,
        failed: 1,
        timeout: 1,
        cancelled: 1,
        ..BatchRow::default()
    };
    let summary =
        json!({"batchId": "b", "total": 4, "completed": 1, "failed": 1, "timeout": 1, "cancelled": 1});
    assert_eq!(batch(&row), summary);
}

fn holder() -> Holder {
    Holder {
        owner: "mqtt:night".into(),
        source: CommandSource::Automation,
        priority: Priority::High,
        id: "i".into(),
        step: Step { command: "set_battery_mode".into(), parameters: parameters("power", 2000.0) },
        since: 1_000,
        until: 61_000,
        revert: auto(),
        reverting: None,
        dropped: 1,
    }
}

#[test]
fn a_setpoint_says_who_holds_it_who_wrote_it_and_who_was_refused() {
    let state = json!({"owner": "mqtt:night", "id": "i", "command": "set_battery_mode", "parameters": {"power": 2000},
        "priority": "high", "since": "1970-01-01T00:00:01.000Z", "until": "1970-01-01T00:01:01.000Z"});
    assert_eq!(lease_state(&holder()), state);
    let reverting = Holder { reverting: Some("its lease ended".into()), ..holder() };
    assert_eq!(lease_state(&reverting)["reverting"], "its lease ended");
    let view = LeaseView {
        device: DeviceId::new("roof-battery").unwrap(),
        group: "battery".into(),
        holder: Some(holder()),
        writers: vec![Writer {
            at: 1_000,
            owner: "mqtt:night".into(),
            id: "i".into(),
            command: "set_battery_mode".into(),
            parameters: Parameters::default(),
            outcome: Outcome::Done,
        }],
        refusals: vec![Refused {
            at: 2_000,
            owner: "http:day".into(),
            command: "set_battery_mode".into(),
            reason: "held by mqtt:night".into(),
        }],
    };
    let told = leases(&[view.clone(), LeaseView { holder: None, ..view }]);
    assert_eq!((&told[0]["deviceId"], &told[0]["setpoint"]), (&json!("roof-battery"), &json!("battery")));
    assert_eq!(told[0]["holder"]["revert"]["parameters"]["mode"], "auto");
    assert_eq!(
        (&told[0]["holder"]["dropped"], &told[0]["holder"]["source"]),
        (&json!(1), &json!("automation"))
    );
    assert_eq!(told[0]["writers"][0]["outcome"], "done");
    assert_eq!(told[0]["refusals"][0]["reason"], "held by mqtt:night");
    assert!(told[1].get("holder").is_none());
}

#[test]
fn a_holder_is_told_that_it_lost_its_setpoint_and_why() {
    let lost = lease_lost(&LeaseLost {
        at: 1_000,
        device: DeviceId::new("roof-battery").unwrap(),
        group: "battery".into(),
        owner: "mqtt:night".into(),
        id: "i".into(),
        command: "set_battery_mode".into(),
        reason: "taken over by cli:anna".into(),
        reply: None,
    });
    assert_eq!(
        lost,
        json!({"id": "i", "deviceId": "roof-battery", "setpoint": "battery",
        "command": "set_battery_mode", "owner": "mqtt:night", "status": "lease_lost",
        "at": "1970-01-01T00:00:01.000Z", "reason": "taken over by cli:anna"})
    );
}
