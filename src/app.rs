//! The composition root: builds every part, wires the channels, and changes what a reload changes.
//! The only file that wires.

mod workers;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use adapter_api::Clock;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::workers::{BROKER, MQTT_API, UPLINK};
use crate::{
    clock,
    command::{self, Commands, Dispatcher},
    config::Config,
    devices::Devices,
    health::Pulses,
    journal::{DeviceRow, Journal},
    live::Live,
    supervisor::{Phase, Supervisor},
    uplink::UplinkHandle,
};

/// How long a stop or a reload waits for devices to confirm that they are free again.
const GIVE_BACK: Duration = Duration::from_secs(15);

/// How often it is said meanwhile.
const SAY: Duration = Duration::from_secs(1);

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
        let known = command::Known::read(&journal, recovery.in_flight, recovery.waiting).await?;
        let settings = config.commands.settings();
        let (dispatcher, commands) =
            Dispatcher::new(settings, journal.clone(), devices.clone(), live.clone(), clock.clone(), known);
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
        let socket = app.bind_socket()?;
        app.start_broker().await;
        for connection in app.config.adapters.connections() {
            app.start_adapter(connection).await;
        }
        app.devices.retire(&app.remembered).await;
        // Doors open when all devices are known: none is refused for coming too early.
        app.start_http(socket);
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
            self.give_back(Some([gone.name.clone()].into()), "the gateway's configuration changed").await;
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
        self.commands.reopen().await;
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

    /// Stops in order: doors; then what is held is given back while the adapters live; adapters, what
    /// makes durable, the uplink; then the journal.
    ///
    /// # Errors
    /// When the journal cannot be closed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.supervisor.stop_phase(Phase::Doors).await;
        self.give_back(None, "the gateway stops").await;
        self.supervisor.stop().await;
        self.journal.close().await?;
        tracing::info!("stopped; everything that was taken is on disk");
        Ok(())
    }

    /// Devices that are away cannot confirm: what they hold is given back at the next start.
    async fn give_back(&self, adapters: Option<HashSet<String>>, reason: &str) {
        let given_back = self.commands.give_back(adapters, reason);
        tokio::pin!(given_back);
        let deadline = Instant::now() + GIVE_BACK;
        while timeout(SAY, &mut given_back).await.is_err() {
            tracing::info!(still_running = "devices that are given back", "stopping");
            if Instant::now() >= deadline {
                tracing::warn!(
                    "some setpoints could not be given back yet, because their devices do not answer; it is done as soon as they do"
                );
                return;
            }
        }
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
}
