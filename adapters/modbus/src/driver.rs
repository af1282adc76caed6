//! The unit's turn: which kind of unit it is, and what its link brought. Owns the link and the
//! units; never decides when.

use std::sync::Arc;

use adapter_api::{
    AdapterError, Clock, DeviceId, DeviceInfo, Driver, Fault, Job, Parameters, Problem, ReadBack, Reading,
    Store, Unit, UnitId, WriteOutcome, Written,
    profile::{Discovery, Function},
};

use crate::{
    client::{Link, LinkError},
    config::{Address, Settings},
    meter::{self, Meter},
    sunspec::{self, Sunspec},
    units::{UnitConfig, resolve},
};

/// All units of one connection.
pub(crate) struct ModbusDriver {
    link: Link,
    units: Vec<Member>,
    clock: Clock,
    store: Store,
}

struct Member {
    config: UnitConfig,
    kind: Kind,
}

enum Kind {
    Meter(Meter),
    Sunspec(Sunspec),
}

/// One unit's way through the link.
pub(crate) struct Port<'a> {
    pub unit: &'a UnitConfig,
    pub store: &'a Store,
    link: &'a mut Link,
}

/// What a job asks. A copy, because a job may not be looked at from two threads, and a future that
/// borrows it could not move between them.
pub(crate) struct Ask {
    pub unit: UnitId,
    pub device: DeviceId,
    pub command: Arc<str>,
    pub parameters: Parameters,
}

impl Ask {
    fn of(job: &Job) -> Self {
        Self {
            unit: job.unit.clone(),
            device: job.device.clone(),
            command: Arc::clone(&job.command),
            parameters: job.parameters.clone(),
        }
    }
}

impl Port<'_> {
    pub async fn read(&mut self, function: Function, start: u16, count: u16) -> Result<Vec<u16>, LinkError> {
        self.link.read(self.unit.address, self.unit.pace, function, start, count).await
    }

    pub async fn write(&mut self, start: u16, words: &[u16]) -> Result<(), LinkError> {
        self.link.write(self.unit.address, self.unit.pace, start, words).await
    }

    /// The error as a fault of this unit.
    pub fn fault(&self, error: &LinkError) -> Fault {
        error.fault(&self.place())
    }

    /// The error of a write as the end of a command.
    pub fn outcome(&self, error: &LinkError, begun: bool) -> WriteOutcome {
        error.outcome(&self.place(), begun)
    }

    /// Which unit, in words.
    pub fn place(&self) -> String {
        format!("Unit {} at {}", self.unit.address, self.link.address())
    }
}

impl ModbusDriver {
    /// # Errors
    /// When the address is none; `Settings::check` finds that first.
    pub fn new(
        connection: &str,
        settings: &Settings,
        clock: Clock,
        store: Store,
    ) -> Result<Self, AdapterError> {
        let address: Address = settings.address.parse().map_err(AdapterError)?;
        let member = |config: UnitConfig| {
            let kind = match config.profile.discovery {
                Some(Discovery::Sunspec) => Kind::Sunspec(Sunspec::default()),
                None => Kind::Meter(Meter::new(&config)),
            };
            Member { config, kind }
        };
        let units = resolve(connection, settings).into_iter().map(member).collect();
        Ok(Self { link: Link::new(address, settings), units, clock, store })
    }

    fn member(&mut self, unit: &UnitId) -> Option<(&mut Kind, Port<'_>)> {
        let Member { config, kind } = self.units.iter_mut().find(|member| member.config.id == *unit)?;
        Some((kind, Port { unit: config, store: &self.store, link: &mut self.link }))
    }
}

fn no_such_unit(unit: &UnitId) -> Problem {
    Problem::new(
        format!("The connection has no unit {unit}"),
        "Correct the device's table, or send the command to another device",
    )
}

impl Driver for ModbusDriver {
    fn units(&self) -> Vec<Unit> {
        let devices = |unit: &UnitConfig, kind: &Kind| match kind {
            Kind::Meter(_) => vec![meter::describe(unit)],
            Kind::Sunspec(_) => sunspec::declared(unit),
        };
        let unit = |Member { config, kind }: &Member| Unit {
            id: config.id.clone(),
            devices: devices(config, kind).into_iter().map(|device| device.id).collect(),
            interval: config.interval,
        };
        self.units.iter().map(unit).collect()
    }

    async fn probe(&mut self, unit: &UnitId) -> Result<Vec<DeviceInfo>, Fault> {
        let (kind, mut port) = self.member(unit).ok_or_else(|| Fault::Answered(no_such_unit(unit)))?;
        match kind {
            Kind::Meter(meter) => meter.probe(&mut port).await,
            Kind::Sunspec(sunspec) => sunspec.probe(&mut port).await,
        }
    }

    async fn read(&mut self, unit: &UnitId) -> Result<Vec<Reading>, Fault> {
        // Before the first request: a reading must not be younger than its values.
        let now = self.clock.now();
        let (kind, mut port) = self.member(unit).ok_or_else(|| Fault::Answered(no_such_unit(unit)))?;
        match kind {
            Kind::Meter(meter) => meter.read(&mut port, now).await,
            Kind::Sunspec(sunspec) => sunspec.read(&mut port, now).await,
        }
    }

    fn write(&mut self, job: &Job) -> impl Future<Output = Written> + Send {
        let ask = Ask::of(job);
        async move {
            match self.member(&ask.unit) {
                Some((Kind::Sunspec(sunspec), mut port)) => sunspec.write(&mut port, &ask).await,
                Some((Kind::Meter(_), _)) => {
                    let reason = format!("{} takes no command but refresh", ask.device);
                    Written::Ended(WriteOutcome::Rejected { reason })
                }
                None => {
                    Written::Ended(WriteOutcome::Rejected { reason: no_such_unit(&ask.unit).to_string() })
                }
            }
        }
    }

    fn read_back(&mut self, job: &Job) -> impl Future<Output = ReadBack> + Send {
        let ask = Ask::of(job);
        async move {
            match self.member(&ask.unit) {
                Some((Kind::Sunspec(sunspec), mut port)) => sunspec.read_back(&mut port, &ask).await,
                Some((Kind::Meter(_), _)) => ReadBack::Nothing,
                None => ReadBack::Failed(Fault::Answered(no_such_unit(&ask.unit))),
            }
        }
    }

    async fn close(&mut self) -> Result<(), AdapterError> {
        self.link.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
