//! Commands of a SunSpec unit: what a command comes to on this device, as it is now. Pure; the same
//! computation serves the write and the read-back, so a command can be proven by a process that
//! never wrote it.

mod battery;
mod limit;

use adapter_api::{Parameters, Value};

pub(crate) use self::{
    battery::mode as battery_mode, battery::order as battery_order, limit::order as limit_order,
};
use super::models::Block;

/// A command, worked out against fresh registers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    /// The writes, in order: offset from the model's ID register, and words.
    pub writes: Vec<(u16, Vec<u16>)>,
    /// Nothing needs to be written: all is so already, and no timer runs that would end it.
    pub already: bool,
    /// The device shows what was asked, within one step.
    pub applied: bool,
    /// What was asked, as the device would show it.
    pub requested: Parameters,
    /// What the device shows.
    pub observed: Parameters,
    /// A lasting setting that the command changes for its time, as it is now.
    pub keep: Option<u16>,
    /// The kept setting is restored by this command.
    pub restores: bool,
}

/// A register that the device does not implement keeps what it shows.
fn implemented(now: Block<'_>, at: u16, word: u16) -> u16 {
    if now.raw(at) == Some(0xFFFF) { 0xFFFF } else { word }
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
