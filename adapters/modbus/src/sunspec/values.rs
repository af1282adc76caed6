//! A snapshot → readings. Pure.
//!
//! | device | power | counters |
//! | --- | --- | --- |
//! | itself | DC power of the PV inputs (160), else of the DC side, else AC | of the PV inputs, else AC, which on a hybrid contains the battery |
//! | battery | discharge − charge inputs of 160 | charge input, discharge input |
//! | meter | 20x, turned by maker, `usage` and `invert` | imported, exported |

use adapter_api::{Moment, Reading};

use super::{
    control::{battery_mode, set_point_mode},
    devices::{meter_part, usage},
    known::Known,
    models::{Block, Model, Module, Role, immediate, inverter, meter, storage},
    snapshot::Snapshot,
};
use crate::{
    reading::{CONSUMED, PRODUCED, Points},
    units::UnitConfig,
};

/// The readings of all enabled devices of the unit, with one timestamp.
pub(crate) fn readings(unit: &UnitConfig, known: &Known, snapshot: &Snapshot, now: Moment) -> Vec<Reading> {
    let modules = snapshot.block(Model::Mppt).map(|block| block.modules()).unwrap_or_default();
    let mut readings = Vec::new();
    if let Some(ac) = snapshot.block(Model::Inverter) {
        let points = solar(known, ac, snapshot.block(Model::Immediate), &modules);
        let rated = unit.main.keys.max_power.or(known.ratings.power);
        readings.push((&unit.main, points.reading(&unit.main.id, rated, now)));
    }
    if known.battery {
        let mut points = battery(snapshot.block(Model::Storage), &modules);
        let set_point =
            snapshot.block(Model::DerControl).filter(|_| snapshot.block(Model::Storage).is_none());
        points.word("batteryMode", set_point.and_then(set_point_mode));
        let rated = unit.battery.keys.max_power.or(known.ratings.battery);
        readings.push((&unit.battery, points.reading(&unit.battery.id, rated, now)));
    }
    if let Some(block) = snapshot.block(Model::Meter) {
        let part = meter_part(unit, known);
        let points = metered(known, block, exports_positive(unit, known));
        let points = points.turn(usage(part), part.keys.invert.unwrap_or(false));
        readings.push((part, points.reading(&part.id, part.keys.max_power, now)));
    }
    readings.into_iter().filter(|(part, _)| part.enabled()).filter_map(|(_, reading)| reading).collect()
}

fn solar(known: &Known, ac: Block<'_>, immediate: Option<Block<'_>>, modules: &[Module]) -> Points {
    let pv = modules.iter().filter(|module| module.role == Role::Pv);
    let of_inputs = sum(pv.clone().map(|module| module.power));
    // With a battery on the DC side, neither the whole DC side nor the AC side is solar power.
    let of_all = ac.number(inverter::DC_POWER).or_else(|| ac.number(inverter::POWER));
    let counted = if known.pv_counters {
        sum(pv.map(|module| module.energy)).filter(|wh| *wh > 0.0)
    } else if known.battery {
        // The AC counter contains what the battery gave and took: power is integrated instead.
        None
    } else {
        ac.number(inverter::ENERGY)
    };
    let phases = usize::from(known.phases(Model::Inverter));
    let voltages = &ac.numbers(inverter::VOLTAGES)[..phases];
    let mut points = Points::default();
    points.number(
        "activePower",
        of_inputs.or(if modules.is_empty() || !known.battery { of_all } else { None }),
    );
    points.number(PRODUCED, counted.map(kilo));
    points.number("inverterPower", ac.number(inverter::POWER));
    points.number("voltage", mean(voltages));
    points.number("current", ac.number(inverter::CURRENT));
    if phases > 1 {
        points.phases("voltage", voltages);
        points.phases("current", &ac.numbers(inverter::CURRENTS)[..phases]);
    }
    points.number("frequency", ac.number(inverter::FREQUENCY));
    points.number("apparentPower", ac.number(inverter::APPARENT).map(f64::abs));
    points.number("reactivePower", ac.number(inverter::REACTIVE));
    points.number("powerFactor", ac.number(inverter::POWER_FACTOR).map(power_factor));
    points.number("temperature", ac.number(inverter::CABINET));
    points.word("operatingState", ac.name(inverter::STATE, &inverter::STATES));
    if let Some(block) = immediate {
        points.number("powerLimit", block.number(immediate::LIMIT));
        points.flag("powerLimitEnabled", block.word(immediate::LIMIT_ENABLED_AT).map(|on| on == 1));
    }
    points
}

