//! An inverter's points: its sun, and its AC side.

use super::{kilo, mean, power_factor, sum};
use crate::{
    reading::{CONSUMED, PRODUCED, Points},
    sunspec::{
        inputs::{Input, Role},
        known::Known,
        models::{Block, Model, Named, immediate},
        past::sun,
        points::{Ac, ac, others},
        snapshot::Snapshot,
    },
};

/// States in which a device that says nothing of its power has none.
const ASLEEP: [&str; 3] = ["off", "sleeping", "standby"];

/// The points of the model `id` in `block`, with what the unit's other models say.
pub(super) fn points(
    known: &Known,
    id: u16,
    block: Block<'_>,
    snapshot: &Snapshot,
    inputs: &[Input],
) -> Points {
    let of = ac(id);
    let state = block.name(of.state);
    let output = output(of, block, state);
    let phases = usize::from(known.phases);
    let voltages = &block.numbers(of.voltages)[..phases];
    let (produced, consumed) = counters(known, of, block, inputs);
    let mut points = Points::default();
    points.number("activePower", solar(known, of, block, inputs, output));
    points.number(PRODUCED, produced.map(kilo));
    points.number(CONSUMED, consumed.map(kilo));
    points.number("inverterPower", output);
    points.number("voltage", of.voltage.and_then(|of| block.number(of)).or_else(|| mean(voltages)));
    points.number("current", block.number(of.current));
    if phases > 1 {
        points.phases("voltage", voltages);
        points.phases("current", &block.numbers(of.currents)[..phases]);
        if let Some(powers) = of.powers {
            points.phases("inverterPower", &block.numbers(powers)[..phases]);
        }
    }
    points.number("frequency", block.number(of.frequency));
    points.number("apparentPower", block.number(of.apparent).map(f64::abs));
    points.number("reactivePower", block.number(of.reactive));
    points.number("powerFactor", block.number(of.power_factor).map(power_factor));
    points.number("temperature", block.number(of.cabinet));
    points.word("operatingState", state);
    points.word("gridConnection", of.connected.and_then(|of| block.name(of)));
    let status = snapshot.block(Model::Status);
    points.word("pvConnection", status.and_then(|block| block.connection(others().pv_connection)));
    points.word("alarms", of.alarms.and_then(|of| alarms(block, of)).as_deref());
    service(&mut points, snapshot);
    points
}

/// Power on the AC side.
fn output(of: &Ac, block: Block<'_>, state: Option<&str>) -> Option<f64> {
    let asleep = state.is_some_and(|state| ASLEEP.contains(&state));
    block.number(of.power).or(asleep.then_some(0.0))
}

/// Power of the sun.
fn solar(known: &Known, of: &Ac, block: Block<'_>, inputs: &[Input], output: Option<f64>) -> Option<f64> {
    let pv = inputs.iter().filter(|input| input.role == Role::Pv);
    // With a battery on the DC side, neither the whole DC side nor the AC side is solar power.
    let mixed = known.battery && !inputs.is_empty();
    let of_all = || of.dc_power.and_then(|of| block.number(of)).or(output);
    sum(pv.map(|input| input.power)).or_else(|| if mixed { None } else { of_all() })
}

/// Wh that it gave and took in its life.
fn counters(known: &Known, of: &Ac, block: Block<'_>, inputs: &[Input]) -> (Option<f64>, Option<f64>) {
    // With a battery, the AC counters contain what it gave and took: without the sun's own, power is
    // integrated instead.
    if known.past.ac && !known.battery {
        (block.number(of.produced), of.consumed.and_then(|of| block.number(of)))
    } else {
        (known.past.sun.total(sun(inputs)), None)
    }
}

/// What it warns of, in words.
fn alarms(block: Block<'_>, of: Named) -> Option<String> {
    let flags = block.flags(of)?;
    Some(if flags.is_empty() { "none".to_owned() } else { flags.join(",") })
}

/// Whether it may feed in, and how much.
fn service(points: &mut Points, snapshot: &Snapshot) {
    if let Some(block) = snapshot.block(Model::Immediate) {
        points.number("powerLimit", block.number(immediate::LIMIT));
        points.flag("powerLimitEnabled", block.word(immediate::LIMIT_ENABLED_AT).map(|on| on == 1));
    } else if let Some(block) = snapshot.block(Model::DerControl) {
        points.number("powerLimit", block.number(others().der_limit));
        points.flag("powerLimitEnabled", block.word(others().der_limit_enabled.at).map(|on| on == 1));
    }
    let service = snapshot.block(Model::EnterService);
    points.word("enterService", service.and_then(|block| block.name(others().enter_service)));
}
