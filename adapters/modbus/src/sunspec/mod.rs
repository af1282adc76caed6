//! A unit that describes itself by SunSpec models: found once, read as one snapshot, commanded with
//! fresh registers. Owns what is known of the unit; the link is lent to it for each turn.

mod control;
mod devices;
mod discovery;
mod execute;
mod known;
mod models;
mod notes;
mod snapshot;
mod values;

use adapter_api::{DeviceInfo, Fault, Moment, Problem, Reading};

pub(crate) use self::devices::declared;
use self::{
    discovery::{DiscoveryError, discover},
    known::Known,
    models::Model,
    notes::Notes,
    snapshot::{Snapshot, SnapshotError, fetch},
};
use crate::port::Port;

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
            SnapshotError::Torn => Fault::Answered(Problem::new(
                format!("{}: {error}", port.place()),
                "Nothing to do: it is read again",
            )),
        })
    }
}

async fn find(port: &mut Port<'_>) -> Result<Box<Known>, Fault> {
    let groups = discover(port).await.map_err(|error| match error {
        DiscoveryError::Link(error) => port.fault(&error),
        DiscoveryError::NotSunspec => Fault::Answered(Problem::new(
            format!("{}: {error}", port.place()),
            "Check the unit id, and that SunSpec is switched on in the device; else use a profile of its maker",
        )),
    })?;
    let chosen = known::choose(&groups);
    if chosen.0.iter().all(|at| !matches!(at.model, Model::Inverter | Model::Meter)) {
        return Err(Fault::Answered(Problem::new(
            format!("{}: it has none of the SunSpec models 101 to 103 and 201 to 204", port.place()),
            "Switch the device to its integer models (\"int + SF\"), or use a profile of its maker",
        )));
    }
    let first = fetch(port, &chosen.0).await.map_err(|error| match error {
        SnapshotError::Link(error) => port.fault(&error),
        SnapshotError::Moved | SnapshotError::Torn => moved(port),
    })?;
    let known = Box::new(Known::new(chosen, &first));
    let absent = [(&port.unit.battery, known.battery), (&port.unit.grid, known.meter.is_some())];
    for (part, _) in absent.into_iter().filter(|(part, there)| part.has_table && !there) {
        tracing::warn!(device = %part.id, unit = %port.unit.id, "a part is configured that the unit does not have");
    }
    Ok(known)
}

fn moved(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: its SunSpec models are no longer where they were", port.place()),
        "Nothing to do: they are searched again; an update or a switch between integer and float models does this",
    ))
}
