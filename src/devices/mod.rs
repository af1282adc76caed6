//! The registry: which devices there are, whether they answer, and what is wrong with them in
//! words. Fed by the configuration and by the adapters; kept in the journal, so that a device is
//! known before it answers. Decides nothing about commands.

mod notes;
mod outlet;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use adapter_api::{Availability, Clock, Counter, DeviceId, DeviceInfo, Problem};
use futures_util::future::join_all;
use tokio::sync::watch;

pub use self::{notes::Notes, outlet::DevicesOutlet};
use crate::journal::{DeviceRow, Journal};

/// A handle to the registry.
#[derive(Clone)]
pub struct Devices {
    rows: Arc<RwLock<BTreeMap<DeviceId, DeviceRow>>>,
    /// Only of devices in `rows`; locked after it.
    counts: Arc<RwLock<BTreeMap<DeviceId, BTreeMap<Counter, u64>>>>,
    version: Arc<watch::Sender<u64>>,
    journal: Journal,
    clock: Clock,
}

impl Devices {
    /// An empty registry; [`Self::configure`] fills it.
    pub fn new(journal: Journal, clock: Clock) -> Self {
        Self {
            rows: Arc::default(),
            counts: Arc::default(),
            version: Arc::new(watch::Sender::new(0)),
            journal,
            clock,
        }
    }

    /// Takes one adapter's configured devices in, with what the journal remembers of them and of
    /// their discovered parts. What the adapter had before and has no more is left out.
    /// `disabled` are ids that the configuration switches off.
    pub async fn configure(
        &self,
        adapter: &str,
        declared: Vec<DeviceInfo>,
        disabled: &[String],
        remembered: &[DeviceRow],
    ) {
        let belongs = |row: &DeviceRow, info: &DeviceInfo| {
            let rest = row.info.id.as_str().strip_prefix(info.id.as_str());
            row.info.unit == info.unit && rest.is_some_and(|part| part.is_empty() || part.starts_with('-'))
        };
        let known = |row: &&DeviceRow| {
            let off = disabled.iter().any(|id| row.info.id == id.as_str());
            row.adapter == adapter && !off && declared.iter().any(|info| belongs(row, info))
        };
        let mut rows: BTreeMap<DeviceId, DeviceRow> = remembered
            .iter()
            .filter(known)
            .map(|row| {
                // Whether it answers now is not known yet; commands for it wait until it does.
                (row.info.id.clone(), DeviceRow { availability: None, problem: None, ..row.clone() })
            })
            .collect();
        for info in declared {
            let old = rows.remove(&info.id);
            let seen_at = old.as_ref().and_then(|row| row.seen_at);
            let info = match old {
                Some(row) if row.info.profile == info.profile => configured_over(row.info, info),
                _ => info,
            };
            let (adapter, availability, problem) = (adapter.to_owned(), None, None);
            rows.insert(info.id.clone(), DeviceRow { info, adapter, availability, problem, seen_at });
        }
        {
            let mut held = self.rows.write().unwrap_or_else(PoisonError::into_inner);
            held.retain(|_, row| row.adapter != adapter);
            held.extend(rows.clone());
            self.forget_counts(&held);
        }
        self.version.send_modify(|version| *version += 1);
        // Together, so that they share one commit; what the journal has already is not written again.
        let new = rows.into_values().filter(|row| !remembered.contains(row));
        join_all(new.map(|row| self.save(row))).await;
    }

    /// Devices that the journal remembers and no configuration names any more are offline for all
    /// who read of them later.
    pub async fn retire(&self, remembered: &[DeviceRow]) {
        let gone = remembered.iter().filter(|row| {
            row.availability != Some(Availability::Offline) && self.get(row.info.id.as_str()).is_none()
        });
        let offline = gone.map(|row| DeviceRow {
            availability: Some(Availability::Offline),
            problem: Some(Problem::new("It is no longer configured", "Nothing to do, or configure it again")),
            ..row.clone()
        });
        join_all(offline.map(|row| self.save(row))).await;
    }

