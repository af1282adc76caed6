//! Models 111–113 and 211–214: AC side and grid meter as floats. Pure.
//!
//! Offsets count from a model's id register; every value has two registers. What a wiring does not
//! have is NaN.

use super::{
    Wiring,
    image::{Model, NO_U16},
    inverter::operating_state,
};
use crate::{PlantState, plant::Electric};

const AC_FAMILY: u16 = 110;
const AC_LENGTH: u16 = 60;
const METER_FAMILY: u16 = 210;
const METER_LENGTH: u16 = 124;

/// The AC side: what leaves the inverter, battery included.
pub(super) fn ac(state: &PlantState, now: &Electric) -> Model {
    let mut m = Model::new(AC_FAMILY + now.phases as u16, AC_LENGTH);
    m.no_floats((2..48).step_by(2));
    let mut amps = 0.0;
    for phase in 0..now.phases {
        let current = now.inverter[phase].abs() / now.volts[phase];
        amps += current;
        m.float(4 + 2 * phase, current).float(16 + 2 * phase, now.volts[phase]);
        if now.phases == 3 || (now.phases == 2 && phase == 0) {
            m.float(10 + 2 * phase, now.volts_between(phase));
        }
    }
    m.float(2, amps)
        .float(22, state.inverter)
        .float(24, now.hertz)
        .float(26, state.inverter.abs())
        .float(28, 0.0)
        .float(30, 100.0)
        .float(32, state.counters.produced_wh())
        .float(38, state.inverter)
        .float(40, 30.0 + state.inverter.abs() / 500.0)
        .set(48, operating_state(state))
        .absent(NO_U16, [49])
        .absent(NO_U16, 54..62);
    m
}

/// A meter that measures `watts`, positive = drawn from the side of the grid.
pub(super) fn meter(
    wiring: Wiring,
    now: &Electric,
    watts: [f64; 3],
    exported_wh: f64,
    imported_wh: f64,
) -> Model {
    let mut m = Model::new(METER_FAMILY + wiring.meter(), METER_LENGTH);
    m.no_floats((2..124).step_by(2));
    let (mut amps, mut between) = (0.0, Vec::new());
    for (phase, &watts) in watts.iter().enumerate().take(now.phases) {
        let current = watts.abs() / now.volts[phase];
        amps += current;
        m.float(4 + 2 * phase, current).float(30 + 2 * phase, watts);
        if wiring.has_neutral() {
            m.float(12 + 2 * phase, now.volts[phase]);
        }
        if now.phases == 3 || (now.phases == 2 && phase == 0) {
            between.push(now.volts_between(phase));
            m.float(20 + 2 * phase, now.volts_between(phase));
        }
    }
    if !between.is_empty() {
        m.float(18, between.iter().sum::<f64>() / between.len() as f64);
    }
    if wiring.has_neutral() {
        m.float(10, now.mean_volts());
    }
    m.float(2, amps)
        .float(26, now.hertz)
        .float(28, watts.iter().sum())
        .float(60, exported_wh)
        .float(68, imported_wh);
    m
}
