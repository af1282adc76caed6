//! From an MQTT message to a request. Pure.
//!
//! | part of the message | meaning |
//! | --- | --- |
//! | payload | a command object (see `command::wire`), or on a device's topic `ON`, `OFF`, `TOGGLE` |
//! | user properties `priority`, `source`, `owner` | as the keys of the same name; the payload wins |
//! | Response Topic, Correlation Data | where the answer goes; the topic names the asker when nobody else does |
//! | Message Expiry | shortens `expiresIn` to what is left of it |
//! | retain flag | the message is old: ignored |

use std::time::Duration;

use adapter_api::CommandSource;
use rumqttc::v5::mqttbytes::v5::Publish;
use serde_json::{Map, Value as Json, json};

use super::topics::{Target, Topics};
use crate::{
    command::{
        Refusal, RefusalCode, Request,
        wire::{self, Door},
    },
    journal::Reply,
};

/// The door's name in owners.
const NAME: &str = "mqtt";
/// Longest name of an asker that is kept.
const OWNER: usize = 200;

/// What a message is.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    /// Nothing to do, for this reason.
    Ignore(&'static str),
    /// It cannot be a command.
    Refuse(Box<Refused>),
    /// Somebody wants something.
    Submit(Box<Request>),
}

impl Read {
    fn refuse(refused: Refused) -> Self {
        Self::Refuse(Box::new(refused))
    }
}

/// A refusal and who hears of it.
#[derive(Debug, PartialEq)]
pub(super) struct Refused {
    pub refusal: Refusal,
    /// The device that was meant, as far as known.
    pub device: Option<String>,
    /// What was understood.
    pub request: Option<Request>,
    pub reply: Option<Reply>,
}

/// When a message is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// How long it waited in the gateway.
    pub waited: Duration,
    /// Wall time, ms since 1970.
    pub now_ms: i64,
    /// How long a command may wait that does not say.
    pub expires_in: Duration,
}

/// Reads a message.
pub(super) fn read(publish: &Publish, topics: &Topics, timing: Timing) -> Read {
    let topic = String::from_utf8_lossy(&publish.topic);
    let Some(target) = topics.target(&topic) else {
        return Read::Ignore("it is on a topic that is not served");
    };
    if publish.retain {
        return Read::Ignore("it is retained, so it may be old: publish commands without the retain flag");
    }
    let device = match target {
        Target::Any => None,
        Target::Device(device) => Some(device),
    };
    let reply = reply(publish);
    if let Some(reply) = &reply
        && let Some(message) = topics.unfit_reply(&reply.topic)
    {
        let refusal = Refusal::new(RefusalCode::Malformed, message);
        return Read::refuse(Refused {
            refusal,
            device: device.map(str::to_owned),
            request: None,
            reply: None,
        });
    }
    let json = match object(publish, device) {
        Ok(json) => json,
        Err(refusal) => {
            return Read::refuse(Refused {
                refusal,
                device: device.map(str::to_owned),
                request: None,
                reply,
            });
        }
    };
    let user = reply.as_ref().map_or("anonymous", |reply| shortened(&reply.topic));
    let door = Door { name: NAME, user, device, source: CommandSource::Automation };
    let mut request = match wire::parse_object(&json, door) {
        Ok(request) => request,
        Err(refusal) => {
            let request = understood(&json, door);
            let device = device.or(json.get("deviceId").and_then(Json::as_str)).map(str::to_owned);
            return Read::refuse(Refused { refusal, device, request, reply });
        }
    };
    request.reply = reply;
    request.tell = true;
    match shorten(&mut request, publish, timing) {
        Ok(()) => Read::Submit(Box::new(request)),
        Err(refusal) => {
            let device = Some(request.device.clone());
            Read::refuse(Refused { refusal, device, reply: request.reply.clone(), request: Some(request) })
        }
    }
}

fn reply(publish: &Publish) -> Option<Reply> {
    let properties = publish.properties.as_ref()?;
    let topic = properties.response_topic.clone()?;
    Some(Reply { topic, correlation: properties.correlation_data.as_ref().map(|data| data.to_vec()) })
}

