//! Commands of a unit: what one comes to against fresh registers is computed in `control`; here it
//! is written and read back, with the note of what it replaced.

use std::time::Duration;

use adapter_api::{Fault, Job, Problem, Purpose, ReadBack, StoreError, WriteOutcome, Written};

use super::{
    State, Sunspec,
    control::{
        Ask, Capacity, Lasting, Order, battery_order, der_limit_order, limit_order, point_order,
        reserve_order, set_point_order, singly,
    },
    devices::Limits,
    discovery::At,
    known::{self, Known},
    models::{Block, Model},
    notes::{self, Noted},
};
use crate::{
    client::LinkError,
    port::{Port, not_applied, unread},
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
    /// What becomes of it before anything is written.
    first: First,
    /// Does the maker take one register at a time, by function 6 alone?
    singly: bool,
}

/// What becomes of a note before a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Stays,
    /// It was seen to be unchanged, which nobody can say from the write on.
    MayChange,
    /// What it says was changed by somebody else while nothing was owed.
    Forgotten,
}

impl Sunspec {
    pub async fn write(&mut self, port: &mut Port<'_>, job: &Job) -> Written {
        let Planned { start, order, note, first, singly } = match self.planned(port, job).await {
            Ok(Ok(planned)) => planned,
            Ok(Err(reason)) => return Written::Ended(WriteOutcome::Rejected { reason }),
            // Only read so far, so certainly not applied.
            Err(fault) => return Written::Ended(not_applied(&fault)),
        };
        if let Err(error) = self.note_first(port, &order, note, first).await {
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
        Written::Sent { settle: SETTLE, wore: false }
    }

    pub async fn read_back(&mut self, port: &mut Port<'_>, job: &Job) -> ReadBack {
        match self.planned(port, job).await {
            Ok(Ok(Planned { order, note, .. })) if order.applied => {
                self.looked(port, job, note, false).await;
                self.settled(port, &order, note).await;
                ReadBack::Applied { observed: order.observed }
            }
            Ok(Ok(Planned { order, note, .. })) => {
                self.looked(port, job, note, order.lasting == Lasting::AsNoted).await;
                ReadBack::Different { requested: order.requested, observed: order.observed }
            }
            Ok(Err(reason)) => ReadBack::Failed(Fault::Answered(Problem::new(
                reason,
                "Correct the command or the configuration",
            ))),
            Err(fault) => {
                if let State::Known(known) = &self.state {
                    let model = known.controls.model(&job.command);
                    let note = model.and_then(|model| notes::name(job, model));
                    self.looked(port, job, note, false).await;
                }
                ReadBack::Failed(fault)
            }
        }
    }

    /// Notes durably, before the first byte, what the write is about to change.
    async fn note_first(
        &mut self,
        port: &mut Port<'_>,
        order: &Order,
        note: Option<&'static str>,
        first: First,
    ) -> Result<(), StoreError> {
        let (Some(note), store, unit) = (note, port.store, port.unit) else { return Ok(()) };
        if let Some(words) = order.keep.clone() {
            return self.notes.keep(store, unit, note, Noted { words, unchanged: false }).await;
        }
        match first {
            First::Stays => Ok(()),
            First::MayChange => self.notes.looked(store, unit, note, false).await,
            First::Forgotten => {
                self.notes.forget(store, unit, note).await;
                Ok(())
            }
        }
    }

    /// A look at a command that holds. While the device still shows exactly what is noted nothing is
    /// owed, but a slow one may show the new value yet: the note goes on, and says so. The last look at a
    /// command is the one that decides about it, and the next command finds what it left: when the
    /// device shows something else by then, it was somebody else, and that is what lasts. A look that
    /// failed leaves it open.
    async fn looked(&mut self, port: &mut Port<'_>, job: &Job, note: Option<&'static str>, unchanged: bool) {
        let Some(note) = note.filter(|_| job.timer.is_some()) else { return };
        if let Err(error) = self.notes.looked(port.store, port.unit, note, unchanged).await {
            tracing::warn!(unit = %port.unit.id, note, %error, "whether a setting is still owed cannot be noted");
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
        let noted = match note {
            Some(note) => self.notes.read(port.store, port.unit, note).await.map_err(unread)?,
            None => None,
        };
        let base = known::ratings(&snapshot).limit_base;
        let in_doubt = job.purpose == Purpose::ReadBack;
        let order = |noted: Option<&Noted>| match (&*job.command, at.model) {
            ("set_power_limit", Model::DerControl) => {
                der_limit_order(ask, now, capacity.power, words(noted), in_doubt)
            }
            ("set_power_limit", _) => limit_order(ask, now, base, words(noted), in_doubt),
            (WRITE_POINT, _) => point_order(ask, now, limits),
            ("set_reserve", _) => reserve_order(ask, now, words(noted).map(|[word]| word)),
            (_, Model::DerControl) => set_point_order(ask, now, limits, capacity, singly_taken),
            _ => battery_order(ask, now, limits, words(noted).map(|[word]| word)),
        };
        let mut first = First::Stays;
        let mut planned = order(noted.as_ref());
        if noted.as_ref().is_some_and(|noted| noted.unchanged) && job.purpose != Purpose::ReadBack {
            first = First::MayChange;
            // Only what holds takes a new note: what gives back knows no better than the old one.
            let holds = job.purpose == Purpose::Execute && job.timer.is_some();
            if holds && planned.as_ref().is_ok_and(|order| order.lasting == Lasting::Other) {
                (first, planned) = (First::Forgotten, order(None));
            }
        }
        Ok(planned.map(|order| Planned {
            start: at.start,
            order: if singly_taken { Order { writes: singly(&order.writes, now), ..order } } else { order },
            note,
            first,
            singly: singly_taken,
        }))
    }
}

/// What is noted, if so many words are.
fn words<const N: usize>(noted: Option<&Noted>) -> Option<[u16; N]> {
    noted.and_then(|noted| noted.words.as_slice().try_into().ok())
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
