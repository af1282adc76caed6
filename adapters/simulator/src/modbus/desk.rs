//! Answers one request: the devices behind a port, its dial and its record. The caller brings the
//! clocks and does the I/O.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    frame::{self, Request},
    reply::{Answer, Reply},
    rtu,
};
use crate::{
    Exception, Fault, Manners, Table, Units, UnknownUnit, WriteSeen,
    fault::{Asked, Dial, Kind},
    record::Record,
};

/// A gateway says so when the unit behind it does not answer.
const TARGET_SILENT: Exception = Exception::Other(11);
/// A device says so to who asks too soon.
const BUSY: u8 = 6;

/// The instant of a request on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub mono: Instant,
    pub wall_ms: i64,
    /// Since when there is the connection that it came on; none on a line.
    pub connected: Option<Instant>,
}

/// How a request came, and so what its answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// In a Modbus TCP frame.
    Tcp { transaction: u16 },
    /// In an RTU frame: unit 0 means all, and only the unit that is meant answers.
    Line,
}

impl Caller {
    fn frame_length(self, pdu: &[u8]) -> usize {
        match self {
            Self::Tcp { .. } => frame::HEADER + pdu.len(),
            Self::Line => rtu::AROUND + pdu.len(),
        }
    }
}

/// The unit that means all on a line.
const BROADCAST: u8 = 0;

pub(crate) struct Desk {
    units: Units,
    pub dial: Dial,
    pub record: Record,
    /// Shown instead of what the device holds; until when, or for good.
    shown: BTreeMap<(u8, u16), (u16, Option<Instant>)>,
    /// When the last answer was through.
    answered: Option<Instant>,
    hurried: u64,
}

impl Desk {
    pub fn new(units: Units) -> Self {
        Self {
            units,
            dial: Dial::default(),
            record: Record::default(),
            shown: BTreeMap::new(),
            answered: None,
            hurried: 0,
        }
    }

    pub(super) fn manners(&self) -> Manners {
        self.units.manners
    }

    /// An answer is through, or will be at this instant.
    pub(super) fn answered(&mut self, at: Instant) {
        self.answered = self.answered.max(Some(at));
    }

    /// Requests that came too soon.
    pub fn hurried(&self) -> u64 {
        self.hurried
    }

    pub fn pin(&mut self, unit: u8, address: u16, values: &[u16]) {
        self.shown.extend((address..=u16::MAX).zip(values).map(|(at, value)| ((unit, at), (*value, None))));
    }

    pub fn unpin_all(&mut self) {
        self.shown.retain(|_, (_, until)| until.is_some());
    }

    pub fn peek(&mut self, unit: u8, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.units.devices.get_mut(&unit).ok_or(TARGET_SILENT)?.read(table, address, count)
    }

    /// What to do about a request, and how long to wait before.
    pub(super) fn answer(&mut self, caller: Caller, unit: u8, pdu: &[u8], now: Now) -> (Duration, Reply) {
        self.record.arrived(unit, now.mono, caller.frame_length(pdu));
        let (late, reply) = self.decide(caller, unit, pdu, now);
        if let Reply::Send(bytes) | Reply::SendAndClose(bytes) = &reply {
            self.record.answered(unit, bytes.len());
        }
        (late, reply)
    }

    fn decide(&mut self, caller: Caller, unit: u8, pdu: &[u8], now: Now) -> (Duration, Reply) {
        let answer = |pdu| Answer { caller, unit, pdu };
        let plain = |pdu| (Duration::ZERO, answer(pdu).reply());
        let request = frame::request(pdu);
        if caller == Caller::Line && unit == BROADCAST {
            self.broadcast(request, now);
            return (Duration::ZERO, Reply::Nothing);
        }
        if caller == Caller::Line && !self.units.devices.contains_key(&unit) {
            return (Duration::ZERO, Reply::Nothing);
        }
        let request = match request {
            Ok(request) => request,
            Err((function, exception)) => return plain(frame::refusal(function, exception)),
        };
        if !self.units.devices.contains_key(&unit) {
            return match self.units.unknown {
                UnknownUnit::Exception => plain(frame::refusal(request.function(), TARGET_SILENT)),
                UnknownUnit::Silence => (Duration::ZERO, Reply::Nothing),
            };
        }
        let mut faults = self.dial.take(asked(unit, &request));
        if self.units.manners.hurried(now.mono, now.connected, self.answered) {
            self.hurried += 1;
            faults.push(Fault::Exception(BUSY));
        }
        let function = request.function();
        let done = match request {
            Request::Read { function, table, address, count } => self
                .read(unit, table, address, count, &faults, now)
                .map(|registers| frame::read_answer(function, &registers)),
            Request::Write { function, address, values } => {
                let (at_ms, at) = (now.wall_ms, now.mono);
                let write = WriteSeen { at_ms, at, unit, function, address, values, accepted: false };
                self.write(write, &faults, now)
            }
        };
        let pdu = done.unwrap_or_else(|exception| frame::refusal(function, exception));
        let late = faults.iter().map(|fault| match fault {
            Fault::Delay(delay) => *delay,
            _ => Duration::ZERO,
        });
        (late.sum(), answer(pdu).damaged(&faults))
    }

