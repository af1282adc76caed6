//! Admission of what came from the broker, beside the connection: one message after the other, in
//! the order in which they came. A message is acknowledged when all that is in it was admitted or
//! refused.
//!
//! Owns the name of the broker's session. A redelivery is recognised by that name, the packet id
//! and the message itself; a new session counts packet ids anew, so it gets a new name.

mod session;
mod several;

use std::{collections::HashSet, time::Duration};

use rumqttc::v5::mqttbytes::{QoS, v5::Publish};
use serde_json::Value as Json;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

pub(super) use self::session::Session;
use super::{
    arrivals,
    message::Message,
    read::{Cancel, Read, Refused, Timing, read},
    topics::{Leaf, Topics},
};
use crate::{
    command::{Accepted, Commands, Refusal, RefusalCode, Request, wire},
    devices::Devices,
    journal::{Journal, Reply},
};

/// Topics whose ignored messages are warned about once; a sender that invents topics gets no more.
const WARNED: usize = 1_000;

/// What the connection hands over.
pub(super) enum Work {
    /// A connection begins; did the broker still have the session?
    Connected { session_present: bool },
    /// A message came.
    Message { publish: Box<Publish>, at: Instant, connection: u64, weight: usize },
}

/// What is due for a message.
pub(super) struct Answer {
    /// The connection that it came on: its packet id means nothing on another.
    pub connection: u64,
    pub pkid: u16,
    pub weight: usize,
    /// False: the broker shall send it again.
    pub acknowledge: bool,
    /// To be published before the PUBACK.
    pub messages: Vec<Message>,
}

impl Answer {
    /// The gateway stops, and the broker still has the message: the next start gets it.
    fn waits_for_the_next_start(&mut self, refusal: &Refusal) -> bool {
        let waits = refusal.code == RefusalCode::Stopping && self.pkid != 0;
        self.acknowledge &= !waits;
        waits
    }
}

pub(super) struct Inbox {
    pub commands: Commands,
    pub devices: Devices,
    pub journal: Journal,
    pub topics: Topics,
    pub expires_in: Duration,
    pub session: Session,
    pub warned: HashSet<String>,
}

impl Inbox {
    /// Works until shutdown; what waits then stays with the broker.
    pub async fn run(
        mut self,
        mut work: mpsc::Receiver<Work>,
        answers: mpsc::Sender<Answer>,
        shutdown: CancellationToken,
    ) {
        while let Some(work) = work.recv().await {
            if shutdown.is_cancelled() {
                break;
            }
            match work {
                Work::Connected { session_present } => {
                    self.session.connected(session_present, &self.journal).await
                }
                Work::Message { publish, at, connection, weight } => {
                    let mut answer = Answer {
                        connection,
                        pkid: publish.pkid,
                        weight,
                        acknowledge: true,
                        messages: Vec::new(),
                    };
                    self.admit(&publish, at, &mut answer).await;
                    if answers.send(answer).await.is_err() {
                        break;
                    }
                }
            }
        }
    }

    async fn admit(&mut self, publish: &Publish, at: Instant, answer: &mut Answer) {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let timing = Timing { waited: at.elapsed(), now_ms, expires_in: self.expires_in };
        let takes = |device: &str| self.devices.get(device).map(|row| row.info.commands);
        match read(publish, &self.topics, timing, &takes) {
            Read::Ignore(why) => self.ignored(publish, why),
            Read::Refuse(refused) => answer.messages = self.refusal(*refused),
            Read::Submit(request) => self.submit(publish, *request, answer).await,
            Read::Batch(several) => self.submit_all(publish, *several, answer).await,
            Read::Cancel(cancel) => self.cancel(*cancel, answer).await,
        }
    }

    async fn submit(&mut self, publish: &Publish, mut request: Request, answer: &mut Answer) {
        request.redelivery = self.key(publish).await;
        request.redelivered = request.redelivery.is_some() && publish.dup;
        let given = self.commands.submit(request.clone()).await;
        self.given(request, given, answer);
    }

    /// How a redelivery of this message is recognised; none for one that never comes again.
    async fn key(&mut self, publish: &Publish) -> Option<String> {
        if publish.pkid == 0 {
            return None;
        }
        let session = self.session.name(&self.journal).await;
        Some(format!("{session}:{}:{:08x}", publish.pkid, arrivals::mark(publish)))
    }

    /// What is due for a command after its admission.
    fn given(&self, request: Request, given: Result<Accepted, Refusal>, answer: &mut Answer) {
        match given {
            // Its result comes when it ends.
            Ok(Accepted::New(_)) => {}
            // A redelivery of what is in work: its own answer comes when it ends.
            Ok(Accepted::Known(row)) if request.redelivered && row.outcome.is_none() => {}
            Ok(Accepted::Known(row)) => {
                let reply =
                    request.reply.as_ref().filter(|_| row.outcome.is_some() || request.reply != row.reply);
                answer.messages.extend(self.told(&wire::result(&row), Some(row.device.as_str()), reply));
            }
            Err(refusal) if answer.waits_for_the_next_start(&refusal) => {}
            Err(refusal) => {
                let (device, reply) = (Some(request.device.clone()), request.reply.clone());
                let refused = Refused { refusal, device, request: Some(request), reply };
                answer.messages.extend(self.refusal(refused));
            }
        }
    }

    async fn cancel(&self, cancel: Cancel, answer: &mut Answer) {
        match self.commands.cancel(&cancel.id, &cancel.by).await {
            // The command's own end is told like every other.
            Ok(cancelled) => {
                let json = wire::cancelled(&cancelled);
                answer.messages.extend(cancel.reply.map(|reply| Message::reply(&reply, &json)));
            }
            Err(refusal) if answer.waits_for_the_next_start(&refusal) => {}
            Err(refusal) => {
                let json = wire::cancel_refusal(&refusal, &cancel.id);
                answer.messages = self.told(&json, None, cancel.reply.as_ref());
            }
        }
    }

    fn refusal(&self, refused: Refused) -> Vec<Message> {
        let json = wire::refusal(&refused.refusal, refused.request.as_ref());
        self.told(&json, refused.device.as_deref(), refused.reply.as_ref())
    }

    /// An answer to the one who asked, on the device's topic and on the common one.
    fn told(&self, json: &Json, device: Option<&str>, reply: Option<&Reply>) -> Vec<Message> {
        let device = device.and_then(|device| self.devices.get(device));
        let reply = reply.map(|reply| Message::reply(reply, json));
        // A topic is made for a device that exists, not for every name that somebody sends.
        let device = device
            .map(|row| Message::json(self.topics.device(&row.info.id, Leaf::Result), QoS::AtLeastOnce, json));
        let all = Message::json(self.topics.result(), QoS::AtLeastOnce, json);
        reply.into_iter().chain(device).chain([all]).collect()
    }

    fn ignored(&mut self, publish: &Publish, why: &'static str) {
        let topic = String::from_utf8_lossy(&publish.topic);
        if self.warned.len() < WARNED && self.warned.insert(topic.to_string()) {
            tracing::warn!(%topic, why, "MQTT message is ignored");
        }
    }
}
