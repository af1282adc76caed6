//! The local MQTT topics: a door for automations.
//!
//! Owns one MQTT 5 connection (client id `maestro-<gateway id>`), its session at the broker and the
//! way of results to it. Commands come in and go through the one admission; results, refusals,
//! progress and the retained states of all devices go out. Never decides about a command, never
//! writes to a device, and is not needed by anything else: without a broker the gateway works on.
//!
//! | topic below the base (`maestro`) | way | QoS | what |
//! | --- | --- | --- | --- |
//! | `command` | in | 1 | a command object with `deviceId`, or an array of them |
//! | `command/cancel` | in | 1 | `{"id"}`, or the bare id of a command |
//! | `device/<id>/set` | in | 1 | a command object, or `ON`, `OFF`, `TOGGLE` |
//! | `device/<id>/set/<setpoint>` | in | 1 | a bare value, see `read` |
//! | `device/<id>/progress` | out | 0 | `accepted`, `executing`, `lease_lost` |
//! | `device/<id>/result`, `result` | out | 1 | every result and refusal (one for an unknown device: `result` alone) |
//! | `result` | out | 1 | one summary of each batch, when all of it has ended |
//! | the request's Response Topic | out | 1 | its result or refusal, of an array its summary, of a cancellation the command as it stands, with its Correlation Data; and `lease_lost`, should it lose what it holds |
//! | `device/<id>/state` | out, retained | 0 | see `states` |
//! | `device/<id>/availability` | out, retained | 1 | `online`, `offline` |
//! | `device/<id>/error` | out, retained | 1 | what is wrong and what to do, empty when fine |
//! | `status` | out, retained, last will | 1 | `online`, `offline` |
//!
//! What holds, whatever is cut: a command is acknowledged to the broker after its commit (or its
//! refusal), so it is admitted at least once; a redelivery of it is recognised, so it is admitted
//! once. A result, and the summary of a batch, stays in the journal until the broker acknowledged it, so it
//! arrives at least once; **it may arrive twice** (same `id`) when the connection ends in between. A command waits
//! at the broker no longer than `[commands] expires_in`: the session ends by then.
//!
//! What a broker needs for that: mosquitto with `persistence true` and `max_queued_messages 0`.

mod arrivals;
mod connect;
mod inbox;
mod link;
mod message;
mod outbox;
mod read;
mod session;
mod settings;
mod states;
mod topics;

use std::{collections::HashSet, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::settings::{Settings, check};
use self::{
    inbox::Inbox,
    session::{Changes, Connection},
    states::States,
    topics::Topics,
};
use crate::{command::Commands, devices::Devices, journal::Journal, live::Live};

/// The module's space in the journal's notes.
const SPACE: &str = "mqtt_api";
/// Key of the devices that may have retained topics.
const DEVICES: &str = "devices";
/// Answers between admission and connection: the next message is admitted while one goes out.
const ANSWERS: usize = 16;

/// Connections that admission may not have heard of yet, beside all the messages.
const CONNECTIONS: usize = 64;

/// The door.
pub struct MqttApi {
    settings: Settings,
    client_id: String,
    expires_in: Duration,
    commands: Commands,
    devices: Devices,
    live: Live,
    journal: Journal,
}

impl MqttApi {
    /// A door that is still closed. `expires_in` is how long a command may wait that does not say.
    pub fn new(
        settings: Settings,
        gateway_id: &str,
        expires_in: Duration,
        commands: Commands,
        devices: Devices,
        live: Live,
        journal: Journal,
    ) -> Self {
        let client_id = format!("maestro-{gateway_id}");
        Self { settings, client_id, expires_in, commands, devices, live, journal }
    }

    /// Serves until shutdown; connects again for ever. On shutdown nothing more is admitted, results
    /// that are there go out within two seconds, and the broker is told `offline`.
    pub async fn run(self, shutdown: CancellationToken) {
        let topics = Topics::new(&self.settings.base_topic);
        let listed = self.journal.reader().note(SPACE, DEVICES).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "retained topics of devices that were removed meanwhile are not cleared");
            None
        });
        let (work, inbound) = mpsc::channel(arrivals::MESSAGES + CONNECTIONS);
        let (answer, answers) = mpsc::channel(ANSWERS);
        let connection = Connection::new(
            self.settings,
            self.client_id,
            self.expires_in,
            topics.clone(),
            self.commands.clone(),
            States::new(self.live.clone(), self.devices.clone(), self.commands.leases(), listed.as_deref()),
            Changes {
                live: self.live.changes(),
                devices: self.devices.changes(),
                leases: self.commands.leases(),
            },
            self.journal.clone(),
            work,
            answers,
        );
        let inbox = Inbox {
            commands: self.commands,
            devices: self.devices,
            journal: self.journal,
            topics,
            expires_in: self.expires_in,
            session: inbox::Session::default(),
            warned: HashSet::new(),
        };
        let inbox = inbox.run(inbound, answer, shutdown.clone());
        // The connection outlives the inbox: it says goodbye. An admission that is cut off here goes
        // on to its commit by itself.
        let inbox = async {
            inbox.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = connection.run(shutdown) => {}
            () = inbox => {}
        }
    }
}
