//! A point's place in a device.

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

/// One point of a register device. value = raw × scale, in `unit`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Address as it is on the wire, from 0.
    pub register: u16,
    /// Which table.
    #[serde(default)]
    pub function: Function,
    /// How registers make the raw value.
    #[serde(rename = "type")]
    pub kind: RegisterType,
    /// Order of the registers.
    #[serde(default)]
    pub order: WordOrder,
    /// Factor; negative where the device's sign is the other way round.
    #[serde(default = "one")]
    pub scale: f64,
    /// Unit of the scaled value, empty for a plain number.
    #[serde(default)]
    pub unit: String,
}

const fn one() -> f64 {
    1.0
}
