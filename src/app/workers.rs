//! Every worker of the gateway: what it is made of, again at each of its runs.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use adapter_api::{Context, Outlet, Store};
use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::{
    broker::Broker,
    catalog::Connection,
    command::Dispatcher,
    devices::{DevicesOutlet, Notes},
    health::{self, Part},
    http::{self, Api},
    journal::JournalError,
    mqtt_api::MqttApi,
    supervisor::Phase,
    uplink::{Identity, Uplink, UplinkHandle},
};

/// How long the journal and the dispatcher may take to answer the watchdog.
const PULSE: Duration = Duration::from_secs(10);

pub(super) const BROKER: &str = "broker";
pub(super) const MQTT_API: &str = "mqtt_api";
pub(super) const UPLINK: &str = "uplink";
impl App {
    pub(super) fn start_dispatcher(&mut self, dispatcher: Dispatcher) {
        let mut dispatcher = Some(dispatcher);
        let failed = self.failed.clone();
        self.supervisor.start("commands", Phase::Durable, move |stop| match dispatcher.take() {
            Some(dispatcher) => Box::pin(async move {
                dispatcher.run(stop).await;
                Ok(())
            }),
            // Its queue went with it: only the journal knows it, and a start reads it from there.
            None => {
                failed.cancel();
                Box::pin(std::future::pending())
            }
        });
    }

    /// A taken port keeps the broker away, not the gateway: it is tried again.
    pub(super) async fn start_broker(&mut self) {
        let Some(section) = &self.config.broker else { return };
        let settings = section.settings();
        let mut first = match Broker::start(&settings).await {
            Ok(broker) => Some(broker),
            Err(error) => {
                tracing::error!(
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "the embedded broker cannot start yet"
                );
                None
            }
        };
        // It outlives the doors that speak through it.
        self.supervisor.start(BROKER, Phase::Uplink, move |stop| {
            let (ready, settings) = (first.take(), settings.clone());
            Box::pin(async move {
                let broker = match ready {
                    Some(broker) => broker,
                    None => Broker::start(&settings).await?,
                };
                Ok(broker.run(stop).await?)
            })
        });
    }

    pub(super) async fn start_adapter(&mut self, connection: Connection) {
        let Connection { name, devices, disabled, build, .. } = connection;
        self.devices.configure(&name, devices, &disabled, &self.remembered).await;
        let (journal, devices, commands) =
            (self.journal.clone(), self.devices.clone(), self.commands.clone());
        let (worker, clock, pulses) = (name.clone(), self.clock.clone(), self.pulses.clone());
        self.supervisor.start(&name, Phase::Adapters, move |shutdown| {
            let adapter = build();
            let (pulse, at_rest) = pulses.of_run(&worker);
            let context = Context {
                outlet: Outlet::new(DevicesOutlet::new(&worker, devices.clone())),
                commands: adapter_api::Commands::new(commands.port(&worker)),
                store: Store::new(Notes::new(&worker, journal.clone())),
                shutdown,
                clock: clock.clone(),
                pulse,
            };
            Box::pin(async move {
                let _at_rest = at_rest;
                Ok(adapter.run(context).await?)
            })
        });
    }

    pub(super) async fn start_uplink(&mut self) {
        let shown = self.uplink.clone();
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Err(error) = self.journal.uplink(self.config.mongodb.is_some()).await {
            tracing::warn!(%error, "the journal cannot be told whether readings wait for MongoDB");
        }
        let Some(section) = self.config.mongodb.clone() else { return };
        let settings = section.settings();
        let gateway = &self.config.gateway;
        let identity = Identity {
            gateway_id: gateway.id.clone(),
            user_id: gateway.user_id.clone(),
            device_prefix: section.device_prefix.clone(),
        };
        let (journal, live) = (self.journal.clone(), self.live.clone());
        self.supervisor.start(UPLINK, Phase::Uplink, move |stop| {
            let live = live.clone();
            let uplink = Uplink::new(
                journal.clone(),
                settings.clone(),
                identity.clone(),
                Arc::new(move || live.all()),
            );
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(uplink.handle());
            Box::pin(async move {
                uplink.run(stop).await;
                Ok(())
            })
        });
    }

    pub(super) fn start_mqtt_api(&mut self) {
        let Some(section) = &self.config.mqtt_api else { return };
        let (settings, gateway) = (section.settings(), self.config.gateway.id.clone());
        let expires_in = self.config.commands.expires_in.0;
        let (commands, devices) = (self.commands.clone(), self.devices.clone());
        let (live, journal) = (self.live.clone(), self.journal.clone());
        self.supervisor.start(MQTT_API, Phase::Doors, move |stop| {
            let door = MqttApi::new(
                settings.clone(),
                &gateway,
                expires_in,
                commands.clone(),
                devices.clone(),
                live.clone(),
                journal.clone(),
            );
            Box::pin(async move {
                door.run(stop).await;
                Ok(())
            })
        });
    }

    pub(super) fn bind_socket(&self) -> anyhow::Result<UnixListener> {
        let path = self.config.gateway.socket();
        let cannot = format!("the socket {} cannot be opened; is its folder writable?", path.display());
        http::bind(&path).context(cannot)
    }

    pub(super) fn start_http(&mut self, socket: UnixListener) {
        let (path, mut first) = (self.config.gateway.socket(), Some(socket));
        let uplink = self.uplink.clone();
        let api = Api {
            commands: self.commands.clone(),
            devices: self.devices.clone(),
            live: self.live.clone(),
            journal: self.journal.clone(),
            gateway: self.config.gateway.id.clone(),
            stopping: CancellationToken::new(),
            uplink: Arc::new(move || {
                let handle = uplink.lock().unwrap_or_else(PoisonError::into_inner);
                handle.as_ref().map_or(Value::Null, uplink_json)
            }),
        };
        self.supervisor.start("http", Phase::Doors, move |stop| {
            let (ready, path) = (first.take(), path.clone());
            let api = Api { stopping: stop.clone(), ..api.clone() };
            Box::pin(async move {
                let listener = match ready {
                    Some(listener) => listener,
                    None => http::bind(&path)?,
                };
                Ok(http::serve(listener, api, stop).await?)
            })
        });
    }

    pub(super) fn start_watchdog(&mut self) {
        let (journal, commands, failed) = (self.journal.clone(), self.commands.clone(), self.failed.clone());
        let parts = Arc::new([
            Part::new("journal", PULSE, move || {
                let (journal, failed) = (journal.clone(), failed.clone());
                async move {
                    let beat = journal.heartbeat().await;
                    if matches!(beat, Err(JournalError::Stopped)) {
                        // Its thread is gone, and with it every way to keep anything.
                        failed.cancel();
                    }
                    beat.is_ok()
                }
            }),
            Part::new("commands", PULSE, move || {
                let commands = commands.clone();
                async move { commands.turns().await }
            }),
        ]);
        let pulses = self.pulses.clone();
        // In the last phase, so that systemd sees it alive while it drains.
        self.supervisor.start("watchdog", Phase::Uplink, move |stop| {
            let (parts, pulses) = (parts.clone(), pulses.clone());
            Box::pin(async move {
                health::watch(&*parts, &pulses, stop).await;
                Ok(())
            })
        });
    }
}

fn uplink_json(handle: &UplinkHandle) -> Value {
    let status = handle.status();
    json!({
        "connected": status.connected,
        "delivered": status.delivered_number,
        "backlog": status.backlog,
        "refused": status.refused,
        "lastError": status.last_error,
    })
}
