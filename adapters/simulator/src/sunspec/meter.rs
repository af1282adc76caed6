//! Models 201–204: meters, import positive. Pure.

use super::{
    Wiring,
    image::{Model, NO_I16},
    points::meter,
};
use crate::plant::Electric;

/// A meter that measures `watts`, positive = drawn from the side of the grid.
pub(super) fn meter(
    wiring: Wiring,
    now: &Electric,
    watts: [f64; 3],
    exported_wh: f64,
    imported_wh: f64,
) -> Model {
    let mut m = Model::new(meter::FAMILY + wiring.meter(), meter::LENGTH);
    m.absent(NO_I16, meter::A_PHASE..meter::A_SF)
        .absent(NO_I16, meter::V..meter::V_SF)
        .absent(NO_I16, meter::W_PHASE..meter::W_SF);
    let mut amps = 0.0;
    let mut between = Vec::new();
    for (phase, &watts) in watts.iter().enumerate().take(now.phases) {
        let current = watts.abs() / now.volts[phase];
        amps += current;
        m.signed(meter::A_PHASE + phase, current * 100.0).signed(meter::W_PHASE + phase, watts);
        if wiring.has_neutral() {
            m.signed(meter::V_PHASE + phase, now.volts[phase] * 10.0);
        }
        if now.phases > 1 && (now.phases == 3 || phase == 0) {
            between.push(now.volts_between(phase));
            m.signed(meter::V_BETWEEN + phase, now.volts_between(phase) * 10.0);
        }
    }
    if !between.is_empty() {
        let mean = between.iter().sum::<f64>() / between.len() as f64;
        m.signed(meter::V_BETWEEN_MEAN, mean * 10.0);
    }
    if wiring.has_neutral() {
        m.signed(meter::V, now.mean_volts() * 10.0);
    }
    m.signed(meter::A, amps * 100.0)
        .factor(meter::A_SF, -2)
        .factor(meter::V_SF, -1)
        .signed(meter::HZ, now.hertz * 100.0)
        .factor(meter::HZ_SF, -2)
        .signed(meter::W, watts.iter().sum())
        .factor(meter::W_SF, 0)
        .absent(NO_I16, meter::VA_VAR_PF)
        .counter(meter::EXPORTED, exported_wh)
        .counter(meter::IMPORTED, imported_wh)
        .factor(meter::WH_SF, 0)
        .absent(NO_I16, [meter::VAH_SF, meter::VARH_SF]);
    m
}