fn battery(block: Option<Block<'_>>, modules: &[Module]) -> Points {
    let of = |role| modules.iter().filter(move |module| module.role == role);
    let (charge, discharge) =
        (sum(of(Role::Charge).map(|m| m.power)), sum(of(Role::Discharge).map(|m| m.power)));
    let power = match (charge, discharge) {
        (None, None) => None,
        (charge, discharge) => Some(discharge.unwrap_or(0.0) - charge.unwrap_or(0.0)),
    };
    // 0 is what an input without a counter says.
    let counted = |role| sum(of(role).map(|module| module.energy)).filter(|wh| *wh > 0.0).map(kilo);
    let mut points = Points::default();
    points.number("activePower", power);
    points.number(CONSUMED, counted(Role::Charge));
    points.number(PRODUCED, counted(Role::Discharge));
    if let Some(block) = block {
        points.number("batteryLevel", block.number(storage::LEVEL));
        points.number("batteryReserve", block.number(storage::RESERVE));
        points.word("batteryState", block.name(storage::STATE_AT, &storage::STATES));
        points.word("batteryMode", battery_mode(block));
    }
    points
}

/// With import positive, as far as the maker's habits are known.
fn metered(known: &Known, block: Block<'_>, exports_positive: bool) -> Points {
    let towards = |value: Option<f64>| value.map(|value| if exports_positive { -value } else { value });
    let phases = usize::from(known.phases(Model::Meter));
    let voltages = &block.numbers(meter::VOLTAGES)[..phases];
    let currents = &block.numbers(meter::CURRENTS)[..phases];
    let mut points = Points::default();
    points.number("activePower", towards(block.number(meter::POWER)));
    points.number(CONSUMED, block.number(meter::IMPORTED).map(kilo));
    points.number(PRODUCED, block.number(meter::EXPORTED).map(kilo));
    points.number("voltage", block.number(meter::VOLTAGE).or_else(|| mean(voltages)));
    let total = block.number(meter::CURRENT);
    points.number("current", total.or_else(|| sum(currents.iter().map(|amps| amps.map(f64::abs)))));
    if phases > 1 {
        points.phases("voltage", voltages);
        points.phases("current", currents);
        points.phases("power", &block.numbers(meter::POWERS).map(towards)[..phases]);
    }
    points.number("frequency", block.number(meter::FREQUENCY));
    points.number("apparentPower", block.number(meter::APPARENT).map(f64::abs));
    points.number("reactivePower", towards(block.number(meter::REACTIVE)));
    points.number("powerFactor", block.number(meter::POWER_FACTOR).map(power_factor));
    points
}

/// Makers sell other makers' meters as their own: what the inverter says counts as well.
fn exports_positive(unit: &UnitConfig, known: &Known) -> bool {
    let who = [&known.meter, &known.inverter].into_iter().flatten();
    let mut habits = who.filter_map(|common| unit.profile.maker(&common.manufacturer, &common.model));
    habits.next().is_some_and(|maker| maker.export_is_positive)
}

/// The sum of what is there; none when nothing is.
fn sum(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().reduce(|sum, value| sum + value)
}

fn mean(values: &[Option<f64>]) -> Option<f64> {
    let there = values.iter().flatten().count();
    sum(values.iter().copied()).map(|sum| sum / there as f64)
}

fn kilo(wh: f64) -> f64 {
    wh / 1000.0
}

/// Some devices say percent, some parts of 1.
fn power_factor(value: f64) -> f64 {
    if value.abs() > 1.0 { value / 100.0 } else { value }
}
