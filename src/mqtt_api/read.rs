//! From an MQTT message to a request. Pure.
//!
//! | part of the message | meaning |
//! | --- | --- |
//! | payload on `command` | a command object with `deviceId`, or an array of them (see `command::wire`) |
//! | payload on `device/<id>/set` | a command object, or `ON`, `OFF`, `TOGGLE` |
//! | payload on `device/<id>/set/<setpoint>` | a bare value (a JSON number, text, `true`, `false`, or plain text like `auto`) for the first parameter of `set_<setpoint>`: the first of those of which exactly one is given, else the one that is needed, else the first |
//! | payload on `command/cancel` | `{"id"}`, or the bare id |
//! | user properties `priority`, `source`, `owner` | as the keys of the same name; the payload wins |
//! | Response Topic, Correlation Data | where the answer goes, for an array its summary; the topic names the asker when nobody else does |
//! | Message Expiry | shortens `expiresIn` to what is left of it |
//! | retain flag | the message is old: ignored |

mod cancel;
mod command;
mod setpoint;
#[cfg(test)]
mod tests;

use std::time::Duration;

use adapter_api::{CommandSource, CommandSpec};
use rumqttc::v5::mqttbytes::v5::Publish;

pub(super) use self::cancel::Cancel;
use super::topics::{Target, Topics};
use crate::{
    command::{Batch, Refusal, RefusalCode, Request, wire::Door},
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
    /// Somebody wants several things.
    Batch(Box<Several>),
    /// Somebody takes a command back.
    Cancel(Box<Cancel>),
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

/// An array of commands.
#[derive(Debug, PartialEq)]
pub(super) struct Several {
    pub batch: Batch,
    /// Of each command, what it is recognised by when it is refused.
    pub understood: Vec<Option<Request>>,
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

/// What a device takes; none where there is no such device.
pub(super) type Takes<'a> = &'a dyn Fn(&str) -> Option<Vec<CommandSpec>>;

/// A message and what is known of it before its payload is read.
struct Asked<'a> {
    publish: &'a Publish,
    door: Door<'a>,
    reply: Option<Reply>,
    timing: Timing,
}

impl Asked<'_> {
    fn refused(&self, refusal: Refusal) -> Read {
        let (device, reply) = (self.door.device.map(str::to_owned), self.reply.clone());
        Read::Refuse(Box::new(Refused { refusal, device, request: None, reply }))
    }
}

/// Reads a message.
pub(super) fn read(publish: &Publish, topics: &Topics, timing: Timing, takes: Takes<'_>) -> Read {
    let topic = String::from_utf8_lossy(&publish.topic);
    let Some(target) = topics.target(&topic) else {
        return Read::Ignore("it is on a topic that is not served");
    };
    if publish.retain {
        return Read::Ignore("it is retained, so it may be old: publish commands without the retain flag");
    }
    let device = match target {
        Target::Any | Target::Cancel => None,
        Target::Device(device) | Target::Setpoint(device, _) => Some(device),
    };
    let reply = reply(publish);
    let user = reply.as_ref().map_or("anonymous", |reply| shortened(&reply.topic));
    let door = Door { name: NAME, user, device, source: CommandSource::Automation, local: false };
    let mut asked = Asked { publish, door, reply: reply.clone(), timing };
    if let Some(topic) = reply.as_ref().map(|reply| &reply.topic)
        && let Some(message) = topics.unfit_reply(topic)
    {
        asked.reply = None;
        return asked.refused(Refusal::new(RefusalCode::Malformed, message));
    }
    match target {
        Target::Cancel => cancel::read(&asked),
        _ => command::read(&asked, target, takes),
    }
}

fn reply(publish: &Publish) -> Option<Reply> {
    let properties = publish.properties.as_ref()?;
    let topic = properties.response_topic.clone()?;
    Some(Reply { topic, correlation: properties.correlation_data.as_ref().map(|data| data.to_vec()) })
}

fn user_properties(publish: &Publish) -> &[(String, String)] {
    publish.properties.as_ref().map_or(&[], |properties| &properties.user_properties)
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(OWNER)]
}
