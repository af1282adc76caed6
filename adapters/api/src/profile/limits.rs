//! What a link to a device must respect.

use serde::Deserialize;

use super::{Function, Range, error::Wrong};
use crate::Span;

/// What a link must respect.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most registers in one request, up to 125.
    pub block: u16,
    /// Most unwanted registers between two wanted ones in one request.
    pub gap: u16,
    /// How long an answer may take.
    pub timeout: Span,
    /// Pause between two requests.
    pub spacing: Span,
    /// Registers that no request may contain: the device answers wrongly, or restarts.
    pub forbidden: Vec<Range>,
    /// Where there are any, a request lies within one of them.
    pub readable: Vec<Range>,
    /// Pause between opening the connection and the first request.
    pub pause_after_connect: Span,
    /// A connection that was idle for so long is closed: the device drops it without a word.
    pub idle_close: Option<Span>,
    /// Has the device room for one client alone? Another one takes the connection away, or gets none.
    pub one_client: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block: 125,
            gap: 16,
            timeout: Span(ms(2000)),
            spacing: Span(ms(0)),
            forbidden: Vec::new(),
            readable: Vec::new(),
            pause_after_connect: Span(ms(0)),
            idle_close: None,
            one_client: false,
        }
    }
}

impl Limits {
    /// Is a range no range, or the block none?
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if !(1..=125).contains(&self.block) {
            return Err(Wrong::at("limits.block", "must be 1 to 125 registers"));
        }
        let ranges = self.forbidden.iter().chain(&self.readable);
        match ranges.into_iter().find(|range| range.from > range.to) {
            Some(Range { from, to, .. }) => Err(Wrong::at(
                "limits",
                format!(
                    "has a range from {from} to {to} that ends before it begins: write the lower register as `from`"
                ),
            )),
            None => Ok(()),
        }
    }

    /// Registers that the limits themselves keep from being read, in words. `first` to `last` come in one request.
    pub(super) fn bar(&self, function: Function, first: u16, last: u16) -> Option<String> {
        let count = u32::from(last) - u32::from(first) + 1;
        if count > u32::from(self.block) {
            return Some(format!(
                "has {count} registers, which must come in one request, and limits.block allows {}: raise it, or leave the point out",
                self.block
            ));
        }
        if self.forbidden.iter().any(|range| range.touches(function, first, last)) {
            return Some("lies in limits.forbidden: leave the point out, or mend that range".to_owned());
        }
        let within = |range: &Range| range.contains(function, first, last);
        if !self.readable.is_empty() && !self.readable.iter().any(within) {
            return Some("lies in none of limits.readable: add a range that has it".to_owned());
        }
        None
    }
}

const fn ms(count: u64) -> std::time::Duration {
    std::time::Duration::from_millis(count)
}
