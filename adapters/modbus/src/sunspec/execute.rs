//! Commands of a unit: what one comes to against fresh registers is computed in `control`; here it
//! is written and read back, with the note of what it replaced.

use std::time::Duration;

use adapter_api::{Fault, Job, Problem, Purpose, ReadBack, StoreError, WriteOutcome, Written};

use super::{
    Sunspec,
    control::{Ask, Order, battery_order, limit_order, point_order, reserve_order},
    devices::Limits,
    known,
    models::{Block, Model},
    snapshot::fetch,
};
use crate::{
    port::Port,
    units::{UnitConfig, WRITE_POINT},
};

/// When the first look at a write is taken. It is repeated until the command's `verify_for` is over,
/// so that an early look costs a request and never a wrong answer.
const SETTLE: Duration = Duration::ZERO;

impl Sunspec {
    pub async fn write(&mut self, port: &mut Port<'_>, job: &Job) -> Written {
        let (start, order) = match self.order(port, job).await {
            Ok((start, Ok(order))) => (start, order),
            Ok((_, Err(reason))) => return Written::Ended(WriteOutcome::Rejected { reason }),
            // Only read so far, so certainly not applied.
            Err(fault) => return Written::Ended(not_applied(&fault)),
        };
        if let Some(words) = &order.keep
            && let Err(error) = self.notes.keep(port.store, port.unit, job, words).await
        {
            return Written::Ended(not_applied(&error));
        }
        if order.already {
            if order.forgets {
                self.notes.forget(port.store, port.unit, job).await;
            }
            return Written::Already { observed: order.observed };
        }
        for (place, (offset, words)) in order.writes.iter().enumerate() {
            if let Err(error) = port.write(start.saturating_add(*offset), words).await {
                let outcome = port.outcome(&error, place > 0);
                // Certainly nothing was changed: an old value that stays noted would be restored some day.
                if order.keep.is_some() && !matches!(outcome, WriteOutcome::Unknown { .. }) {
                    self.notes.forget(port.store, port.unit, job).await;
                }
                return Written::Ended(outcome);
            }
        }
        Written::Sent { settle: SETTLE }
    }

    pub async fn read_back(&mut self, port: &mut Port<'_>, job: &Job) -> ReadBack {
        match self.order(port, job).await {
            Ok((_, Ok(order))) if order.applied => {
                if order.forgets {
                    self.notes.forget(port.store, port.unit, job).await;
                }
                ReadBack::Applied { observed: order.observed }
            }
            Ok((_, Ok(Order { requested, observed, .. }))) => ReadBack::Different { requested, observed },
            Ok((_, Err(reason))) => ReadBack::Failed(Fault::Answered(Problem::new(
                reason,
                "Correct the command or the configuration",
            ))),
            Err(fault) => ReadBack::Failed(fault),
        }
    }

    /// The command against fresh registers and what is noted, and where its model lies.
    async fn order(&mut self, port: &mut Port<'_>, job: &Job) -> Result<(u16, Result<Order, String>), Fault> {
        let limits = Limits::of(port.unit, None);
        let known = self.known(port).await?;
        let Some(model) = model_of(port.unit, job) else {
            let reason = format!("{} does not take the command `{}`", job.device, job.command);
            return Ok((0, Err(reason)));
        };
        let Some(at) = known.at(model) else {
            return Ok((0, Err(format!("{} has no controls for `{}`", job.device, job.command))));
        };
        let mut models = vec![at];
        models.extend(known.at(Model::Basic).filter(|_| model == Model::Immediate));
        let snapshot = fetch(port, &models).await;
        let snapshot = self.believe(port, snapshot)?;
        let block = snapshot.block(model).unwrap_or(Block(&[]));
        let ask = Ask { command: &job.command, parameters: &job.parameters, timer: job.timer };
        let order = match &*job.command {
            "set_power_limit" => {
                let in_doubt = job.purpose == Purpose::ReadBack;
                let noted = self.notes.read(port.store, port.unit, job).await.map_err(unread)?;
                limit_order(ask, block, known::ratings(&snapshot).limit_base, noted, in_doubt)
            }
            WRITE_POINT => point_order(ask, block, limits),
            command => {
                let noted = self.notes.read(port.store, port.unit, job).await.map_err(unread)?;
                let noted = noted.map(|[word]| word);
                match command {
                    "set_reserve" => reserve_order(ask, block, noted),
                    _ => battery_order(ask, block, limits, noted),
                }
            }
        };
        Ok((at.start, order))
    }
}

/// The model that carries a command of this device, if the device takes it.
fn model_of(unit: &UnitConfig, job: &Job) -> Option<Model> {
    match &*job.command {
        "set_power_limit" => (job.device == unit.main.id).then_some(Model::Immediate),
        "set_battery_mode" | "set_battery_power" | "set_reserve" => {
            (job.device == unit.battery.id).then_some(Model::Storage)
        }
        WRITE_POINT => (job.device == unit.battery.id && unit.battery.write_points).then_some(Model::Storage),
        _ => None,
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
