use adapter_api::{Capability, ParameterKind, ParameterSpec, Priority};
use rumqttc::v5::mqttbytes::{QoS, v5::PublishProperties};
use serde_json::{Value as Json, json};

use super::*;

const TIMING: Timing =
    Timing { waited: Duration::ZERO, now_ms: 1_769_860_800_000, expires_in: Duration::from_secs(60) };

fn publish(topic: &str, payload: &str, properties: PublishProperties) -> Publish {
    Publish { pkid: 1, ..Publish::new(topic, QoS::AtLeastOnce, payload.to_owned(), Some(properties)) }
}

fn read_with(topic: &str, payload: &str, properties: PublishProperties) -> Read {
    read(&publish(topic, payload, properties), &Topics::new("maestro"), TIMING, &takes)
}

/// What the device `roof` takes.
fn takes(device: &str) -> Option<Vec<CommandSpec>> {
    let number = || ParameterKind::Number { min: 0.0, max: 6000.0, step: 0.0, unit: "W".into() };
    let words = |words: &[&str]| ParameterKind::Word(words.iter().map(|word| (*word).into()).collect());
    let parameter = |name: &str, kind, required| ParameterSpec { name: name.into(), kind, required };
    let command = |name: &str, parameters| CommandSpec {
        parameters,
        ..CommandSpec::plain(name, Capability::PowerControl)
    };
    let limit = vec![
        parameter("enabled", ParameterKind::Bool, false),
        parameter("percent", number(), false),
        parameter("power", number(), false),
    ];
    let mode = vec![parameter("power", number(), false), parameter("mode", words(&["auto", "1"]), true)];
    (device == "roof").then(|| {
        vec![
            CommandSpec {
                exactly_one: vec!["power".into(), "percent".into()],
                ..command("set_power_limit", limit)
            },
            command("set_battery_mode", mode),
            command("set_enabled", vec![parameter("enabled", ParameterKind::Bool, false)]),
            command("set_nothing", vec![]),
            CommandSpec { local: true, ..command("set_secret", vec![parameter("a", number(), true)]) },
            CommandSpec::refresh(Capability::PowerControl),
        ]
    })
}

fn request(topic: &str, payload: &str, properties: PublishProperties) -> Request {
    match read_with(topic, payload, properties) {
        Read::Submit(request) => *request,
        other => panic!("{other:?}"),
    }
}

fn refused(topic: &str, payload: &str, properties: PublishProperties) -> Refused {
    match read_with(topic, payload, properties) {
        Read::Refuse(refused) => *refused,
        other => panic!("{other:?}"),
    }
}

fn none() -> PublishProperties {
    PublishProperties::default()
}

fn user(properties: &[(&str, &str)]) -> PublishProperties {
    let user_properties = properties.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    PublishProperties { user_properties, ..none() }
}

const REFRESH: &str = r#"{"deviceId": "roof", "command": "refresh"}"#;

#[test]
fn plain_words_switch_the_device_of_the_topic() {
    for (word, command) in [("ON", "turn_on"), ("OFF", "turn_off"), (" TOGGLE\n", "toggle")] {
        let request = request("maestro/device/plug/set", word, none());
        assert_eq!((request.device.as_str(), request.command.as_str()), ("plug", command));
        assert!(request.parameters.0.is_empty() && request.tell);
    }
    assert!(refused("maestro/command", "ON", none()).refusal.message.starts_with("the message is no JSON"));
    assert!(refused("maestro/device/plug/set", "on!", none()).refusal.message.contains("ON, OFF, TOGGLE"));
}

#[test]
fn user_properties_fill_what_the_payload_leaves_out() {
    let properties = [("priority", "high"), ("source", "user"), ("owner", "night"), ("other", "x")];
    let filled = request("maestro/command", REFRESH, user(&properties));
    assert_eq!((filled.priority, filled.source), (Priority::High, CommandSource::User));
    assert_eq!(filled.owner, "mqtt:night");
    let payload = r#"{"deviceId": "roof", "command": "refresh", "priority": "low", "owner": "day"}"#;
    let own = request("maestro/command", payload, user(&properties));
    assert_eq!((own.priority, own.owner.as_str()), (Priority::Low, "mqtt:day"));
    let wrong = refused("maestro/command", REFRESH, user(&[("priority", "now")]));
    assert!(wrong.refusal.message.contains("low, normal, high, critical"));
}

#[test]
fn the_response_topic_names_who_asks_when_nobody_else_does() {
    assert_eq!(request("maestro/command", REFRESH, none()).owner, "mqtt:anonymous");
    let properties = PublishProperties {
        response_topic: Some("night/answers".into()),
        correlation_data: Some(vec![0, 159, 255].into()),
        ..none()
    };
    let asked = request("maestro/command", REFRESH, properties);
    assert_eq!(asked.owner, "mqtt:night/answers");
    let reply = Reply { topic: "night/answers".into(), correlation: Some(vec![0, 159, 255]) };
    assert_eq!(asked.reply, Some(reply));
    let long = PublishProperties { response_topic: Some("é".repeat(300)), ..none() };
    assert!(request("maestro/command", REFRESH, long).owner.len() <= "mqtt:".len() + OWNER);
}

