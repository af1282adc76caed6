//! How commands stand when the gateway starts.

use std::{collections::HashMap, sync::Arc};

use adapter_api::{Moment, Purpose};

use super::{DOUBT_WAIT_MS, Engine, Pending, admit::waiting_entry};
use crate::{
    command::{
        Settings,
        lease::{self, Ledger},
        queue::{Entry, Queue},
        rate::Rate,
        wear::{self, WearGuard},
    },
    journal::{Change, CommandRow, Journal, JournalError},
};

/// Space and key of the note with the boot's id.
const BOOT: (&str, &str) = ("commands", "boot");

/// Notes as the journal kept them: key and value.
pub type Notes = Vec<(String, Vec<u8>)>;

/// What the journal knew at the start.
#[derive(Default)]
pub struct Known {
    /// Commands that were executing.
    pub in_flight: Vec<CommandRow>,
    /// Commands that waited.
    pub waiting: Vec<CommandRow>,
    /// Who holds which setpoint.
    pub leases: Notes,
    /// When what wears out was written.
    pub wear: Notes,
    /// The kernel's id of the boot in which this was kept; none at the first start.
    pub boot: Option<String>,
}

impl Known {
    /// Reads the rest of it.
    ///
    /// # Errors
    /// When the journal cannot be read: without its leases the gateway must not start.
    pub async fn read(
        journal: &Journal,
        in_flight: Vec<CommandRow>,
        waiting: Vec<CommandRow>,
    ) -> Result<Self, JournalError> {
        let reader = journal.reader();
        let (leases, wear) = (reader.notes(lease::SPACE).await?, reader.notes(wear::SPACE).await?);
        let boot = reader.note(BOOT.0, BOOT.1).await?;
        let boot = boot.map(|boot| String::from_utf8_lossy(&boot).into_owned());
        Ok(Self { in_flight, waiting, leases, wear, boot })
    }
}

impl Engine {
    /// Commands that were in flight are read back, waiting ones wait on; leases go on in the same
    /// boot and are over in another.
    pub fn start(settings: Settings, boot: &str, known: Known, now: Moment) -> Self {
        let (ledger, rebooted) = Ledger::kept(known.leases, boot, now);
        let rate = Rate::new(settings.rate_limit);
        let wear = WearGuard::new(settings.wear, known.wear);
        let mut engine = Self {
            settings,
            boot: Arc::from(boot),
            queue: Queue::default(),
            ledger,
            rate,
            wear,
            devices: HashMap::new(),
            units: HashMap::new(),
            pending: HashMap::new(),
            tickets: 0,
            starting: std::collections::HashSet::new(),
            upkeep: HashMap::new(),
            watches: std::collections::BTreeMap::new(),
            clock: now.wall_ms.saturating_sub(i64::try_from(now.mono_ms).unwrap_or(i64::MAX)),
            looked: now.mono_ms,
            unkept: HashMap::new(),
            closed: None,
            batches: HashMap::new(),
            open_batches: HashMap::new(),
            out: Vec::new(),
            leases_changed: true,
        };
        let other_boot = known.boot.as_deref().is_some_and(|known| known != boot);
        if known.boot.as_deref() != Some(boot) {
            let value = Some(boot.as_bytes().to_vec());
            let note = Change::Note { space: BOOT.0, key: BOOT.1.to_owned(), value };
            engine.commit(Pending::Notes, vec![note], Vec::new(), Vec::new(), true);
        }
        for row in known.in_flight {
            tracing::info!(command = row.number, id = row.id, "command was in flight and will be read back");
            let entry = waiting_entry(Arc::new(row), now);
            let doubt_until = now.mono_ms + DOUBT_WAIT_MS;
            engine.known(Entry { purpose: Purpose::ReadBack, due: 0, doubt_until, other_boot, ..entry });
        }
        for row in known.waiting {
            engine.known(waiting_entry(Arc::new(row), now));
        }
        engine.recover_leases(rebooted, now);
        engine
    }

    fn known(&mut self, mut entry: Entry) {
        entry.by_wall = true;
        if let Some(id) = &entry.row.batch_id {
            *self.batches.entry(id.clone()).or_default() += 1;
        }
        self.queue.insert(entry);
    }
}
