//! The composition root: builds every part, wires the channels, and changes what a reload changes.
//! The only file that wires.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use adapter_api::{Clock, Context, Outlet, Store};
use anyhow::Context as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::Broker,
    catalog::Connection,
    clock,
    command::{self, Commands, Dispatcher},
    config::Config,
    devices::{Devices, DevicesOutlet, Notes},
    health::{self, Part, Pulses},
    http::{self, Api},
    journal::{DeviceRow, Journal, JournalError},
    live::Live,
    mqtt_api::MqttApi,
    supervisor::{Phase, Supervisor},
    uplink::{Identity, Uplink, UplinkHandle},
};

/// How long the journal and the dispatcher may take to answer the watchdog.
const PULSE: Duration = Duration::from_secs(10);

const BROKER: &str = "broker";
const MQTT_API: &str = "mqtt_api";
const UPLINK: &str = "uplink";

/// A running gateway.
pub struct App {
    config: Config,
    supervisor: Supervisor,
    journal: Journal,
    clock: Clock,
    devices: Devices,
    live: Live,
    commands: Commands,
    remembered: Vec<DeviceRow>,
    uplink: Arc<Mutex<Option<UplinkHandle>>>,
    pulses: Pulses,
    /// Cancelled when a part fails that only a new start can mend.
    failed: CancellationToken,
}

impl App {
    /// Opens the journal and starts every worker. Devices, brokers and databases may all be away.
    ///
    /// # Errors
    /// When the journal, the socket or the embedded broker's port cannot be had.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        // One TLS stack for all; a second call finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = clock::system();
        let live = Live::new(Vec::new());
        let taken = live.clone();
        let opened =
            Journal::open(&config.journal_settings(), clock.clone(), move |stored| taken.apply(stored))?;
        let (journal, recovery) = (opened.journal, opened.recovery);
        if recovery.replayed > 0 || !recovery.clean {
            tracing::info!(
                replayed = recovery.replayed,
                "the last run did not end in order; its readings are back"
            );
        }
        live.apply(&recovery.latest);
        let devices = Devices::new(journal.clone(), clock.clone());
        let settings = command::Settings { expires_in: config.commands.expires_in.0 };
        let (dispatcher, commands) = Dispatcher::new(
            settings,
            journal.clone(),
            devices.clone(),
            clock.clone(),
            recovery.in_flight,
            recovery.waiting,
        );
        let mut app = Self {
            supervisor: Supervisor::default(),
            journal,
            clock,
            devices,
            live,
            commands,
            remembered: recovery.devices,
            uplink: Arc::default(),
            pulses: Pulses::default(),
            failed: CancellationToken::new(),
            config,
        };
        app.start_dispatcher(dispatcher);
        // Before anything is touched: without its socket the gateway does not run.
        app.start_http()?;
        app.start_broker().await;
        for connection in app.config.adapters.connections() {
            app.start_adapter(connection).await;
        }
        app.devices.retire(&app.remembered).await;
        app.start_uplink().await;
        app.start_mqtt_api();
        app.start_watchdog();
        Ok(app)
    }

    /// Takes a changed configuration in: only what changed is restarted.
    pub async fn reload(&mut self, config: Config) {
        let mut old = std::mem::replace(&mut self.config, config);
        for (section, same) in [
            ("gateway", old.gateway == self.config.gateway),
            ("journal", old.journal == self.config.journal),
            ("commands", old.commands == self.config.commands),
        ] {
            if !same {
                tracing::warn!(section, "this section takes effect at the next start");
            }
        }
        // Until then all parts go by the old ones, also those that start now.
        std::mem::swap(&mut self.config.gateway, &mut old.gateway);
        std::mem::swap(&mut self.config.journal, &mut old.journal);
        std::mem::swap(&mut self.config.commands, &mut old.commands);
        let connections = self.config.adapters.connections();
        for gone in old.adapters.connections() {
            let stays = connections.iter().any(|new| new.name == gone.name);
            if stays && self.config.adapters.same(&old.adapters, &gone.name) {
                continue;
            }
            self.supervisor.stop_worker(&gone.name).await;
            if !stays {
                self.devices.remove_adapter(&gone.name);
            }
            tracing::info!(worker = gone.name, "stopped by the reload");
        }
        self.remembered = self.journal.reader().devices().await.unwrap_or_default();
        for connection in connections {
            if !self.config.adapters.same(&old.adapters, &connection.name) {
                tracing::info!(worker = connection.name, "started by the reload");
                self.start_adapter(connection).await;
            }
        }
        self.devices.retire(&self.remembered).await;
        if old.broker != self.config.broker {
            self.supervisor.stop_worker(BROKER).await;
            self.start_broker().await;
        }
        if old.mongodb != self.config.mongodb {
            self.supervisor.stop_worker(UPLINK).await;
            self.start_uplink().await;
        }
        if old.mqtt_api != self.config.mqtt_api {
            self.supervisor.stop_worker(MQTT_API).await;
            self.start_mqtt_api();
        }
    }

    /// Stops in order: doors, adapters, what makes durable, the uplink; then the journal.
    ///
    /// # Errors
    /// When the journal cannot be closed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.supervisor.stop().await;
        self.journal.close().await?;
        tracing::info!("stopped; everything that was taken is on disk");
        Ok(())
    }

    /// Resolves when a part failed that only a new start can mend.
    pub fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The devices.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// The latest values.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The commands.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    fn start_dispatcher(&mut self, dispatcher: Dispatcher) {
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
    async fn start_broker(&mut self) {
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

    async fn start_adapter(&mut self, connection: Connection) {
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

    async fn start_uplink(&mut self) {
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

    fn start_mqtt_api(&mut self) {
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

    fn start_http(&mut self) -> anyhow::Result<()> {
        let path = self.config.gateway.socket();
        let cannot = format!("the socket {} cannot be opened; is its folder writable?", path.display());
        let mut first = Some(http::bind(&path).context(cannot)?);
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
        Ok(())
    }

    fn start_watchdog(&mut self) {
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
