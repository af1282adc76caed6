//! The models as data: where each point lies, counted from the model's ID register, and which scale
//! factor belongs to it. From the SunSpec Alliance's model definitions. Pure.
//!
//! A new integer model is a row in [`Model::of`] and a module of fields.

use crate::codec;

/// What a model is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Model {
    /// 101 (one phase), 102 (split), 103 (three): the AC side.
    Inverter,
    /// 120: what it is built for.
    Nameplate,
    /// 121: what it is set to.
    Basic,
    /// 123: immediate controls.
    Immediate,
    /// 124: storage.
    Storage,
    /// 160: the DC inputs.
    Mppt,
    /// 201 to 204.
    Meter,
    /// 702: what a device of the 700 series is built for and set to.
    Capacity,
    /// 704: the controls of the 700 series.
    DerControl,
}

impl Model {
    /// The model with this id, if we use it.
    pub fn of(id: u16) -> Option<Self> {
        match id {
            101..=103 => Some(Self::Inverter),
            120 => Some(Self::Nameplate),
            121 => Some(Self::Basic),
            123 => Some(Self::Immediate),
            124 => Some(Self::Storage),
            160 => Some(Self::Mppt),
            201..=204 => Some(Self::Meter),
            702 => Some(Self::Capacity),
            704 => Some(Self::DerControl),
            _ => None,
        }
    }

    /// Is it read at every poll? The others are read when the unit is discovered, or for a command.
    pub fn polled(self) -> bool {
        !matches!(self, Self::Nameplate | Self::Basic | Self::Capacity)
    }
}

/// Phases of a model 10x or 20x.
pub(crate) fn phases_of(id: u16) -> u8 {
    match id {
        101 | 201 => 1,
        102 | 202 => 2,
        _ => 3,
    }
}

/// One number of a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    at: u16,
    kind: Kind,
    /// Place of its scale factor.
    scale: u16,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Unsigned,
    Signed,
    Counter,
}

const fn unsigned(at: u16, scale: u16) -> Field {
    Field { at, kind: Kind::Unsigned, scale }
}

const fn signed(at: u16, scale: u16) -> Field {
    Field { at, kind: Kind::Signed, scale }
}

const fn counter(at: u16, scale: u16) -> Field {
    Field { at, kind: Kind::Counter, scale }
}

/// Models 101 to 103.
pub(crate) mod inverter {
    use super::{Field, counter, signed, unsigned};

    pub const CURRENT: Field = unsigned(2, 6);
    pub const CURRENTS: [Field; 3] = [unsigned(3, 6), unsigned(4, 6), unsigned(5, 6)];
    pub const VOLTAGES: [Field; 3] = [unsigned(10, 13), unsigned(11, 13), unsigned(12, 13)];
    pub const POWER: Field = signed(14, 15);
    pub const FREQUENCY: Field = unsigned(16, 17);
    pub const APPARENT: Field = signed(18, 19);
    pub const REACTIVE: Field = signed(20, 21);
    pub const POWER_FACTOR: Field = signed(22, 23);
    pub const ENERGY: Field = counter(24, 26);
    pub const DC_POWER: Field = signed(31, 32);
    pub const CABINET: Field = signed(33, 37);
    pub const STATE: u16 = 38;
    /// Words of `STATE`, from 1.
    pub const STATES: [&str; 8] =
        ["off", "sleeping", "starting", "mppt", "throttled", "shutting_down", "fault", "standby"];
}

/// Model 120.
pub(crate) mod nameplate {
    use super::{Field, unsigned};

    pub const POWER: Field = unsigned(3, 4);
    pub const CAPACITY: Field = unsigned(19, 20);
    pub const DISCHARGE: Field = unsigned(25, 26);
}

/// Model 121.
pub(crate) mod basic {
    use super::{Field, unsigned};

    pub const MAX_POWER: Field = unsigned(2, 22);
}

/// Model 123. The five registers of the power limit lie side by side.
pub(crate) mod immediate {
    use super::{Field, unsigned};

    pub const LIMIT_AT: u16 = 5;
    pub const LIMIT_ENABLED_AT: u16 = 9;
    pub const LIMIT_SCALE_AT: u16 = 23;
    pub const LIMIT: Field = unsigned(LIMIT_AT, LIMIT_SCALE_AT);
}

/// Model 124.
pub(crate) mod storage {
    use super::{Field, unsigned};

    pub const MAX_CHARGE: Field = unsigned(2, 18);
    pub const MODE_AT: u16 = 5;
    pub const RESERVE: Field = unsigned(7, 21);
    /// Settings by name, place and place of their scale factor; all uint16.
    pub const SETTINGS: [(&str, u16, u16); 4] =
        [("WChaMax", 2, 18), ("WChaGra", 3, 19), ("WDisChaGra", 4, 19), ("MinRsvPct", 7, 21)];
    pub const LEVEL: Field = unsigned(8, 22);
    pub const STATE_AT: u16 = 11;
    /// Words of `STATE_AT`, from 1.
    pub const STATES: [&str; 7] = ["off", "empty", "discharging", "charging", "full", "holding", "testing"];
    pub const OUT_RATE_AT: u16 = 12;
    pub const IN_RATE_AT: u16 = 13;
    pub const RATE_SCALE_AT: u16 = 25;
    pub const GRID_AT: u16 = 17;
}

