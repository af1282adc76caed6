//! Models 1, 101–103, 120 and 121. Pure.

use super::{
    image::{Model, NO_I16, NO_U16},
    points::{ac, common, ratings, settings},
};
use crate::{
    PlantState,
    plant::{BATTERY_W, CAPACITY_WH, Controls, Electric, RATED_W},
};

/// A photovoltaic inverter with storage.
const PV_WITH_STORAGE: u16 = 82;
const MPPT: u16 = 4;
const THROTTLED: u16 = 5;
const STANDBY: u16 = 8;

pub(super) fn common(length: u16, manufacturer: &str, model: &str, serial: &str) -> Model {
    let mut m = Model::new(common::ID, length);
    m.text(common::MANUFACTURER, common::LONG, manufacturer)
        .text(common::MODEL, common::LONG, model)
        .text(common::OPTIONS, common::SHORT, "")
        .text(common::VERSION, common::SHORT, env!("CARGO_PKG_VERSION"))
        .text(common::SERIAL, common::LONG, serial)
        .set(common::ADDRESS, 1);
    m
}

/// The AC side: what leaves the inverter, battery included.
pub(super) fn ac(state: &PlantState, now: &Electric) -> Model {
    let mut m = Model::new(ac::FAMILY + now.phases as u16, ac::LENGTH);
    m.absent(NO_U16, (ac::A_PHASE..ac::A_SF).chain(ac::V_BETWEEN..ac::V_SF));
    let mut amps = 0.0;
    for phase in 0..now.phases {
        let current = now.inverter[phase].abs() / now.volts[phase];
        amps += current;
        m.unsigned(ac::A_PHASE + phase, current * 100.0);
        m.unsigned(ac::V_PHASE + phase, now.volts[phase] * 10.0);
        if now.phases > 1 && (now.phases == 3 || phase == 0) {
            m.unsigned(ac::V_BETWEEN + phase, now.volts_between(phase) * 10.0);
        }
    }
    m.unsigned(ac::A, amps * 100.0)
        .factor(ac::A_SF, -2)
        .factor(ac::V_SF, -1)
        .signed(ac::W, state.inverter)
        .factor(ac::W_SF, 0)
        .unsigned(ac::HZ, now.hertz * 100.0)
        .factor(ac::HZ_SF, -2)
        .signed(ac::VA, state.inverter.abs())
        .factor(ac::VA_SF, 0)
        .signed(ac::VAR, 0.0)
        .factor(ac::VAR_SF, 0)
        .signed(ac::PF, 1000.0)
        .factor(ac::PF_SF, -1)
        .counter(ac::WH, state.counters.produced_wh())
        .factor(ac::WH_SF, 0)
        .absent(NO_U16, [ac::DC_A, ac::DC_V])
        .absent(NO_I16, [ac::DC_A_SF, ac::DC_V_SF])
        .signed(ac::DC_W, state.inverter)
        .factor(ac::DC_W_SF, 0)
        .signed(ac::CABINET, 300.0 + state.inverter.abs() / 50.0)
        .absent(NO_I16, ac::OTHER_TEMPERATURES)
        .factor(ac::TEMPERATURE_SF, -1)
        .set(ac::STATE, operating_state(state))
        .absent(NO_U16, [ac::VENDOR_STATE])
        .absent(NO_U16, ac::VENDOR_EVENTS);
    m
}

pub(super) fn operating_state(state: &PlantState) -> u16 {
    if state.pv < state.pv_available {
        THROTTLED
    } else if state.pv > 0.0 || state.battery != 0.0 {
        MPPT
    } else {
        STANDBY
    }
}

pub(super) fn ratings() -> Model {
    let mut m = Model::new(ratings::ID, ratings::LENGTH);
    m.set(ratings::TYPE, PV_WITH_STORAGE)
        .set(ratings::W, RATED_W)
        .factor(ratings::W_SF, 0)
        .set(ratings::VA, RATED_W)
        .factor(ratings::VA_SF, 0)
        .absent(NO_I16, ratings::VAR)
        .set(ratings::A, 261)
        .factor(ratings::A_SF, -1)
        .absent(NO_I16, ratings::PF)
        .unsigned(ratings::WH, CAPACITY_WH / 10.0)
        .factor(ratings::WH_SF, 1)
        .absent(NO_U16, [ratings::AH])
        .absent(NO_I16, [ratings::AH_SF])
        .set(ratings::CHARGE, BATTERY_W)
        .factor(ratings::CHARGE_SF, 0)
        .set(ratings::DISCHARGE, BATTERY_W)
        .factor(ratings::DISCHARGE_SF, 0);
    m
}

pub(super) fn settings(controls: &Controls) -> Model {
    let mut m = Model::new(settings::ID, settings::LENGTH);
    m.set(settings::W_MAX, controls.max_output)
        .factor(settings::W_MAX_SF, 0)
        .set(settings::V_REF, 230)
        .factor(settings::V_REF_SF, 0)
        .set(settings::V_REF_OFFSET, 0)
        .factor(settings::V_REF_OFFSET_SF, 0)
        .absent(NO_U16, settings::UNSIGNED)
        .absent(NO_U16, [settings::CONNECTED_PHASE])
        .absent(NO_I16, settings::SIGNED)
        .absent(NO_I16, settings::OTHER_SF);
    m
}
