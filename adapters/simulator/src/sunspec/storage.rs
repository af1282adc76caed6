//! Models 123, 124 and 160: the output limit, the battery, the DC side. Pure.

use super::{
    image::{Model, NO_I16, NO_U16},
    points::{limit, modules, storage},
};
use crate::{
    PlantState,
    plant::{Controls, EMPTY_PERCENT},
};

const EMPTY: u16 = 2;
const DISCHARGING: u16 = 3;
const CHARGING: u16 = 4;
const FULL: u16 = 5;
const HOLDING: u16 = 6;
/// Part of the sun that falls on the first string.
pub(super) const FIRST_STRING: f64 = 0.6;
pub(super) const STRING_VOLTS: f64 = 380.0;
const MPPT: u16 = 4;
const STANDBY: u16 = 8;

pub(super) fn limit(controls: &Controls) -> Model {
    let mut m = Model::new(limit::ID, limit::LENGTH);
    m.absent(NO_U16, limit::CONNECTION_TIMES)
        .set(limit::CONNECTED, controls.connected.into())
        .set(limit::PERCENT, controls.limit.percent)
        .set(limit::WINDOW, controls.limit.window_s)
        .set(limit::REVERT, u16::try_from(controls.limit.revert_s).unwrap_or(u16::MAX))
        .set(limit::RAMP, controls.limit.ramp_s)
        .set(limit::ENABLED, controls.limit.enabled.into())
        .absent(NO_I16, [limit::PF])
        .absent(NO_U16, limit::PF_TIMES)
        .set(limit::PF_ENABLED, 0)
        .absent(NO_I16, limit::VAR)
        .absent(NO_U16, limit::VAR_TIMES_AND_MODE)
        .set(limit::VAR_ENABLED, 0)
        .factor(limit::PERCENT_SF, -2)
        .absent(NO_I16, limit::OTHER_SF);
    m
}

pub(super) fn battery(state: &PlantState, controls: &Controls) -> Model {
    let told = &controls.storage;
    let mut m = Model::new(storage::ID, storage::LENGTH);
    m.set(storage::CHARGE_MAX, told.max_charge)
        .factor(storage::CHARGE_MAX_SF, 0)
        .set(storage::CHARGE_GRADIENT, 100)
        .set(storage::DISCHARGE_GRADIENT, 100)
        .factor(storage::GRADIENT_SF, 0)
        .set(storage::MODE, told.mode)
        .absent(NO_U16, [storage::VA_CHARGE_MAX, storage::AVAILABLE])
        .absent(NO_I16, [storage::VA_CHARGE_MAX_SF, storage::AVAILABLE_SF])
        .set(storage::RESERVE, told.reserve)
        .factor(storage::RESERVE_SF, -2)
        .unsigned(storage::CONTENT, state.soc * 100.0)
        .factor(storage::CONTENT_SF, -2)
        .unsigned(storage::VOLTAGE, battery_volts(state) * 10.0)
        .factor(storage::VOLTAGE_SF, -1)
        .set(storage::STATE, charge_state(state))
        .set(storage::DISCHARGE_RATE, told.discharge_rate as u16)
        .set(storage::CHARGE_RATE, told.charge_rate as u16)
        .factor(storage::RATE_SF, -2)
        .set(storage::WINDOW, told.window_s)
        .set(storage::REVERT, told.revert_s)
        .set(storage::RAMP, told.ramp_s)
        .set(storage::GRID_CHARGE, told.grid_charge.into());
    m
}

pub(super) fn battery_volts(state: &PlantState) -> f64 {
    380.0 + state.soc * 0.4
}

pub(super) fn charge_state(state: &PlantState) -> u16 {
    match state.battery {
        watts if watts > 0.0 => DISCHARGING,
        watts if watts < 0.0 => CHARGING,
        _ if state.soc > 99.9 => FULL,
        _ if state.soc < EMPTY_PERCENT + 0.1 => EMPTY,
        _ => HOLDING,
    }
}

/// The DC side by modules, as Fronius names them. Powers are unsigned, so the battery is two
/// modules.
pub(super) fn modules(state: &PlantState) -> Model {
    let first = (state.pv * FIRST_STRING).floor();
    let first_wh = (state.counters.pv_wh() * FIRST_STRING).floor();
    let volts = battery_volts(state);
    let list = [
        ("String 1", first, first_wh, STRING_VOLTS),
        ("String 2", state.pv - first, state.counters.pv_wh().floor() - first_wh, STRING_VOLTS),
        ("StCha", (-state.battery).max(0.0), state.counters.charged_wh(), volts),
        ("StDisCha", state.battery.max(0.0), state.counters.discharged_wh(), volts),
    ];
    let mut m = Model::new(modules::ID, modules::HEAD + modules::SIZE * list.len() as u16);
    m.factor(modules::A_SF, -2)
        .factor(modules::V_SF, -1)
        .factor(modules::W_SF, -1)
        .factor(modules::WH_SF, 0)
        .set(modules::COUNT, list.len() as u16)
        .absent(NO_U16, [modules::PERIOD]);
    for (number, (name, watts, wh, volts)) in list.into_iter().enumerate() {
        let at = modules::FIRST + number * usize::from(modules::SIZE);
        m.set(at + modules::NUMBER, number as u16 + 1)
            .text(at + modules::NAME, modules::NAME_SIZE, name)
            .unsigned(at + modules::A, watts / volts * 100.0)
            .unsigned(at + modules::V, volts * 10.0)
            .unsigned(at + modules::W, watts * 10.0)
            .counter(at + modules::WH, wh)
            .double(at + modules::TIME, u32::MAX)
            .absent(NO_I16, [at + modules::TEMPERATURE])
            .set(at + modules::STATE, if watts > 0.0 { MPPT } else { STANDBY });
    }
    m
}
