//! A unit is found: its map is walked, its models are read once, and what refuses to be read is left
//! out. Never decides when it is searched.

use adapter_api::{Fault, profile::Function};

use super::{
    choice::{Choice, METERS},
    discovery::{At, Group, Search},
    known::Known,
    models::Model,
    past::Past,
    snapshot::{SnapshotError, fetch},
    words::{fault, moved, no_map, refuses, useless},
};
use crate::{
    client::{LinkError, SERVER_FAILURE},
    port::Port,
};

pub(super) async fn find(search: &mut Search, port: &mut Port<'_>) -> Result<Box<Known>, Fault> {
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
