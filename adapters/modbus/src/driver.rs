//! The unit's turn: which kind of unit it is, and what its link brought. Owns the link and the
//! units; never decides when.

use std::time::Duration;

use adapter_api::{
    AdapterError, Clock, DeviceInfo, Driver, Fault, Job, Problem, ReadBack, Reading, Store, Unit, UnitId,
    Wanted, WriteOutcome, Written, profile::Discovery,
};

use crate::{
    client::Link,
    config::{Address, Settings},
    learned::Learned,
    load,
    meter::{self, Meter},
    port::Port,
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
    learned: Learned,
}

enum Kind {
    Meter(Meter),
    Sunspec(Sunspec),
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
            Member { config, kind, learned: Learned::default() }
        };
        let units = resolve(connection, settings).into_iter().map(member).collect();
        Ok(Self { link: Link::new(address, settings), units, clock, store })
    }

    fn member(&mut self, unit: &UnitId) -> Option<(&mut Kind, Port<'_>)> {
        let member = self.units.iter_mut().find(|member| member.config.id == *unit)?;
        let Member { config, kind, learned } = member;
        let (store, clock) = (&self.store, &self.clock);
        Some((kind, Port { unit: config, store, clock, link: &mut self.link, learned }))
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
        let interval = |unit: &UnitConfig, kind: &Kind| match kind {
            Kind::Meter(_) => meter::interval(unit),
            Kind::Sunspec(_) => unit.interval,
        };
        let unit = |Member { config, kind, .. }: &Member| Unit {
            id: config.id.clone(),
            devices: devices(config, kind).into_iter().map(|device| device.id).collect(),
            interval: interval(config, kind),
            sleeps: config.profile.sleeps.then(|| config.main.id.clone()),
        };
        self.units.iter().map(unit).collect()
    }

    fn turn(&self, unit: &UnitId) -> Duration {
        let member = self.units.iter().find(|member| member.config.id == *unit);
        member.map_or(Duration::ZERO, |Member { config, kind, .. }| match kind {
            Kind::Meter(_) => {
                let share = load::of_profile(self.link.address(), config);
                share.mul_f64(meter::interval(config).as_secs_f64() / config.interval.as_secs_f64())
            }
            Kind::Sunspec(sunspec) => {
                load::round(self.link.address(), config, &sunspec.extents(config.block))
            }
        })
    }

    async fn probe(&mut self, unit: &UnitId) -> Result<Vec<DeviceInfo>, Fault> {
        let (kind, mut port) = self.member(unit).ok_or_else(|| Fault::Answered(no_such_unit(unit)))?;
        match kind {
            Kind::Meter(meter) => meter.probe(&mut port).await,
            Kind::Sunspec(sunspec) => sunspec.probe(&mut port).await,
        }
    }

    async fn read(&mut self, unit: &UnitId, wanted: Wanted) -> Result<Vec<Reading>, Fault> {
        // Before the first request: a reading must not be younger than its values.
        let now = self.clock.now();
        let (kind, mut port) = self.member(unit).ok_or_else(|| Fault::Answered(no_such_unit(unit)))?;
        match kind {
            Kind::Meter(meter) => meter.read(&mut port, wanted, now).await,
            Kind::Sunspec(sunspec) => sunspec.read(&mut port, now).await,
        }
    }

    async fn write(&mut self, job: &Job) -> Written {
        match self.member(&job.unit) {
            Some((Kind::Sunspec(sunspec), mut port)) => sunspec.write(&mut port, job).await,
            Some((Kind::Meter(_), _)) => {
                let reason = format!("{} takes no command but refresh", job.device);
                Written::Ended(WriteOutcome::Rejected { reason })
            }
            None => Written::Ended(WriteOutcome::Rejected { reason: no_such_unit(&job.unit).to_string() }),
        }
    }

    async fn read_back(&mut self, job: &Job) -> ReadBack {
        match self.member(&job.unit) {
            Some((Kind::Sunspec(sunspec), mut port)) => sunspec.read_back(&mut port, job).await,
            Some((Kind::Meter(_), _)) => ReadBack::Nothing,
            None => ReadBack::Failed(Fault::Answered(no_such_unit(&job.unit))),
        }
    }

    async fn rest(&mut self) {
        self.link.rest().await;
    }

    async fn close(&mut self) -> Result<(), AdapterError> {
        self.link.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
