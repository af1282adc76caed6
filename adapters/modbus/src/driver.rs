//! The unit's turn: which kind of unit it is, and what its link brought. Owns the link and the
//! units; never decides when.

use std::time::Duration;

use adapter_api::{
    AdapterError, Clock, Counter, DeviceId, DeviceInfo, Driver, Fault, Job, Moment, Problem, ReadBack,
    Reading, Store, Unit, UnitId, Wanted, WriteOutcome, Written, profile::Discovery,
};

use crate::{
    client::Link,
    config::{Address, BATTERY, Settings},
    learned::Learned,
    load, mixed,
    port::Port,
    reading::sifted,
    registers::{self, Registers, carries},
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

/// A unit that describes itself, one with registers, or both.
struct Member {
    config: UnitConfig,
    sunspec: Option<Sunspec>,
    registers: Option<Registers>,
    learned: Learned,
    disbelieved: Vec<(DeviceId, Counter, u64)>,
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
        let mut link = Link::new(address, settings);
        let units = resolve(connection, settings).into_iter().map(|config| {
            link.heed(&config.profile.limits);
            Member {
                sunspec: config.profile.discovery.map(|Discovery::Sunspec| Sunspec::default()),
                registers: registers::exist(config.profile).then(|| Registers::new(&config)),
                config,
                learned: Learned::default(),
                disbelieved: Vec::new(),
            }
        });
        Ok(Self { units: units.collect(), link, clock, store })
    }

    fn turn_of(&mut self, unit: &UnitId) -> Option<Turn<'_>> {
        let member = self.units.iter_mut().find(|member| member.config.id == *unit)?;
        let Member { config, sunspec, registers, learned, disbelieved } = member;
        let (store, clock) = (&self.store, &self.clock);
        let port = Port { unit: config, store, clock, link: &mut self.link, learned };
        Some(Turn { sunspec: sunspec.as_mut(), registers: registers.as_mut(), disbelieved, port })
    }
}

/// One unit's turn on the link.
struct Turn<'a> {
    sunspec: Option<&'a mut Sunspec>,
    registers: Option<&'a mut Registers>,
    disbelieved: &'a mut Vec<(DeviceId, Counter, u64)>,
    port: Port<'a>,
}

impl Turn<'_> {
    async fn probe(mut self) -> Result<Vec<DeviceInfo>, Fault> {
        let own = match &mut self.sunspec {
            Some(sunspec) => sunspec.probe(&mut self.port).await?,
            None => Vec::new(),
        };
        match (self.registers, self.sunspec) {
            (None, _) => Ok(own),
            (Some(registers), None) => registers.probe(&mut self.port).await,
            (Some(registers), Some(_)) => {
                let added = registers.probe(&mut self.port).await?;
                Ok(mixed::devices(self.port.unit, own, added))
            }
        }
    }

    async fn read(mut self, wanted: Wanted, now: Moment) -> Result<Vec<Reading>, Fault> {
        let mut own = Vec::new();
        if let Some(sunspec) = &mut self.sunspec {
            for reading in sunspec.read(&mut self.port, now).await? {
                let device = reading.device.clone();
                let (reading, times) = sifted(reading);
                if times > 0 {
                    self.disbelieved.push((device, Counter::OutOfRange, times));
                }
                own.extend(reading);
            }
        }
        let Some(registers) = self.registers else { return Ok(own) };
        let added = match registers.read(&mut self.port, wanted, now).await {
            // What it describes itself is no less true; what the sun gives is unknown without the battery.
            Err(Fault::Answered(_)) if self.sunspec.is_some() && !registers.is_outdated() => Vec::new(),
            added => added?,
        };
        self.disbelieved.append(&mut registers.disbelieved());
        Ok(match self.sunspec {
            Some(_) => mixed::readings(self.port.unit, own, added, registers.has(BATTERY)),
            None => added,
        })
    }

    async fn write(mut self, job: &Job) -> Written {
        let unit = self.port.unit;
        match (self.registers, self.sunspec) {
            (Some(registers), sunspec) if sunspec.is_none() || carries(unit.profile, &job.command) => {
                registers.write(&mut self.port, job).await
            }
            (_, Some(sunspec)) => sunspec.write(&mut self.port, job).await,
            (_, None) => Written::Ended(WriteOutcome::Rejected { reason: none_taken(job) }),
        }
    }

    async fn read_back(mut self, job: &Job) -> ReadBack {
        let unit = self.port.unit;
        match (self.registers, self.sunspec) {
            (Some(registers), sunspec) if sunspec.is_none() || carries(unit.profile, &job.command) => {
                registers.read_back(&mut self.port, job).await
            }
            (_, Some(sunspec)) => sunspec.read_back(&mut self.port, job).await,
            (_, None) => ReadBack::Nothing,
        }
    }
}