#[test]
fn a_response_topic_that_would_loop_is_refused_and_never_used() {
    for topic in ["maestro/command", "maestro/device/roof/set", "a/+", "#"] {
        let properties = PublishProperties { response_topic: Some(topic.into()), ..none() };
        let refused = refused("maestro/command", REFRESH, properties);
        assert_eq!(refused.refusal.code, RefusalCode::Malformed);
        assert_eq!(refused.reply, None, "{topic}");
    }
}

#[test]
fn what_is_left_of_the_message_expiry_shortens_the_wait() {
    let expiry = |seconds| PublishProperties { message_expiry_interval: Some(seconds), ..none() };
    let expires = |payload: &str, seconds| request("maestro/command", payload, expiry(seconds)).expires_in;
    assert_eq!(request("maestro/command", REFRESH, none()).expires_in, None);
    assert_eq!(expires(REFRESH, 20), Some(Duration::from_secs(20)));
    assert_eq!(expires(REFRESH, 600), Some(TIMING.expires_in));
    let short = r#"{"deviceId": "roof", "command": "refresh", "expiresIn": 5}"#;
    assert_eq!(expires(short, 20), Some(Duration::from_secs(5)));
    // Sent 30 s ago with 60 s to wait: 30 s are left; the message itself has 20 s.
    let old = r#"{"deviceId": "roof", "command": "refresh", "issuedAt": 1769860770000}"#;
    assert_eq!(expires(old, 20), Some(Duration::from_secs(50)));
    let refused = refused("maestro/command", REFRESH, expiry(0));
    assert_eq!(refused.refusal.code, RefusalCode::Expired);
    assert_eq!(refused.device.as_deref(), Some("roof"));
    let waited = Timing { waited: Duration::from_secs(21), ..TIMING };
    let late =
        read(&publish("maestro/command", REFRESH, expiry(20)), &Topics::new("maestro"), waited, &takes);
    assert!(matches!(late, Read::Refuse(_)));
}

#[test]
fn a_retained_message_is_ignored_and_so_is_a_foreign_topic() {
    let retained = Publish { retain: true, ..publish("maestro/command", REFRESH, none()) };
    assert!(matches!(read(&retained, &Topics::new("maestro"), TIMING, &takes), Read::Ignore(_)));
    assert!(matches!(read_with("maestro/result", REFRESH, none()), Read::Ignore(_)));
}

#[test]
fn a_refusal_carries_what_the_asker_recognises_it_by() {
    let payload =
        r#"{"deviceId": "roof", "command": "refresh", "id": "a", "correlationId": "c", "expiresln": 5}"#;
    let refused = refused("maestro/command", payload, none());
    let request = refused.request.unwrap();
    assert_eq!((request.id.as_deref(), request.correlation_id.as_deref()), (Some("a"), Some("c")));
    assert!(refused.refusal.message.contains("unknown key `expiresln`"));
}

#[test]
fn a_bare_value_on_a_setpoints_topic_is_the_first_parameter_of_its_command() {
    let set =
        |setpoint: &str, value: &str| request(&format!("maestro/device/roof/set/{setpoint}"), value, none());
    let limit = set("power_limit", " 2500\n");
    assert_eq!(
        (limit.device.as_str(), limit.command.as_str(), limit.tell),
        ("roof", "set_power_limit", true)
    );
    assert_eq!(limit.parameters.number("power"), Some(2500.0), "the first of those of which one is given");
    assert_eq!(set("battery_mode", "auto").parameters.word("mode"), Some("auto"), "the one that is needed");
    assert_eq!(set("battery_mode", "\"auto\"").parameters.word("mode"), Some("auto"));
    assert_eq!(set("battery_mode", "1").parameters.word("mode"), Some("1"));
    assert_eq!(set("enabled", "true").parameters.bool("enabled"), Some(true));
    let filled = request(
        "maestro/device/roof/set/power_limit",
        "1",
        user(&[("owner", "night"), ("priority", "high")]),
    );
    assert_eq!((filled.owner.as_str(), filled.priority), ("mqtt:night", Priority::High));
    // Admission knows which devices there are.
    let attic = request("maestro/device/attic/set/power_limit", "1", none());
    assert_eq!((attic.device.as_str(), attic.command.as_str()), ("attic", "set_power_limit"));
}

