//! Models 201–203: the inverter's own grid meter, import positive. Pure.

use super::{
    image::{Model, NO_I16},
    points::meter,
};
use crate::{PlantState, plant::Electric};

pub(super) fn grid(state: &PlantState, now: &Electric) -> Model {
    let mut m = Model::new(meter::FAMILY + now.phases as u16, meter::LENGTH);
    m.absent(NO_I16, meter::A_PHASE..meter::A_SF)
        .absent(NO_I16, meter::V_PHASE..meter::V_SF)
        .absent(NO_I16, meter::W_PHASE..meter::W_SF);
    let mut amps = 0.0;
    let mut between = Vec::new();
    for phase in 0..now.phases {
        let current = now.grid[phase].abs() / now.volts[phase];
        amps += current;
        m.signed(meter::A_PHASE + phase, current * 100.0)
            .signed(meter::V_PHASE + phase, now.volts[phase] * 10.0)
            .signed(meter::W_PHASE + phase, now.grid[phase]);
        if now.phases > 1 && (now.phases == 3 || phase == 0) {
            between.push(now.volts_between(phase));
            m.signed(meter::V_BETWEEN + phase, now.volts_between(phase) * 10.0);
        }
    }
    if !between.is_empty() {
        let mean = between.iter().sum::<f64>() / between.len() as f64;
        m.signed(meter::V_BETWEEN_MEAN, mean * 10.0);
    }
    m.signed(meter::A, amps * 100.0)
        .factor(meter::A_SF, -2)
        .signed(meter::V, now.mean_volts() * 10.0)
        .factor(meter::V_SF, -1)
        .signed(meter::HZ, now.hertz * 100.0)
        .factor(meter::HZ_SF, -2)
        .signed(meter::W, state.grid)
        .factor(meter::W_SF, 0)
        .absent(NO_I16, meter::VA_VAR_PF)
        .counter(meter::EXPORTED, state.counters.exported_wh())
        .counter(meter::IMPORTED, state.counters.imported_wh())
        .factor(meter::WH_SF, 0)
        .absent(NO_I16, [meter::VAH_SF, meter::VARH_SF]);
    m
}
