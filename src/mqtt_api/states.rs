//! The retained topics of devices: what the broker shows, and what it should.
//!
//! Newest wins: what waits is only the name of a topic; its text is made when there is room for it.
//! Owns the list of devices that may have retained topics (kept in the journal's notes by the
//! caller), so that those of a device that was removed while the gateway was off are cleared too.
//!
//! | topic | text |
//! | --- | --- |
//! | `state` | one JSON object: every live point, `timestamp` (RFC 3339 of the newest), `quality`, and `lease` while one holds (see `command::wire`) |
//! | `availability` | `online`, `offline`; a device that never answered is offline |
//! | `error` | what is wrong and what to do; empty when fine |

mod text;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use adapter_api::{Availability, DeviceId};
use serde_json::Value as Json;
use tokio::{sync::watch, time::Instant};

use super::{
    message::{Message, Ticket},
    topics::{Leaf, Topics},
};
use crate::{command::LeaseView, devices::Devices, journal::DeviceRow, live::Live};

/// Shortest time between two states of a device.
const COALESCE: Duration = Duration::from_millis(100);
/// Everything is said again this often, for brokers that forgot and clients that clear.
const AGAIN: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, PartialEq)]
struct Shown {
    availability: Availability,
    problem: Option<String>,
}

impl From<DeviceRow> for Shown {
    fn from(row: DeviceRow) -> Self {
        Self {
            availability: row.availability.unwrap_or(Availability::Offline),
            problem: row.problem.map(|problem| problem.to_string()),
        }
    }
}

type Item = (DeviceId, Leaf);

pub(super) struct States {
    live: Live,
    devices: Devices,
    leases: watch::Receiver<Arc<Vec<LeaseView>>>,
    /// Who holds which device, as last looked at.
    held: BTreeMap<DeviceId, Json>,
    /// Registered devices, as last looked at.
    present: BTreeMap<DeviceId, Shown>,
    /// Devices that may have retained topics.
    listed: BTreeSet<DeviceId>,
    /// Number of the last reading that was noticed.
    known: BTreeMap<DeviceId, u64>,
    waiting: VecDeque<Item>,
    waits: HashSet<Item>,
    /// Devices with a state in the client's queue: one at most.
    queued: HashSet<DeviceId>,
    live_changed: bool,
    devices_changed: bool,
    leases_changed: bool,
    looked: Instant,
    again: Instant,
}

impl States {
    /// `note` is the list of devices as it was kept.
    pub fn new(
        live: Live,
        devices: Devices,
        leases: watch::Receiver<Arc<Vec<LeaseView>>>,
        note: Option<&[u8]>,
    ) -> Self {
        let note = note.map(String::from_utf8_lossy).unwrap_or_default();
        let now = Instant::now();
        Self {
            live,
            devices,
            leases,
            held: BTreeMap::new(),
            present: BTreeMap::new(),
            listed: note.lines().filter_map(|id| DeviceId::new(id).ok()).collect(),
            known: BTreeMap::new(),
            waiting: VecDeque::new(),
            waits: HashSet::new(),
            queued: HashSet::new(),
            live_changed: false,
            devices_changed: false,
            leases_changed: false,
            looked: now,
            again: now + AGAIN,
        }
    }

    pub fn live_changed(&mut self) {
        self.live_changed = true;
    }

    pub fn devices_changed(&mut self) {
        self.devices_changed = true;
    }

    pub fn leases_changed(&mut self) {
        self.leases_changed = true;
    }

    /// A new connection: nothing is known to be shown.
    pub fn connected(&mut self, now: Instant) {
        self.waiting.clear();
        self.waits.clear();
        self.queued.clear();
        self.all_again(now);
    }

    /// When [`Self::look`] has something to do.
    pub fn due(&self) -> Instant {
        let changed = self.live_changed || self.devices_changed || self.leases_changed;
        if changed { self.looked + COALESCE } else { self.again }
    }

    /// Sees what changed. Gives the list to keep, when that changed.
    pub fn look(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now >= self.again {
            self.all_again(now);
        }
        if now < self.due() {
            return None;
        }
        self.looked = now;
        let listed = self.listed.len();
        if std::mem::take(&mut self.devices_changed) {
            self.look_at_devices();
        }
        if std::mem::take(&mut self.leases_changed) {
            self.look_at_leases();
        }
        if std::mem::take(&mut self.live_changed) {
            self.look_at_live();
        }
        (self.listed.len() != listed).then(|| self.note())
    }

