//! Commands of a SunSpec unit: what a command comes to on this device, as it is now. Pure; the same
//! computation serves the write and the read-back, so a command can be proven by a process that
//! never wrote it.

mod battery;
mod capacity;
mod choice;
mod limit;
mod set_point;
mod setting;

use std::time::Duration;

use adapter_api::{Parameters, Value};

pub(crate) use self::{
    battery::{mode as battery_mode, order as battery_order},
    capacity::Capacity,
    choice::Controls,
    limit::{der::order as der_limit_order, immediate::order as limit_order},
    set_point::{in_force as set_point_in_force, mode as set_point_mode, order as set_point_order},
    setting::{RESERVE, point_order, reserve_order},
};
use super::models::Block;

/// `restore` says what to do, and nothing else.
const ONLY_TRUE: &str = "`restore` can only be true; to change the value say the value instead";

/// The longest that a uint16 of seconds can say, and a uint32.
const LONGEST_TIMER: u64 = 65_534;
const LONGEST_LONG_TIMER: u64 = 0xFFFF_FFFE;

/// What is asked of a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub command: &'a str,
    pub parameters: &'a Parameters,
    /// What the revert timer shall be set to; none: no timer shall run.
    pub timer: Option<Duration>,
}

impl Ask<'_> {
    /// The timer in whole seconds, never shorter than asked; 0 is none.
    fn seconds(&self) -> u16 {
        self.seconds_up_to(LONGEST_TIMER) as u16
    }

    /// The same for a timer of 32 bits.
    fn long_seconds(&self) -> u32 {
        self.seconds_up_to(LONGEST_LONG_TIMER) as u32
    }

    fn seconds_up_to(&self, longest: u64) -> u64 {
        let whole = |timer: Duration| timer.as_secs().saturating_add(u64::from(timer.subsec_nanos() > 0));
        self.timer.map_or(0, |timer| whole(timer).clamp(1, longest))
    }
}

/// A command, worked out against fresh registers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    /// The writes, in order: offset from the model's ID register, and words.
    pub writes: Vec<(u16, Vec<u16>)>,
    /// Nothing needs to be written: all is so already, no timer runs that would end it, and none is wanted.
    pub already: bool,
    /// The device shows what was asked, within one step.
    pub applied: bool,
    /// What was asked, as the device would show it.
    pub requested: Parameters,
    /// What the device shows.
    pub observed: Parameters,
    /// What lasted until now and is held for a time from now on: to be noted before anything is written.
    pub keep: Option<Vec<u16>>,
    /// What the device shows beside what is noted.
    pub lasting: Lasting,
    /// Once `applied` or `already`, what is noted is no longer owed: it is restored, or replaced for good.
    pub forgets: bool,
}

/// What the device shows, beside what is noted to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Exactly that, or nothing is noted.
    AsNoted,
    /// Something that a command holds: its timer runs, or it forces what nobody sets for good.
    Held,
    /// Something else.
    Other,
}

/// A register that the device does not implement keeps what it shows.
fn implemented(now: Block<'_>, at: u16, word: u16) -> u16 {
    if now.raw(at) == Some(0xFFFF) { 0xFFFF } else { word }
}

/// The difference that may come from the device's own rounding: one step, where a step is finer than
/// what people ask for.
fn slack(shift: i16) -> u16 {
    u16::from(shift < 0)
}

/// Runs no timer, or has the device none?
fn runs_none(timer: u16) -> bool {
    matches!(timer, 0 | 0xFFFF)
}

/// Two registers as one number, high word first.
fn long(now: Block<'_>, at: u16) -> Option<u32> {
    Some(u32::from(now.raw(at)?) << 16 | u32::from(now.raw(at + 1)?))
}

fn words(long: u32) -> [u16; 2] {
    [(long >> 16) as u16, long as u16]
}

/// [`implemented`] for a uint32.
fn implemented_long(now: Block<'_>, at: u16, value: u32) -> [u16; 2] {
    words(if long(now, at) == Some(u32::MAX) { u32::MAX } else { value })
}

/// [`runs_none`] for a uint32.
fn long_runs_none(timer: [u16; 2]) -> bool {
    matches!(timer, [0, 0] | [0xFFFF, 0xFFFF])
}

/// Runs a timer of model 704? What remains of it is told apart from what it is set to.
fn timer_runs(now: Block<'_>, at: u16, remaining_at: u16) -> bool {
    long(now, at).is_some_and(|timer| !long_runs_none(words(timer))) && long(now, remaining_at) != Some(0)
}

/// The same writes for a maker that takes one register at a time: each alone, in their order, without the
/// registers that are not implemented.
pub(crate) fn singly(writes: &[(u16, Vec<u16>)], now: Block<'_>) -> Vec<(u16, Vec<u16>)> {
    let one_by_one = writes.iter().flat_map(|(at, words)| (*at..).zip(words));
    let missing = |at, word: u16| matches!(word, 0xFFFF | 0x8000) && now.raw(at) == Some(word);
    one_by_one.filter(|(at, word)| !missing(*at, **word)).map(|(at, word)| (at, vec![*word])).collect()
}

/// Do the registers hold these words?
fn holds(now: Block<'_>, writes: &[(u16, Vec<u16>)]) -> bool {
    let mut words = writes.iter().flat_map(|(at, words)| (*at..).zip(words));
    words.all(|(at, word)| now.raw(at) == Some(*word))
}

fn parameters<const N: usize>(values: [(&str, Option<Value>); N]) -> Parameters {
    let given = values.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
    Parameters(given.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_register_at_a_time_keeps_the_order_and_leaves_out_what_is_not_implemented() {
        let mut shown = vec![0; 20];
        shown[7..9].copy_from_slice(&[0xFFFF, 0x8000]);
        let writes = [(6, vec![4000, 0xFFFF, 0x8000, 0xFFFF]), (5, vec![1])];
        let alone = [(6, vec![4000]), (9, vec![0xFFFF]), (5, vec![1])];
        assert_eq!(singly(&writes, Block(&shown)), alone, "a value that looks like a sentinel is a value");
    }

    #[test]
    fn a_long_timer_that_is_set_runs_until_nothing_remains() {
        let runs =
            |timer: u32, remaining: u32| timer_runs(Block(&[words(timer), words(remaining)].concat()), 0, 2);
        assert!(runs(120, 30) && runs(0x0001_0000, u32::MAX), "what remains may not be implemented");
        assert!(!runs(0, 0) && !runs(120, 0) && !runs(u32::MAX, u32::MAX));
    }

    #[test]
    fn a_timer_is_whole_seconds_rounded_up_and_never_the_sentinel() {
        let seconds = |timer: Option<Duration>| {
            Ask { command: "", parameters: &Parameters::default(), timer }.seconds()
        };
        assert_eq!((seconds(None), seconds(Some(Duration::ZERO))), (0, 1));
        assert_eq!(seconds(Some(Duration::from_secs(120))), 120);
        assert_eq!(seconds(Some(Duration::from_millis(119_001))), 120);
        assert_eq!(seconds(Some(Duration::from_secs(100_000))), 65_534);
        let long = |timer| Ask { command: "", parameters: &Parameters::default(), timer }.long_seconds();
        assert_eq!((long(None), long(Some(Duration::from_millis(119_001)))), (0, 120));
        assert_eq!(long(Some(Duration::from_secs(100_000))), 100_000);
        assert_eq!(long(Some(Duration::MAX)), 0xFFFF_FFFE);
    }
}
