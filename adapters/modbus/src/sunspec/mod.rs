//! A unit that describes itself by SunSpec models: found once, read as one snapshot, commanded with
//! fresh registers. Owns what is known of the unit; the link is lent to it for each turn.

mod choice;
mod control;
mod devices;
mod discovery;
mod execute;
#[cfg(test)]
mod facts;
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

use adapter_api::{DeviceInfo, Fault, Moment, Problem, Reading, profile::Function};

use self::{
    choice::{Choice, METERS},
    discovery::At,
    known::Known,
    models::Model,
    notes::Notes,
    past::Past,
    snapshot::{Snapshot, SnapshotError, extents, fetch},
};
pub(crate) use self::{
    devices::declared,
    discovery::{Common, DiscoveryError, Group, Search},
    seen::seen,
};
use crate::{
    client::{LinkError, SERVER_FAILURE},
    plan::Extent,
    port::Port,
};

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

fn fault(port: &Port<'_>, error: &SnapshotError) -> Fault {
    match error {
        SnapshotError::Link(error) => port.fault(error),
        SnapshotError::Moved => moved(port),
        SnapshotError::Torn => torn(port),
    }
}

async fn find(search: &mut Search, port: &mut Port<'_>) -> Result<Box<Known>, Fault> {
    let mut groups = search.discover(port).await.map_err(|error| no_map(port, &error))?;
    let whole = Choice::of(&groups);
    let mut past = Past::of(port.store, port.unit, &whole).await?;
    let before = past.clone();
    // Every turn but the last leaves at least one model out.
    loop {
        let choice = Choice::of(&groups);
        if past.is_mixed_up(&whole, &choice) {
            return Err(refuses(port));
        }
        if choice.is_empty() {
            return Err(useless(port));
        }
        let first = match fetch(port, &choice.all()).await {
            Ok(first) => first,
            Err(SnapshotError::Moved) => {
                leave_out_refused(port, &choice, &mut groups).await?;
                continue;
            }
            Err(error) => return Err(fault(port, &error)),
        };
        warn_of_the_missing(port, &choice, &groups);
        past.is(&choice);
        let left_out = choice != whole;
        let known = Known::new(choice, &first, port.unit.profile, past);
        let known = Known { left_out, looked: port.clock.now().mono_ms, ..known };
        if known.past != before {
            known.past.note(port.store, port.unit).await;
        }
        if !known.battery && port.unit.battery.has_table {
            tracing::warn!(device = %port.unit.battery.id, unit = %port.unit.id, "a part is configured that the unit does not have");
        }
        return Ok(Box::new(known));
    }
}

fn no_map(port: &Port<'_>, error: &DiscoveryError) -> Fault {
    match error {
        DiscoveryError::Link(error) => port.fault(error),
        DiscoveryError::NotSunspec => Fault::Answered(Problem::new(
            format!("{}: {error}", port.place()),
            "Check the unit id, and that SunSpec is switched on in the device; else use a profile of its maker",
        )),
    }
}

/// Takes those models out of the map that are listed in it and refuse to be read: the others work,
/// and a search that begins anew because of one that never answers would never end.
async fn leave_out_refused(port: &mut Port<'_>, choice: &Choice, groups: &mut [Group]) -> Result<(), Fault> {
    let mut refused = Vec::new();
    for at in choice.all() {
        match fetch(port, &[at]).await {
            Ok(_) | Err(SnapshotError::Torn) => {}
            // One that lies elsewhere by now is none that refuses itself.
            Err(SnapshotError::Moved) if stays(port, at).await? => refused.push(at),
            Err(error) => return Err(fault(port, &error)),
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

/// Is the model's header where it was, as far as the unit shows it?
async fn stays(port: &mut Port<'_>, at: At) -> Result<bool, Fault> {
    match port.read(Function::Holding, at.start, 2).await {
        Ok(header) => Ok(header == [at.id, at.length]),
        Err(LinkError::Exception(1..=SERVER_FAILURE)) => Ok(true),
        Err(error) => Err(port.fault(&error)),
    }
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
    if choice.inverters > 1 {
        tracing::warn!(unit = %port.unit.id, inverters = choice.inverters, read = 1, "the unit has more inverters than are read");
    }
}

/// Nobody but the device can say why; what its other models show must not get another one's name.
fn refuses(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: it refuses to show a SunSpec model that it showed before", port.place()),
        "Nothing to do if it sleeps: it is searched again; else look for a fault on its display",
    ))
}

fn changed(port: &Port<'_>) -> Fault {
    Fault::Answered(Problem::new(
        format!("{}: it shows SunSpec models that it did not show before", port.place()),
        "Nothing to do: it is asked again at once for what it has",
    ))
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
