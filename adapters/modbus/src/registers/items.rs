//! The values of a state, register by register, against what the device shows. Pure.

use std::collections::BTreeMap;

use adapter_api::{
    Purpose,
    profile::{Quantity, RegisterType, WordOrder, Write},
};

use super::{
    raw::raw,
    shown::Shown,
    target::{Ask, Facts, Target},
};
use crate::codec;

/// One value that shall be in registers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub register: u16,
    /// Whole registers: what a mask leaves is as shown.
    pub words: Vec<u16>,
    /// What is shown there; none: it cannot be read.
    pub shown: Option<Vec<u16>>,
    pub wears: bool,
    pub trigger: bool,
    pub single: bool,
    /// In one request with the one before it.
    pub together: bool,
    /// Is what is shown to be what is written?
    pub compared: bool,
    /// Is it what its register holds in the end?
    pub is_last: bool,
    kind: RegisterType,
    order: WordOrder,
    mask: Option<u16>,
    slack: i64,
    /// How far a difference needs no write: a drift is no reason to wear out a register.
    drift: i64,
    /// Only downwards: what is shown may never be more than what is asked.
    only_less: bool,
}

impl Item {
    /// Shows the device something else, beyond what its steps explain?
    pub fn differs(&self) -> bool {
        self.is_off(self.slack, false)
    }

    /// Does it have to be written to be so?
    pub fn needs_write(&self) -> bool {
        self.is_off(self.drift, self.only_less)
    }

    fn is_off(&self, slack: i64, only_less: bool) -> bool {
        let Some(shown) = &self.shown else { return true };
        if *shown == self.words {
            return false;
        }
        if let (Some(mask), [shown], [word]) = (self.mask, &shown[..], &self.words[..]) {
            return (shown ^ word) & mask != 0;
        }
        let number = |words: &[u16]| codec::number(words, self.kind, self.order);
        let is_close =
            |(a, b): (f64, f64)| (a - b).abs() <= slack as f64 && !(only_less && a.abs() > b.abs());
        !number(shown).zip(number(&self.words)).is_some_and(is_close)
    }
}

/// What the target comes to, in the order in which it leaves.
///
/// # Errors
/// In words, when the device cannot express it.
pub(super) fn items(ask: &Ask<'_>, facts: &Facts<'_>, target: &Target<'_>) -> Result<Vec<Item>, String> {
    let mut overlay = facts.shown.clone();
    let none = Vec::new();
    let own = facts.state(target.state).map_or(&none, |state| &state.writes);
    // Given back by a command that has no state for it: what is noted is all that there is.
    let own = if target.restores && facts.group == "reserve" { &none } else { own };
    let mut items: Vec<Item> = Vec::new();
    // Remote control is ended before what makes it possible is taken away.
    let ends_first = target.restores && !facts.setpoint.persistent;
    if !ends_first {
        give_back(facts, target, own, &mut overlay, &mut items);
    }
    for write in own {
        let count = write.kind.registers();
        let wears = facts.setpoint.wears(write);
        let noted = facts.noted.filter(|_| wears && target.restores);
        let noted = noted.and_then(|noted| noted.of(write.register, count));
        // Nothing but what a command of ours changed is given back, where somebody's own setting stays.
        let stays = wears && target.restores && target.state == "off" && noted.is_none();
        let (words, slack, drift) = match noted {
            Some(words) => (words, 0, 0),
            None if stays => match facts.shown.held(write.register, count) {
                Some(words) => (words, 0, 0),
                None => continue,
            },
            None => {
                let raw = raw(write, ask, facts, target)?;
                let drift = if write.from == Some(Quantity::Current) { raw.slack } else { 0 };
                (codec::registers(raw.value, write.kind, write.order), raw.slack, drift)
            }
        };
        let item = item(write, words, facts, &mut overlay);
        let timer = write.from == Some(Quantity::Timer);
        // A timer that runs shows what is left of it.
        let compared = item.compared && !timer;
        let only_less = ask.purpose == Purpose::Execute;
        push(&mut items, Item { compared, slack, drift, only_less, ..item });
    }
    if ends_first {
        give_back(facts, target, own, &mut overlay, &mut items);
    }
    // Of a register that is written twice, the last value is what it shows in the end, with all the bits that
    // either of them changes.
    let mut later: BTreeMap<u16, Option<u16>> = BTreeMap::new();
    for item in items.iter_mut().rev() {
        item.is_last = !later.contains_key(&item.register);
        item.compared &= item.is_last;
        later.entry(item.register).and_modify(|bits| *bits = joined(*bits, item.mask)).or_insert(item.mask);
    }
    for item in items.iter_mut().filter(|item| item.is_last && item.mask.is_some()) {
        item.mask = later.get(&item.register).copied().flatten();
    }
    for at in (1..items.len()).rev() {
        let before = &items[at - 1];
        let end = usize::from(before.register) + before.words.len();
        items[at].together &= end == usize::from(items[at].register);
    }
    if let Some(first) = items.first_mut() {
        first.together = false;
    }
    Ok(items)
}

