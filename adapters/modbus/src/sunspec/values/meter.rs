//! A meter's points.

use super::{kilo, mean, power_factor, sum};
use crate::{
    reading::{CONSUMED, PRODUCED, Points},
    sunspec::{
        discovery::Common,
        known::{Known, phases_of},
        models::Block,
        points::metered,
    },
    units::UnitConfig,
};

/// With import positive, as far as the maker's habits are known.
pub(super) fn points(id: u16, block: Block<'_>, exports_positive: bool) -> Points {
    let towards = |value: Option<f64>| value.map(|value| if exports_positive { -value } else { value });
    let (of, phases) = (metered(id), usize::from(phases_of(id)));
    let voltages = &block.numbers(of.voltages)[..phases];
    let currents = &block.numbers(of.currents)[..phases];
    let mut points = Points::default();
    points.number("activePower", towards(block.number(of.power)));
    points.number(CONSUMED, block.number(of.imported).map(kilo));
    points.number(PRODUCED, block.number(of.exported).map(kilo));
    points.number("voltage", block.number(of.voltage).or_else(|| mean(voltages)));
    let total = block.number(of.current);
    points.number("current", total.or_else(|| sum(currents.iter().map(|amps| amps.map(f64::abs)))));
    if phases > 1 {
        points.phases("voltage", voltages);
        points.phases("current", currents);
        points.phases("power", &block.numbers(of.powers).map(towards)[..phases]);
    }
    points.number("frequency", block.number(of.frequency));
    points.number("apparentPower", block.number(of.apparent).map(f64::abs));
    points.number("reactivePower", towards(block.number(of.reactive)));
    points.number("powerFactor", block.number(of.power_factor).map(power_factor));
    points
}

/// Makers sell other makers' meters as their own: what the inverter says counts as well.
pub(super) fn exports_positive(unit: &UnitConfig, known: &Known, meter: &Common) -> bool {
    let who = [Some(meter), known.inverter.as_ref()].into_iter().flatten();
    let mut habits = who.filter_map(|common| unit.profile.maker(&common.manufacturer, &common.model));
    habits.next().is_some_and(|maker| maker.export_is_positive)
}