/// The command as an object, with what the user properties add.
fn object(publish: &Publish, device: Option<&str>) -> Result<Json, Refusal> {
    let word = device.and_then(|_| match publish.payload.trim_ascii() {
        b"ON" => Some("turn_on"),
        b"OFF" => Some("turn_off"),
        b"TOGGLE" => Some("toggle"),
        _ => None,
    });
    let mut json = match word {
        Some(command) => json!({"command": command}),
        None => serde_json::from_slice(&publish.payload).map_err(|error| {
            let words = if device.is_some() { "ON, OFF, TOGGLE or " } else { "" };
            let message = format!(
                "the message is no JSON ({error}); send {words}an object like {{\"command\": \"refresh\"}}"
            );
            Refusal::new(RefusalCode::Malformed, message)
        })?,
    };
    if let (Json::Object(object), Some(properties)) = (&mut json, &publish.properties) {
        for (key, value) in &properties.user_properties {
            if ["priority", "source", "owner"].contains(&key.as_str()) {
                object.entry(key).or_insert_with(|| Json::from(value.as_str()));
            }
        }
    }
    Ok(json)
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(OWNER)]
}

/// What can be said about a command that is refused, so that the asker recognises it.
fn understood(json: &Json, door: Door<'_>) -> Option<Request> {
    let object = json.as_object()?;
    let text =
        |object: &Map<String, Json>, key: &str| object.get(key).and_then(Json::as_str).map(str::to_owned);
    let device = door.device.map(str::to_owned).or_else(|| text(object, "deviceId"))?;
    let command = text(object, "command")?;
    let user = text(object, "owner").unwrap_or_else(|| door.user.to_owned());
    let owner = format!("{}:{user}", door.name);
    Some(Request {
        id: text(object, "id"),
        correlation_id: text(object, "correlationId"),
        batch_id: text(object, "batchId"),
        ..Request::new(&device, &command, adapter_api::Parameters::default(), &owner)
    })
}

/// Message Expiry says when the message itself is worth nothing any more.
fn shorten(request: &mut Request, publish: &Publish, timing: Timing) -> Result<(), Refusal> {
    let Some(seconds) = publish.properties.as_ref().and_then(|properties| properties.message_expiry_interval)
    else {
        return Ok(());
    };
    let left = Duration::from_secs(u64::from(seconds)).saturating_sub(timing.waited);
    if left.is_zero() {
        let message = "its Message Expiry passed on the way: raise it, or send it when the gateway is there";
        return Err(Refusal::new(RefusalCode::Expired, message));
    }
    // `expiresIn` counts from the sender's time, the Message Expiry from now.
    let from = request.scheduled_at.or(request.issued_at).unwrap_or(timing.now_ms);
    let passed = Duration::from_millis(u64::try_from(timing.now_ms.saturating_sub(from)).unwrap_or(0));
    let asked = request.expires_in.unwrap_or(timing.expires_in);
    request.expires_in = Some(asked.min(left.saturating_add(passed)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use adapter_api::Priority;
    use rumqttc::v5::mqttbytes::{QoS, v5::PublishProperties};

    use super::*;

    const TIMING: Timing =
        Timing { waited: Duration::ZERO, now_ms: 1_769_860_800_000, expires_in: Duration::from_secs(60) };

    fn publish(topic: &str, payload: &str, properties: PublishProperties) -> Publish {
        Publish { pkid: 1, ..Publish::new(topic, QoS::AtLeastOnce, payload.to_owned(), Some(properties)) }
    }

    fn read_with(topic: &str, payload: &str, properties: PublishProperties) -> Read {
        read(&publish(topic, payload, properties), &Topics::new("maestro"), TIMING)
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
        let user_properties =
            properties.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
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
        assert!(
            refused("maestro/command", "ON", none()).refusal.message.starts_with("the message is no JSON")
        );
        assert!(
            refused("maestro/device/plug/set", "on!", none()).refusal.message.contains("ON, OFF, TOGGLE")
        );
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
        let expires =
            |payload: &str, seconds| request("maestro/command", payload, expiry(seconds)).expires_in;
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
        let late = read(&publish("maestro/command", REFRESH, expiry(20)), &Topics::new("maestro"), waited);
        assert!(matches!(late, Read::Refuse(_)));
    }

    #[test]
    fn a_retained_message_is_ignored_and_so_is_a_foreign_topic() {
        let retained = Publish { retain: true, ..publish("maestro/command", REFRESH, none()) };
        assert!(matches!(read(&retained, &Topics::new("maestro"), TIMING), Read::Ignore(_)));
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
}
