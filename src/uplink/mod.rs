//! The journal's copy in MongoDB: readings become `energymeasurements`, commands `devicecommands`,
//! devices `devices`.
//!
//! Nothing on this machine waits for it: while MongoDB is away, frozen or wrong, everything stays in
//! the journal and this worker tries again, ever more seldom. A reading is delivered when the
//! majority has it on disk; only then does the cursor move. It writes nothing into the journal but
//! its cursors, and takes nothing out.
//!
//! | cursor | holds |
//! | --- | --- |
//! | `mongodb.measurements` | number of the last reading that was delivered, or that will never be |
//! | `mongodb.commands` | revision of the last change of a command that was delivered |

mod convert;
mod forwarder;
mod mirror;
mod worker;

use std::{sync::Arc, time::Duration};

use adapter_api::DeviceId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    journal::{Journal, JournalError, Stored},
    mongo::{self, MongoError},
};
use worker::Worker;

/// After `shutdown`, what runs and what waits may take this long; the rest goes after the next start.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// Who this gateway is in MongoDB.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The gateway's id.
    pub gateway_id: String,
    /// Owner of the devices; without one the gateway's id stands there.
    pub user_id: Option<String>,
    /// What stands before a device's id; by default the gateway's id and `-`.
    pub device_prefix: Option<String>,
}

impl Identity {
    /// The `userId` of all documents.
    pub fn user(&self) -> &str {
        self.user_id.as_deref().unwrap_or(&self.gateway_id)
    }

    /// The `deviceId` of a device's documents.
    pub fn device(&self, device: &DeviceId) -> String {
        match &self.device_prefix {
            Some(prefix) => format!("{prefix}{device}"),
            None => format!("{}-{device}", self.gateway_id),
        }
    }
}

/// How the copy stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UplinkStatus {
    /// Did MongoDB take the last thing that it was given?
    pub connected: bool,
    /// The last reading that is delivered.
    pub delivered_number: u64,
    /// Readings that wait.
    pub backlog: u64,
    /// Documents that MongoDB refused for good since the start.
    pub refused: u64,
    /// What is wrong now, in words.
    pub last_error: Option<String>,
}

/// Shows how the copy stands. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UplinkHandle(watch::Receiver<UplinkStatus>);

impl UplinkHandle {
    /// As of the last step.
    pub fn status(&self) -> UplinkStatus {
        self.0.borrow().clone()
    }
}

/// The latest reading of every device.
pub type Latest = Arc<dyn Fn() -> Vec<Stored> + Send + Sync>;

/// Why a step did not end.
#[derive(Debug, thiserror::Error)]
enum UplinkError {
    #[error(transparent)]
    Mongo(#[from] MongoError),
    #[error("the journal did not answer: {0}")]
    Journal(#[from] JournalError),
}

/// The worker.
pub struct Uplink {
    worker: Worker,
}

impl Uplink {
    /// Touches nothing yet. `latest` gives the latest reading of every device.
    pub fn new(journal: Journal, mongo: mongo::Settings, identity: Identity, latest: Latest) -> Self {
        Self { worker: Worker::new(journal, mongo, identity, latest) }
    }

    /// Where its status can be seen.
    pub fn handle(&self) -> UplinkHandle {
        UplinkHandle(self.worker.status())
    }

    /// Runs until `shutdown`, then delivers what waits if that takes no longer than 5 s.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let grace = async {
            shutdown.cancelled().await;
            tokio::time::sleep(FINISH_WITHIN).await;
        };
        // A call that is dropped here is in doubt; the next start reads back before it sends.
        tokio::select! {
            () = self.worker.run(&shutdown) => {}
            () = grace => tracing::warn!("MongoDB did not answer in time while stopping: what waits goes after the next start"),
        }
    }
}
