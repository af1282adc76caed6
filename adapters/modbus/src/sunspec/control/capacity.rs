//! What model 702 says that a device of the 700 series may do: its settings, else what it is built for. Pure.

use super::Block;
use crate::{codec::scaled, sunspec::devices::Limits};

/// Places of the settings, and of the ratings behind them.
const POWER_AT: [u16; 2] = [26, 2];
const CHARGE_AT: [u16; 2] = [34, 10];
const DISCHARGE_AT: [u16; 2] = [35, 11];
const SCALE_AT: u16 = 45;

/// In W, above 0; none: it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Capacity {
    /// WMax: what percents refer to.
    pub power: Option<f64>,
    /// WChaRteMax.
    pub(super) charge: Option<f64>,
    /// WDisChaRteMax.
    pub(super) discharge: Option<f64>,
}

impl Capacity {
    pub fn of(now: Option<Block<'_>>) -> Self {
        let number = |at: u16| {
            let raw = f64::from(now?.word(at)?);
            Some(scaled(raw, now?.shift(SCALE_AT)?)).filter(|power| *power > 0.0)
        };
        let first = |places: [u16; 2]| places.into_iter().find_map(number);
        Self { power: first(POWER_AT), charge: first(CHARGE_AT), discharge: first(DISCHARGE_AT) }
    }

    /// The most that it takes.
    pub fn charge(self) -> Option<f64> {
        self.charge.or(self.power)
    }

    /// The most that it gives: its battery, and the whole of it.
    pub fn discharge(self) -> Option<f64> {
        least(self.discharge, self.power)
    }

    /// The configuration's limits, no higher than these.
    pub fn narrow(self, limits: Limits) -> Limits {
        Limits {
            charge: least(limits.charge, self.charge()),
            discharge: least(limits.discharge, self.discharge()),
            ..limits
        }
    }
}

fn least(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(points: &[(usize, u16)]) -> Vec<u16> {
        let mut words = vec![0xFFFF; 52];
        words[45] = 1; // ×10
        for (at, word) in points {
            words[*at] = *word;
        }
        words
    }

    #[test]
    fn a_setting_counts_before_the_rating_and_what_is_missing_before_nothing() {
        let of = |points: &[(usize, u16)]| Capacity::of(Some(Block(&block(points))));
        let all = of(&[(2, 600), (26, 500), (10, 400), (34, 300), (11, 450), (35, 0)]);
        assert_eq!((all.power, all.charge(), all.discharge()), (Some(5000.0), Some(3000.0), Some(4500.0)));
        let power = of(&[(2, 600)]);
        assert_eq!((power.charge(), power.discharge()), (Some(6000.0), Some(6000.0)));
        assert_eq!(of(&[(26, 500), (35, 800)]).discharge(), Some(5000.0), "no more than the whole gives");
        assert_eq!(of(&[(26, 500), (45, 0x8000)]), Capacity::default(), "without a scale nothing is known");
        assert_eq!(Capacity::of(None), Capacity::default());
    }

    #[test]
    fn the_configuration_is_narrowed_and_never_widened() {
        let capacity = Capacity::of(Some(Block(&block(&[(26, 500), (34, 300)]))));
        let limits = Limits { charge: Some(9000.0), discharge: Some(1000.0), rated: Some(1.0) };
        let narrow = Limits { charge: Some(3000.0), ..limits };
        assert_eq!(capacity.narrow(limits), narrow);
        assert_eq!(capacity.narrow(Limits::default()).discharge, Some(5000.0));
    }
}
