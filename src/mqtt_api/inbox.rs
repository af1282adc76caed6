//! Admission of what came from the broker, beside the connection: one message after the other, in
//! the order in which they came.
//!
//! Owns the name of the broker's session. A redelivery is recognised by that name, the packet id
//! and the message itself; a new session counts packet ids anew, so it gets a new name.

use std::{collections::HashSet, time::Duration};

use rumqttc::v5::mqttbytes::{QoS, v5::Publish};
use serde_json::Value as Json;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    SPACE, arrivals,
    message::Message,
    read::{Read, Refused, Timing, read},
    topics::{Leaf, Topics},
};
use crate::{
    command::{Accepted, Commands, RefusalCode, wire},
    devices::Devices,
    journal::{Journal, Reply},
};

/// Key of the session's name in the notes.
const SESSION: &str = "session";
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
        let mut request = match read(publish, &self.topics, timing) {
            Read::Ignore(why) => return self.ignored(publish, why),
            Read::Refuse(refused) => {
                answer.messages = self.refusal(*refused);
                return;
            }
            Read::Submit(request) => request,
        };
        if publish.pkid != 0 {
            let session = self.session.name(&self.journal).await;
            request.redelivery = Some(format!("{session}:{}:{:08x}", publish.pkid, arrivals::mark(publish)));
            request.redelivered = publish.dup;
        }
        match self.commands.submit((*request).clone()).await {
            // Its result comes when it ends.
            Ok(Accepted::New(_)) => {}
            // A redelivery of what is in work: its own answer comes when it ends.
            Ok(Accepted::Known(row)) if request.redelivered && row.outcome.is_none() => {}
            Ok(Accepted::Known(row)) => {
                let reply =
                    request.reply.as_ref().filter(|_| row.outcome.is_some() || request.reply != row.reply);
                answer.messages = self.told(&wire::result(&row), Some(row.device.as_str()), reply);
            }
            // The next start gets it from the broker.
            Err(refusal) if refusal.code == RefusalCode::Stopping && publish.pkid != 0 => {
                answer.acknowledge = false
            }
            Err(refusal) => {
                let (device, reply) = (Some(request.device.clone()), request.reply.clone());
                answer.messages = self.refusal(Refused { refusal, device, request: Some(*request), reply });
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

/// The name of the broker's session.
#[derive(Default)]
pub(super) struct Session {
    name: Option<String>,
    kept: bool,
}

impl Session {
    async fn connected(&mut self, present: bool, journal: &Journal) {
        if !present {
            *self = Self::new();
            self.name(journal).await;
        } else if self.name.is_none()
            && let Ok(Some(note)) = journal.reader().note(SPACE, SESSION).await
            && let Ok(name) = String::from_utf8(note)
        {
            *self = Self { name: Some(name), kept: true };
        }
    }

    fn new() -> Self {
        Self { name: Some(uuid::Uuid::now_v7().to_string()), kept: false }
    }

    /// The name, kept before it is first used.
    async fn name(&mut self, journal: &Journal) -> &str {
        if self.name.is_none() {
            *self = Self::new();
        }
        let name = self.name.get_or_insert_default();
        if !self.kept {
            // A disk that cannot take this takes no command either; it is tried with the next one.
            self.kept = journal.put_note(SPACE, SESSION, Some(name.clone().into_bytes())).await.is_ok();
        }
        name
    }
}
