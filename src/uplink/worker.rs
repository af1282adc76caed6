//! One worker, one call at a time: connect, then turns of readings, commands, devices and states;
//! after an error a growing pause and the same again.

use std::{mem::Discriminant, time::Duration};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Identity, Latest, UplinkError, UplinkStatus, forwarder::Forwarder, mirror::Mirror};
use crate::{
    journal::{Journal, Reader},
    mongo::{self, Connection, MongoError},
};

/// Pause between two looks into the journal when nothing is urgent: what a command's document may lag.
const PAUSE: Duration = Duration::from_millis(500);
/// Shortest and longest pause after an error.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LAST: Duration = Duration::from_secs(30);

pub(super) struct Worker {
    journal: Journal,
    settings: mongo::Settings,
    identity: Identity,
    latest: Latest,
    status: watch::Sender<UplinkStatus>,
    trouble: Option<Trouble>,
    /// Made at the first connection and kept: the forwarder's session must outlive an outage.
    parts: Option<Parts>,
}

struct Parts {
    connection: Connection,
    forwarder: Forwarder,
    mirror: Mirror,
}

/// What is wrong, since when, and how long to wait next time.
struct Trouble {
    /// None when it is the journal's.
    kind: Option<Discriminant<MongoError>>,
    since: Instant,
    delays: ExponentialBackoff,
}

impl Worker {
    pub(super) fn new(
        journal: Journal,
        settings: mongo::Settings,
        identity: Identity,
        latest: Latest,
    ) -> Self {
        let status = watch::Sender::new(UplinkStatus::default());
        Self { journal, settings, identity, latest, status, trouble: None, parts: None }
    }

    pub(super) fn status(&self) -> watch::Receiver<UplinkStatus> {
        self.status.subscribe()
    }

    pub(super) async fn run(&mut self, shutdown: &CancellationToken) {
        while let Err(error) = self.work(shutdown).await {
            let delay = self.failed(&error).await;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(delay) => {}
            }
        }
    }

    /// Connects and works until shutdown, or until something fails.
    async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), UplinkError> {
        self.connect().await?;
        loop {
            let stopping = shutdown.is_cancelled();
            let busy = self.turn(stopping).await?;
            self.succeeded();
            if busy {
                continue;
            }
            if stopping {
                return Ok(());
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep(PAUSE) => {}
            }
        }
    }

    /// Also after an outage: another server may answer, or the collections may be gone.
    async fn connect(&mut self) -> Result<(), UplinkError> {
        let connection = match &self.parts {
            Some(parts) => parts.connection.clone(),
            None => Connection::open(&self.settings, &self.identity.gateway_id).await?,
        };
        let server = connection.server().await?;
        let kind = mongo::prepare(&connection, &self.settings, &server).await?;
        match &mut self.parts {
            Some(parts) => {
                parts.forwarder.set_kind(kind);
                parts.mirror.start_again();
            }
            None => {
                let forwarder =
                    Forwarder::open(&self.journal, connection.clone(), &self.identity, kind).await?;
                let mirror = Mirror::open(&self.journal, connection.clone(), &self.identity).await?;
                self.parts = Some(Parts { connection, forwarder, mirror });
            }
        }
        tracing::debug!(?server, ?kind, "MongoDB answers");
        Ok(())
    }

    /// One round. True when more waits.
    async fn turn(&mut self, stopping: bool) -> Result<bool, UplinkError> {
        let parts = self.parts.as_mut().expect("connect() made them");
        parts.mirror.devices().await?;
        let readings = parts.forwarder.step(stopping, &parts.mirror).await?;
        let commands = parts.mirror.commands().await?;
        parts.mirror.states(&self.latest).await?;
        self.status.send_modify(|status| {
            status.delivered_number = parts.forwarder.delivered();
            status.backlog = parts.forwarder.backlog();
            status.refused = parts.forwarder.refused() + parts.mirror.refused();
        });
        Ok(readings || commands)
    }

    fn succeeded(&mut self) {
        self.status.send_if_modified(|status| {
            let was = status.connected && status.last_error.is_none();
            status.connected = true;
            status.last_error = None;
            !was
        });
        if let Some(trouble) = self.trouble.take() {
            let seconds = trouble.since.elapsed().as_secs();
            tracing::info!(seconds, "MongoDB takes the copy again");
        }
    }

    /// Says it once per kind of trouble; gives the pause.
    async fn failed(&mut self, error: &UplinkError) -> Duration {
        let backlog = self.backlog().await;
        self.status.send_modify(|status| {
            status.connected = matches!(error, UplinkError::Journal(_)) && status.connected;
            status.last_error = Some(error.to_string());
            status.backlog = backlog.unwrap_or(status.backlog);
        });
        let kind = match error {
            UplinkError::Mongo(error) => Some(std::mem::discriminant(error)),
            UplinkError::Journal(_) => None,
        };
        let known = self.trouble.as_ref().map(|trouble| trouble.kind);
        if known != Some(kind) {
            match error {
                UplinkError::Mongo(MongoError::Failed(_) | MongoError::TimedOut(_)) => {
                    tracing::warn!(%error, "MongoDB does not take the copy: it waits in the journal");
                }
                _ => tracing::error!(%error, "nothing goes to MongoDB: it waits in the journal"),
            }
        }
        let trouble =
            self.trouble.get_or_insert_with(|| Trouble { kind, since: Instant::now(), delays: delays() });
        trouble.kind = kind;
        trouble.delays.next().unwrap_or(RETRY_LAST)
    }

    /// Readings that wait, also while MongoDB was never reached.
    async fn backlog(&self) -> Option<u64> {
        let reader: Reader = self.journal.reader();
        // The journal's own copy of the cursor lags by a commit.
        let delivered = match &self.parts {
            Some(parts) => parts.forwarder.delivered(),
            None => reader.cursor(super::forwarder::CURSOR).await.ok()?,
        };
        Some(reader.last_number().await.ok()?.saturating_sub(delivered))
    }
}

fn delays() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(RETRY_FIRST)
        .with_max_delay(RETRY_LAST)
        .with_jitter()
        .without_max_times()
        .build()
}