    /// Leaves out what an adapter had: it is no longer configured.
    pub fn remove_adapter(&self, adapter: &str) {
        {
            let mut held = self.rows.write().unwrap_or_else(PoisonError::into_inner);
            held.retain(|_, row| row.adapter != adapter);
            self.forget_counts(&held);
        }
        self.version.send_modify(|version| *version += 1);
    }

    /// What was counted of a device goes with it.
    fn forget_counts(&self, held: &BTreeMap<DeviceId, DeviceRow>) {
        let mut counts = self.counts.write().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|id, _| held.contains_key(id));
        self.journal.retain_disbelieved(|id| held.contains_key(id));
    }

    /// One device.
    pub fn get(&self, id: &str) -> Option<DeviceRow> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// All devices, by id.
    pub fn all(&self) -> Vec<DeviceRow> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Does it answer?
    pub fn is_online(&self, id: &str) -> bool {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.get(id).is_some_and(|row| row.availability == Some(Availability::Online))
    }

    /// Changes whenever a device does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    async fn announce(&self, adapter: &str, info: DeviceInfo) {
        let id = info.id.clone();
        self.change(&id, |row| {
            let mut row = row.cloned().unwrap_or_else(|| DeviceRow {
                info: info.clone(),
                adapter: adapter.to_owned(),
                availability: None,
                problem: None,
                seen_at: None,
            });
            row.info = info;
            row.adapter = adapter.to_owned();
            Some(row)
        })
        .await;
    }

    async fn availability(&self, id: &DeviceId, state: Availability) {
        let now = self.clock.now().wall_ms;
        self.change(id, |row| {
            let mut row = row?.clone();
            row.availability = Some(state);
            if state == Availability::Online {
                row.seen_at = Some(now);
            }
            Some(row)
        })
        .await;
    }

    fn count(&self, id: &DeviceId, what: Counter, times: u64) {
        // Held meanwhile, so that what an adapter says at its end does not outlive the device.
        let held = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        if !held.contains_key(id) {
            return;
        }
        let mut counts = self.counts.write().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(id.clone()).or_default().entry(what).or_default() += times;
    }

    /// What was counted of a device since the start of the process, as long as it was there.
    pub fn counts(&self, id: &str) -> BTreeMap<Counter, u64> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        if !rows.contains_key(id) {
            return BTreeMap::new();
        }
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        let mut counted = counts.get(id).cloned().unwrap_or_default();
        // What it said is an adapter's to judge, what it counted is the journal's.
        for (what, times) in self.journal.disbelieved(id) {
            *counted.entry(what).or_default() += times;
        }
        counted
    }

    async fn problem(&self, id: &DeviceId, problem: Option<Problem>) {
        self.change(id, |row| Some(DeviceRow { problem, ..row?.clone() })).await;
    }

    /// Applies a change and keeps it when it is one.
    async fn change(&self, id: &DeviceId, change: impl FnOnce(Option<&DeviceRow>) -> Option<DeviceRow>) {
        let changed = {
            let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
            let old = rows.get(id);
            match change(old) {
                Some(new) if old != Some(&new) => {
                    rows.insert(id.clone(), new.clone());
                    Some(new)
                }
                _ => None,
            }
        };
        if let Some(row) = changed {
            self.version.send_modify(|version| *version += 1);
            self.save(row).await;
        }
    }

    async fn save(&self, row: DeviceRow) {
        let id = row.info.id.clone();
        if let Err(error) = self.journal.save_device(row).await {
            // The registry in memory is right; the journal tells the condition itself, once.
            tracing::debug!(device = %id, %error, "device is not kept in the journal");
        }
    }
}

/// What the device told about itself, under what the configuration says now.
fn configured_over(told: DeviceInfo, now: DeviceInfo) -> DeviceInfo {
    DeviceInfo {
        id: now.id,
        unit: now.unit,
        name: now.name,
        room: now.room,
        location: now.location,
        usage: now.usage,
        control: now.control,
        interval: now.interval,
        bounds: now.bounds,
        ..told
    }
}