/// Model 160: a header and then one module after the other.
pub(crate) mod mppt {
    pub const HEADER: u16 = 10;
    pub const MODULE: u16 = 20;
    pub const POWER_SCALE_AT: u16 = 4;
    pub const ENERGY_SCALE_AT: u16 = 5;
    /// Within a module.
    pub const NAME: std::ops::Range<usize> = 1..9;
    pub const POWER: usize = 11;
    pub const ENERGY: usize = 12;
    pub const STATE: usize = 17;
}

/// Models 201 to 204.
pub(crate) mod meter {
    use super::{Field, counter, signed};

    pub const CURRENT: Field = signed(2, 6);
    pub const CURRENTS: [Field; 3] = [signed(3, 6), signed(4, 6), signed(5, 6)];
    pub const VOLTAGE: Field = signed(7, 15);
    pub const VOLTAGES: [Field; 3] = [signed(8, 15), signed(9, 15), signed(10, 15)];
    pub const FREQUENCY: Field = signed(16, 17);
    pub const POWER: Field = signed(18, 22);
    pub const POWERS: [Field; 3] = [signed(19, 22), signed(20, 22), signed(21, 22)];
    pub const APPARENT: Field = signed(23, 27);
    pub const REACTIVE: Field = signed(28, 32);
    pub const POWER_FACTOR: Field = signed(33, 37);
    pub const EXPORTED: Field = counter(38, 54);
    pub const IMPORTED: Field = counter(46, 54);
}

/// A model's registers as they were read, from its ID register on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a>(pub &'a [u16]);

impl Block<'_> {
    /// One register; none beyond the model's length.
    pub fn raw(self, at: u16) -> Option<u16> {
        self.0.get(usize::from(at)).copied()
    }

    /// An enum16 or bitfield16 that is implemented.
    pub fn word(self, at: u16) -> Option<u16> {
        self.raw(at).and_then(codec::unsigned)
    }

    /// The word for an enum that counts from 1.
    pub fn name<'w>(self, at: u16, words: &[&'w str]) -> Option<&'w str> {
        words.get(usize::from(self.word(at)?.checked_sub(1)?)).copied()
    }

    /// A scale factor.
    pub fn shift(self, at: u16) -> Option<i16> {
        self.raw(at).and_then(codec::shift)
    }

    /// A number with its scale applied.
    pub fn number(self, field: Field) -> Option<f64> {
        let raw = match field.kind {
            Kind::Unsigned => f64::from(codec::unsigned(self.raw(field.at)?)?),
            Kind::Signed => f64::from(codec::signed(self.raw(field.at)?)?),
            Kind::Counter => f64::from(codec::counter(self.raw(field.at)?, self.raw(field.at + 1)?)),
        };
        Some(codec::scaled(raw, self.shift(field.scale)?))
    }

    /// Several numbers.
    pub fn numbers<const N: usize>(self, fields: [Field; N]) -> [Option<f64>; N] {
        fields.map(|field| self.number(field))
    }

    /// The DC inputs of a model 160.
    pub fn modules(self) -> Vec<Module> {
        let (power, energy) = (self.shift(mppt::POWER_SCALE_AT), self.shift(mppt::ENERGY_SCALE_AT));
        let modules = self.0.get(usize::from(mppt::HEADER)..).unwrap_or_default();
        modules
            .chunks_exact(usize::from(mppt::MODULE))
            .map(|words| Module::of(words, power, energy))
            .collect()
    }
}

/// One DC input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Module {
    pub role: Role,
    /// W, never negative.
    pub power: Option<f64>,
    /// Wh; 0 when it counts nothing, or has counted nothing yet.
    pub energy: Option<f64>,
}

/// What a DC input is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Pv,
    Charge,
    Discharge,
}

impl Module {
    fn of(words: &[u16], power: Option<i16>, energy: Option<i16>) -> Self {
        let name = codec::text(&words[mppt::NAME]);
        let role = if name.starts_with("StDisCha") {
            Role::Discharge
        } else if name.starts_with("StCha") {
            Role::Charge
        } else {
            Role::Pv
        };
        // Off, sleeping and standby inputs often report no power at all: it is none.
        let asleep = matches!(words[mppt::STATE], 1 | 2 | 8);
        let raw = codec::unsigned(words[mppt::POWER]).map(f64::from);
        let watts = raw.zip(power).map(|(raw, shift)| codec::scaled(raw, shift));
        let counted = codec::counter(words[mppt::ENERGY], words[mppt::ENERGY + 1]);
        Self {
            role,
            power: watts.or(asleep.then_some(0.0)),
            energy: energy.map(|shift| codec::scaled(f64::from(counted), shift)),
        }
    }
}
