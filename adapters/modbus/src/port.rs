//! One unit's way through the link: what it may use, and its errors in words. Never decides when.

use adapter_api::{Clock, Fault, Problem, Store, StoreError, WriteOutcome, profile::Function};

use crate::{
    client::{Link, LinkError},
    learned::Learned,
    units::UnitConfig,
};

/// One unit's way through the link.
pub(crate) struct Port<'a> {
    pub unit: &'a UnitConfig,
    pub store: &'a Store,
    pub clock: &'a Clock,
    pub link: &'a mut Link,
    pub learned: &'a mut Learned,
}

impl Port<'_> {
    pub async fn read(&mut self, function: Function, start: u16, count: u16) -> Result<Vec<u16>, LinkError> {
        self.link.read(self.unit.address, self.unit.pace, function, start, count).await
    }

    pub async fn write(&mut self, start: u16, words: &[u16]) -> Result<(), LinkError> {
        self.link.write(self.unit.address, self.unit.pace, start, words).await
    }

    /// One register, with function 6.
    pub async fn write_single(&mut self, register: u16, word: u16) -> Result<(), LinkError> {
        self.link.write_single(self.unit.address, self.unit.pace, register, word).await
    }

    /// The error as a fault of this unit.
    pub fn fault(&self, error: &LinkError) -> Fault {
        error.fault(&self.place())
    }

    /// The error of a write as the end of a command.
    pub fn outcome(&self, error: &LinkError, begun: bool) -> WriteOutcome {
        error.outcome(&self.place(), begun)
    }

    /// Which unit, in words.
    pub fn place(&self) -> String {
        format!("Unit {} at {}", self.unit.address, self.link.address())
    }
}

/// Nothing but reads and notes came before.
pub(crate) fn not_applied(why: &impl std::fmt::Display) -> WriteOutcome {
    WriteOutcome::NotApplied { reason: why.to_string(), sent: false }
}

/// Nothing is decided without what is noted.
pub(crate) fn unread(error: StoreError) -> Fault {
    Fault::Answered(Problem::new(
        error.to_string(),
        "Make room on the disk, or look at the journal's own words",
    ))
}
