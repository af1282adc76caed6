//! What a port was told and what it served. Bounded: the oldest goes first.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

/// Writes kept; a test looks at some, a demo never does.
const WRITES_KEPT: usize = 10_000;
/// Served values kept per watch; a day of a five-second poll has 17,280.
const VALUES_KEPT: usize = 20_000;
/// Arrivals kept per unit; an hour of one request in each 200 ms.
const ARRIVALS_KEPT: usize = 20_000;
/// Different ranges counted; a client has a fixed plan of some dozens.
const RANGES_KEPT: usize = 4_096;

/// One write that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteSeen {
    /// Wall clock, ms since 1970.
    pub at_ms: i64,
    /// When its last byte was here, on the monotonic clock of this process, so that a test can measure
    /// from its own `Instant`.
    pub at: Instant,
    /// To which unit.
    pub unit: u8,
    /// 6 or 16.
    pub function: u8,
    /// First register.
    pub address: u16,
    /// What was to be written.
    pub values: Vec<u16>,
    /// Did the device take it? False when it refused and when a fault kept it away.
    pub accepted: bool,
}

/// What a watched range showed in one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Wall clock, ms since 1970.
    pub at_ms: i64,
    /// Raw registers.
    pub registers: Vec<u16>,
}

/// What went over the wire for one unit, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Whole requests that arrived.
    pub requests: u64,
    /// Their bytes, frame included.
    pub received: u64,
    /// Answers and what went instead of them.
    pub answers: u64,
    /// Their bytes, frame included.
    pub sent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Range {
    unit: u8,
    first: u16,
    count: u16,
}

impl Range {
    fn covers(self, other: Self) -> bool {
        let end = |range: Self| u32::from(range.first) + u32::from(range.count);
        self.unit == other.unit && self.first <= other.first && end(other) <= end(self)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    writes: VecDeque<WriteSeen>,
    ranges: HashMap<Range, u64>,
    watched: HashMap<Range, VecDeque<Served>>,
    arrivals: HashMap<u8, VecDeque<Instant>>,
    traffic: HashMap<u8, Traffic>,
}

impl Record {
    pub fn wrote(&mut self, write: WriteSeen) {
        push(&mut self.writes, write, WRITES_KEPT);
    }

    /// A request of so many bytes arrived.
    pub fn arrived(&mut self, unit: u8, at: Instant, bytes: usize) {
        push(self.arrivals.entry(unit).or_default(), at, ARRIVALS_KEPT);
        let traffic = self.traffic.entry(unit).or_default();
        traffic.requests += 1;
        traffic.received += bytes as u64;
    }

    /// So many bytes leave as its answer.
    pub fn answered(&mut self, unit: u8, bytes: usize) {
        let traffic = self.traffic.entry(unit).or_default();
        traffic.answers += 1;
        traffic.sent += bytes as u64;
    }

    pub fn arrivals(&self, unit: u8) -> Vec<Instant> {
        self.arrivals.get(&unit).map(|kept| kept.iter().copied().collect()).unwrap_or_default()
    }

    pub fn traffic(&self, unit: u8) -> Traffic {
        self.traffic.get(&unit).copied().unwrap_or_default()
    }

    pub fn served(&mut self, at_ms: i64, unit: u8, first: u16, registers: &[u16]) {
        let range = Range { unit, first, count: registers.len() as u16 };
        if self.ranges.len() < RANGES_KEPT || self.ranges.contains_key(&range) {
            *self.ranges.entry(range).or_default() += 1;
        }
        for (watch, values) in &mut self.watched {
            if range.covers(*watch) {
                let start = usize::from(watch.first - first);
                let registers = registers[start..start + usize::from(watch.count)].to_vec();
                push(values, Served { at_ms, registers }, VALUES_KEPT);
            }
        }
    }

    pub fn watch(&mut self, unit: u8, first: u16, count: u16) {
        self.watched.entry(Range { unit, first, count }).or_default();
    }

    pub fn accepted(&self) -> Vec<WriteSeen> {
        self.writes.iter().filter(|write| write.accepted).cloned().collect()
    }

    pub fn writes(&self) -> Vec<WriteSeen> {
        self.writes.iter().cloned().collect()
    }

    pub fn count(&self, unit: u8, register: u16) -> u64 {
        let one = Range { unit, first: register, count: 1 };
        self.ranges.iter().filter(|(range, _)| range.covers(one)).map(|(_, count)| count).sum()
    }

    pub fn values(&self, unit: u8, first: u16) -> Vec<Served> {
        let of = |(range, _): &(&Range, _)| range.unit == unit && range.first == first;
        self.watched.iter().find(of).map(|(_, values)| values.iter().cloned().collect()).unwrap_or_default()
    }
}

fn push<T>(kept: &mut VecDeque<T>, new: T, most: usize) {
    if kept.len() == most {
        kept.pop_front();
    }
    kept.push_back(new);
}
