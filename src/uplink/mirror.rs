//! Commands to `devicecommands`, devices and their latest states to `devices`.
//!
//! Commands follow the journal's revisions, so each change arrives, in order. Devices are compared
//! with what was sent: a change goes at once, a state at most every 10 s.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use adapter_api::DeviceId;
use tokio::time::Instant;

use super::{Identity, Latest, UplinkError, convert};
use crate::{
    journal::{DeviceRow, Journal, Reader},
    mongo::{self, Connection, MongoError, StateInput},
};

/// Revision of the last change of a command that was delivered.
const CURSOR: &str = "mongodb.commands";
/// Commands between two moves of the cursor.
const PAGE: usize = 100;
/// Time between two looks at the devices.
const DEVICES_EVERY: Duration = Duration::from_secs(2);
/// Time between two states of a device.
const STATES_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Mirror {
    journal: Journal,
    reader: Reader,
    connection: Connection,
    identity: Identity,
    installation: [u8; 16],
    generation: u64,
    revision: u64,
    devices: Vec<DeviceRow>,
    devices_at: Option<Instant>,
    /// As last delivered, without `seen_at`.
    registered: HashMap<DeviceId, DeviceRow>,
    /// Devices whose document is another gateway's.
    foreign: HashSet<DeviceId>,
    states_at: Option<Instant>,
    /// Number of the last state that was delivered.
    states: HashMap<DeviceId, u64>,
    refused: u64,
}

impl Mirror {
    pub(super) async fn open(
        journal: &Journal,
        connection: Connection,
        identity: &Identity,
    ) -> Result<Self, UplinkError> {
        let reader = journal.reader();
        Ok(Self {
            installation: journal.installation(),
            generation: journal.generation(),
            revision: reader.cursor(CURSOR).await?,
            journal: journal.clone(),
            reader,
            connection,
            identity: identity.clone(),
            devices: Vec::new(),
            devices_at: None,
            registered: HashMap::new(),
            foreign: HashSet::new(),
            states_at: None,
            states: HashMap::new(),
            refused: 0,
        })
    }

    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }

    /// After an outage every device is registered anew: the database may be another one.
    pub(super) fn start_again(&mut self) {
        self.registered.clear();
        self.devices_at = None;
        self.states.clear();
        self.states_at = None;
    }

    /// Delivers one page of changed commands. True when more wait.
    pub(super) async fn commands(&mut self) -> Result<bool, UplinkError> {
        let rows = self.reader.commands_changed_after(self.revision, PAGE).await?;
        let Some(last) = rows.last().map(|(revision, _)| *revision) else { return Ok(false) };
        for (_, row) in &rows {
            if self.foreign.contains(&row.device) {
                self.refused += 1;
                continue;
            }
            let name = self.devices.iter().find(|d| d.info.id == row.device).map(|d| d.info.name.as_str());
            let device_id = self.identity.device(&row.device);
            let input = convert::command(row, name, &self.identity, &device_id, &self.installation);
            match mongo::upsert_command(&self.connection, &input).await {
                Ok(()) => {}
                Err(MongoError::Refused { reason, .. }) => {
                    self.refused += 1;
                    let (number, id) = (row.number, &row.id);
                    tracing::error!(
                        number,
                        id,
                        reason,
                        "MongoDB refuses a command for good: it stays in the journal"
                    );
                }
                Err(other) => return Err(other.into()),
            }
        }
        self.journal.set_cursor(CURSOR, last).await?;
        self.revision = last;
        Ok(rows.len() == PAGE)
    }

    /// Does MongoDB hold it as another gateway's?
    pub(super) fn is_foreign(&self, device: &DeviceId) -> bool {
        self.foreign.contains(device)
    }

    /// A device as it was last read.
    pub(super) fn device(&self, device: &DeviceId) -> Option<&DeviceRow> {
        self.devices.iter().find(|row| row.info.id == *device)
    }

    /// Registers the devices that changed.
    pub(super) async fn devices(&mut self) -> Result<(), UplinkError> {
        if self.devices_at.is_some_and(|at| at.elapsed() < DEVICES_EVERY) {
            return Ok(());
        }
        self.devices = self.reader.devices().await?;
        self.devices_at = Some(Instant::now());
        for row in &self.devices {
            let device = &row.info.id;
            let compared = DeviceRow { seen_at: None, ..row.clone() };
            if self.registered.get(device) == Some(&compared) {
                continue;
            }
            let device_id = self.identity.device(device);
            let input = convert::device(row, &self.identity, &device_id, now());
            match mongo::upsert_device(&self.connection, &input).await {
                Ok(()) => {
                    self.foreign.remove(device);
                }
                Err(error @ MongoError::Foreign { .. }) => {
                    if self.foreign.insert(device.clone()) {
                        tracing::error!(%device, %error, "a device is not shown in MongoDB");
                    }
                }
                Err(MongoError::Refused { reason, .. }) => {
                    self.refused += 1;
                    tracing::error!(%device, reason, "MongoDB refuses a device for good");
                }
                Err(other) => return Err(other.into()),
            }
            self.registered.insert(device.clone(), compared);
        }
        Ok(())
    }

    /// Delivers the latest states that are newer than the last.
    pub(super) async fn states(&mut self, latest: &Latest) -> Result<(), UplinkError> {
        if self.states_at.is_some_and(|at| at.elapsed() < STATES_EVERY) {
            return Ok(());
        }
        for stored in latest() {
            let device = &stored.reading.device;
            let known = self.registered.contains_key(device) && !self.foreign.contains(device);
            if !known || self.states.get(device).is_some_and(|number| stored.number <= *number) {
                continue;
            }
            let device_id = self.identity.device(device);
            let input = StateInput {
                user_id: self.identity.user(),
                device_id: &device_id,
                gateway_id: &self.identity.gateway_id,
                points: &stored.reading.points,
                generation: self.generation,
                number: stored.number,
                measured_at: stored.reading.measured_at.wall_ms,
                now: now(),
            };
            match mongo::write_state(&self.connection, &input).await {
                Ok(_) => {}
                Err(MongoError::Refused { reason, .. }) => {
                    self.refused += 1;
                    tracing::error!(%device, reason, "MongoDB refuses a device's state for good");
                }
                Err(other) => return Err(other.into()),
            }
            self.states.insert(device.clone(), stored.number);
        }
        self.states_at = Some(Instant::now());
        Ok(())
    }
}

/// For `updatedAt`, which orders nothing.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
