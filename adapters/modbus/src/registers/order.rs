//! What a command comes to on this device, as it is now. Pure: the same computation serves the write, the
//! read-back and the renewal, so that a command can be proven by a process that never wrote it.
//!
//! | write | leaves |
//! | --- | --- |
//! | volatile | always while the command holds, for that starts the device's timer anew; else with all of them where one shows something else |
//! | persistent | where it shows something else |
//! | trigger | with any other |
//! | in one request with another | with that one |

use std::{collections::BTreeMap, ops::Range};

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
    /// Is anything that wears out among the requests?
    pub wears: bool,
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
        wears: groups(&items)
            .any(|group| leaves(&sent, &group) && items[group].iter().any(|item| item.wears)),
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

/// The places of those that belong together in one request.
fn groups(items: &[Item]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    items.chunk_by(|_, next| next.together).map(move |group| {
        let from = at;
        at += group.len();
        from..at
    })
}

/// Is any of the group needed? Then it leaves as a whole.
fn leaves(sent: &[bool], group: &Range<usize>) -> bool {
    sent[group.clone()].contains(&true)
}

/// Those that belong together in one.
fn requests(items: &[Item], sent: &[bool]) -> Vec<Request> {
    let of = |group: Range<usize>| {
        let first = &items[group.start];
        let words: Vec<u16> = items[group].iter().flat_map(|item| item.words.clone()).collect();
        Request { register: first.register, single: first.single && words.len() == 1, words }
    };
    groups(items).filter(|group| leaves(sent, group)).map(of).collect()
}

/// What is noted, with what is changed for the first time.
fn keep(noted: Option<&Noted>, items: &[Item], sent: &[bool]) -> Option<BTreeMap<u16, u16>> {
    let mut words = noted.map(|noted| noted.words.clone()).unwrap_or_default();
    let before = words.len();
    for group in groups(items) {
        let changes = |item: &Item, sent: bool| {
            sent && item.wears && item.shown.as_ref().is_some_and(|shown| *shown != item.words)
        };
        // What leaves in one request is noted as a whole: a part of it would be nobody's value, or could not be
        // written back alone.
        if !group.clone().any(|place| changes(&items[place], sent[place])) {
            continue;
        }
        for item in items[group].iter().filter(|item| item.wears) {
            for (register, word) in (item.register..).zip(item.shown.as_deref().unwrap_or_default()) {
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
