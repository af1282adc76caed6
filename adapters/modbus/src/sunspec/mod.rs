//! A unit that describes itself by SunSpec models: found once, read as one snapshot, commanded with
//! fresh registers. Owns what is known of the unit; the link is lent to it for each turn.

mod choice;
mod control;
mod devices;
mod discovery;
mod execute;
#[cfg(test)]
mod facts;
mod find;
#[cfg(test)]
mod golden;
mod inputs;
mod known;
mod models;
mod notes;
mod past;
mod points;
mod seen;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod values;
mod words;

use adapter_api::{DeviceInfo, Fault, Moment, Reading};

pub(crate) use self::{
    devices::declared,
    discovery::{Common, DiscoveryError, Group, Search},
    seen::seen,
};
use self::{
    discovery::At,
    find::find,
    known::Known,
    notes::Notes,
    snapshot::{Snapshot, SnapshotError, extents, fetch},
    words::{changed, fault, moved},
};
use crate::{plan::Extent, port::Port};

/// How often a unit is looked at as a whole: whether what was left out is there, and what counts by now.
const LOOK_MS: u64 = 3_600_000;

/// One unit.
#[derive(Default)]
pub(crate) struct Sunspec {
    state: State,
    search: Search,
    notes: Notes,
}

#[derive(Default)]
enum State {
    #[default]
    Unknown,
    Known(Box<Known>),
    /// Its models left their places; what it was until then.
    Moved(Box<Known>),
}

impl Sunspec {
    /// Discovery, or one cheap read where the unit is known.
    pub async fn probe(&mut self, port: &mut Port<'_>) -> Result<Vec<DeviceInfo>, Fault> {
        // One that was away may show by now what it did not.
        if let State::Known(known) = &self.state
            && !known.is_incomplete()
        {
            let first: Vec<_> = known.polled().into_iter().take(1).collect();
            match fetch(port, &first).await {
                Err(SnapshotError::Moved) => self.lose(),
                alive => {
                    alive.map_err(|error| fault(port, &error))?;
                    return Ok(devices::found(port.unit, known));
                }
            }
        }
        // Whatever it became is told.
        let known = find(&mut self.search, port).await?;
        let devices = devices::found(port.unit, &known);
        self.state = State::Known(known);
        Ok(devices)
    }

    /// All models of the unit at once.
    pub async fn read(&mut self, port: &mut Port<'_>, now: Moment) -> Result<Vec<Reading>, Fault> {
        let due = match &self.state {
            State::Known(known) => now.mono_ms.saturating_sub(known.looked) >= LOOK_MS,
            State::Unknown | State::Moved(_) => false,
        };
        if due {
            self.search_again(port, now).await?;
        }
        let snapshot = self.look(port, Known::polled).await?;
        if let State::Known(known) = &mut self.state
            && due
            && known.grow(&snapshot, &inputs::inputs(port.unit.profile, &snapshot))
        {
            known.past.note(port.store, port.unit).await;
        }
        Ok(values::readings(port.unit, self.known(port).await?, &snapshot, now))
    }

    /// Looks whether a unit that is incomplete is more by now. What works goes on when it cannot be told.
    async fn search_again(&mut self, port: &mut Port<'_>, now: Moment) -> Result<(), Fault> {
        let State::Known(known) = &mut self.state else { return Ok(()) };
        known.looked = now.mono_ms;
        if !known.is_incomplete() {
            return Ok(());
        }
        match find(&mut self.search, port).await {
            Ok(found) if devices::found(port.unit, &found) == devices::found(port.unit, known) => {
                *known = found;
                Ok(())
            }
            // The probe that follows tells what it became.
            Ok(_) => {
                self.lose();
                Err(changed(port))
            }
            Err(error) => {
                tracing::debug!(unit = %port.unit.id, %error, "a unit that is incomplete could not be searched again");
                Ok(())
            }
        }
    }

    /// What one poll reads, as far as it is known: in requests of so many registers at most.
    pub fn extents(&self, block: u16) -> Vec<Extent> {
        match &self.state {
            State::Known(known) => extents(&known.polled(), block),
            State::Unknown | State::Moved(_) => Vec::new(),
        }
    }

    /// A fresh look at some models. When they left their places they are found again at once, and only
    /// once: a map that moves all the time would else never let go of the link.
    async fn look(
        &mut self,
        port: &mut Port<'_>,
        models: impl Fn(&Known) -> Vec<At>,
    ) -> Result<Snapshot, Fault> {
        let was_known = matches!(self.state, State::Known(_));
        let mut wanted = models(self.known(port).await?);
        let mut snapshot = fetch(port, &wanted).await;
        if was_known && matches!(snapshot, Err(SnapshotError::Moved)) {
            self.lose();
            wanted = models(self.known(port).await?);
            snapshot = fetch(port, &wanted).await;
        }
        if matches!(snapshot, Err(SnapshotError::Moved)) {
            self.lose();
        }
        snapshot.map_err(|error| fault(port, &error))
    }

    /// What is known; found first where nothing was, for a command may come before any probe. A unit
    /// whose models moved and that became something else is known again when a probe told so: readings
    /// and commands of devices that nobody was told of would go nowhere.
    async fn known(&mut self, port: &mut Port<'_>) -> Result<&Known, Fault> {
        let known = match std::mem::take(&mut self.state) {
            State::Known(known) => known,
            before => {
                self.state = before;
                let known = find(&mut self.search, port).await?;
                if let State::Moved(before) = &self.state
                    && devices::found(port.unit, before) != devices::found(port.unit, &known)
                {
                    return Err(moved(port));
                }
                known
            }
        };
        self.state = State::Known(known);
        match &self.state {
            State::Known(known) => Ok(known),
            State::Unknown | State::Moved(_) => Err(moved(port)),
        }
    }

    /// Its models are not where they were.
    fn lose(&mut self) {
        self.state = match std::mem::take(&mut self.state) {
            State::Known(known) => State::Moved(known),
            other => other,
        };
    }
}
