//! What was handed to the MQTT client on one connection, and what the broker took of it.
//!
//! The client says which packet id a publish got only in the event of its sending, so what is
//! handed over is remembered in order and matched with those events. A link lives as long as its
//! connection: nothing that was handed over is ever repeated on the next one by the client.

use std::collections::{HashMap, VecDeque};

use rumqttc::{
    Outgoing,
    v5::{
        AsyncClient,
        mqttbytes::{
            QoS,
            v5::{ConnAck, Filter, Publish},
        },
    },
};

use super::message::{Message, Ticket};

/// Requests that the client may hold: enough for one burst of the socket, few enough that a result
/// does not wait behind many states.
pub(super) const QUEUE: usize = 64;
/// Publishes without their PUBACK. The client stops everything, PUBACKs too, at the broker's
/// Receive Maximum, so this side stops first; and its tables cost 200 bytes for each, 13 MB for the
/// 65,535 that it would take by itself.
pub(super) const WINDOW: u16 = 100;

enum Queued {
    Publish(QoS, Ticket),
    Other,
}

/// One connection's way out.
pub(super) struct Link {
    client: AsyncClient,
    up: bool,
    queued: VecDeque<Queued>,
    in_flight: HashMap<u16, Ticket>,
    window: usize,
    largest: usize,
}

impl Link {
    pub fn new(client: AsyncClient) -> Self {
        Self {
            client,
            up: false,
            queued: VecDeque::new(),
            in_flight: HashMap::new(),
            window: usize::from(WINDOW),
            largest: usize::MAX,
        }
    }

    /// The broker took the connection; these are its limits.
    pub fn connected(&mut self, connack: &ConnAck) {
        self.up = true;
        let limits = connack.properties.as_ref();
        let window = limits.and_then(|limits| limits.receive_max).unwrap_or(u16::MAX).clamp(1, WINDOW);
        self.window = usize::from(window);
        let largest = limits.and_then(|limits| limits.max_packet_size).unwrap_or(u32::MAX);
        self.largest = usize::try_from(largest).unwrap_or(usize::MAX);
    }

    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Is there room for one more of any kind?
    pub fn has_room(&self) -> bool {
        let open = self.queued.iter().filter(|queued| matches!(queued, Queued::Publish(QoS::AtLeastOnce, _)));
        self.up && self.queued.len() < QUEUE && open.count() + self.in_flight.len() < self.window
    }

    /// Hands a message over. It comes back when this broker would never take it.
    pub fn publish(&mut self, message: Message, ticket: Ticket) -> Option<Ticket> {
        if message.size() > self.largest {
            tracing::warn!(
                topic = message.topic(),
                size = message.size(),
                most = self.largest,
                "message is larger than the broker takes and is left out"
            );
            return Some(ticket);
        }
        let qos = message.qos();
        let publish = message.into_publish();
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        let properties = publish.properties.unwrap_or_default();
        let handed =
            self.client.try_publish_with_properties(topic, qos, publish.retain, publish.payload, properties);
        if handed.is_err() {
            return Some(ticket);
        }
        self.queued.push_back(Queued::Publish(qos, ticket));
        None
    }

    /// Acknowledges what came with this packet id.
    pub fn acknowledge(&mut self, pkid: u16) {
        let publish = Publish { pkid, qos: QoS::AtLeastOnce, ..Publish::default() };
        if self.client.try_ack(&publish).is_ok() {
            self.queued.push_back(Queued::Other);
        }
    }

    pub fn subscribe(&mut self, filters: Vec<Filter>) {
        if self.client.try_subscribe_many(filters).is_ok() {
            self.queued.push_back(Queued::Other);
        }
    }

    pub fn disconnect(&mut self) {
        if self.client.try_disconnect().is_ok() {
            self.queued.push_back(Queued::Other);
        }
    }

    /// The client sent the next of what it holds. What needs no PUBACK is settled by it.
    pub fn sent(&mut self, outgoing: &Outgoing) -> Option<Ticket> {
        match outgoing {
            Outgoing::Publish(pkid) => match self.queued.pop_front() {
                Some(Queued::Publish(_, ticket)) if *pkid == 0 => Some(ticket),
                Some(Queued::Publish(_, ticket)) => {
                    self.in_flight.insert(*pkid, ticket);
                    None
                }
                Some(Queued::Other) | None => None,
            },
            Outgoing::PubAck(_) | Outgoing::Subscribe(_) | Outgoing::Disconnect => {
                self.queued.pop_front();
                None
            }
            // Not handed over by us, or (AwaitAck) told again when it is really sent.
            _ => None,
        }
    }

    /// The broker acknowledged a publish of ours.
    pub fn acknowledged(&mut self, pkid: u16) -> Option<Ticket> {
        self.in_flight.remove(&pkid)
    }
}