#[test]
fn a_setpoint_that_is_not_there_is_refused_with_those_that_are() {
    let refuse =
        |setpoint: &str, value: &str| refused(&format!("maestro/device/roof/set/{setpoint}"), value, none());
    let unknown = refuse("reserve", "20");
    assert_eq!(
        (unknown.refusal.code, unknown.device.as_deref()),
        (RefusalCode::UnknownCommand, Some("roof"))
    );
    let words = unknown.refusal.message;
    assert!(words.ends_with("it has power_limit, battery_mode, enabled"), "{words}");
    for value in ["", " ", "{\"power\": 1}", "[1]", "null"] {
        let words = refuse("power_limit", value).refusal.message;
        assert!(words.contains("no bare value") && words.contains("/set"), "{value}: {words}");
    }
    assert!(refuse("nothing", "1").refusal.message.contains("takes no value"));
}

fn several(payload: &str, properties: PublishProperties) -> Several {
    match read_with("maestro/command", payload, properties) {
        Read::Batch(several) => *several,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_array_is_one_request_whose_answer_is_its_summary() {
    let properties = PublishProperties {
        response_topic: Some("me/answers".into()),
        correlation_data: Some(vec![1].into()),
        message_expiry_interval: Some(20),
        ..user(&[("priority", "high")])
    };
    let array = r#"[{"deviceId": "roof", "command": "refresh", "batchId": "b"}, {"deviceId": "roof", "id": "i",
        "command": "refresh", "odd": 1}, {"deviceId": "house", "command": "refresh", "priority": "low"}]"#;
    let Several { batch, understood } = several(array, properties);
    assert_eq!((batch.id.as_deref(), batch.tell), (Some("b"), true));
    assert_eq!(batch.reply, Some(Reply { topic: "me/answers".into(), correlation: Some(vec![1]) }));
    let [Ok(first), Err(_), Ok(third)] = &batch.requests[..] else { panic!("{:?}", batch.requests) };
    assert_eq!((first.priority, third.priority), (Priority::High, Priority::Low));
    assert!(first.tell && first.reply.is_none() && first.owner == "mqtt:me/answers");
    assert_eq!(third.expires_in, Some(Duration::from_secs(20)));
    assert_eq!(understood.len(), 3);
    assert_eq!(understood[1].as_ref().unwrap().id.as_deref(), Some("i"));
}

#[test]
fn an_array_is_refused_as_a_whole_when_it_is_none_or_too_old() {
    assert!(refused("maestro/command", "[]", none()).refusal.message.contains("empty"));
    assert!(refused("maestro/device/roof/set", "[{}]", none()).refusal.message.contains("no JSON object"));
    let late = PublishProperties { message_expiry_interval: Some(0), ..none() };
    assert_eq!(refused("maestro/command", &format!("[{REFRESH}]"), late).refusal.code, RefusalCode::Expired);
}

#[test]
fn a_cancellation_names_a_command_and_who_takes_it_back() {
    let cancelled = |payload: &str, properties| match read_with("maestro/command/cancel", payload, properties)
    {
        Read::Cancel(cancel) => *cancel,
        other => panic!("{other:?}"),
    };
    for payload in [r#"{"id": "a-1"}"#, "a-1", " a-1\n", r#""a-1""#] {
        let cancel = cancelled(payload, none());
        assert_eq!((cancel.id.as_str(), cancel.by.as_str(), cancel.reply), ("a-1", "mqtt:anonymous", None));
    }
    assert_eq!(cancelled("17", none()).id, "17");
    let properties = PublishProperties { response_topic: Some("me/answers".into()), ..none() };
    let cancel = cancelled("a", properties.clone());
    assert_eq!((cancel.by.as_str(), cancel.reply.unwrap().topic.as_str()), ("mqtt:me/answers", "me/answers"));
    let properties =
        PublishProperties { user_properties: user(&[("owner", "night")]).user_properties, ..properties };
    assert_eq!(cancelled("a", properties).by, "mqtt:night");
    let long = json!({"id": "x".repeat(201)}).to_string();
    for payload in ["", "{}", r#"{"id": 1}"#, r#"{"id": "a", "all": true}"#, "[]", "{\"id\": ", &long] {
        let refusal = refused("maestro/command/cancel", payload, none()).refusal;
        assert_eq!(refusal.code, RefusalCode::Malformed, "{payload}");
        assert!(refusal.message.contains("{\"id\": \"…\"}"), "{}", refusal.message);
    }
    let retained = Publish { retain: true, ..publish("maestro/command/cancel", "a", none()) };
    assert!(matches!(read(&retained, &Topics::new("maestro"), TIMING, &takes), Read::Ignore(_)));
}

#[test]
fn no_answer_goes_to_a_topic_that_cancels_or_sets() {
    for topic in ["maestro/command/cancel", "maestro/device/roof/set/power_limit"] {
        let properties = PublishProperties { response_topic: Some(topic.into()), ..none() };
        let Read::Refuse(refused) = read_with("maestro/command/cancel", "a", properties) else {
            panic!("{topic}")
        };
        assert_eq!((refused.refusal.code, refused.reply), (RefusalCode::Malformed, None));
    }
    let wrong: Json = json!({"deviceId": "roof"});
    assert!(
        refused("maestro/command", &wrong.to_string(), none())
            .refusal
            .message
            .contains("`command` is missing")
    );
}
