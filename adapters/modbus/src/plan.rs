//! Points → requests. Pure: no I/O, no clock.
//!
//! A request never crosses from one function to the other, never asks for more than `block`
//! registers, never bridges more than `gap` unwanted ones nor any that is barred, and never splits a
//! value: its registers would be of two instants.

use std::collections::BTreeSet;

use adapter_api::profile::Function;

/// The registers of one value, or of values that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    pub function: Function,
    pub start: u16,
    pub count: u16,
}

impl Extent {
    /// The register after its last one.
    pub fn end(self) -> u32 {
        u32::from(self.start) + u32::from(self.count)
    }
}

/// One request, and which of the wanted extents it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub function: Function,
    pub start: u16,
    pub count: u16,
    /// Places in the list that was planned.
    pub members: Vec<usize>,
}

/// What a unit's requests must respect.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Most registers in one request.
    pub block: u16,
    /// Most unwanted registers between two wanted ones.
    pub gap: u16,
    pub barred: &'a Barred,
}

/// Where requests may not go: what the profile says, and what was learned of the unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Barred {
    /// Registers that no request may contain.
    pub forbidden: Vec<Extent>,
    /// Where there are any, a request lies within one of them.
    pub readable: Vec<Extent>,
    /// No request may contain such a register and the one before it.
    pub cuts: BTreeSet<(Function, u16)>,
}

impl Barred {
    /// May one request go from the extent that ends before `end` on to `next`, all from `start` on?
    fn lets(&self, function: Function, start: u16, end: u32, next: Extent) -> bool {
        let upto = next.end().max(end);
        let within =
            |range: &Extent| range.function == function && range.start <= start && upto <= range.end();
        let bridged = |range: &Extent| {
            range.function == function
                && end < u32::from(next.start)
                && range.start < next.start
                && range.end() > end
        };
        // One within a value parts nothing.
        let cut = u16::try_from(end)
            .ok()
            .filter(|end| *end <= next.start)
            .is_some_and(|end| self.cuts.range((function, end)..=(function, next.start)).next().is_some());
        !cut && !self.forbidden.iter().any(bridged)
            && (self.readable.is_empty() || self.readable.iter().any(within))
    }
}

/// The fewest requests that read every extent once. An extent that is longer than `block` gets a
/// request of its own.
pub fn plan(wanted: &[Extent], rules: Rules<'_>) -> Vec<Request> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|place| wanted[*place]);
    let mut requests: Vec<Request> = Vec::new();
    for place in order {
        let extent = wanted[place];
        if let Some(last) = requests.last_mut()
            && let Some(count) = joined(last, extent, rules)
        {
            last.count = count;
            last.members.push(place);
            continue;
        }
        let Extent { function, start, count } = extent;
        requests.push(Request { function, start, count, members: vec![place] });
    }
    requests
}

/// The length of a request that takes one more extent, if it may.
fn joined(request: &Request, extent: Extent, rules: Rules<'_>) -> Option<u16> {
    let Request { function, start, count, .. } = *request;
    let end = u32::from(start) + u32::from(count);
    let bridged = u32::from(extent.start).saturating_sub(end);
    let count = end.max(extent.end()) - u32::from(start);
    let fits = function == extent.function && bridged <= u32::from(rules.gap);
    let count = u16::try_from(count).ok().filter(|count| fits && *count <= rules.block)?;
    rules.barred.lets(function, start, end, extent).then_some(count)
}

#[cfg(test)]
mod tests;
