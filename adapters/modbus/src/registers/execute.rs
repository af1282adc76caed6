//! Commands of a register unit: what one comes to against fresh registers is computed in `order`; here it is
//! written and read back, with the note of what it replaced.

use std::time::Duration;

use adapter_api::{
    Fault, Job, Problem, Purpose, ReadBack, StoreError, Wear, WriteOutcome, Written, profile::Setting,
};

use super::{
    Registers,
    decode::checked,
    fresh::{Sets, bounds, fresh, sets, voltage},
    notes::Noted,
    order::{Order, Request, order},
    setting,
    target::{Ask, Facts, required},
};
use crate::{
    client::LinkError,
    port::{Port, not_applied, unread},
};

/// When the first look at a write is taken. It is repeated until the command's `verify_for` is over,
/// so that an early look costs a request and never a wrong answer.
const SETTLE: Duration = Duration::ZERO;

/// A command, worked out for the unit as it is now.
struct Planned {
    order: Order,
    /// The group whose note it has to do with.
    group: Option<&'static str>,
    noted: Option<Noted>,
    first: First,
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

impl Registers {
    pub async fn write(&mut self, port: &mut Port<'_>, job: &Job) -> Written {
        let Planned { order, group, noted, first } = match self.planned(port, job, true).await {
            Ok(Ok(planned)) => planned,
            Ok(Err(reason)) => return Written::Ended(WriteOutcome::Rejected { reason }),
            // Only read so far, so certainly not applied.
            Err(fault) => return Written::Ended(not_applied(&fault)),
        };
        if let (Wear::Partly(Some(reason)), true) = (&job.wear, order.wears) {
            return Written::Ended(WriteOutcome::Rejected { reason: reason.clone() });
        }
        if let Err(error) = self.note_first(port, &order, group, first).await {
            return Written::Ended(not_applied(&error));
        }
        if order.requests.is_empty() {
            self.settled(port, job, &order, group).await;
            return Written::Already { observed: order.observed };
        }
        for (place, request) in order.requests.iter().enumerate() {
            if let Err(error) = put(port, request).await {
                let outcome = port.outcome(&error, place > 0);
                // Certainly nothing was changed: an old value that stays noted would be restored some day.
                if let (Some(_), Some(group)) = (&order.keep, group)
                    && !matches!(outcome, WriteOutcome::Unknown { .. })
                {
                    self.unnote(port, group, noted.filter(|_| first != First::Forgotten)).await;
                }
                return Written::Ended(outcome);
            }
        }
        Written::Sent { settle: SETTLE, wore: order.wears && matches!(job.wear, Wear::Partly(_)) }
    }

