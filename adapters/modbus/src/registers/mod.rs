//! A unit with a register profile, or the registers that a profile adds to a unit that describes itself:
//! the points whose turn it is are read in the fewest requests and turned into one reading per device, all of
//! one instant; commands are in `execute`. Knows no model by name; the link is lent to it for each turn.
//!
//! | module | owns |
//! | --- | --- |
//! | `shown` | registers as they were read |
//! | `decode` | registers → the value of a point; pure |
//! | `found` | what a unit says about itself when it is found |
//! | `describe` | its devices; pure |
//! | `poll` | which points are read when, and what becomes of their values |
//! | `fresh` | what a command sets, and the registers that it needs |
//! | `target` | what a command wants; pure |
//! | `raw` | quantities → raw values; pure |
//! | `order`, `items` | what a command comes to against fresh registers; pure |
//! | `tell` | what registers mean in the words of a command; pure |
//! | `setting` | `write_point`; pure |
//! | `execute` | writing, reading back, and the notes of what was replaced |
//! | `notes` | their names and form |

mod decode;
mod describe;
mod execute;
mod found;
mod fresh;
mod items;
mod notes;
mod order;
mod poll;
mod raw;
mod setting;
mod shown;
mod target;
mod tell;

use std::time::Duration;

use adapter_api::{
    Counter, DeviceId, DeviceInfo, Fault, Moment, Problem, Reading, Wanted,
    profile::{Function, Point, Profile, Setup},
};

pub(crate) use self::{
    decode::{Decoded, decode, needs},
    describe::declared,
    found::{of_text, read as text, texts},
    fresh::carries,
    shown::Shown,
};
use self::{found::Found, notes::Notes, poll::Poll};
use crate::{
    client::LinkError,
    fetch::is_refusal,
    plan::Extent,
    port::Port,
    units::{Part, UnitConfig},
};

/// How long what a unit said about itself is believed when it comes back.
const LOOK_MS: u64 = 3_600_000;

/// How often a part that was not there is looked for while its unit answers.
const MISSING_MS: u64 = 120_000;

/// One unit's registers.
pub(crate) struct Registers {
    poll: Poll,
    found: Option<Found>,
    /// When missing parts were looked for, monotonic ms.
    searched: u64,
    /// A part came: until the unit is found again, nobody was told of it.
    is_outdated: bool,
    /// Was told that it cannot be set up?
    setup_refused: bool,
    notes: Notes,
}

/// How often the unit is read: as often as the points that are read most often.
pub(crate) fn interval(unit: &UnitConfig) -> Duration {
    let points = unit.profile.all_points().filter(|(part, ..)| poll::is_read(unit, part));
    let periods = points.filter_map(|(_, _, point)| point.class.period(unit.interval));
    // One that describes itself is read as a whole at its interval.
    let own = unit.profile.discovery.map(|_| unit.interval);
    periods.chain(own).min().unwrap_or(unit.interval)
}

/// The registers of the points that are read.
pub(crate) fn extents(unit: &UnitConfig, of: impl Fn(&Point) -> bool) -> Vec<Extent> {
    let points = unit.profile.all_points().filter(|(part, _, point)| poll::is_read(unit, part) && of(point));
    points.flat_map(|(_, _, point)| decode::extents(point, unit.rules(&unit.barred))).collect()
}

/// Is there anything to read or to set?
pub(crate) fn exist(profile: &Profile) -> bool {
    profile.discovery.is_none() || profile.all_points().next().is_some() || !profile.setpoints.is_empty()
}

impl Registers {
    pub fn new(unit: &UnitConfig) -> Self {
        Self {
            poll: Poll::new(unit),
            found: None,
            searched: 0,
            is_outdated: false,
            setup_refused: false,
            notes: Notes::default(),
        }
    }

    /// The cheapest sign of life, where nothing else gave one: the value with the lowest address. What it is
    /// set up with may be lost.
    pub async fn probe(&mut self, port: &mut Port<'_>) -> Result<Vec<DeviceInfo>, Fault> {
        if let Some(Extent { function, start, count }) = self.poll.first()
            && port.unit.profile.discovery.is_none()
        {
            match port.read(function, start, count).await {
                Ok(_) => {}
                // It is there, and does not have this one: reading finds out what it has.
                Err(LinkError::Exception(code)) if is_refusal(code) => {}
                Err(error) => return Err(port.fault(&error)),
            }
        }
        let is_controlled = |part: &&Part| part.enabled() && part.keys.control == Some(true);
        if port.unit.parts().iter().any(is_controlled) {
            self.set_up(port).await?;
        }
        port.learned.doubt(port.clock.now().wall_ms);
        let now = port.clock.now().mono_ms;
        self.found = self
            .found
            .take()
            .filter(|found| !found.is_incomplete && now.saturating_sub(found.looked) < LOOK_MS)
            .filter(|_| !self.is_outdated);
        let found = self.found(port).await?;
        self.is_outdated = false;
        let devices = describe::found(port.unit, &found);
        self.poll.anew();
        Ok(devices)
    }

