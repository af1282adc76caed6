//! A snapshot → readings. Pure.
//!
//! | device | power | counters |
//! | --- | --- | --- |
//! | itself | DC power of the PV inputs (160, 714), else of the DC side, else AC | of the PV inputs, else AC, which on a hybrid contains the battery |
//! | battery | discharge − charge inputs of 160, ESS ports of 714, else the bank's (802) | charged, discharged |
//! | meter | 20x and 21x, turned by maker, `usage` and `invert` | imported, exported |

mod battery;
mod inverter;
mod meter;

use adapter_api::{Moment, Reading, Usage};

use super::{
    devices::{battery_part, meter_part, usage},
    inputs::inputs,
    known::Known,
    models::Model,
    snapshot::Snapshot,
};
use crate::units::UnitConfig;

/// The readings of all enabled devices of the unit, with one timestamp.
pub(crate) fn readings(unit: &UnitConfig, known: &Known, snapshot: &Snapshot, now: Moment) -> Vec<Reading> {
    let inputs = inputs(unit.profile, snapshot);
    let mut readings = Vec::new();
    if let Some((at, ac)) = snapshot.of(Model::Inverter) {
        let points = inverter::points(known, at.id, ac, snapshot, &inputs);
        // With a battery on the DC side, the AC rating says nothing about how much the sun may give.
        let rated = unit.main.keys.max_power.or(known.ratings.power.filter(|_| !known.battery));
        readings.push((&unit.main, points.reading(&unit.main.id, rated, now)));
    }
    if known.battery {
        let part = battery_part(unit, known);
        // Of which nothing but what the installer sees says whether its sign is as we take it.
        let points = battery::points(known, snapshot, &inputs);
        let points = points.turn(Usage::Load, part.keys.invert.unwrap_or(false));
        let rated = part.keys.max_power.or(known.ratings.battery_most);
        readings.push((part, points.reading(&part.id, rated, now)));
    }
    for (n, (at, common)) in known.meters.iter().enumerate() {
        let (Some(part), Some(block)) = (meter_part(unit, known, n), snapshot.there(*at)) else { continue };
        let points = meter::points(at.id, block, meter::exports_positive(unit, known, common));
        let measures = usage(part, n).unwrap_or(Usage::Grid);
        let points = points.turn(measures, part.keys.invert.unwrap_or(false));
        readings.push((part, points.reading(&part.id, part.keys.max_power, now)));
    }
    readings.into_iter().filter(|(part, _)| part.enabled()).filter_map(|(_, reading)| reading).collect()
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
