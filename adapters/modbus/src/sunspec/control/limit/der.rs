//! The limit on model 704: value and timer side by side, and the enable before them, which is written last.
//!
//! | register | held for a time | from now on | lifted, restored |
//! | --- | --- | --- | --- |
//! | WMaxLimPct | the limit | the limit | 100 %, what is noted |
//! | WMaxLimPctRvrt, WMaxLimPctEnaRvrt | what lasted before | as they were | as they were |
//! | WMaxLimPctRvrtTms | the lease's timer | 0 | 0 |
//! | WMaxLimPctEna, last | 1 | 1 | 0, what is noted |
//!
//! The enable is written each time: that is what starts the timer anew.

use super::{
    super::{Ask, Block, Order, holds, implemented, implemented_long, long_runs_none, timer_runs},
    NO_SCALE, Shown,
};

const ENABLED_AT: u16 = 14;
const LIMIT_AT: u16 = 15;
const REVERT_LIMIT_AT: u16 = 16;
const REVERT_ENABLED_AT: u16 = 17;
const REVERT_AT: u16 = 18;
const REMAINING_AT: u16 = 20;
const SCALE_AT: u16 = 54;

/// Has the device this limit at all?
pub(crate) fn exists(now: Block<'_>) -> bool {
    now.word(ENABLED_AT).is_some() && now.word(LIMIT_AT).is_some() && now.shift(SCALE_AT).is_some()
}

/// What the command comes to. `rated` is 702.WMax, W; `noted` the value and enable to go back to. `in_doubt`: it
/// may have been done, and its note forgotten, by a process that died.
///
/// # Errors
/// In words, when this device cannot do it.
pub(crate) fn order(
    ask: Ask<'_>,
    now: Block<'_>,
    rated: Option<f64>,
    noted: Option<[u16; 2]>,
    in_doubt: bool,
) -> Result<Order, String> {
    let shift = now.shift(SCALE_AT).ok_or(NO_SCALE)?;
    let enabled = now.word(ENABLED_AT).ok_or("the device has no power limit (704.WMaxLimPctEna)")? == 1;
    let limit = now.word(LIMIT_AT);
    let ends = enabled && timer_runs(now, REVERT_AT, REMAINING_AT);
    let shown = Shown { shift, rated, limit, enabled, ends };
    let target = shown.target(ask, noted, in_doubt)?;
    let full = shown.raw(100.0)?;
    let reverts_enable = now.word(REVERT_ENABLED_AT);
    let before = match (limit, now.word(REVERT_LIMIT_AT)) {
        (Some(limit), _) if !ends => [limit, u16::from(enabled)],
        // What a running timer will end is not what lasts, but what it will bring.
        (_, Some(limit)) if ends => [limit, reverts_enable.unwrap_or(1)],
        _ => [full, 0],
    };
    let seconds = if target.timed { ask.long_seconds() } else { 0 };
    let timer = implemented_long(now, REVERT_AT, seconds);
    let then = if seconds == 0 {
        [REVERT_LIMIT_AT, REVERT_ENABLED_AT].map(|at| now.raw(at).unwrap_or(0xFFFF))
    } else {
        let [limit, enable] = noted.unwrap_or(before);
        // Where the enable cannot be reverted it stays, and no limit is one of 100 %.
        let limit = if enable == 1 || reverts_enable.is_some() { limit } else { full };
        [implemented(now, REVERT_LIMIT_AT, limit), implemented(now, REVERT_ENABLED_AT, enable)]
    };
    let writes = vec![
        (LIMIT_AT, [&[target.limit][..], &then, &timer].concat()),
        (ENABLED_AT, vec![u16::from(target.enabled)]),
    ];
    let already = holds(now, &writes) && long_runs_none(timer);
    Ok(Order { already, writes, ..shown.order(ask, target, noted, before) })
}

#[cfg(test)]
mod tests;
