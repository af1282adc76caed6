//! Commands of a unit: what one comes to against fresh registers is computed in `control`; here it
//! is written and read back, with the note of what it replaced.

use std::time::Duration;

use adapter_api::{Fault, Job, Problem, Purpose, ReadBack, StoreError, WriteOutcome, Written};

use super::{
    Sunspec,
    control::{
        Ask, Capacity, Order, battery_order, der_limit_order, limit_order, point_order, reserve_order,
        set_point_order, singly,
    },
    devices::Limits,
    discovery::At,
    known::{self, Known},
    models::{Block, Model},
    notes,
};
use crate::{
    client::LinkError,
    port::Port,
    units::{UnitConfig, WRITE_POINT},
};

/// When the first look at a write is taken. It is repeated until the command's `verify_for` is over,
/// so that an early look costs a request and never a wrong answer.
const SETTLE: Duration = Duration::ZERO;

/// A command, worked out for the unit as it is now.
struct Planned {
    /// Where the model that carries it lies.
    start: u16,
    order: Order,
    /// The note that it has to do with.
    note: Option<&'static str>,
    /// Does the maker take one register at a time, by function 6 alone?
    singly: bool,
}

impl Sunspec {
    pub async fn write(&mut self, port: &mut Port<'_>, job: &Job) -> Written {
        let Planned { start, order, note, singly } = match self.planned(port, job).await {
            Ok(Ok(planned)) => planned,
            Ok(Err(reason)) => return Written::Ended(WriteOutcome::Rejected { reason }),
            // Only read so far, so certainly not applied.
            Err(fault) => return Written::Ended(not_applied(&fault)),
        };
        if let Some((words, note)) = order.keep.as_ref().zip(note)
            && let Err(error) = self.notes.keep(port.store, port.unit, note, words).await
        {
            return Written::Ended(not_applied(&error));
        }
        if order.already {
            self.settled(port, &order, note).await;
            return Written::Already { observed: order.observed };
        }
        for (place, (offset, words)) in order.writes.iter().enumerate() {
            if let Err(error) = put(port, start.saturating_add(*offset), words, singly).await {
                let outcome = port.outcome(&error, place > 0);
                // Certainly nothing was changed: an old value that stays noted would be restored some day.
                if let (Some(_), Some(note)) = (&order.keep, note)
                    && !matches!(outcome, WriteOutcome::Unknown { .. })
                {
                    self.notes.forget(port.store, port.unit, note).await;
                }
                return Written::Ended(outcome);
            }
        }
        Written::Sent { settle: SETTLE }
    }

    pub async fn read_back(&mut self, port: &mut Port<'_>, job: &Job) -> ReadBack {
        match self.planned(port, job).await {
            Ok(Ok(Planned { order, note, .. })) if order.applied => {
                self.settled(port, &order, note).await;
                ReadBack::Applied { observed: order.observed }
            }
            Ok(Ok(Planned { order: Order { requested, observed, .. }, .. })) => {
                ReadBack::Different { requested, observed }
            }
            Ok(Err(reason)) => ReadBack::Failed(Fault::Answered(Problem::new(
                reason,
                "Correct the command or the configuration",
            ))),
            Err(fault) => ReadBack::Failed(fault),
        }
    }

    /// It is as asked: what is noted may be owed no longer.
    async fn settled(&mut self, port: &mut Port<'_>, order: &Order, note: Option<&'static str>) {
        if let Some(note) = note.filter(|_| order.forgets) {
            self.notes.forget(port.store, port.unit, note).await;
        }
    }

