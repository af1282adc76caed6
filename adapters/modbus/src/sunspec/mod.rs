//! A unit that describes itself by SunSpec models: found once, read as one snapshot, commanded with
//! fresh registers. Owns what is known of the unit; the link is lent to it for each turn.

mod control;
mod devices;
mod discovery;
mod known;
mod models;
mod snapshot;
mod values;

use std::time::Duration;

use adapter_api::{DeviceInfo, Fault, Job, Moment, Problem, ReadBack, Reading, WriteOutcome, Written};

pub(crate) use self::devices::declared;
use self::{
    control::{Order, battery_order, limit_order},
    devices::Limits,
    discovery::{DiscoveryError, discover},
    known::Known,
    models::{Block, Model},
    snapshot::{Snapshot, SnapshotError, fetch},
};
use crate::port::Port;

/// When the first look at a write is taken. It is repeated until the command's `verify_for` is over,
/// so that an early look costs a request and never a wrong answer.
const SETTLE: Duration = Duration::ZERO;

/// One unit.
#[derive(Default)]
pub(crate) struct Sunspec(State);

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
        if let State::Known(known) = &self.0 {
            let first: Vec<_> = known.polled().into_iter().take(1).collect();
            let alive = fetch(port, &first).await;
            self.believe(port, alive)?;
        } else {
            self.0 = State::Known(find(port).await?);
        }
        let State::Known(known) = &self.0 else { return Err(moved(port)) };
        Ok(devices::found(port.unit, known))
    }

    /// All models of the unit at once.
    pub async fn read(&mut self, port: &mut Port<'_>, now: Moment) -> Result<Vec<Reading>, Fault> {
        let polled = self.known(port).await?.polled();
        let snapshot = fetch(port, &polled).await;
        let snapshot = self.believe(port, snapshot)?;
        Ok(values::readings(port.unit, self.known(port).await?, &snapshot, now))
    }

    pub async fn write(&mut self, port: &mut Port<'_>, job: &Job) -> Written {
        let kept = match port.store.get(&note(port)).await {
            Ok(note) => note.and_then(|bytes| Some(u16::from_be_bytes(bytes.try_into().ok()?))),
            Err(error) => return Written::Ended(not_applied(&error)),
        };
        let (start, order) = match self.order(port, job, kept).await {
            Ok((start, Ok(order))) => (start, order),
            Ok((_, Err(reason))) => return Written::Ended(WriteOutcome::Rejected { reason }),
            // Only read so far, so certainly not applied.
            Err(fault) => return Written::Ended(not_applied(&fault)),
        };
        if order.already && !order.restores {
            return Written::Already { observed: order.observed };
        }
        if let Some(word) = order.keep
            && let Err(error) = port.store.put(&note(port), word.to_be_bytes().to_vec()).await
        {
            return Written::Ended(not_applied(&error));
        }
        for (place, (offset, words)) in order.writes.iter().enumerate() {
            if let Err(error) = port.write(start.saturating_add(*offset), words).await {
                return Written::Ended(port.outcome(&error, place > 0));
            }
        }
        if order.restores
            && let Err(error) = port.store.remove(&note(port)).await
        {
            tracing::warn!(unit = %port.unit.id, %error, "a restored setting is still noted and is restored again later");
        }
        Written::Sent { settle: SETTLE }
    }

    pub async fn read_back(&mut self, port: &mut Port<'_>, job: &Job) -> ReadBack {
        match self.order(port, job, None).await {
            Ok((_, Ok(order))) if order.applied => ReadBack::Applied { observed: order.observed },
            Ok((_, Ok(Order { requested, observed, .. }))) => ReadBack::Different { requested, observed },
            Ok((_, Err(reason))) => ReadBack::Failed(Fault::Answered(Problem::new(
                reason,
                "Correct the command or the configuration",
            ))),
            Err(fault) => ReadBack::Failed(fault),
        }
    }

    /// The command against fresh registers, and where its model lies.
    async fn order(
        &mut self,
        port: &mut Port<'_>,
        job: &Job,
        kept: Option<u16>,
    ) -> Result<(u16, Result<Order, String>), Fault> {
        let limits = Limits::of(port.unit, None);
        let known = self.known(port).await?;
        let model = match &*job.command {
            "set_power_limit" if job.device == port.unit.main.id => Model::Immediate,
            "set_battery_mode" if job.device == port.unit.battery.id => Model::Storage,
            command => {
                return Ok((0, Err(format!("{} does not take the command `{command}`", job.device))));
            }
        };
        let Some(at) = known.at(model) else {
            return Ok((0, Err(format!("{} has no controls for `{}`", job.device, job.command))));
        };
        let mut models = vec![at];
        models.extend(known.at(Model::Basic).filter(|_| model == Model::Immediate));
        let snapshot = fetch(port, &models).await;
        let snapshot = self.believe(port, snapshot)?;
        let block = snapshot.block(model).unwrap_or(Block(&[]));
        let order = match model {
            Model::Storage => battery_order(&job.parameters, block, limits, kept),
            _ => limit_order(&job.parameters, block, known::ratings(&snapshot).limit_base),
        };
        Ok((at.start, order))
    }

    /// What is known; found first where nothing was, for a command may come before any probe.
    async fn known(&mut self, port: &mut Port<'_>) -> Result<&Known, Fault> {
        if matches!(self.0, State::Unknown) {
            self.0 = State::Known(find(port).await?);
        }
        match &self.0 {
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
                self.0 = State::Moved;
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

/// Nothing but reads and notes came before.
fn not_applied(why: &impl std::fmt::Display) -> WriteOutcome {
    WriteOutcome::NotApplied { reason: why.to_string(), sent: false }
}

/// The note of a grid setting that a `charge` replaced: two bytes, high first.
fn note(port: &Port<'_>) -> String {
    format!("grid_charging/{}", port.unit.address)
}
