//! How a set point is said: in W (32 bits) or in percent of what the inverter is set to (16 bits). Pure.

use super::super::{Block, Capacity, long};
use crate::codec::{scaled, signed};

pub(super) const UNIT_AT: u16 = 23;
pub(super) const WATTS_AT: u16 = 24;
pub(super) const PERCENT_AT: u16 = 28;
const WATTS_SCALE_AT: u16 = 55;
const PERCENT_SCALE_AT: u16 = 56;

/// An int32 that is not implemented.
pub(super) const NO_WATTS: u32 = 0x8000_0000;

pub(super) const UNUSABLE: &str = "the device does not say all that its set point needs: 704.WSet or WSetPct, its scale, and 702.WMax for percents";

/// How a set point is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Percent,
    Watts,
}

impl Unit {
    /// Those that the device has, the finer one first.
    pub fn all(now: Block<'_>) -> impl Iterator<Item = Self> {
        [Self::Watts, Self::Percent]
            .into_iter()
            .filter(move |unit| unit.raw(now).is_some() && now.shift(unit.scale_at()).is_some())
    }

    /// The one that counts.
    pub fn shown(now: Block<'_>) -> Option<Self> {
        match now.word(UNIT_AT) {
            Some(0) => Some(Self::Percent),
            Some(1) => Some(Self::Watts),
            Some(_) => None,
            None => Self::all(now).next(),
        }
    }

    pub fn raw(self, now: Block<'_>) -> Option<i32> {
        match self {
            Self::Watts => long(now, WATTS_AT).filter(|raw| *raw != NO_WATTS).map(|raw| raw as i32),
            Self::Percent => now.raw(PERCENT_AT).and_then(signed).map(i32::from),
        }
    }

    pub fn scale_at(self) -> u16 {
        match self {
            Self::Watts => WATTS_SCALE_AT,
            Self::Percent => PERCENT_SCALE_AT,
        }
    }

    /// W of one step.
    pub fn step(self, now: Block<'_>, capacity: Capacity) -> Option<f64> {
        let one = scaled(1.0, now.shift(self.scale_at())?);
        match self {
            Self::Watts => Some(one),
            Self::Percent => capacity.power.map(|full| full * one / 100.0),
        }
    }

    /// W of a raw value.
    pub fn watts(self, raw: i32, now: Block<'_>, capacity: Capacity) -> Option<f64> {
        let value = scaled(f64::from(raw), now.shift(self.scale_at())?);
        match self {
            Self::Watts => Some(value),
            Self::Percent => capacity.power.map(|full| value / 100.0 * full),
        }
    }

    /// The raw magnitude of a power, rounded towards zero so that no limit is exceeded by rounding.
    pub fn magnitude(self, power: f64, now: Block<'_>, capacity: Capacity) -> Result<i32, String> {
        // 2000 W in steps of 0.1 % may be 19.999999999999996 of them.
        const ROUNDING: f64 = 1e-6;
        let step = self.step(now, capacity).ok_or(UNUSABLE)?;
        let raw = (power / step + ROUNDING).floor();
        let most = match self {
            Self::Watts => f64::from(i32::MAX),
            Self::Percent => f64::from(i16::MAX),
        };
        match raw {
            raw if raw < 1.0 => Err(format!("`power` is below the device's step of {step} W")),
            raw if raw > most => Err(format!("the device cannot express {power} W")),
            raw => Ok(raw as i32),
        }
    }

    /// What may come from the device's own rounding: one step, where a step is finer than what people ask for.
    pub fn slack(self, now: Block<'_>) -> u32 {
        let coarsest = match self {
            Self::Watts => 0,
            Self::Percent => -1,
        };
        u32::from(now.shift(self.scale_at()).is_some_and(|shift| shift <= coarsest))
    }
}
