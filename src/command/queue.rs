//! Who goes next. Pure: a value with rules, the caller brings the clock and the devices.
//! At most one command per physical unit is in an adapter's hands.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use adapter_api::{DeviceId, Priority, Purpose, UnitId};

use crate::journal::CommandRow;

/// A waiting command rises one class in this time, so that none starves.
const AGEING_MS: u64 = 15_000;

/// Where a device's commands go, as of now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    pub adapter: String,
    pub unit: UnitId,
    pub online: bool,
}

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
}

impl Entry {
    /// When its waiting is over.
    fn ends(&self) -> u64 {
        match self.purpose {
            Purpose::Execute => self.deadline,
            Purpose::ReadBack => self.doubt_until,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    Waiting,
    /// In an adapter's hands, on this unit.
    Flying(UnitId),
    /// Its new state is on the way to the disk; nothing happens to it until it is there.
    Committing,
}

#[derive(Default)]
pub(super) struct Queue {
    entries: BTreeMap<u64, Entry>,
    busy: HashMap<UnitId, u64>,
}

impl Queue {
    pub fn insert(&mut self, entry: Entry) {
        self.entries.insert(entry.row.number, entry);
    }

    /// How many have not ended.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(&number)
    }

    pub fn remove(&mut self, number: u64) {
        self.leave_unit(number);
        self.entries.remove(&number);
    }

    pub fn find(&self, of: impl Fn(&CommandRow) -> bool) -> Option<&Arc<CommandRow>> {
        self.entries.values().map(|entry| &entry.row).find(|row| of(row))
    }

    /// Takes the command whose turn it is on one adapter's units, and marks its unit busy.
    pub fn take(
        &mut self,
        adapter: &str,
        now: u64,
        targets: &HashMap<DeviceId, Target>,
    ) -> Option<(u64, UnitId)> {
        let free = |entry: &&Entry| entry.phase == Phase::Waiting && entry.due <= now && entry.ends() > now;
        let target = |entry: &Entry| {
            let target = targets.get(&entry.row.device)?;
            let ready = target.online && target.adapter == adapter && !self.busy.contains_key(&target.unit);
            ready.then(|| target.unit.clone())
        };
        let (number, unit) = self
            .entries
            .values()
            .filter(free)
            .filter_map(|entry| Some((rank(entry, now), entry.row.number, target(entry)?)))
            .max_by(|(rank, number, _), (other, older, _)| rank.cmp(other).then(older.cmp(number)))
            .map(|(_, number, unit)| (number, unit))?;
        self.busy.insert(unit.clone(), number);
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.phase = Phase::Flying(unit.clone());
        }
        Some((number, unit))
    }

    /// Gives a command its new state; its unit is free from here on.
    pub fn update(&mut self, number: u64, row: Arc<CommandRow>, phase: Phase, due: u64) {
        if !matches!(phase, Phase::Flying(_)) {
            self.leave_unit(number);
        }
        if let Some(entry) = self.entries.get_mut(&number) {
            (entry.row, entry.phase, entry.due) = (row, phase, due);
        }
    }

    /// It was taken and nobody knows what became of it.
    pub fn doubt(&mut self, number: u64, until: u64) {
        self.leave_unit(number);
        if let Some(entry) = self.entries.get_mut(&number) {
            (entry.phase, entry.purpose) = (Phase::Waiting, Purpose::ReadBack);
            (entry.due, entry.doubt_until) = (0, until);
        }
    }

    pub fn waits_again(&mut self, number: u64) {
        if let Some(entry) = self.entries.get_mut(&number) {
            (entry.phase, entry.purpose) = (Phase::Waiting, Purpose::Execute);
        }
    }

    /// Commands whose time is over while they waited.
    pub fn overdue(&self, now: u64) -> Vec<u64> {
        let over = self.entries.values().filter(|entry| entry.phase == Phase::Waiting && entry.ends() <= now);
        over.map(|entry| entry.row.number).collect()
    }

    /// Commands that wait to be executed and for which this holds.
    pub fn waiting(&self, of: impl Fn(&CommandRow) -> bool) -> Vec<u64> {
        let waits = |entry: &&Entry| entry.phase == Phase::Waiting && entry.purpose == Purpose::Execute;
        let waiting = self.entries.values().filter(waits).filter(|entry| of(&entry.row));
        waiting.map(|entry| entry.row.number).collect()
    }

    /// When something changes by time alone, monotonic ms.
    pub fn next_change(&self, now: u64) -> Option<u64> {
        let waiting = self.entries.values().filter(|entry| entry.phase == Phase::Waiting);
        waiting.flat_map(|entry| [entry.due, entry.ends()]).filter(|at| *at > now).min()
    }

    fn leave_unit(&mut self, number: u64) {
        self.busy.retain(|_, held| *held != number);
    }
}

