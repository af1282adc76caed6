//! What was learned of a unit's registers: where no request may go on, and which values it does not
//! have. Kept over restarts, and looked at again: firmware is updated, and some units refuse by night
//! what they have by day. Never asks anything.
//!
//! | note `holes/<unit>/<profile>` | |
//! | --- | --- |
//! | byte | 1, the form of the note |
//! | u16, then 18 bytes each | cuts: function (3 or 4), register, a byte 0, and the two numbers below |
//! | u16, then 21 bytes each | holes: function, first register, count, and the two numbers below |
//!
//! The two numbers: until when it is believed without another look, i64 ms since 1970; and for how long
//! it was believed then, u48 ms. All numbers high byte first. What cannot be read is learned again.

use std::collections::BTreeMap;

use adapter_api::{Store, profile::Function};

use crate::{
    plan::{Barred, Extent},
    units::UnitConfig,
};

const FORM: u8 = 1;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// A hole is looked at again after an hour, then ever more rarely …
const FIRST_LOOK: i64 = HOUR_MS;
/// … but after a minute where the unit says that it failed (exception 4): that may pass.
const FIRST_LOOK_AFTER_FAILURE: i64 = MINUTE_MS;
/// Some units refuse by night what they have by day: what is missing then must not be missing for days.
const LONGEST_LOOK: i64 = 6 * HOUR_MS;
/// A cut costs a request at most, and no value.
const CUT_LOOK: i64 = 7 * 24 * HOUR_MS;

/// How long a fact is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Belief {
    until: i64,
    span: i64,
}

impl Belief {
    /// A clock that was far ahead when it was learned must not keep it for ever.
    fn holds(self, now: i64) -> bool {
        now < self.until && self.until <= now.saturating_add(CUT_LOOK)
    }
}

/// What is known of one unit.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    read: bool,
    cuts: BTreeMap<(Function, u16), Belief>,
    holes: BTreeMap<Extent, Belief>,
    /// Something is known that the note does not say.
    unkept: bool,
    /// It refused everything the last time: it sleeps, or it is another device. Nothing can be learned then.
    pub refuses_all: bool,
}

impl Learned {
    /// Reads the note, the first time.
    pub async fn load(&mut self, store: &Store, unit: &UnitConfig) {
        if self.read {
            return;
        }
        match store.get(&key(unit)).await {
            Ok(note) => {
                self.read = true;
                if let Some((cuts, holes)) = note.and_then(|note| decode(&note)) {
                    (self.cuts, self.holes) = (cuts, holes);
                }
            }
            Err(error) => {
                tracing::debug!(unit = %unit.id, %error, "what was learned of a unit cannot be read now");
            }
        }
    }

    /// The profile's own limits with what was learned. `now` in ms since 1970, here and below.
    pub fn barred(&self, own: &Barred, now: i64) -> Barred {
        let mut barred = own.clone();
        let cuts = self.cuts.iter().filter(|(_, belief)| belief.holds(now));
        barred.cuts.extend(cuts.map(|(cut, _)| *cut));
        let holes = self.holes.iter().filter(|(_, belief)| belief.holds(now));
        barred.forbidden.extend(holes.map(|(hole, _)| *hole));
        barred
    }

    /// Is nothing to be expected there?
    pub fn is_hole(&self, extent: &Extent, now: i64) -> bool {
        self.holes.get(extent).is_some_and(|belief| belief.holds(now))
    }

    /// A request that goes on here is refused.
    pub fn cut(&mut self, function: Function, register: u16, now: i64) {
        self.cuts.insert((function, register), Belief { until: now + CUT_LOOK, span: CUT_LOOK });
        self.unkept = true;
    }

    /// A value is refused by itself; `failed`: with the words that the unit failed, not that it has none.
    pub fn hole(&mut self, extent: Extent, failed: bool, now: i64) {
        let first = if failed { FIRST_LOOK_AFTER_FAILURE } else { FIRST_LOOK };
        let span = self.holes.get(&extent).map_or(first, |belief| (belief.span * 2).min(LONGEST_LOOK));
        self.holes.insert(extent, Belief { until: now + span, span });
        self.unkept = true;
    }

    /// A value was read.
    pub fn there(&mut self, extent: &Extent) {
        self.unkept |= !self.holes.is_empty() && self.holes.remove(extent).is_some();
    }

    /// The unit was away and is back: it may have been updated meanwhile. One that comes and goes is not
    /// searched each time.
    pub fn doubt(&mut self, now: i64) {
        for belief in self.holes.values_mut().chain(self.cuts.values_mut()) {
            let learned = belief.until.saturating_sub(belief.span);
            if now.saturating_sub(learned) > HOUR_MS {
                belief.until = belief.until.min(now);
            }
        }
    }

