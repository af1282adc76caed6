//! The inverse of a profile's points: a value of the plant becomes the raw words that a reader turns into it again.
//! Pure.
//!
//! Plain points go first. A sum then takes what is fixed already (a register that is a point of its own) as it
//! is; the rest goes, where all other terms have one sign, to them equally, the last one taking what rounding left;
//! where they have both signs (discharge and charge), to the first one of its sign.

use std::collections::BTreeSet;

use adapter_api::profile::{Function, Point, Profile, Term};

use super::{
    check,
    registers::{Registers, decoded, encoded},
    scene::{Scene, Side, plausible},
};

/// A register's bits that belong to one term.
type Key = (Function, Vec<u16>, Option<u32>);

/// Shows all points whose part is there.
pub(super) fn points(
    profile: &Profile,
    scene: &Scene<'_>,
    lone: Side,
    absent: &[String],
    registers: &mut Registers,
) {
    let there = |part: &str| !absent.iter().any(|gone| gone == part);
    let (mut plain, mut sums, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (part, name, point) in profile.all_points().filter(|(part, ..)| there(part)) {
        let side = Side::of(profile, part, lone);
        let value = match point.words.is_empty() {
            true => scene.value(side, name),
            false => Some(f64::from(scene.word(side, name, &point.words))),
        };
        match value {
            Some(value) if point.terms.len() == 1 => plain.push((point, value)),
            Some(value) => sums.push((point, value)),
            None => others.push((point, plausible(point))),
        }
    }
    let mut fixed = BTreeSet::new();
    sums.sort_by_key(|(point, _)| point.terms.len());
    for (point, value) in plain.into_iter().chain(sums) {
        show(profile, point, value, &mut fixed, registers);
    }
    // What nobody knows must not disturb what everybody knows.
    for (point, value) in others {
        show(profile, point, value, &mut fixed, registers);
    }
}

/// Shows one value, as a rating is shown as well.
pub(super) fn alone(profile: &Profile, point: &Point, value: f64, registers: &mut Registers) {
    show(profile, point, value, &mut BTreeSet::new(), registers);
}

fn show(profile: &Profile, point: &Point, value: f64, fixed: &mut BTreeSet<Key>, registers: &mut Registers) {
    let mut left = match point.words.is_empty() {
        true => value - point.offset,
        // The raw number itself has the meaning.
        false => value * point.first().scale,
    };
    let mut open: Vec<&Term> = Vec::new();
    for term in &point.terms {
        match fixed.contains(&key(term)) {
            true => left -= shown(term, registers),
            false => open.push(term),
        }
    }
    let both = open.iter().any(|term| term.scale > 0.0) && open.iter().any(|term| term.scale < 0.0);
    let takes = if left < 0.0 { -1.0 } else { 1.0 };
    let taker = open.iter().position(|term| term.scale * takes > 0.0);
    let count = open.len();
    for (place, term) in open.into_iter().enumerate() {
        let share = match both {
            true if Some(place) == taker => left,
            true => 0.0,
            false => left / (count - place) as f64,
        };
        put(profile, term, share, registers);
        if !both {
            left -= shown(term, registers);
        }
        fixed.insert(key(term));
    }
}

fn key(term: &Term) -> Key {
    (term.function, term.registers.clone(), term.mask)
}

/// Lays a share of a value into a term's registers.
fn put(profile: &Profile, term: &Term, share: f64, registers: &mut Registers) {
    let mut raw = share / term.scale;
    if let Some(negative) = &term.negative_when {
        check::make(negative, registers, raw < 0.0);
        raw = raw.abs();
    }
    let none = |bits: u64| {
        term.missing.contains(&bits) || profile.sentinels.iter().any(|sentinel| sentinel.is(term.kind, bits))
    };
    let bits = [raw, raw + 1.0, raw - 1.0].map(|raw| encoded(term.kind, raw));
    let bits = bits.into_iter().find(|bits| !none(*bits)).unwrap_or(bits[0]);
    let old = registers.bits(term.function, &term.registers, term.order);
    let bits = match term.mask.map(u64::from) {
        Some(mask) => old & !mask | bits << mask.trailing_zeros() & mask,
        None => bits,
    };
    registers.put(term.function, &term.registers, term.order, bits);
}

/// What a term shows now.
fn shown(term: &Term, registers: &Registers) -> f64 {
    let bits = registers.bits(term.function, &term.registers, term.order);
    let bits = term.mask.map_or(bits, |mask| (bits & u64::from(mask)) >> mask.trailing_zeros());
    let turned = term.negative_when.as_ref().is_some_and(|negative| check::holds(negative, registers));
    decoded(term.kind, bits) * term.scale * if turned { -1.0 } else { 1.0 }
}
