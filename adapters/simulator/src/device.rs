//! What a Modbus server serves: registers behind unit ids. No socket and no frame here.

use std::collections::BTreeMap;

use crate::Manners;

/// Which of a device's two register tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Functions 3, 6 and 16.
    Holding,
    /// Function 4.
    Input,
}

/// How a device says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// 1: it has no such function.
    IllegalFunction,
    /// 2: it has no such register, or it cannot be written.
    IllegalAddress,
    /// 3: it does not take this value or count.
    IllegalValue,
    /// Any other code.
    Other(u8),
}

impl Exception {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::IllegalFunction => 1,
            Self::IllegalAddress => 2,
            Self::IllegalValue => 3,
            Self::Other(code) => code,
        }
    }
}

/// Registers that can be read and written. One call is one instant.
pub trait Device: Send {
    /// `count` registers from `address`; never past 65535.
    ///
    /// # Errors
    /// The exception that the device answers.
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception>;

    /// Writes all of `values` from `address`, or nothing.
    ///
    /// # Errors
    /// The exception that the device answers.
    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception>;

    /// The same for a device that cares by which function it is told, 6 or 16.
    ///
    /// # Errors
    /// The exception that the device answers.
    fn write_by(&mut self, function: u8, address: u16, values: &[u16]) -> Result<(), Exception> {
        let _ = function;
        self.write(address, values)
    }
}

/// What a port answers for a unit that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownUnit {
    /// Exception 11, as gateways do.
    #[default]
    Exception,
    /// Nothing.
    Silence,
}

/// The units behind one port.
#[derive(Default)]
pub struct Units {
    pub(crate) devices: BTreeMap<u8, Box<dyn Device>>,
    pub(crate) unknown: UnknownUnit,
    pub(crate) manners: Manners,
}

impl Units {
    /// One device.
    pub fn one(unit: u8, device: impl Device + 'static) -> Self {
        Self::default().and(unit, device)
    }

    /// One more device.
    #[must_use]
    pub fn and(mut self, unit: u8, device: impl Device + 'static) -> Self {
        self.devices.insert(unit, Box::new(device));
        self
    }

    /// What other units get.
    #[must_use]
    pub fn unknown(mut self, unknown: UnknownUnit) -> Self {
        self.unknown = unknown;
        self
    }

    /// What clients must respect; who asks too soon is told that the device is busy (exception 6).
    #[must_use]
    pub fn manners(mut self, manners: Manners) -> Self {
        self.manners = manners;
        self
    }
}

/// A bare register map, for tests that bring their own device.
#[derive(Debug, Clone, Default)]
pub struct RegisterMap {
    holding: BTreeMap<u16, Register>,
    input: BTreeMap<u16, Register>,
}

#[derive(Debug, Clone, Copy)]
struct Register {
    value: u16,
    writable: bool,
}

impl RegisterMap {
    /// Nothing at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holding registers that cannot be written.
    #[must_use]
    pub fn holding(mut self, address: u16, values: &[u16]) -> Self {
        fill(&mut self.holding, address, values, false);
        self
    }

    /// Holding registers that can be written.
    #[must_use]
    pub fn writable(mut self, address: u16, values: &[u16]) -> Self {
        fill(&mut self.holding, address, values, true);
        self
    }

    /// Input registers.
    #[must_use]
    pub fn input(mut self, address: u16, values: &[u16]) -> Self {
        fill(&mut self.input, address, values, false);
        self
    }
}

fn fill(table: &mut BTreeMap<u16, Register>, address: u16, values: &[u16], writable: bool) {
    table.extend((address..).zip(values.iter().map(|&value| Register { value, writable })));
}

impl Device for RegisterMap {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        let table = match table {
            Table::Holding => &self.holding,
            Table::Input => &self.input,
        };
        (address..=u16::MAX)
            .take(count.into())
            .map(|at| table.get(&at).map(|register| register.value).ok_or(Exception::IllegalAddress))
            .collect()
    }

    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception> {
        let targets = || (address..=u16::MAX).zip(values);
        if !targets().all(|(at, _)| self.holding.get(&at).is_some_and(|register| register.writable)) {
            return Err(Exception::IllegalAddress);
        }
        for (at, &value) in targets() {
            self.holding.insert(at, Register { value, writable: true });
        }
        Ok(())
    }
}