fn none_taken(job: &Job) -> String {
    format!("{} takes no command but refresh", job.device)
}

fn no_such_unit(unit: &UnitId) -> Problem {
    Problem::new(
        format!("The connection has no unit {unit}"),
        "Correct the device's table, or send the command to another device",
    )
}

/// The devices that a unit is known to have before it answers.
pub(crate) fn declared(unit: &UnitConfig) -> Vec<DeviceInfo> {
    let added = || registers::declared(unit);
    match unit.profile.discovery {
        None => added(),
        Some(Discovery::Sunspec) if registers::exist(unit.profile) => {
            mixed::devices(unit, sunspec::declared(unit), added())
        }
        Some(Discovery::Sunspec) => sunspec::declared(unit),
    }
}

impl Driver for ModbusDriver {
    fn units(&self) -> Vec<Unit> {
        let unit = |Member { config, .. }: &Member| Unit {
            id: config.id.clone(),
            devices: declared(config).into_iter().map(|device| device.id).collect(),
            interval: registers::interval(config),
            sleeps: config.profile.sleeps.then(|| config.main.id.clone()),
        };
        self.units.iter().map(unit).collect()
    }

    fn turn(&self, unit: &UnitId) -> Duration {
        let member = self.units.iter().find(|member| member.config.id == *unit);
        member.map_or(Duration::ZERO, |Member { config, sunspec, .. }| {
            let (address, interval) = (self.link.address(), registers::interval(config));
            let share = load::of_profile(address, config);
            let registers = share.mul_f64(interval.as_secs_f64() / config.interval.as_secs_f64());
            let models = sunspec.as_ref().map(|sunspec| sunspec.extents(config.block)).unwrap_or_default();
            registers + load::round(address, config, &models)
        })
    }

    fn disbelieved(&mut self) -> Vec<(DeviceId, Counter, u64)> {
        self.units.iter_mut().flat_map(|member| std::mem::take(&mut member.disbelieved)).collect()
    }

    async fn probe(&mut self, unit: &UnitId) -> Result<Vec<DeviceInfo>, Fault> {
        let turn = self.turn_of(unit).ok_or_else(|| Fault::Answered(no_such_unit(unit)))?;
        turn.probe().await
    }

    async fn read(&mut self, unit: &UnitId, wanted: Wanted) -> Result<Vec<Reading>, Fault> {
        // Before the first request: a reading must not be younger than its values.
        let now = self.clock.now();
        let turn = self.turn_of(unit).ok_or_else(|| Fault::Answered(no_such_unit(unit)))?;
        turn.read(wanted, now).await
    }

    async fn write(&mut self, job: &Job) -> Written {
        match self.turn_of(&job.unit) {
            Some(turn) => turn.write(job).await,
            None => Written::Ended(WriteOutcome::Rejected { reason: no_such_unit(&job.unit).to_string() }),
        }
    }

    async fn read_back(&mut self, job: &Job) -> ReadBack {
        match self.turn_of(&job.unit) {
            Some(turn) => turn.read_back(job).await,
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
