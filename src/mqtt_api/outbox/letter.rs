//! What a result and a summary are made of on their way.

use std::hash::Hash;

use rumqttc::v5::mqttbytes::QoS;

use crate::{
    command::wire,
    journal::{BatchRow, CommandRow},
    mqtt_api::{
        message::{BatchEnd, Message, Ticket},
        topics::{Leaf, Topics},
    },
};

/// Something that the broker shall have.
pub(in crate::mqtt_api) trait Letter {
    /// What tells it from others of its kind.
    type Key: Clone + Eq + Hash;
    fn key(&self) -> Self::Key;
    /// Must no broker have it?
    fn is_told(&self) -> bool;
    fn ticket(key: Self::Key) -> Ticket;
    /// None when there is nothing to say.
    fn messages(&self, topics: &Topics) -> Vec<Message>;
}

impl Letter for CommandRow {
    type Key = u64;

    fn key(&self) -> u64 {
        self.number
    }

    fn is_told(&self) -> bool {
        self.told
    }

    fn ticket(key: u64) -> Ticket {
        Ticket::Result(key)
    }

    fn messages(&self, topics: &Topics) -> Vec<Message> {
        let json = wire::result(self);
        let mut messages = Vec::with_capacity(3);
        // The asker first: it may hold something back until it knows.
        messages.extend(self.reply.as_ref().map(|reply| Message::reply(reply, &json)));
        messages.push(Message::json(topics.device(&self.device, Leaf::Result), QoS::AtLeastOnce, &json));
        messages.push(Message::json(topics.result(), QoS::AtLeastOnce, &json));
        messages
    }
}

impl Letter for BatchRow {
    type Key = BatchEnd;

    fn key(&self) -> BatchEnd {
        BatchEnd { id: self.id.clone(), at: self.at }
    }

    fn is_told(&self) -> bool {
        self.told
    }

    fn ticket(key: BatchEnd) -> Ticket {
        Ticket::Batch(key)
    }

    fn messages(&self, topics: &Topics) -> Vec<Message> {
        // All of its commands had come before, and belong to another batch.
        if self.total == 0 {
            return Vec::new();
        }
        let json = wire::batch(self);
        let reply = self.reply.as_ref().map(|reply| Message::reply(reply, &json));
        reply.into_iter().chain([Message::json(topics.result(), QoS::AtLeastOnce, &json)]).collect()
    }
}
