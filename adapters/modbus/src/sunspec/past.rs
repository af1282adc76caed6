//! What a unit was seen to be, so that the hour of a start decides nothing: at night counters show 0
//! and batteries nothing at all. Owns the note and its form; what is in it only grows, and belongs to one
//! serial number, so that another device starts anew.
//!
//! | note `known/<unit>` | |
//! | --- | --- |
//! | byte | 1, the form of the note |
//! | byte | the device itself: 1 an inverter, 2 a battery, 3 a meter |
//! | byte | 1: it has a battery; 2: its AC counter was told |
//! | three times u64, u64 | of PV, of what the battery took, and of what it gave: the inputs that count, one bit each, and the Wh that do not |
//! | the rest | the serial number, UTF-8 |
//!
//! All numbers high byte first.

use adapter_api::{Fault, Problem, Store};

use super::{
    choice::Choice,
    inputs::{Input, Role},
};
use crate::units::UnitConfig;

const FORM: u8 = 1;
const BATTERY: u8 = 1;
const AC: u8 = 2;

/// What was seen of a unit so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Past {
    serial: String,
    itself: Itself,
    pub battery: bool,
    /// Was the counter of the AC side told? Then nothing else is, as long as there is no battery.
    pub ac: bool,
    pub sun: Counted,
    pub charged: Counted,
    pub discharged: Counted,
}

/// What the device itself is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Itself {
    #[default]
    Unknown,
    Inverter,
    Battery,
    Meter,
}

/// A counter that is the sum of several inputs. One that shows 0 counts nothing or has not begun to, and one
/// that counted and shows none sleeps: a sum without it would fall, and leap when it wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counted {
    /// Those that were seen to count, one bit each.
    inputs: u64,
    /// What those had counted that joined later, Wh: they must not add it at once.
    less: u64,
}

impl Counted {
    /// Those that count by now join. `told`: something else was told as this counter before.
    fn join(&mut self, values: impl Iterator<Item = Option<f64>>, told: bool) {
        let continues = told || self.inputs != 0;
        for (bit, value) in bits(values) {
            if let Some(wh) = counting(value)
                && self.inputs & bit == 0
            {
                self.inputs |= bit;
                self.less += if continues { wh as u64 } else { 0 };
            }
        }
    }

    /// Wh, while all that count show it.
    pub fn total(self, values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
        let own = bits(values).filter(|(bit, _)| self.inputs & bit != 0);
        let all: Vec<f64> = own.map_while(|(_, value)| counting(value)).collect();
        let complete = self.inputs != 0 && all.len() == self.inputs.count_ones() as usize;
        complete.then(|| (all.iter().sum::<f64>() - self.less as f64).max(0.0))
    }
}

fn bits<T>(values: impl Iterator<Item = T>) -> impl Iterator<Item = (u64, T)> {
    (0..u64::BITS).map(|place| 1 << place).zip(values)
}

fn counting(value: Option<f64>) -> Option<f64> {
    value.filter(|wh| *wh > 0.0)
}

/// What each input gave, in their order, where it is the sun's.
pub(crate) fn sun(inputs: &[Input]) -> impl Iterator<Item = Option<f64>> {
    inputs.iter().map(|input| input.given.filter(|_| input.role == Role::Pv))
}

/// What each input took from the inverter into the battery.
pub(crate) fn charged(inputs: &[Input]) -> impl Iterator<Item = Option<f64>> {
    inputs.iter().map(|input| input.taken.filter(|_| of_battery(input.role)))
}

/// What each input gave out of the battery.
pub(crate) fn discharged(inputs: &[Input]) -> impl Iterator<Item = Option<f64>> {
    inputs.iter().map(|input| input.given.filter(|_| of_battery(input.role)))
}

/// Does this input belong to a battery?
pub(crate) fn of_battery(role: Role) -> bool {
    matches!(role, Role::Charge | Role::Discharge | Role::Battery)
}

