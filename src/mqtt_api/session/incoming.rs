//! What comes from the broker: the connection, commands, acknowledgements; and what is due for
//! commands after their admission.

use rumqttc::v5::{
    Event, Incoming,
    mqttbytes::v5::{ConnAck, PubAckReason, Publish, SubAck, SubscribeReasonCode},
};
use tokio::time::Instant;

use super::{
    super::{
        arrivals::Verdict,
        connect::{self, Lost},
        inbox::{Answer, Work},
        message::Message,
    },
    Connection, Out,
};

impl Connection {
    pub(super) fn event(&mut self, event: Event) -> Result<(), Lost> {
        match event {
            Event::Incoming(Incoming::ConnAck(connack)) => self.connected(&connack)?,
            Event::Incoming(Incoming::Publish(publish)) => self.arrived(publish),
            Event::Incoming(Incoming::PubAck(puback)) => {
                let ticket = self.link.as_mut().and_then(|link| link.acknowledged(puback.pkid));
                self.settle(ticket, puback.reason);
            }
            Event::Incoming(Incoming::SubAck(suback)) => subscribed(&suback),
            Event::Incoming(_) => {}
            Event::Outgoing(outgoing) => {
                let ticket = self.link.as_mut().and_then(|link| link.sent(&outgoing));
                self.settle(ticket, PubAckReason::Success);
            }
        }
        Ok(())
    }

    fn connected(&mut self, connack: &ConnAck) -> Result<(), Lost> {
        let Some(link) = &mut self.link else { return Ok(()) };
        // Admission hears of it before any message of this session.
        self.session_is_new |= !connack.session_present;
        let work = Work::Connected { session_present: !self.session_is_new };
        self.work.try_send(work).map_err(|_| Lost::Full)?;
        self.session_is_new = false;
        link.connected(connack);
        link.subscribe(connect::filters(&self.topics));
        self.up_since = Some(Instant::now());
        self.arrivals.connected();
        self.replies.push_back(Out::Publish(Message::retained(self.topics.status(), "online".to_owned())));
        self.states.connected(Instant::now());
        self.outbox.look();
        self.refusals_told = false;
        self.down = false;
        tracing::info!(
            broker = self.settings.url,
            session_present = connack.session_present,
            "MQTT broker is connected"
        );
        Ok(())
    }

    fn arrived(&mut self, publish: Publish) {
        if self.farewell.is_some() {
            return;
        }
        match self.arrivals.take(&publish) {
            Verdict::Admit(weight) => {
                let work = Work::Message {
                    publish: Box::new(publish),
                    at: Instant::now(),
                    connection: self.number,
                    weight,
                };
                // `arrivals` counts no more than fit, so only a stopped inbox says no.
                if self.work.try_send(work).is_err() {
                    self.arrivals.settled(weight);
                }
            }
            Verdict::AcknowledgeAgain => {
                self.replies.push_back(Out::Acknowledge(publish.pkid));
            }
            Verdict::Leave => {}
        }
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        self.arrivals.settled(answer.weight);
        // The broker sends it again on the new connection, and its answer goes out there.
        if answer.connection != self.number {
            return;
        }
        self.replies.extend(answer.messages.into_iter().map(Out::Publish));
        if answer.acknowledge && answer.pkid != 0 {
            self.replies.push_back(Out::Acknowledge(answer.pkid));
        }
    }

    /// Closes the connection when commands were left with the broker and there is room again.
    pub(super) fn fetch(&mut self) {
        if let Some(link) = &mut self.link
            && self.arrivals.wants_reconnect()
            && self.replies.is_empty()
            && self.farewell.is_none()
            && !std::mem::replace(&mut self.fetching, true)
        {
            link.disconnect();
        }
    }
}

fn subscribed(suback: &SubAck) {
    for reason in &suback.return_codes {
        if !matches!(reason, SubscribeReasonCode::Success(_)) {
            tracing::error!(
                ?reason,
                "MQTT broker refuses a subscription: allow the gateway's user to read the command topics"
            );
        }
    }
}
