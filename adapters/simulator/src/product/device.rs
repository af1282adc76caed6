//! The Modbus side of a product: its tables, its map that may have moved, and the SunSpec models beside it.

use adapter_api::profile::Function;

use super::Shared;
use crate::{Device, Exception, Table, sunspec::Hybrid};

/// What the server serves.
pub(crate) struct ProductDevice {
    machine: Shared,
    sunspec: Option<Hybrid>,
}

impl ProductDevice {
    pub fn new(machine: Shared, sunspec: Option<Hybrid>) -> Self {
        Self { machine, sunspec }
    }

    /// The address before the map moved.
    fn unmoved(&self, address: u16) -> Result<u16, Exception> {
        let shift = self.machine.lock().shift;
        let moved = i32::from(address) - i32::from(shift);
        u16::try_from(moved).map_err(|_| Exception::IllegalAddress)
    }
}

impl Device for ProductDevice {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        let address = self.unmoved(address)?;
        let function = match table {
            Table::Holding => Function::Holding,
            Table::Input => Function::Input,
        };
        let mut machine = self.machine.lock();
        // Its timers end before anybody looks at the plant.
        machine.now();
        if let Some(sunspec) = self.sunspec.as_ref().filter(|_| table == Table::Holding)
            && let Some(registers) = sunspec.read_as(address, count, |counters| machine.counted(counters))
        {
            // What would be other with counters at 0 has one.
            let zero = sunspec.read_as(address, count, |counters| counters.since(&counters));
            return Ok(match zero.filter(|zero| *zero != registers && machine.bounces()) {
                Some(zero) => zero,
                None => registers,
            });
        }
        machine.read(function, address, count)
    }

    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception> {
        self.write_by(16, address, values)
    }

    fn write_by(&mut self, function: u8, address: u16, values: &[u16]) -> Result<(), Exception> {
        let address = self.unmoved(address)?;
        let mut machine = self.machine.lock();
        match &mut self.sunspec {
            Some(sunspec) if !machine.owns(address) => {
                machine.now();
                sunspec.write(address, values)
            }
            _ => machine.write(function, address, values),
        }
    }
}