impl Past {
    /// Goes on with what the unit shows. `ac`: Wh of the AC side. True when something is new.
    pub fn grow(&mut self, inputs: &[Input], battery: bool, ac: Option<f64>) -> bool {
        let before = self.clone();
        self.battery |= battery;
        // Once the AC counter is told it stays, for the two differ: by what the inverter loses, and by
        // years where one was reset. With a battery it may not stay, and the sun's begins beside it.
        if !self.ac || self.battery {
            self.sun.join(sun(inputs), self.ac);
        }
        self.charged.join(charged(inputs), false);
        self.discharged.join(discharged(inputs), false);
        let only = inputs.iter().all(|input| input.role != Role::Pv);
        self.ac |= !self.battery && self.sun.inputs == 0 && (only || counting(ac).is_some());
        *self != before
    }

    /// Is the device itself, or are its meters, other ones in `now` than they were, in `before` as
    /// well? Parts are told apart by their order, so that one that is missing would give its name away.
    pub fn is_mixed_up(&self, before: &Choice, now: &Choice) -> bool {
        let moved = !now.meters.iter().zip(&before.meters).all(|(now, before)| now.0 == before.0);
        self.itself == Itself::of(before) && (moved || self.itself != Itself::of(now))
    }

    /// What is noted of the device that `choice` shows.
    ///
    /// # Errors
    /// When the journal does not answer: a guess could make counters leap.
    pub async fn of(store: &Store, unit: &UnitConfig, choice: &Choice) -> Result<Self, Fault> {
        let note = store.get(&key(unit)).await.map_err(|error| {
            Fault::Answered(Problem::new(
                error.to_string(),
                "Make room on the disk, or look at the journal's own words",
            ))
        })?;
        let serial = serial(choice);
        let noted = note.and_then(|note| Self::decode(&note)).unwrap_or_default();
        // One that does not tell its number is taken for the one that was there.
        if serial.is_empty() || noted.serial == serial {
            return Ok(noted);
        }
        let same = noted.serial.is_empty();
        Ok(Self { serial: serial.to_owned(), ..if same { noted } else { Self::default() } })
    }

    /// The device itself is what it is in `choice`.
    pub fn is(&mut self, choice: &Choice) {
        self.itself = Itself::of(choice);
    }

    /// Notes it.
    pub async fn note(&self, store: &Store, unit: &UnitConfig) {
        if let Err(error) = store.put(&key(unit), self.encode()).await {
            tracing::warn!(unit = %unit.id, %error, "what a unit was seen to be cannot be noted and may be judged anew after a restart");
        }
    }

    fn encode(&self) -> Vec<u8> {
        let flags = if self.battery { BATTERY } else { 0 } | if self.ac { AC } else { 0 };
        let counted = [self.sun, self.charged, self.discharged];
        let numbers = counted.into_iter().flat_map(|counted| [counted.inputs, counted.less]);
        let mut note = vec![FORM, self.itself as u8, flags];
        note.extend(numbers.flat_map(u64::to_be_bytes));
        note.extend(self.serial.bytes());
        note
    }

    fn decode(note: &[u8]) -> Option<Self> {
        let (head, rest) = note.split_at_checked(3)?;
        let (numbers, serial) = rest.split_at_checked(48)?;
        let &[FORM, itself, flags] = head else { return None };
        let mut numbers = numbers
            .chunks_exact(8)
            .map(|bytes| bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)));
        let mut counted = || Some(Counted { inputs: numbers.next()?, less: numbers.next()? });
        Some(Self {
            serial: String::from_utf8(serial.to_vec()).ok()?,
            itself: match itself {
                1 => Itself::Inverter,
                2 => Itself::Battery,
                3 => Itself::Meter,
                _ => Itself::Unknown,
            },
            battery: flags & BATTERY != 0,
            ac: flags & AC != 0,
            sun: counted()?,
            charged: counted()?,
            discharged: counted()?,
        })
    }
}

impl Itself {
    fn of(choice: &Choice) -> Self {
        match choice {
            Choice { inverter: Some(_), .. } => Self::Inverter,
            Choice { bank: Some(_), .. } => Self::Battery,
            Choice { meters, .. } if !meters.is_empty() => Self::Meter,
            _ => Self::Unknown,
        }
    }
}

fn serial(choice: &Choice) -> &str {
    let meter = || choice.meters.first().map(|(_, common)| common);
    let itself = choice.inverter.as_ref().or(choice.bank.as_ref()).or_else(meter);
    itself.map_or("", |common| &common.serial)
}

fn key(unit: &UnitConfig) -> String {
    format!("known/{}", unit.address)
}

#[cfg(test)]
mod tests;
