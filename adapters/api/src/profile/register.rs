//! Registers: which table they are in, which types they make, how often they are read.

use std::time::Duration;

use serde::Deserialize;

/// Which table of a Modbus device a register is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Function 3.
    #[default]
    Holding,
    /// Function 4.
    Input,
}

impl Function {
    /// The Modbus function code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Holding => 3,
            Self::Input => 4,
        }
    }

    /// The table that a Modbus function reads.
    pub const fn of(code: u8) -> Option<Self> {
        match code {
            3 => Some(Self::Holding),
            4 => Some(Self::Input),
            _ => None,
        }
    }
}

/// How often a point is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Five times in the device's interval.
    Fast,
    /// At the device's interval.
    #[default]
    Normal,
    /// Every twelfth time, and no more than once a minute.
    Slow,
    /// When the unit is found, and when it comes back.
    Once,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fast, Self::Normal, Self::Slow, Self::Once];

    /// The time between two reads, for a device's interval; none: read once.
    pub fn period(self, interval: Duration) -> Option<Duration> {
        match self {
            Self::Fast => Some(interval / 5),
            Self::Normal => Some(interval),
            Self::Slow => Some((interval * 12).max(Duration::from_secs(60))),
            Self::Once => None,
        }
    }
}

/// Registers of one table, from the first to the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Which table.
    #[serde(default)]
    pub function: Function,
    /// The first register.
    pub from: u16,
    /// The last one, which belongs to it.
    pub to: u16,
}

impl Range {
    /// Does it contain all of these registers?
    pub fn contains(&self, function: Function, first: u16, last: u16) -> bool {
        self.function == function && self.from <= first && last <= self.to
    }

    /// Has it one of these registers?
    pub fn touches(&self, function: Function, first: u16, last: u16) -> bool {
        self.function == function && self.from <= last && first <= self.to
    }
}

/// How registers make a value; bytes inside a register are always high byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum RegisterType {
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
}

impl RegisterType {
    /// Registers that it takes.
    pub const fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 => 4,
        }
    }

    /// Least and greatest raw value; those of f32 are as far as it counts every whole number.
    pub const fn bounds(self) -> (i64, i64) {
        match self {
            Self::U16 => (0, u16::MAX as i64),
            Self::I16 => (i16::MIN as i64, i16::MAX as i64),
            Self::U32 => (0, u32::MAX as i64),
            Self::I32 => (i32::MIN as i64, i32::MAX as i64),
            Self::U64 => (0, i64::MAX),
            Self::I64 => (i64::MIN, i64::MAX),
            Self::F32 => (-(1 << 24), 1 << 24),
        }
    }
}

/// Order of the registers of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum WordOrder {
    /// High word first.
    #[default]
    Big,
    /// Low word first.
    Little,
}

/// What a unit is told when it is found and when it comes back, unless it is so already. Only where the
/// configuration lets the device be controlled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Which holding register.
    pub register: u16,
    /// What it shall hold.
    pub value: u16,
}
