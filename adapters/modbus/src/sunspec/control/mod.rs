//! Commands of a SunSpec unit: what a command comes to on this device, as it is now. Pure; the same
//! computation serves the write and the read-back, so a command can be proven by a process that
//! never wrote it.

mod battery;
mod limit;
mod setting;

use std::time::Duration;

use adapter_api::{Parameters, Value};

pub(crate) use self::{
    battery::{mode as battery_mode, order as battery_order},
    limit::order as limit_order,
    setting::{RESERVE, point_order, reserve_order},
};
use super::models::Block;

/// `restore` says what to do, and nothing else.
const ONLY_TRUE: &str = "`restore` can only be true; to change the value say the value instead";

/// The longest that a uint16 of seconds can say.
const LONGEST_TIMER: u64 = 65_534;

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
        let whole = |timer: Duration| timer.as_secs() + u64::from(timer.subsec_nanos() > 0);
        self.timer.map_or(0, |timer| whole(timer).clamp(1, LONGEST_TIMER) as u16)
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
    /// Once `applied` or `already`, what is noted is no longer owed: it is restored, or replaced for good.
    pub forgets: bool,
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
    fn a_timer_is_whole_seconds_rounded_up_and_never_the_sentinel() {
        let seconds = |timer: Option<Duration>| {
            Ask { command: "", parameters: &Parameters::default(), timer }.seconds()
        };
        assert_eq!((seconds(None), seconds(Some(Duration::ZERO))), (0, 1));
        assert_eq!(seconds(Some(Duration::from_secs(120))), 120);
        assert_eq!(seconds(Some(Duration::from_millis(119_001))), 120);
        assert_eq!(seconds(Some(Duration::from_secs(100_000))), 65_534);
    }
}