    /// The command against fresh registers and what is noted.
    async fn planned(&mut self, port: &mut Port<'_>, job: &Job) -> Result<Result<Planned, String>, Fault> {
        let limits = Limits::of(port.unit, None);
        if !takes(port.unit, job) {
            return Ok(Err(format!("{} does not take the command `{}`", job.device, job.command)));
        }
        let models = |known: &Known| {
            let carrier = carrier(known, job);
            let companion = carrier.and_then(|at| known.at(companion(at.model)?));
            carrier.into_iter().chain(companion).collect()
        };
        let snapshot = self.look(port, models).await?;
        // As they are now: the look may have found the models elsewhere.
        let known = self.known(port).await?;
        let Some(at) = carrier(known, job) else {
            return Ok(Err(format!("{} has no controls for `{}`", job.device, job.command)));
        };
        let singly_taken = takes_singly(port.unit, known);
        let now = snapshot.block(at.model).unwrap_or(Block(&[]));
        let capacity = Capacity::of(snapshot.block(Model::Capacity));
        let ask = Ask { command: &job.command, parameters: &job.parameters, timer: job.timer };
        let note = notes::name(job, at.model);
        let order = match (&*job.command, at.model) {
            ("set_power_limit", model) => {
                let in_doubt = job.purpose == Purpose::ReadBack;
                let noted = self.noted(port, note).await?;
                if model == Model::DerControl {
                    der_limit_order(ask, now, capacity.power, noted, in_doubt)
                } else {
                    limit_order(ask, now, known::ratings(&snapshot).limit_base, noted, in_doubt)
                }
            }
            (WRITE_POINT, _) => point_order(ask, now, limits),
            ("set_reserve", _) => reserve_order(ask, now, self.noted(port, note).await?.map(|[word]| word)),
            (_, Model::DerControl) => set_point_order(ask, now, limits, capacity, singly_taken),
            _ => battery_order(ask, now, limits, self.noted(port, note).await?.map(|[word]| word)),
        };
        Ok(order.map(|order| Planned {
            start: at.start,
            order: if singly_taken { Order { writes: singly(&order.writes, now), ..order } } else { order },
            note,
            singly: singly_taken,
        }))
    }

    /// What is noted, if so many words are.
    async fn noted<const N: usize>(
        &mut self,
        port: &mut Port<'_>,
        note: Option<&'static str>,
    ) -> Result<Option<[u16; N]>, Fault> {
        match note {
            Some(note) => self.notes.read(port.store, port.unit, note).await.map_err(unread),
            None => Ok(None),
        }
    }
}

/// Is this a command of this device?
fn takes(unit: &UnitConfig, job: &Job) -> bool {
    match &*job.command {
        "set_power_limit" => job.device == unit.main.id,
        "set_battery_mode" | "set_battery_power" | "set_reserve" => job.device == unit.battery.id,
        WRITE_POINT => job.device == unit.battery.id && unit.battery.write_points,
        _ => false,
    }
}

/// Where the model lies that carries the command.
fn carrier(known: &Known, job: &Job) -> Option<At> {
    known.controls.model(&job.command).and_then(|model| known.at(model))
}

/// The model that says what the percents of another one refer to.
fn companion(model: Model) -> Option<Model> {
    match model {
        Model::Immediate => Some(Model::Basic),
        Model::DerControl => Some(Model::Capacity),
        _ => None,
    }
}

fn takes_singly(unit: &UnitConfig, known: &Known) -> bool {
    let who = known.inverter.as_ref();
    let maker = who.and_then(|common| unit.profile.maker(&common.manufacturer, &common.model));
    maker.is_some_and(|maker| maker.single_writes)
}

async fn put(port: &mut Port<'_>, at: u16, words: &[u16], singly: bool) -> Result<(), LinkError> {
    match words {
        [word] if singly => port.write_single(at, *word).await,
        words => port.write(at, words).await,
    }
}

/// Nothing but reads and notes came before.
fn not_applied(why: &impl std::fmt::Display) -> WriteOutcome {
    WriteOutcome::NotApplied { reason: why.to_string(), sent: false }
}

/// Nothing is decided without what is noted.
fn unread(error: StoreError) -> Fault {
    Fault::Answered(Problem::new(
        error.to_string(),
        "Make room on the disk, or look at the journal's own words",
    ))
}
