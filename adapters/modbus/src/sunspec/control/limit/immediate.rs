//! The limit on model 123: one write of value, timers and enable, side by side.
//!
//! | register | held for a time | from now on | lifted, restored |
//! | --- | --- | --- | --- |
//! | WMaxLimPct | the limit | the limit | 100 %, what is noted |
//! | WMaxLimPct_WinTms, _RmpTms | 0 | 0 | 0 |
//! | WMaxLimPct_RvrtTms | the lease's timer | 0 | 0 |
//! | WMaxLim_Ena | 1 | 1 | 0, what is noted |

use super::{
    super::{Ask, Block, Order, holds, implemented, runs_none},
    NO_SCALE, Shown,
};
use crate::sunspec::models::immediate::{LIMIT_AT, LIMIT_ENABLED_AT, LIMIT_SCALE_AT};

/// Offsets of the window, revert and ramp times.
const WINDOW_AT: u16 = 6;
const REVERT_AT: u16 = 7;
const RAMP_AT: u16 = 8;

/// Has the device this limit at all?
pub(crate) fn exists(now: Block<'_>) -> bool {
    [LIMIT_AT, LIMIT_ENABLED_AT].iter().all(|at| now.word(*at).is_some())
        && now.shift(LIMIT_SCALE_AT).is_some()
}

/// What the command comes to. `rated` is 121.WMax, W; `noted` the value and enable to go back to. `in_doubt`: it
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
    let limit = now.word(LIMIT_AT);
    let enabled = now.word(LIMIT_ENABLED_AT) == Some(1);
    let ends = enabled && !now.raw(REVERT_AT).is_none_or(runs_none);
    let shown = Shown { shift: now.shift(LIMIT_SCALE_AT).ok_or(NO_SCALE)?, rated, limit, enabled, ends };
    let target = shown.target(ask, noted, in_doubt)?;
    // At once, and without a ramp.
    let revert = implemented(now, REVERT_AT, if target.timed { ask.seconds() } else { 0 });
    let (window, ramp) = (implemented(now, WINDOW_AT, 0), implemented(now, RAMP_AT, 0));
    let writes = vec![(LIMIT_AT, vec![target.limit, window, revert, ramp, u16::from(target.enabled)])];
    let before = match limit {
        Some(limit) if !ends => [limit, u16::from(enabled)],
        // What a running timer will end is not what lasts: no limit does then.
        _ => [shown.raw(100.0)?, 0],
    };
    let already = holds(now, &writes) && runs_none(revert);
    Ok(Order { already, writes, ..shown.order(ask, target, noted, before) })
}

#[cfg(test)]
mod tests;
