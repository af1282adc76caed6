//! One message on its way out. Pure.

use adapter_api::DeviceId;
use rumqttc::v5::mqttbytes::{
    QoS,
    v5::{Publish, PublishProperties},
};
use serde_json::Value as Json;

use crate::journal::Reply;

/// What the broker's taking of a message settles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ticket {
    /// Nothing.
    Plain,
    /// One of the messages of this command's result.
    Result(u64),
    /// One of the messages of the summary of this end of a batch.
    Batch(BatchEnd),
    /// The state of this device.
    State(DeviceId),
    /// The last retained topic of a removed device.
    Cleared(DeviceId),
    /// The farewell.
    Offline,
}

/// One end of a batch: an id that is used again has another one, with a summary of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct BatchEnd {
    pub id: String,
    /// As in [`crate::journal::BatchRow::at`].
    pub at: i64,
}

/// A message that is to be published.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    publish: Box<Publish>,
}

impl Message {
    /// A result, progress or refusal.
    pub fn json(topic: String, qos: QoS, json: &Json) -> Self {
        Self::new(topic, qos, json.to_string(), json_properties())
    }

    /// An answer to the asker's own topic.
    pub fn reply(reply: &Reply, json: &Json) -> Self {
        let properties = PublishProperties {
            correlation_data: reply.correlation.clone().map(Into::into),
            ..json_properties()
        };
        Self::new(reply.topic.clone(), QoS::AtLeastOnce, json.to_string(), properties)
    }

    /// A retained word or text; an empty one clears the topic.
    pub fn retained(topic: String, text: String) -> Self {
        let mut message = Self::new(topic, QoS::AtLeastOnce, text, PublishProperties::default());
        message.publish.retain = true;
        message
    }

    /// A device's state. QoS 0: a newer one follows, the topic is retained, and everything is said
    /// again on each connection; an acknowledgement would only take room from results.
    pub fn state(topic: String, json: &Json) -> Self {
        let mut message = Self::json(topic, QoS::AtMostOnce, json);
        message.publish.retain = true;
        message
    }

    fn new(topic: String, qos: QoS, payload: String, properties: PublishProperties) -> Self {
        Self { publish: Box::new(Publish::new(topic, qos, payload, Some(properties))) }
    }

    pub fn qos(&self) -> QoS {
        self.publish.qos
    }

    /// Bytes on the wire.
    pub fn size(&self) -> usize {
        // The packet id is not counted before there is one.
        self.publish.size() + 2
    }

    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.publish.topic).unwrap_or_default()
    }

    pub fn into_publish(self) -> Publish {
        *self.publish
    }
}

fn json_properties() -> PublishProperties {
    PublishProperties {
        content_type: Some("application/json".to_owned()),
        payload_format_indicator: Some(1),
        ..PublishProperties::default()
    }
}
