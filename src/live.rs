//! The latest value of every point of every device. Owns nothing durable: it is rebuilt from the
//! journal at start and fed by it afterwards, so what is shown here was taken by the journal.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use adapter_api::DeviceId;
use tokio::sync::watch;

use crate::journal::Stored;

/// A handle to the latest values.
#[derive(Clone)]
pub struct Live {
    latest: Arc<RwLock<BTreeMap<DeviceId, Stored>>>,
    version: Arc<watch::Sender<u64>>,
}

impl Live {
    /// Starts from what the journal knew.
    pub fn new(latest: Vec<Stored>) -> Self {
        let latest = latest.into_iter().map(|stored| (stored.reading.device.clone(), stored)).collect();
        Self { latest: Arc::new(RwLock::new(latest)), version: Arc::new(watch::Sender::new(0)) }
    }

    /// Takes readings in. A point that a reading does not carry keeps its last value, because some
    /// devices tell each point in its own message.
    pub fn apply(&self, taken: &[Stored]) {
        {
            let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
            for stored in taken {
                match latest.get_mut(&stored.reading.device) {
                    Some(held) => merge(held, stored),
                    None => {
                        latest.insert(stored.reading.device.clone(), stored.clone());
                    }
                }
            }
        }
        self.version.send_modify(|version| *version += 1);
    }

    /// The latest of one device.
    pub fn device(&self, id: &str) -> Option<Stored> {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The latest of every device.
    pub fn all(&self) -> Vec<Stored> {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The latest of devices whose number is not the one that is already known there: what a
    /// reader that was slow or away has to catch up, newest state only.
    pub fn newer_than(&self, known: &BTreeMap<DeviceId, u64>) -> Vec<Stored> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        let newer = latest.iter().filter(|(id, stored)| known.get(*id) != Some(&stored.number));
        newer.map(|(_, stored)| stored.clone()).collect()
    }

    /// Changes whenever values do.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

fn merge(held: &mut Stored, newer: &Stored) {
    let mut points = std::mem::take(&mut held.reading.points);
    // Nearly always the same points in the same order.
    let same = points.len() == newer.reading.points.len()
        && points.iter().zip(&newer.reading.points).all(|((old, _), (new, _))| old == new);
    if same {
        *held = newer.clone();
        return;
    }
    for (point, value) in &newer.reading.points {
        match points.iter_mut().find(|(name, _)| name == point) {
            Some((_, old)) => *old = value.clone(),
            None => points.push((point.clone(), value.clone())),
        }
    }
    *held = newer.clone();
    held.reading.points = points;
}
