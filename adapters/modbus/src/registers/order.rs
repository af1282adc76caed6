//! What a command comes to on this device, as it is now. Pure: the same computation serves the write, the
//! read-back and the renewal, so that a command can be proven by a process that never wrote it.
//!
//! | write | leaves |
//! | --- | --- |
//! | volatile | always while the command holds, for that starts the device's timer anew; else with all of them where one shows something else |
//! | persistent | where it shows something else |
//! | trigger | with any other |

use std::collections::BTreeMap;

use adapter_api::{Parameters, Purpose, Value};

use super::{
    items::{Item, items},
    notes::Noted,
    shown::Shown,
    target::{Ask, Facts, Target},
    tell::tell,
};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub register: u16,
    pub words: Vec<u16>,
    /// By function 6.
    pub single: bool,
}

/// A command, worked out against fresh registers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    /// In the order in which they leave; none: it is so already.
    pub requests: Vec<Request>,
    /// The device shows what was asked.
    pub applied: bool,
    /// Nothing of it can be read back.
    pub is_blind: bool,
    /// What was asked, as the device would show it.
    pub requested: Parameters,
    /// What the device shows.
    pub observed: Parameters,
    /// What is to be noted before anything is written: what lasted until now and is held from now on, with
    /// what was noted before.
    pub keep: Option<BTreeMap<u16, u16>>,
    /// What is noted is what the device shows, or nothing is.
    pub is_as_noted: bool,
    /// Once it is so, what is noted is no longer owed: it is restored, or replaced for good.
    pub forgets: bool,
}

/// What the command comes to.
///
/// # Errors
/// In words, when this device cannot do it or may not.
pub(super) fn order(ask: &Ask<'_>, facts: &Facts<'_>) -> Result<Order, String> {
    let target = Target::of(ask, facts)?;
    let items = items(ask, facts, &target)?;
    let sent = sent(&items, ask);
    let compared = || items.iter().filter(|item| item.compared);
    let applied = !compared().any(Item::differs);
    let mut then = facts.shown.clone();
    items.iter().for_each(|item| then.put(item.register, &item.words));
    let mut requested = tell(ask, &Facts { shown: &then, ..*facts }, &target, true);
    let mut observed = tell(ask, facts, &target, applied);
    if !applied {
        for item in compared().filter(|item| item.differs()) {
            differing(&mut requested, item.register, Some(&item.words));
            differing(&mut observed, item.register, item.shown.as_deref());
        }
    }
    let holds = ask.timer.is_some() && !target.restores;
    Ok(Order {
        keep: holds.then(|| keep(facts.noted, &items, &sent)).flatten(),
        requests: requests(&items, &sent),
        applied,
        is_blind: !items.is_empty() && compared().next().is_none(),
        requested,
        observed,
        is_as_noted: facts.noted.is_none_or(|noted| shows(facts.shown, noted)),
        forgets: facts.noted.is_some() && (target.restores || ask.timer.is_none()),
    })
}

/// Which of them leave.
fn sent(items: &[Item], ask: &Ask<'_>) -> Vec<bool> {
    let needed = |item: &Item| {
        // One that wears and shows nothing is not written again by a renewal.
        let is_spared = item.wears && item.shown.is_none() && ask.purpose == Purpose::Renew;
        // What comes before another value of the same register is no state that lasts.
        item.is_last && item.needs_write() && !is_spared || ask.timer.is_some() && !item.wears
    };
    let is_all_triggers = items.iter().all(|item| item.trigger);
    let counts = |item: &&Item| is_all_triggers || !item.trigger;
    let any = items.iter().filter(counts).any(needed);
    let any_volatile = items.iter().filter(counts).any(|item| !item.wears && needed(item));
    let leaves = |item: &Item| match item {
        item if item.trigger && !is_all_triggers => any,
        item if item.wears => needed(item),
        _ => any_volatile,
    };
    items.iter().map(leaves).collect()
}

/// Those that belong together in one.
fn requests(items: &[Item], sent: &[bool]) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut at = 0;
    while at < items.len() {
        let rest = items[at + 1..].iter().take_while(|item| item.together).count();
        let group = at..=at + rest;
        if sent[group.clone()].contains(&true) {
            let words: Vec<u16> = items[group].iter().flat_map(|item| item.words.clone()).collect();
            let single = items[at].single && words.len() == 1;
            requests.push(Request { register: items[at].register, words, single });
        }
        at += rest + 1;
    }
    requests
}

/// What is noted, with what is changed for the first time.
fn keep(noted: Option<&Noted>, items: &[Item], sent: &[bool]) -> Option<BTreeMap<u16, u16>> {
    let mut words = noted.map(|noted| noted.words.clone()).unwrap_or_default();
    let before = words.len();
    for (item, _) in items.iter().zip(sent).filter(|(item, sent)| **sent && item.wears) {
        let shown = item.shown.as_deref().unwrap_or_default();
        // A value is noted as a whole: half of it would be nobody's value.
        if shown != item.words {
            for (register, word) in (item.register..).zip(shown) {
                words.entry(register).or_insert(*word);
            }
        }
    }
    (words.len() > before).then_some(words)
}

fn shows(shown: &Shown, noted: &Noted) -> bool {
    noted.words.iter().all(|(register, word)| shown.held(*register, 1).is_none_or(|now| now == [*word]))
}

/// Says a register by its number, for what the words of the command do not tell.
fn differing(told: &mut Parameters, register: u16, words: Option<&[u16]>) {
    for (register, word) in (register..).zip(words.unwrap_or_default()) {
        told.0.insert(format!("register_{register}").into(), Value::Number(f64::from(*word)));
    }
}
