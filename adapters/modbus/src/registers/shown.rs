//! Registers as a unit showed them. Never asks.

use std::collections::BTreeMap;

use adapter_api::profile::Function;

use crate::plan::Extent;

/// Words by table and address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Shown(BTreeMap<(Function, u16), u16>);

impl Shown {
    /// What came for extents; those that the unit has not are left out.
    pub fn of<'w>(read: impl IntoIterator<Item = (Extent, Option<&'w [u16]>)>) -> Self {
        let mut shown = Self::default();
        for (extent, words) in read {
            let words = (extent.start..).zip(words.unwrap_or_default());
            shown.0.extend(words.map(|(register, word)| ((extent.function, register), *word)));
        }
        shown
    }

    /// The words of some registers, in the order in which they are named; none where one is missing.
    pub fn words(&self, function: Function, registers: impl IntoIterator<Item = u16>) -> Option<Vec<u16>> {
        registers.into_iter().map(|register| self.0.get(&(function, register)).copied()).collect()
    }

    /// Holding registers from one on.
    pub fn held(&self, start: u16, count: u16) -> Option<Vec<u16>> {
        self.words(Function::Holding, (0..count).map(|offset| start.wrapping_add(offset)))
    }

    /// A holding register is about to show this.
    pub fn put(&mut self, start: u16, words: &[u16]) {
        let words = (start..).zip(words);
        self.0.extend(words.map(|(register, word)| ((Function::Holding, register), *word)));
    }
}
