//! Messages that came on this connection and what is due for them. Pure.
//!
//! A packet id is the broker's again as soon as it has our PUBACK, so everything here is forgotten
//! when the connection ends, and an answer of an earlier connection acknowledges nothing.

use std::collections::HashMap;

use rumqttc::v5::mqttbytes::v5::Publish;

/// Bytes of messages that may wait for admission. Beyond it a message is left with the broker.
const WAITING: usize = 8 * 1024 * 1024;
/// What a waiting message costs besides its own bytes.
const COST: usize = 256;
/// Messages that may wait for admission: all that a broker may send unacknowledged (Receive
/// Maximum), so that a backlog of any length comes in.
pub(super) const MESSAGES: usize = 65_535;

/// What to do with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Admit it; the number is its weight, given back by [`Arrivals::settled`].
    Admit(usize),
    /// The broker sent it twice on this connection and has our acknowledgement on the way.
    AcknowledgeAgain,
    /// Leave it: it is being admitted, or there is no room.
    Leave,
}

#[derive(Default)]
pub(super) struct Arrivals {
    seen: HashMap<u16, Seen>,
    waiting: usize,
    count: usize,
    left: bool,
}

struct Seen {
    mark: u32,
    acknowledged: bool,
}

/// What tells two messages with one packet id apart: topic, payload and where the answer goes.
/// It is kept in the journal, so it must not depend on the compiler's version.
pub(super) fn mark(publish: &Publish) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&bytes.len().to_be_bytes());
        hasher.update(bytes);
    };
    part(&publish.topic);
    part(&publish.payload);
    if let Some(properties) = &publish.properties {
        part(properties.response_topic.as_deref().unwrap_or_default().as_bytes());
        part(properties.correlation_data.as_deref().unwrap_or_default());
    }
    hasher.finalize()
}

impl Arrivals {
    /// A new connection. What still waits came on an older one and is admitted nevertheless: if its
    /// session is lost, nobody sends it again.
    pub fn connected(&mut self) {
        self.seen.clear();
        self.left = false;
    }

    /// A message came.
    pub fn take(&mut self, publish: &Publish) -> Verdict {
        let mark = mark(publish);
        if let Some(seen) = self.seen.get(&publish.pkid)
            && publish.dup
            && seen.mark == mark
        {
            return if seen.acknowledged { Verdict::AcknowledgeAgain } else { Verdict::Leave };
        }
        let weight = publish.size() + COST;
        // Once one was left, those behind it are too, so that their order stays.
        if self.left || self.count >= MESSAGES || self.waiting + weight > WAITING {
            // At most once is what a sender of QoS 0 asked for.
            self.left |= publish.pkid != 0;
            return Verdict::Leave;
        }
        if publish.pkid != 0 {
            self.seen.insert(publish.pkid, Seen { mark, acknowledged: false });
        }
        self.waiting += weight;
        self.count += 1;
        Verdict::Admit(weight)
    }

    /// Its admission ended.
    pub fn settled(&mut self, weight: usize) {
        self.waiting = self.waiting.saturating_sub(weight);
        self.count = self.count.saturating_sub(1);
    }

    /// Its PUBACK is on the way.
    pub fn acknowledged(&mut self, pkid: u16) {
        if let Some(seen) = self.seen.get_mut(&pkid) {
            seen.acknowledged = true;
        }
    }

    /// Messages were left with the broker and there is room again: a broker sends what it has no
    /// PUBACK for only on a new connection.
    pub fn wants_reconnect(&self) -> bool {
        self.left && self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::v5::mqttbytes::QoS;

    use super::*;

    fn publish(pkid: u16, payload: &str, dup: bool) -> Publish {
        let qos = if pkid == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        Publish { pkid, dup, ..Publish::new("maestro/command", qos, payload.to_owned(), None) }
    }

    fn admitted(verdict: Verdict) -> usize {
        match verdict {
            Verdict::Admit(weight) => weight,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_equal_messages_both_count() {
        let mut arrivals = Arrivals::default();
        admitted(arrivals.take(&publish(1, "ON", false)));
        admitted(arrivals.take(&publish(2, "ON", false)));
        // The broker used the packet id again.
        admitted(arrivals.take(&publish(1, "ON", false)));
        admitted(arrivals.take(&publish(0, "ON", false)));
        admitted(arrivals.take(&publish(0, "ON", false)));
    }

    #[test]
    fn a_repetition_on_the_same_connection_is_not_admitted_again() {
        let mut arrivals = Arrivals::default();
        admitted(arrivals.take(&publish(1, "ON", false)));
        assert_eq!(arrivals.take(&publish(1, "ON", true)), Verdict::Leave);
        arrivals.acknowledged(1);
        assert_eq!(arrivals.take(&publish(1, "ON", true)), Verdict::AcknowledgeAgain);
        admitted(arrivals.take(&publish(1, "OFF", true)));
        arrivals.connected();
        admitted(arrivals.take(&publish(1, "OFF", true)));
    }

    #[test]
    fn what_finds_no_room_stays_with_the_broker_in_order_and_is_fetched_later() {
        let mut arrivals = Arrivals::default();
        let large = "x".repeat(3 * 1024 * 1024);
        let first = admitted(arrivals.take(&publish(1, &large, false)));
        let second = admitted(arrivals.take(&publish(2, &large, false)));
        assert_eq!(arrivals.take(&publish(3, &large, false)), Verdict::Leave);
        assert_eq!(arrivals.take(&publish(4, "ON", false)), Verdict::Leave);
        arrivals.settled(first);
        assert!(!arrivals.wants_reconnect());
        arrivals.settled(second);
        assert!(arrivals.wants_reconnect());
        arrivals.connected();
        admitted(arrivals.take(&publish(3, &large, true)));
    }

    #[test]
    fn the_mark_tells_topic_payload_and_reply_apart() {
        let one = publish(1, "ON", false);
        assert_eq!(mark(&one), mark(&Publish { dup: true, pkid: 9, ..one.clone() }));
        assert_ne!(mark(&one), mark(&publish(1, "OFF", false)));
        let elsewhere = Publish { topic: "maestro/commandO".into(), payload: "N".into(), ..one.clone() };
        assert_ne!(mark(&one), mark(&elsewhere));
    }
}
