//! A unit that describes itself by SunSpec models: found once, read as one snapshot, commanded with
//! fresh registers. Owns what is known of the unit; the link is lent to it for each turn.

mod choice;
mod control;
mod devices;
mod discovery;
mod execute;
#[cfg(test)]
mod golden;
mod inputs;
mod known;
mod models;
mod notes;
mod points;
mod seen;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod values;

use adapter_api::{DeviceInfo, Fault, Moment, Problem, Reading};

use self::{
    choice::{Choice, METERS},
    known::Known,
    models::Model,
    notes::Notes,
    snapshot::{Snapshot, SnapshotError, extents, fetch},
};
pub(crate) use self::{
    devices::declared,
    discovery::{Common, DiscoveryError, Group, discover},
    seen::seen,
};
use crate::{plan::Extent, port::Port};

/// One unit.
#[derive(Default)]
pub(crate) struct Sunspec {
    state: State,
    notes: Notes,
}

#[derive(Default)]
enum State {
    #[default]
    Unknown,
    Known(Box<Known>),
    /// Its models left their places: the next probe finds them again and tells what it became.
    Moved,
}

impl Sunspec {
    /// Discovery, or one cheap read where the unit is known.
    pub async fn probe(&mut self, port: &mut Port<'_>) -> Result<Vec<DeviceInfo>, Fault> {
        if let State::Known(known) = &self.state {
            let first: Vec<_> = known.polled().into_iter().take(1).collect();
            let alive = fetch(port, &first).await;
            self.believe(port, alive)?;
        } else {
            self.state = State::Known(find(port).await?);
        }
        let State::Known(known) = &self.state else { return Err(moved(port)) };
        Ok(devices::found(port.unit, known))
    }

    /// All models of the unit at once.
    pub async fn read(&mut self, port: &mut Port<'_>, now: Moment) -> Result<Vec<Reading>, Fault> {
        let polled = self.known(port).await?.polled();
        let snapshot = fetch(port, &polled).await;
        let snapshot = self.believe(port, snapshot)?;
        Ok(values::readings(port.unit, self.known(port).await?, &snapshot, now))
    }

    /// What one poll reads, as far as it is known: in requests of so many registers at most.
    pub fn extents(&self, block: u16) -> Vec<Extent> {
        match &self.state {
            State::Known(known) => extents(&known.polled(), block),
            State::Unknown | State::Moved => Vec::new(),
        }
    }

    /// What is known; found first where nothing was, for a command may come before any probe.
    async fn known(&mut self, port: &mut Port<'_>) -> Result<&Known, Fault> {
        if matches!(self.state, State::Unknown) {
            self.state = State::Known(find(port).await?);
        }
        match &self.state {
            State::Known(known) => Ok(known),
            State::Unknown | State::Moved => Err(moved(port)),
        }
    }

    /// A snapshot, or the fault; forgets the models when they are no longer in their places.
    fn believe(
        &mut self,
        port: &Port<'_>,
        snapshot: Result<Snapshot, SnapshotError>,
    ) -> Result<Snapshot, Fault> {
        snapshot.map_err(|error| match error {
            SnapshotError::Link(error) => port.fault(&error),
            SnapshotError::Moved => {
                self.state = State::Moved;
                moved(port)
            }
            SnapshotError::Torn => torn(port),
        })
    }
}

async fn find(port: &mut Port<'_>) -> Result<Box<Known>, Fault> {
    let mut groups = map(port).await?;
    // Every turn but the last leaves at least one model out.
    loop {
        let choice = Choice::of(&groups);
        if choice.is_empty() {
            return Err(useless(port));
        }
        let first = match fetch(port, &choice.all()).await {
            Ok(first) => first,
            Err(SnapshotError::Link(error)) => return Err(port.fault(&error)),
            Err(SnapshotError::Torn) => return Err(torn(port)),
            Err(SnapshotError::Moved) => {
                leave_out_refused(port, &choice, &mut groups).await?;
                continue;
            }
        };
        warn_of_the_missing(port, &choice, &groups);
        let known = Known::new(choice, &first, port.unit.profile);
        if !known.battery && port.unit.battery.has_table {
            tracing::warn!(device = %port.unit.battery.id, unit = %port.unit.id, "a part is configured that the unit does not have");
        }
        return Ok(Box::new(known));
    }
}

/// The unit's map.
async fn map(port: &mut Port<'_>) -> Result<Vec<Group>, Fault> {
    discover(port).await.map_err(|error| match error {
        DiscoveryError::Link(error) => port.fault(&error),
        DiscoveryError::NotSunspec => Fault::Answered(Problem::new(
            format!("{}: {error}", port.place()),
            "Check the unit id, and that SunSpec is switched on in the device; else use a profile of its maker",
        )),
    })
}

/// Takes those models out of the map that are listed in it and refuse to be read: the others work,
/// and a search that begins anew because of one that never answers would never end.
async fn leave_out_refused(port: &mut Port<'_>, choice: &Choice, groups: &mut [Group]) -> Result<(), Fault> {
    let mut refused = Vec::new();
    for at in choice.all() {
        match fetch(port, &[at]).await {
            Ok(_) | Err(SnapshotError::Torn) => {}
            Err(SnapshotError::Moved) => refused.push(at),
            Err(SnapshotError::Link(error)) => return Err(port.fault(&error)),
        }
    }
    if refused.is_empty() {
        return Err(moved(port));
    }
    for at in refused {
        tracing::warn!(unit = %port.unit.id, model = at.id, register = at.start, "a model is left out, for the device lists it and refuses to show it");
        for group in groups.iter_mut() {
            group.places.retain(|place| place.start != at.start);
        }
    }
    Ok(())
}

fn warn_of_the_missing(port: &Port<'_>, choice: &Choice, groups: &[Group]) {
    let itself = usize::from(choice.inverter.is_none() && choice.bank.is_none());
    for (n, part) in port.unit.meters.iter().enumerate() {
        // The first meter of a unit that is meters alone is the unit itself.
        if part.has_table && (n >= choice.meters.len() || n < itself) {
            tracing::warn!(device = %part.id, unit = %port.unit.id, "a part is configured that the unit does not have");
        }
    }
    let meters = groups.iter().flat_map(Group::models).filter(|at| at.model == Model::Meter).count();
    if meters > METERS {
        tracing::warn!(unit = %port.unit.id, meters, read = METERS, "the unit has more meters than are read");
    }
}

fn useless(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: it has no SunSpec model of an inverter, a battery or a meter", port.place()),
        "Use a profile of its maker, and look with `maestro probe` at what it has",
    ))
}

fn torn(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: {}", port.place(), SnapshotError::Torn),
        "Nothing to do: it is read again",
    ))
}

fn moved(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: its SunSpec models are no longer where they were", port.place()),
        "Nothing to do: they are searched again; an update or a switch between integer and float models does this",
    ))
}