    /// What is known of the unit; looked at first where nothing is, for a command may come before any probe.
    async fn found(&mut self, port: &mut Port<'_>) -> Result<Found, Fault> {
        if let Some(found) = &self.found {
            return Ok(found.clone());
        }
        let found = found::look(port).await.map_err(|error| port.fault(&error))?;
        self.found = Some(found.clone());
        Ok(found)
    }

    /// One reading of each device that shows something.
    pub async fn read(
        &mut self,
        port: &mut Port<'_>,
        wanted: Wanted,
        now: Moment,
    ) -> Result<Vec<Reading>, Fault> {
        let found = match &self.found {
            // Who it is does not matter to its values, and which parts it has does.
            None if port.unit.profile.parts.is_empty() => Found::default(),
            _ => self.found(port).await?,
        };
        let is_due = now.mono_ms.saturating_sub(self.searched.max(found.looked)) >= MISSING_MS;
        if is_due && !self.is_outdated {
            self.searched = now.mono_ms;
            self.search(port, &found).await?;
        }
        if self.is_outdated {
            // Only a unit that fails is found again, with the part that is new.
            return Err(Fault::Answered(Problem::new(
                format!("{} has a part that it did not show before", port.place()),
                "Nothing is to be done: it is found again by itself",
            )));
        }
        self.poll.read(port, &found, wanted, now).await
    }

    /// Which parts came that were not there?
    async fn search(&mut self, port: &mut Port<'_>, found: &Found) -> Result<Vec<&'static str>, Fault> {
        let came = found::came(port, found).await.map_err(|error| port.fault(&error))?;
        if !came.is_empty() && !self.is_outdated {
            tracing::info!(unit = %port.unit.id, parts = ?came, "the unit shows parts that it did not show before");
        }
        self.is_outdated |= !came.is_empty();
        Ok(came)
    }

    /// Did a part come of which nobody was told yet?
    pub fn is_outdated(&self) -> bool {
        self.is_outdated
    }

    /// What the unit is set up with; one that refuses it may be read all the same.
    async fn set_up(&mut self, port: &mut Port<'_>) -> Result<(), Fault> {
        let mut refused = None;
        for setup in &port.unit.profile.setup {
            match set_up(port, *setup).await {
                Ok(()) => {}
                Err(LinkError::Exception(code)) => refused = Some((setup.register, code)),
                Err(error) => return Err(port.fault(&error)),
            }
        }
        match (refused, self.setup_refused) {
            (Some((register, exception)), false) => {
                tracing::warn!(unit = %port.unit.id, register, exception, "the unit refuses to be set up: commands may do nothing");
            }
            (None, true) => tracing::info!(unit = %port.unit.id, "the unit is set up again"),
            _ => {}
        }
        self.setup_refused = refused.is_some();
        Ok(())
    }

    /// What was not believed since the last call.
    pub fn disbelieved(&mut self) -> Vec<(DeviceId, Counter, u64)> {
        std::mem::take(&mut self.poll.disbelieved)
    }

    /// Is the part there, as far as the unit was found?
    pub fn has(&self, part: &str) -> bool {
        self.found.as_ref().is_some_and(|found| found.parts.contains(&part))
    }
}

/// What is so already is not written: such registers may wear out. One that cannot be read is.
async fn set_up(port: &mut Port<'_>, setup: Setup) -> Result<(), LinkError> {
    let Setup { register, value } = setup;
    match port.read(Function::Holding, register, 1).await {
        Ok(shown) if shown == [value] => return Ok(()),
        Err(LinkError::Exception(code)) if is_refusal(code) => {}
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    port.write(register, &[value]).await?;
    tracing::info!(unit = %port.unit.id, register, value, "the unit is set up");
    Ok(())
}

#[cfg(test)]
mod tests;
