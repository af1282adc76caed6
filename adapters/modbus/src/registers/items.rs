//! The values of a state, register by register, against what the device shows. Pure.

use std::collections::BTreeSet;

use adapter_api::profile::{Quantity, RegisterType, WordOrder, Write};

use super::{
    notes::Noted,
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
}

impl Item {
    /// Shows the device something else, beyond what its steps explain?
    pub fn differs(&self) -> bool {
        self.is_off(self.slack)
    }

    /// Does it have to be written to be so?
    pub fn needs_write(&self) -> bool {
        self.is_off(self.drift)
    }

    fn is_off(&self, slack: i64) -> bool {
        let Some(shown) = &self.shown else { return true };
        if *shown == self.words {
            return false;
        }
        if let (Some(mask), [shown], [word]) = (self.mask, &shown[..], &self.words[..]) {
            return (shown ^ word) & mask != 0;
        }
        let number = |words: &[u16]| codec::number(words, self.kind, self.order);
        !number(shown).zip(number(&self.words)).is_some_and(|(a, b)| (a - b).abs() <= slack as f64)
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
    if let Some(noted) = facts.noted.filter(|_| target.returns) {
        for write in returned(facts, own, noted) {
            let words = noted.of(write.register, write.kind.registers()).unwrap_or_default();
            items.push(item(write, words, 0, 0, facts, &mut overlay));
        }
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
        let item = item(write, words, slack, drift, facts, &mut overlay);
        let timer = write.from == Some(Quantity::Timer);
        // A timer that runs shows what is left of it.
        let item = Item { compared: item.compared && !timer, ..item };
        match items.last_mut() {
            // Bits of one register leave in one write.
            Some(last) if last.register == item.register && last.mask.is_some() && item.mask.is_some() => {
                last.mask = last.mask.zip(item.mask).map(|(a, b)| a | b);
                last.words = item.words;
                (last.wears, last.trigger) = (last.wears || item.wears, last.trigger && item.trigger);
                last.compared |= item.compared;
            }
            _ => items.push(item),
        }
    }
    // Of a register that is written twice, the last value is what it shows in the end.
    let mut later = BTreeSet::new();
    for item in items.iter_mut().rev() {
        item.is_last = later.insert(item.register);
        item.compared &= item.is_last;
    }
    Ok(items)
}

/// The writes of other states whose registers are noted and that this one leaves alone.
fn returned<'w>(facts: &Facts<'w>, own: &[Write], noted: &Noted) -> Vec<&'w Write> {
    let mut seen: BTreeSet<u16> = own.iter().map(|write| write.register).collect();
    let all = facts.setpoint.writes().filter(|write| facts.setpoint.wears(write));
    all.filter(|write| {
        noted.of(write.register, write.kind.registers()).is_some() && seen.insert(write.register)
    })
    .collect()
}

fn item(
    write: &Write,
    words: Vec<u16>,
    slack: i64,
    drift: i64,
    facts: &Facts<'_>,
    overlay: &mut Shown,
) -> Item {
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
        slack,
        drift,
    }
}
