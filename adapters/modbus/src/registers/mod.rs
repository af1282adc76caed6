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
    Counter, DeviceId, DeviceInfo, Fault, Moment, Reading, Wanted,
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
use crate::{client::LinkError, fetch::is_refusal, plan::Extent, port::Port, units::UnitConfig};

/// How long what a unit said about itself is believed when it comes back.
const LOOK_MS: u64 = 3_600_000;

/// One unit's registers.
pub(crate) struct Registers {
    poll: Poll,
    found: Option<Found>,
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
        Self { poll: Poll::new(unit), found: None, notes: Notes::default() }
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
        if port.unit.main.keys.control == Some(true) {
            for setup in &port.unit.profile.setup {
                set_up(port, *setup).await?;
            }
        }
        port.learned.doubt(port.clock.now().wall_ms);
        let now = port.clock.now().mono_ms;
        self.found = self
            .found
            .take()
            .filter(|found| !found.is_incomplete && now.saturating_sub(found.looked) < LOOK_MS);
        let found = self.found(port).await?;
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
        self.poll.read(port, &found, wanted, now).await
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

/// What is so already is not written: such registers may wear out.
async fn set_up(port: &mut Port<'_>, setup: Setup) -> Result<(), Fault> {
    let Setup { register, value } = setup;
    let shown = port.read(Function::Holding, register, 1).await.map_err(|error| port.fault(&error))?;
    if shown != [value] {
        tracing::info!(unit = %port.unit.id, register, value, "the unit is set up");
        port.write(register, &[value]).await.map_err(|error| port.fault(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
