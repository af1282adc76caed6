//! What was learned of a unit's registers: where no request may go on, and which values it does not
//! have. Kept over restarts; looked at again after a week and
//! when the unit was away, for firmware is updated. Never asks anything.
//!
//! | note `holes/<unit>/<profile>` | |
//! | --- | --- |
//! | byte | 1, the form of the note |
//! | i64 | when it was learned, ms since 1970 |
//! | u16, then 3 bytes each | cuts: function (3 or 4), register |
//! | u16, then 5 bytes each | holes: function, first register, count |
//!
//! All numbers high byte first. What cannot be read is learned again.

use std::collections::BTreeSet;

use adapter_api::{Store, profile::Function};

use crate::{
    plan::{Barred, Extent},
    units::UnitConfig,
};

const FORM: u8 = 1;
/// A unit that comes and goes is not searched each time.
const HOUR_MS: i64 = 3_600_000;
const WEEK_MS: i64 = 7 * 24 * 3_600_000;

/// What is known of one unit.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    read: bool,
    known: Knowledge,
    /// It refused everything the last time: it sleeps, or it is another device. Nothing can be learned then.
    pub refuses_all: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Knowledge {
    pub cuts: BTreeSet<(Function, u16)>,
    pub holes: BTreeSet<Extent>,
    at: i64,
}

impl Knowledge {
    /// The profile's own limits with what was learned.
    pub fn barred(&self, own: &Barred) -> Barred {
        let mut barred = own.clone();
        barred.cuts.extend(&self.cuts);
        barred.forbidden.extend(&self.holes);
        barred
    }

    fn is_old(&self, now: i64) -> bool {
        // A clock that was far ahead when this was learned must not keep it for ever.
        !(now - WEEK_MS..=now + WEEK_MS).contains(&self.at)
    }

    fn is_empty(&self) -> bool {
        self.cuts.is_empty() && self.holes.is_empty()
    }
}

impl Learned {
    /// What is known now; reads the note the first time. `now` in ms since 1970.
    pub async fn of(&mut self, store: &Store, unit: &UnitConfig, now: i64) -> &Knowledge {
        if !self.read {
            self.read = true;
            match store.get(&key(unit)).await {
                Ok(note) => self.known = note.and_then(|note| decode(&note)).unwrap_or_default(),
                Err(error) => {
                    tracing::debug!(unit = %unit.id, %error, "what was learned of a unit is learned again");
                }
            }
        }
        if !self.known.is_empty() && self.known.is_old(now) {
            self.known = Knowledge::default();
        }
        &self.known
    }

    /// The unit was away and is back: it may have been updated meanwhile.
    pub fn doubt(&mut self, now: i64) {
        if self.read && !(now - HOUR_MS..=now + HOUR_MS).contains(&self.known.at) {
            self.known = Knowledge::default();
        }
    }

    /// Keeps what was learned now.
    pub async fn keep(&mut self, store: &Store, unit: &UnitConfig, known: Knowledge, now: i64) {
        tracing::info!(
            unit = %unit.id,
            holes = words(known.holes.iter().map(|hole| hole.start)),
            cuts = words(known.cuts.iter().map(|(_, register)| *register)),
            "the unit does not take all requests of its profile; what it refuses is left out"
        );
        self.known = Knowledge { at: now, ..known };
        if let Err(error) = store.put(&key(unit), encode(&self.known)).await {
            tracing::debug!(unit = %unit.id, %error, "what was learned of a unit is not kept");
        }
    }
}

fn words(registers: impl Iterator<Item = u16>) -> String {
    registers.map(|register| register.to_string()).collect::<Vec<_>>().join(" ")
}

fn key(unit: &UnitConfig) -> String {
    format!("holes/{}/{}", unit.address, unit.profile.name)
}

fn encode(known: &Knowledge) -> Vec<u8> {
    let mut note = vec![FORM];
    note.extend(known.at.to_be_bytes());
    let count = |len: usize| u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    note.extend(count(known.cuts.len()));
    for (function, register) in &known.cuts {
        note.push(function.code());
        note.extend(register.to_be_bytes());
    }
    note.extend(count(known.holes.len()));
    for Extent { function, start, count } in &known.holes {
        note.push(function.code());
        note.extend(start.to_be_bytes());
        note.extend(count.to_be_bytes());
    }
    note
}

fn decode(mut note: &[u8]) -> Option<Knowledge> {
    let note = &mut note;
    let [FORM] = take(note)? else { return None };
    let mut known = Knowledge { at: i64::from_be_bytes(take(note)?), ..Knowledge::default() };
    for _ in 0..u16::from_be_bytes(take(note)?) {
        let [function] = take(note)?;
        known.cuts.insert((Function::of(function)?, u16::from_be_bytes(take(note)?)));
    }
    for _ in 0..u16::from_be_bytes(take(note)?) {
        let [function] = take(note)?;
        let start = u16::from_be_bytes(take(note)?);
        known.holes.insert(Extent {
            function: Function::of(function)?,
            start,
            count: u16::from_be_bytes(take(note)?),
        });
    }
    note.is_empty().then_some(known)
}

fn take<const N: usize>(note: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = note.split_first_chunk()?;
    *note = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Knowledge {
        let hole = Extent { function: Function::Input, start: 40, count: 2 };
        Knowledge {
            cuts: [(Function::Holding, 7), (Function::Input, 65_535)].into(),
            holes: [hole].into(),
            at: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_note_says_what_was_learned_and_half_a_note_says_nothing() {
        let note = encode(&some());
        assert_eq!(decode(&note), Some(some()));
        for end in 0..note.len() {
            assert_eq!(decode(&note[..end]), None);
        }
        assert_eq!(decode(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None, "a later form");
    }

    #[test]
    fn what_was_learned_is_old_after_a_week_or_when_it_is_of_the_future() {
        let known = some();
        assert!(!known.is_old(known.at) && !known.is_old(known.at + WEEK_MS));
        assert!(known.is_old(known.at + WEEK_MS + 1) && known.is_old(0));
    }
}