/// The bits of both masks; none: all of them.
fn joined(a: Option<u16>, b: Option<u16>) -> Option<u16> {
    a.zip(b).map(|(a, b)| a | b)
}

/// Bits of one register leave in one write.
fn push(items: &mut Vec<Item>, item: Item) {
    match items.last_mut() {
        Some(last) if last.register == item.register && last.mask.is_some() && item.mask.is_some() => {
            last.mask = joined(last.mask, item.mask);
            last.words = item.words;
            (last.wears, last.trigger) = (last.wears || item.wears, last.trigger && item.trigger);
            last.compared |= item.compared;
        }
        _ => items.push(item),
    }
}

/// What is noted of the writes of other states and that this one leaves alone. What leaves in one request comes
/// back in one, for a part of it may be refused: what is not noted of it stays as shown.
fn give_back(
    facts: &Facts<'_>,
    target: &Target<'_>,
    own: &[Write],
    overlay: &mut Shown,
    items: &mut Vec<Item>,
) {
    let Some(noted) = facts.noted.filter(|_| target.returns) else { return };
    // Registers that are given a value already, and which bits of them.
    let mut covered: BTreeMap<u16, u16> = BTreeMap::new();
    let mut cover = |write: &Write| {
        let bits = covered.entry(write.register).or_default();
        let open = write.mask.unwrap_or(u16::MAX) & !*bits;
        *bits |= open;
        open
    };
    own.iter().for_each(|write| {
        cover(write);
    });
    let states = facts.setpoint.states.values();
    for group in states.flat_map(|state| state.writes.chunk_by(|_, next| next.together)) {
        let is_noted = |write: &&Write| {
            facts.setpoint.wears(write) && noted.of(write.register, write.kind.registers()).is_some()
        };
        let open: Vec<(&Write, u16)> = group
            .iter()
            .filter(is_noted)
            .map(|write| (write, cover(write)))
            .filter(|(_, open)| *open > 0)
            .collect();
        if open.is_empty() {
            continue;
        }
        for write in group {
            let count = write.kind.registers();
            let back = open.iter().find(|(noted, _)| noted.register == write.register);
            let words = back.and_then(|_| noted.of(write.register, count));
            // What cannot be read cannot stay as it is.
            let Some(words) = words.or_else(|| overlay.held(write.register, count)) else { continue };
            let mask = match back {
                Some((_, bits)) if count == 1 && *bits != u16::MAX => Some(*bits),
                _ => write.mask,
            };
            let item = item(&Write { mask, ..write.clone() }, words, facts, overlay);
            // Also with one that does not wear it is written only where it is not so.
            push(items, Item { wears: true, ..item });
        }
    }
}

fn item(write: &Write, words: Vec<u16>, facts: &Facts<'_>, overlay: &mut Shown) -> Item {
    let count = write.kind.registers();
    let words = match (write.mask, &words[..], overlay.held(write.register, 1)) {
        (Some(mask), [word], Some(under)) => vec![under[0] & !mask | word & mask],
        _ => words,
    };
    overlay.put(write.register, &words);
    Item {
        register: write.register,
        shown: facts.shown.held(write.register, count).filter(|_| !write.blind),
        wears: facts.setpoint.wears(write),
        trigger: write.trigger,
        single: write.single,
        together: write.together,
        compared: !write.blind,
        is_last: true,
        kind: write.kind,
        order: write.order,
        mask: write.mask,
        words,
        slack: 0,
        drift: 0,
        only_less: false,
    }
}