    /// All units do it and none answers.
    fn broadcast(&mut self, request: Result<Request, (u8, Exception)>, now: Now) {
        let Ok(Request::Write { function, address, values }) = request else { return };
        let units: Vec<u8> = self.units.devices.keys().copied().collect();
        for unit in units {
            let (at_ms, at, values) = (now.wall_ms, now.mono, values.clone());
            let write = WriteSeen { at_ms, at, unit, function, address, values, accepted: false };
            // Refused or not, there is nobody to tell it to; the record knows.
            let _ = self.write(write, &[], now);
        }
    }

    fn read(
        &mut self,
        unit: u8,
        table: Table,
        address: u16,
        count: u16,
        faults: &[Fault],
        now: Now,
    ) -> Result<Vec<u16>, Exception> {
        if let Some(code) = refusal(faults) {
            return Err(code);
        }
        let mut registers = self.peek(unit, table, address, count)?;
        self.shown.retain(|_, (_, until)| until.is_none_or(|until| now.mono < until));
        let range = (unit, address)..=(unit, address + (count - 1));
        for (&(_, at), &(value, _)) in self.shown.range(range) {
            registers[usize::from(at - address)] = value;
        }
        if faults.is_empty() {
            self.record.served(now.wall_ms, unit, address, &registers);
        }
        Ok(registers)
    }

    fn write(&mut self, mut write: WriteSeen, faults: &[Fault], now: Now) -> Result<Vec<u8>, Exception> {
        let (unit, address) = (write.unit, write.address);
        let echo = frame::write_answer(write.function, address, &write.values);
        let result = match refusal(faults) {
            Some(code) => Err(code),
            None if faults.iter().all(|fault| fault.lets_through()) => {
                let old = self.peek(unit, Table::Holding, address, write.values.len() as u16);
                let device = self.units.devices.get_mut(&unit).ok_or(TARGET_SILENT)?;
                let result =
                    device.write_by(write.function, address, &stored(address, &write.values, faults));
                write.accepted = result.is_ok();
                if let (Ok(()), Ok(old)) = (&result, old) {
                    self.hide(unit, address, &old, faults, now);
                }
                result
            }
            None => Ok(()),
        };
        self.record.wrote(write);
        result.map(|()| echo)
    }

    /// Keeps showing the old values where a fault says so. What is shown already stays shown.
    fn hide(&mut self, unit: u8, address: u16, old: &[u16], faults: &[Fault], now: Now) {
        let stale = faults.iter().find_map(|fault| match fault {
            Fault::Stale(stale) => Some(*stale),
            _ => None,
        });
        let Some(until) = stale.map(|stale| now.mono + stale) else { return };
        self.shown.retain(|_, (_, until)| until.is_none_or(|until| now.mono < until));
        for (at, &value) in (address..=u16::MAX).zip(old) {
            self.shown.entry((unit, at)).or_insert((value, Some(until)));
        }
    }
}

/// What the device really stores of a write.
fn stored(address: u16, values: &[u16], faults: &[Fault]) -> Vec<u16> {
    let by_fault = |at: u16, value: u16| faults.iter().fold(value, |value, fault| fault.stored(at, value));
    (address..=u16::MAX).zip(values).map(|(at, &value)| by_fault(at, value)).collect()
}

fn refusal(faults: &[Fault]) -> Option<Exception> {
    faults.iter().find_map(|fault| match fault {
        Fault::Exception(code) => Some(Exception::Other(*code)),
        _ => None,
    })
}

fn asked(unit: u8, request: &Request) -> Asked {
    match request {
        Request::Read { address, count, .. } => {
            Asked { unit, kind: Kind::Read, address: *address, count: *count }
        }
        Request::Write { address, values, .. } => {
            Asked { unit, kind: Kind::Write, address: *address, count: values.len() as u16 }
        }
    }
}