    pub async fn read_back(&mut self, port: &mut Port<'_>, job: &Job) -> ReadBack {
        match self.planned(port, job, false).await {
            Ok(Ok(Planned { order, .. })) if order.is_blind => ReadBack::Nothing,
            Ok(Ok(Planned { order, group, .. })) if order.applied => {
                self.looked(port, job, group, false).await;
                self.settled(port, job, &order, group).await;
                ReadBack::Applied { observed: order.observed }
            }
            Ok(Ok(Planned { order, group, .. })) => {
                self.looked(port, job, group, order.is_as_noted).await;
                ReadBack::Different { requested: order.requested, observed: order.observed }
            }
            Ok(Err(reason)) => ReadBack::Failed(Fault::Answered(Problem::new(
                reason,
                "Correct the command or the configuration",
            ))),
            Err(fault) => {
                if let Some(Sets::Setpoint(group, _)) = sets(port.unit, job) {
                    self.looked(port, job, Some(group), false).await;
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
        group: Option<&'static str>,
        first: First,
    ) -> Result<(), StoreError> {
        let (Some(group), store, unit) = (group, port.store, port.unit) else { return Ok(()) };
        if let Some(words) = order.keep.clone() {
            return self.notes.keep(store, unit, group, Noted { words, unchanged: false }).await;
        }
        match first {
            First::Stays => Ok(()),
            First::MayChange => self.notes.looked(store, unit, group, false).await,
            First::Forgotten => {
                self.notes.forget(store, unit, group).await;
                Ok(())
            }
        }
    }

    /// The note as it was before a write that changed nothing.
    async fn unnote(&mut self, port: &mut Port<'_>, group: &'static str, before: Option<Noted>) {
        let (store, unit) = (port.store, port.unit);
        match before {
            None => self.notes.forget(store, unit, group).await,
            Some(before) => {
                if let Err(error) = self.notes.keep(store, unit, group, before).await {
                    tracing::warn!(unit = %unit.id, group, %error, "a setting that was not changed is still noted and is restored again later");
                }
            }
        }
    }

    /// A look at a command that holds. While the device still shows exactly what is noted nothing is
    /// owed, but a slow one may show the new value yet: the note goes on, and says so. The last look at a
    /// command is the one that decides about it, and the next command finds what it left: when the
    /// device shows something else by then, it was somebody else, and that is what lasts. A look that
    /// failed leaves it open.
    async fn looked(&mut self, port: &mut Port<'_>, job: &Job, group: Option<&'static str>, unchanged: bool) {
        let Some(group) = group.filter(|_| job.timer.is_some()) else { return };
        if let Err(error) = self.notes.looked(port.store, port.unit, group, unchanged).await {
            tracing::warn!(unit = %port.unit.id, group, %error, "whether a setting is still owed cannot be noted");
        }
    }

    /// It is as asked: what is noted may be owed no longer.
    async fn settled(&mut self, port: &mut Port<'_>, job: &Job, order: &Order, group: Option<&'static str>) {
        if let Some(group) = group.filter(|_| order.forgets) {
            self.notes.forget(port.store, port.unit, group).await;
        }
        if let Some(Sets::Setting(_, setting)) = sets(port.unit, job) {
            self.set_by_hand(port, setting).await;
        }
    }

    /// An installer's value lasts, whoever held another one before.
    async fn set_by_hand(&mut self, port: &mut Port<'_>, setting: &Setting) {
        let end = setting.register.saturating_add(setting.kind.registers());
        for group in port.unit.profile.setpoints.keys().map(String::as_str) {
            let Ok(Some(mut noted)) = self.notes.read(port.store, port.unit, group).await else { continue };
            let before = noted.words.len();
            noted.words.retain(|register, _| !(setting.register..end).contains(register));
            if noted.words.len() < before {
                let left = Some(noted).filter(|noted| !noted.words.is_empty());
                self.unnote(port, group, left).await;
            }
        }
    }

    /// The command against fresh registers and what is noted. `writes`: it is about to be written, so that what
    /// it requires must be so; a proof looks at what became of it alone.
    async fn planned(
        &mut self,
        port: &mut Port<'_>,
        job: &Job,
        writes: bool,
    ) -> Result<Result<Planned, String>, Fault> {
        let Some(sets) = sets(port.unit, job) else {
            return Ok(Err(format!("{} does not take the command `{}`", job.device, job.command)));
        };
        let found = self.found(port).await?;
        let part = &port.unit.profile.commands[&*job.command].part;
        // It may have come since: what is owed to it must not wait until the unit is found again.
        let is_missing = !part.is_empty() && !found.parts.contains(&part.as_str());
        if is_missing && !self.search(port, &found).await?.contains(&part.as_str()) {
            return Ok(Err(format!("{} is not there, as the unit tells", job.device)));
        }
        let required = match sets {
            Sets::Setpoint(_, setpoint) if writes => required(setpoint, &job.command, &job.parameters),
            _ => Vec::new(),
        };
        let shown = fresh(port, job, sets, &required).await?;
        if let Some(unmet) = required.iter().find(|required| checked(&required.check, &shown) != Some(true)) {
            return Ok(Err(unmet.otherwise.clone()));
        }
        let (group, setpoint) = match sets {
            Sets::Setting(name, setting) => {
                let order = setting::order(name, setting, &job.parameters, &shown);
                return Ok(order.map(|order| Planned {
                    order,
                    group: None,
                    noted: None,
                    first: First::Stays,
                }));
            }
            Sets::Setpoint(group, setpoint) => (group, setpoint),
        };
        let noted = self.notes.read(port.store, port.unit, group).await.map_err(unread)?;
        let ask = Ask {
            command: &job.command,
            parameters: &job.parameters,
            timer: job.timer,
            purpose: job.purpose,
        };
        let facts = Facts {
            group,
            setpoint,
            shown: &shown,
            rated: found.rated.or_keys(port.unit),
            bounds: bounds(port.unit),
            voltage: voltage(port.unit, &shown),
            noted: noted.as_ref(),
        };
        let mut first = First::Stays;
        let mut planned = order(&ask, &facts);
        if noted.as_ref().is_some_and(|noted| noted.unchanged) && job.purpose != Purpose::ReadBack {
            first = First::MayChange;
            // Only what holds takes a new note: what gives back knows no better than the old one.
            let holds = job.purpose == Purpose::Execute && job.timer.is_some();
            if holds && planned.as_ref().is_ok_and(|order| !order.is_as_noted) {
                (first, planned) = (First::Forgotten, order(&ask, &Facts { noted: None, ..facts }));
            }
        }
        Ok(planned.map(|order| Planned { order, group: Some(group), noted, first }))
    }
}

async fn put(port: &mut Port<'_>, request: &Request) -> Result<(), LinkError> {
    match &request.words[..] {
        [word] if request.single => port.write_single(request.register, *word).await,
        words => port.write(request.register, words).await,
    }
}