    /// The next message to publish.
    pub fn next(&mut self, topics: &Topics) -> Option<(Message, Ticket)> {
        loop {
            let item = self.waiting.pop_front()?;
            self.waits.remove(&item);
            let (device, leaf) = &item;
            let topic = topics.device(device, *leaf);
            let Some(shown) = self.present.get(device) else {
                // The error topic is the last of a removed device.
                let ticket =
                    if *leaf == Leaf::Error { Ticket::Cleared(device.clone()) } else { Ticket::Plain };
                return Some((Message::retained(topic, String::new()), ticket));
            };
            match leaf {
                Leaf::Availability => {
                    let word = shown.availability.as_str().to_owned();
                    return Some((Message::retained(topic, word), Ticket::Plain));
                }
                Leaf::Error => {
                    let text = shown.problem.clone().unwrap_or_default();
                    return Some((Message::retained(topic, text), Ticket::Plain));
                }
                _ => {}
            }
            if self.queued.contains(device) {
                self.known.remove(device);
                self.live_changed = true;
            } else if let Some(stored) = self.live.device(device.as_str()) {
                self.known.insert(device.clone(), stored.number);
                self.queued.insert(device.clone());
                return Some((
                    Message::state(topic, &text::state(&stored, self.held.get(device))),
                    Ticket::State(device.clone()),
                ));
            }
        }
    }

    /// The client sent this device's state.
    pub fn sent(&mut self, device: &DeviceId) {
        self.queued.remove(device);
    }

    /// The broker shows nothing of this device any more. Gives the list to keep.
    pub fn cleared(&mut self, device: &DeviceId) -> Option<Vec<u8>> {
        // It may have come back meanwhile.
        (!self.present.contains_key(device) && self.listed.remove(device)).then(|| self.note())
    }

    fn all_again(&mut self, now: Instant) {
        self.present.clear();
        self.known.clear();
        self.live_changed = true;
        self.devices_changed = true;
        self.leases_changed = true;
        // At once.
        self.looked = now.checked_sub(COALESCE).unwrap_or(now);
        self.again = now + AGAIN;
    }

    fn look_at_devices(&mut self) {
        let rows = self.devices.all().into_iter();
        let present: BTreeMap<_, _> = rows.map(|row| (row.info.id.clone(), Shown::from(row))).collect();
        for (device, shown) in &present {
            let before = self.present.get(device);
            let changed = [
                (Leaf::Availability, before.is_none_or(|before| before.availability != shown.availability)),
                (Leaf::Error, before.is_none_or(|before| before.problem != shown.problem)),
                (Leaf::State, before.is_none()),
            ];
            for (leaf, _) in changed.into_iter().filter(|(_, changed)| *changed) {
                self.wait(device, leaf);
            }
        }
        let gone: Vec<_> =
            self.listed.iter().filter(|device| !present.contains_key(*device)).cloned().collect();
        for device in gone {
            self.known.remove(&device);
            for leaf in [Leaf::State, Leaf::Availability, Leaf::Error] {
                self.wait(&device, leaf);
            }
        }
        self.listed.extend(present.keys().cloned());
        self.present = present;
    }

    fn look_at_live(&mut self) {
        for stored in self.live.newer_than(&self.known) {
            let device = stored.reading.device;
            if self.queued.contains(&device) {
                // Seen again when that one is gone.
                self.live_changed = true;
                continue;
            }
            if self.present.contains_key(&device) {
                self.wait(&device, Leaf::State);
            }
            self.known.insert(device, stored.number);
        }
    }

    fn look_at_leases(&mut self) {
        let held = text::leases(&self.leases.borrow_and_update());
        let changed: Vec<_> = self
            .held
            .keys()
            .chain(held.keys())
            .filter(|device| self.held.get(*device) != held.get(*device))
            .filter(|device| self.present.contains_key(*device))
            .cloned()
            .collect();
        self.held = held;
        for device in changed {
            self.wait(&device, Leaf::State);
        }
    }

    fn wait(&mut self, device: &DeviceId, leaf: Leaf) {
        let item = (device.clone(), leaf);
        if self.waits.insert(item.clone()) {
            self.waiting.push_back(item);
        }
    }

    fn note(&self) -> Vec<u8> {
        self.listed.iter().map(DeviceId::as_str).collect::<Vec<_>>().join("\n").into_bytes()
    }
}
