//! Who goes next. Pure: a value with rules, the caller brings the clock and the devices.
//! At most one command per physical unit is in an adapter's hands.
//!
//! What waits is kept in order, per device: of ten thousand commands for one device the next one is
//! found as fast as of ten.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use adapter_api::{DeviceId, Priority, Purpose, UnitId};

use crate::journal::CommandRow;

/// A waiting command rises one class in this time, so that none starves.
pub(super) const AGEING_MS: u64 = 15_000;

/// A command that has not ended durably.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub row: Arc<CommandRow>,
    pub purpose: Purpose,
    pub phase: Phase,
    /// Waiting since, monotonic ms: its age.
    pub since: u64,
    /// Not before, monotonic ms.
    pub due: u64,
    /// Never after, monotonic ms.
    pub deadline: u64,
    /// What was in flight at a crash may wait this long for its device to be read back, monotonic
    /// ms. It sends nothing, so the expiry does not matter to it.
    pub doubt_until: u64,
    /// The journal has it as `executing` already: it was accepted when it could start at once.
    pub marked: bool,
    /// Somebody asked to cancel it while an adapter had it: it is not tried again.
    pub cancelled_by: Option<String>,
    /// When an adapter got it last, monotonic ms.
    pub started: u64,
    /// It was in flight when the machine went down: what it holds is over.
    pub other_boot: bool,
    /// Its times are those of the wall clock, and move with it.
    pub by_wall: bool,
}

impl Entry {
    /// When its waiting is over.
    pub fn ends(&self) -> u64 {
        match self.purpose {
            Purpose::Execute | Purpose::Renew => self.deadline,
            Purpose::ReadBack => self.doubt_until,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    Waiting,
    /// In an adapter's hands, on this unit.
    Flying(UnitId),
    /// It was done; whether the battery follows it is being watched.
    Watching,
    /// Its new state is on the way to the disk; nothing happens to it until it is there.
    Committing,
}

/// What waits for one device and is due.
#[derive(Default)]
struct Ready {
    doubt: BTreeSet<u64>,
    /// By priority; oldest first, then by number.
    classes: [BTreeSet<(u64, u64)>; 4],
}

impl Ready {
    fn is_empty(&self) -> bool {
        self.doubt.is_empty() && self.classes.iter().all(BTreeSet::is_empty)
    }

    /// Rank, age and number of the one that goes first.
    fn first(&self, now: u64) -> Option<Rank> {
        // What was in flight at a crash goes first: until it is settled nobody knows what the unit does.
        if let Some(number) = self.doubt.first() {
            return Some(Rank { class: u64::MAX, since: 0, number: *number });
        }
        let heads = self.classes.iter().zip(0_u64..);
        let ranks = heads.filter_map(|(class, priority)| {
            let (since, number) = *class.first()?;
            Some(Rank { class: rank(priority, since, now), since, number })
        });
        ranks.max_by(Rank::order)
    }
}

/// The class that a waiting command has by now.
pub(super) fn rank(priority: u64, since: u64, now: u64) -> u64 {
    (priority + now.saturating_sub(since) / AGEING_MS).min(Priority::Critical as u64)
}

#[derive(Debug, Clone, Copy)]
struct Rank {
    class: u64,
    since: u64,
    number: u64,
}

impl Rank {
    /// The greater one goes first.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let age = (other.since, other.number).cmp(&(self.since, self.number));
        self.class.cmp(&other.class).then(age)
    }
}

#[derive(Default)]
pub(super) struct Queue {
    entries: HashMap<u64, Entry>,
    ids: HashMap<String, u64>,
    messages: HashMap<String, u64>,
    devices: HashMap<DeviceId, BTreeSet<u64>>,
    ready: BTreeMap<DeviceId, Ready>,
    /// Waiting for their time: due and number.
    later: BTreeSet<(u64, u64)>,
    /// Ends of what waits.
    ends: BTreeSet<(u64, u64)>,
    busy: HashMap<UnitId, u64>,
    now: u64,
}

impl Queue {
    pub fn insert(&mut self, entry: Entry) {
        let number = entry.row.number;
        self.ids.insert(entry.row.id.clone(), number);
        if let Some(message) = &entry.row.redelivery {
            self.messages.insert(message.clone(), number);
        }
        self.devices.entry(entry.row.device.clone()).or_default().insert(number);
        self.entries.insert(number, entry);
        self.index(number);
    }

    /// How many have not ended.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(&number)
    }

    pub fn by_id(&self, id: &str) -> Option<&Entry> {
        self.entries.get(self.ids.get(id)?)
    }