/// What was in flight at a crash goes first: until it is settled nobody knows what the unit does.
fn rank(entry: &Entry, now: u64) -> u64 {
    if entry.purpose == Purpose::ReadBack {
        return u64::MAX;
    }
    let class = entry.row.priority as u64 + now.saturating_sub(entry.since) / AGEING_MS;
    class.min(Priority::Critical as u64)
}

#[cfg(test)]
mod tests {
    use adapter_api::{CommandSource, Moment, Parameters};

    use super::*;
    use crate::command::{Request, state};

    fn entry(number: u64, device: &str, priority: Priority, since: u64) -> Entry {
        let request = Request {
            priority,
            source: CommandSource::Api,
            ..Request::new(device, "refresh", Parameters::default(), "t:t")
        };
        let now = Moment { wall_ms: 1_000, mono_ms: 0 };
        let mut row = state::accept(request, std::time::Duration::from_secs(3600), now).unwrap();
        row.number = number;
        let (purpose, phase) = (Purpose::Execute, Phase::Waiting);
        Entry { row: Arc::new(row), purpose, phase, since, due: 0, deadline: 3_600_000, doubt_until: 0 }
    }

    fn targets(online: bool) -> HashMap<DeviceId, Target> {
        let target = |unit: &str| Target { adapter: "modbus.roof".into(), unit: unit.into(), online };
        let id = |text: &str| DeviceId::new(text).unwrap();
        HashMap::from([
            (id("roof"), target("roof/1")),
            (id("roof-battery"), target("roof/1")),
            (id("meter"), target("roof/2")),
        ])
    }

    fn queue(entries: Vec<Entry>) -> Queue {
        let mut queue = Queue::default();
        entries.into_iter().for_each(|entry| queue.insert(entry));
        queue
    }

    fn order(queue: &mut Queue, now: u64) -> Vec<u64> {
        let mut order = Vec::new();
        while let Some((number, _)) = queue.take("modbus.roof", now, &targets(true)) {
            order.push(number);
            queue.remove(number);
        }
        order
    }

    #[test]
    fn priority_goes_first_then_age() {
        let mut queue = queue(vec![
            entry(1, "roof", Priority::Low, 0),
            entry(2, "roof", Priority::Normal, 0),
            entry(3, "roof", Priority::Critical, 0),
            entry(4, "roof", Priority::Normal, 0),
        ]);
        assert_eq!(order(&mut queue, 0), [3, 2, 4, 1]);
    }

    #[test]
    fn a_waiting_command_rises_and_never_starves() {
        let mut queue =
            queue(vec![entry(1, "roof", Priority::Low, 0), entry(2, "roof", Priority::Critical, 45_000)]);
        assert_eq!(order(&mut queue, 45_000), [1, 2]);
    }

    #[test]
    fn one_is_in_flight_per_unit_and_units_do_not_wait_for_each_other() {
        let mut queue = queue(vec![
            entry(1, "roof", Priority::Normal, 0),
            entry(2, "roof-battery", Priority::Critical, 0),
            entry(3, "meter", Priority::Low, 0),
        ]);
        let take = |queue: &mut Queue| queue.take("modbus.roof", 0, &targets(true)).map(|(number, _)| number);
        assert_eq!(take(&mut queue), Some(2));
        assert_eq!(take(&mut queue), Some(3), "the battery's unit is busy, the meter's is not");
        assert_eq!(take(&mut queue), None);
        queue.remove(2);
        assert_eq!(take(&mut queue), Some(1));
    }

    #[test]
    fn nobody_takes_what_is_offline_later_over_or_another_adapters() {
        let mut held = queue(vec![entry(1, "roof", Priority::Normal, 0)]);
        assert!(held.take("modbus.roof", 0, &targets(false)).is_none());
        assert!(held.take("modbus.attic", 0, &targets(true)).is_none());
        assert!(held.take("modbus.roof", 3_600_000, &targets(true)).is_none());
        assert_eq!(held.overdue(3_600_000), [1]);
        held.update(1, held.get(1).unwrap().row.clone(), Phase::Waiting, 9);
        assert!(held.take("modbus.roof", 8, &targets(true)).is_none());
        assert_eq!(held.next_change(8), Some(9));
        assert!(held.take("modbus.roof", 9, &targets(true)).is_some());
    }

    #[test]
    fn what_is_in_doubt_waits_for_its_device_past_its_expiry_and_goes_first() {
        let mut doubt = entry(1, "roof", Priority::Low, 0);
        (doubt.purpose, doubt.deadline, doubt.doubt_until) = (Purpose::ReadBack, 10, 1_000);
        let mut queue = queue(vec![doubt, entry(2, "roof", Priority::Critical, 0)]);
        assert!(queue.overdue(999).is_empty());
        assert_eq!(queue.take("modbus.roof", 999, &targets(true)).map(|(number, _)| number), Some(1));
        // Not applied: it would be sent again, but its time is over.
        queue.waits_again(1);
        assert_eq!(queue.overdue(999), [1]);
    }
}