    /// Keeps what was learned, where it is news.
    pub async fn keep(&mut self, store: &Store, unit: &UnitConfig) {
        if !self.unkept {
            return;
        }
        tracing::info!(
            unit = %unit.id,
            holes = words(self.holes.keys().map(|hole| hole.start)),
            cuts = words(self.cuts.keys().map(|(_, register)| *register)),
            "which requests of its profile the unit takes has changed; what it refuses is left out"
        );
        let kept = if self.cuts.is_empty() && self.holes.is_empty() {
            store.remove(&key(unit)).await
        } else {
            store.put(&key(unit), encode(&self.cuts, &self.holes)).await
        };
        match kept {
            Ok(()) => self.unkept = false,
            Err(error) => tracing::debug!(unit = %unit.id, %error, "what was learned of a unit is not kept"),
        }
    }
}

fn words(registers: impl Iterator<Item = u16>) -> String {
    registers.map(|register| register.to_string()).collect::<Vec<_>>().join(" ")
}

fn key(unit: &UnitConfig) -> String {
    format!("holes/{}/{}", unit.address, unit.profile.name)
}

type Cuts = BTreeMap<(Function, u16), Belief>;
type Holes = BTreeMap<Extent, Belief>;

fn encode(cuts: &Cuts, holes: &Holes) -> Vec<u8> {
    let mut note = vec![FORM];
    let count = |len: usize| u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    let belief = |note: &mut Vec<u8>, belief: &Belief| {
        note.extend(belief.until.to_be_bytes());
        note.extend(&belief.span.to_be_bytes()[2..]);
    };
    note.extend(count(cuts.len()));
    for ((function, register), believed) in cuts {
        note.push(function.code());
        note.extend(register.to_be_bytes());
        note.push(0);
        belief(&mut note, believed);
    }
    note.extend(count(holes.len()));
    for (Extent { function, start, count }, believed) in holes {
        note.push(function.code());
        note.extend(start.to_be_bytes());
        note.extend(count.to_be_bytes());
        belief(&mut note, believed);
    }
    note
}

fn decode(mut note: &[u8]) -> Option<(Cuts, Holes)> {
    let note = &mut note;
    let [FORM] = take(note)? else { return None };
    let (mut cuts, mut holes) = (Cuts::new(), Holes::new());
    for _ in 0..u16::from_be_bytes(take(note)?) {
        let [function] = take(note)?;
        let register = u16::from_be_bytes(take(note)?);
        let [0] = take(note)? else { return None };
        cuts.insert((Function::of(function)?, register), belief(note)?);
    }
    for _ in 0..u16::from_be_bytes(take(note)?) {
        let [function] = take(note)?;
        let start = u16::from_be_bytes(take(note)?);
        let count = u16::from_be_bytes(take(note)?);
        holes.insert(Extent { function: Function::of(function)?, start, count }, belief(note)?);
    }
    note.is_empty().then_some((cuts, holes))
}

fn belief(note: &mut &[u8]) -> Option<Belief> {
    let until = i64::from_be_bytes(take(note)?);
    let span: [u8; 6] = take(note)?;
    let mut wide = [0; 8];
    wide[2..].copy_from_slice(&span);
    Some(Belief { until, span: i64::from_be_bytes(wide) })
}

fn take<const N: usize>(note: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = note.split_first_chunk()?;
    *note = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLE: Extent = Extent { function: Function::Input, start: 40, count: 2 };
    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn a_note_says_what_was_learned_and_half_a_note_says_nothing() {
        let mut learned = Learned::default();
        learned.cut(Function::Holding, 7, NOW);
        learned.cut(Function::Input, 65_535, NOW);
        learned.hole(HOLE, false, NOW);
        let note = encode(&learned.cuts, &learned.holes);
        assert_eq!(decode(&note), Some((learned.cuts, learned.holes)));
        for end in 0..note.len() {
            assert_eq!(decode(&note[..end]), None);
        }
        assert_eq!(decode(&[2, 0, 0, 0, 0]), None, "a later form");
    }

    #[test]
    fn a_hole_is_looked_at_ever_more_rarely_and_a_failure_soon() {
        let mut learned = Learned::default();
        let (mut now, mut waited) = (NOW, Vec::new());
        for _ in 0..6 {
            learned.hole(HOLE, false, now);
            let span = learned.holes[&HOLE].span;
            assert!(learned.is_hole(&HOLE, now + span - 1) && !learned.is_hole(&HOLE, now + span));
            waited.push(span / HOUR_MS);
            now += span;
        }
        assert_eq!(waited, [1, 2, 4, 6, 6, 6]);
        assert!(!learned.is_hole(&HOLE, NOW - CUT_LOOK), "learned by a clock that was ahead");
        learned.there(&HOLE);
        learned.hole(HOLE, true, now);
        assert_eq!(learned.holes[&HOLE].span, MINUTE_MS);
    }

    #[test]
    fn after_an_absence_what_is_older_than_an_hour_is_looked_at() {
        let mut learned = Learned::default();
        learned.cut(Function::Input, 9, NOW);
        let cuts = |learned: &Learned, now| learned.barred(&Barred::default(), now).cuts.len();
        learned.doubt(NOW + HOUR_MS / 2);
        assert_eq!(cuts(&learned, NOW + HOUR_MS / 2), 1, "it comes and goes");
        learned.doubt(NOW + 2 * HOUR_MS);
        assert_eq!(cuts(&learned, NOW + 2 * HOUR_MS), 0);
    }
}