    /// The newest that came in this very message.
    pub fn by_message(&self, message: &str) -> Option<&Entry> {
        self.entries.get(self.messages.get(message)?)
    }

    /// What has not ended for one device, oldest first.
    pub fn of_device(&self, device: &DeviceId) -> impl Iterator<Item = &Entry> {
        let numbers = self.devices.get(device).into_iter().flatten();
        numbers.filter_map(|number| self.entries.get(number))
    }

    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub fn remove(&mut self, number: u64) -> Option<Entry> {
        self.unindex(number);
        let entry = self.entries.remove(&number)?;
        if self.ids.get(&entry.row.id) == Some(&number) {
            self.ids.remove(&entry.row.id);
        }
        if let Some(message) = &entry.row.redelivery
            && self.messages.get(message) == Some(&number)
        {
            self.messages.remove(message);
        }
        if let Some(numbers) = self.devices.get_mut(&entry.row.device) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.devices.remove(&entry.row.device);
            }
        }
        Some(entry)
    }

    /// Changes an entry; the order of what waits follows.
    pub fn change(&mut self, number: u64, change: impl FnOnce(&mut Entry)) {
        self.unindex(number);
        if let Some(entry) = self.entries.get_mut(&number) {
            change(entry);
        }
        self.index(number);
    }

    /// Time passed: what became due meanwhile, in order.
    pub fn advance(&mut self, now: u64) -> Vec<u64> {
        self.now = self.now.max(now);
        let mut due = Vec::new();
        while let Some(&(at, number)) = self.later.first()
            && at <= self.now
        {
            self.later.pop_first();
            self.make_ready(number);
            due.push(number);
        }
        due
    }

    /// The command whose turn it is on one adapter's free units. `unit` gives the unit that a
    /// device's commands go to now, if it takes any.
    pub fn next(&self, unit: impl Fn(&DeviceId) -> Option<UnitId>) -> Option<(u64, UnitId)> {
        let candidates = self.ready.iter().filter_map(|(device, ready)| {
            let unit = unit(device)?;
            let free = !self.busy.contains_key(&unit);
            Some((ready.first(self.now).filter(|_| free)?, unit))
        });
        candidates.max_by(|(rank, _), (other, _)| rank.order(other)).map(|(rank, unit)| (rank.number, unit))
    }

    /// The time up to which everything was looked at, monotonic ms.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Does an adapter work on this unit?
    pub fn is_busy(&self, unit: &UnitId) -> bool {
        self.busy.contains_key(unit)
    }

    /// Commands whose time is over while they waited.
    pub fn overdue(&self, now: u64) -> Vec<u64> {
        self.ends.iter().take_while(|(end, _)| *end <= now).map(|(_, number)| *number).collect()
    }

    /// When something changes by time alone, monotonic ms.
    pub fn next_change(&self) -> Option<u64> {
        let first = |set: &BTreeSet<(u64, u64)>| set.first().map(|(at, _)| *at);
        first(&self.later).into_iter().chain(first(&self.ends)).min()
    }

    fn index(&mut self, number: u64) {
        let Some(entry) = self.entries.get(&number) else { return };
        match &entry.phase {
            Phase::Flying(unit) => {
                self.busy.insert(unit.clone(), number);
            }
            Phase::Waiting => {
                let (due, end) = (entry.due, entry.ends());
                self.ends.insert((end, number));
                if due > self.now {
                    self.later.insert((due, number));
                } else {
                    self.make_ready(number);
                }
            }
            Phase::Watching | Phase::Committing => {}
        }
    }

    fn make_ready(&mut self, number: u64) {
        let Some(entry) = self.entries.get(&number) else { return };
        let ready = self.ready.entry(entry.row.device.clone()).or_default();
        if entry.purpose == Purpose::ReadBack {
            ready.doubt.insert(number);
        } else {
            ready.classes[entry.row.priority as usize].insert((entry.since, number));
        }
    }

    fn unindex(&mut self, number: u64) {
        let Some(entry) = self.entries.get(&number) else { return };
        match &entry.phase {
            Phase::Flying(unit) => {
                self.busy.remove(unit);
            }
            Phase::Waiting => {
                self.ends.remove(&(entry.ends(), number));
                self.later.remove(&(entry.due, number));
                if let Some(ready) = self.ready.get_mut(&entry.row.device) {
                    ready.doubt.remove(&number);
                    ready.classes[entry.row.priority as usize].remove(&(entry.since, number));
                    if ready.is_empty() {
                        self.ready.remove(&entry.row.device);
                    }
                }
            }
            Phase::Watching | Phase::Committing => {}
        }
    }
}

#[cfg(test)]
mod tests;
