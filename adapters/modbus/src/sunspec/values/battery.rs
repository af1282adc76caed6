//! A battery's points: of the DC inputs that it hangs on, of its own models, or of both.

use super::{kilo, sum};
use crate::{
    reading::{CONSUMED, PRODUCED, Points},
    sunspec::{
        control::{battery_mode, set_point_in_force, set_point_mode},
        inputs::{Input, Role},
        known::{Known, level},
        models::Model,
        past::{charged, discharged},
        points::others,
        snapshot::Snapshot,
    },
};

/// Its points; + discharges.
pub(super) fn points(known: &Known, snapshot: &Snapshot, inputs: &[Input]) -> Points {
    let (of, storage, bank) = (others(), snapshot.block(Model::Storage), snapshot.block(Model::Bank));
    let der = snapshot.block(Model::DerStorage);
    let health = der.and_then(|block| block.number(of.der_health));
    let mut points = Points::default();
    points
        .number("activePower", power(inputs).or_else(|| bank.and_then(|block| block.number(of.bank_power))));
    points.number(CONSUMED, known.past.charged.total(charged(inputs)).map(kilo));
    points.number(PRODUCED, known.past.discharged.total(discharged(inputs)).map(kilo));
    points.number("batteryLevel", level(snapshot));
    points.number("batteryHealth", health.or_else(|| bank.and_then(|block| block.number(of.bank_health))));
    if let Some(block) = storage {
        points.number("batteryReserve", block.number(of.reserve));
        points.word("batteryState", block.name(of.charge_state));
        points.word("batteryMode", battery_mode(block));
    } else if let Some(block) = snapshot.block(Model::DerControl) {
        points.word("batteryMode", set_point_mode(block));
        let (power, remaining) = set_point_in_force(block, known.controls.capacity());
        points.number("setPointPower", power);
        points.number("setPointRemaining", remaining);
    }
    points.word("batteryStatus", der.and_then(|block| block.name(of.der_status)));
    let status = snapshot.block(Model::Status).and_then(|block| block.connection(of.battery_connection));
    let connection = bank.and_then(|block| block.name(of.bank_connection));
    points.word("batteryConnection", connection.or(status));
    if let Some(block) = bank {
        if storage.is_none() {
            points.word("batteryState", block.name(of.bank_state));
        }
        points.number("voltage", block.number(of.bank_voltage));
        points.number("current", block.number(of.bank_current));
    }
    points
}

fn power(inputs: &[Input]) -> Option<f64> {
    let of = |role| sum(inputs.iter().filter(move |input| input.role == role).map(|input| input.power));
    let out = sum([of(Role::Discharge), of(Role::Battery)].into_iter());
    match (of(Role::Charge), out) {
        (None, None) => None,
        (charge, out) => Some(out.unwrap_or(0.0) - charge.unwrap_or(0.0)),
    }
}
