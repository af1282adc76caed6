//! Models 802 and 803: a battery that describes itself, and its strings; positive = discharging. Pure. Offsets count from the model's id register.

use super::{
    image::{Model, NO_I16, NO_U16},
    storage::{battery_volts, charge_state},
};
use crate::{
    PlantState,
    plant::{BATTERY_W, CAPACITY_WH, EMPTY_PERCENT},
};

const ID: u16 = 802;
const LENGTH: u16 = 62;
const REMOTE: u16 = 0;
const LITHIUM: u16 = 4;
const CONNECTED: u16 = 3;
const STRINGS_ID: u16 = 803;
const STRINGS_LENGTH: u16 = 26;
const STRING_LENGTH: u16 = 32;
/// All of them alike.
const STRINGS: u16 = 2;
const MODULES: u16 = 8;
const CELLS_PER_MODULE: f64 = 14.0;
/// Tenths of a degree.
const TEMPERATURE: u16 = 250;
/// Enabled, and its contactor closed.
const STRING_CONNECTED: u32 = 0b11;

pub(super) fn bank(state: &PlantState) -> Model {
    let volts = battery_volts(state);
    let mut m = Model::new(ID, LENGTH);
    m.absent(NO_U16, 2..52)
        .unsigned(2, CAPACITY_WH / 400.0)
        .unsigned(3, CAPACITY_WH)
        .set(4, BATTERY_W)
        .set(5, BATTERY_W)
        .set(7, 10_000)
        .unsigned(8, EMPTY_PERCENT * 100.0)
        .unsigned(11, state.soc * 100.0)
        .unsigned(12, (100.0 - state.soc) * 100.0)
        .set(13, 9_800)
        .set(16, charge_state(state))
        .set(17, REMOTE)
        .set(18, state.at.as_secs() as u16)
        .set(21, LITHIUM)
        .set(22, CONNECTED)
        .double(26, 0)
        .double(28, 0)
        .double(30, 0)
        .double(32, 0)
        .unsigned(34, volts * 10.0)
        .signed(44, state.battery / volts * 100.0)
        .signed(47, state.battery)
        .absent(NO_I16, [49])
        .factor(52, 0)
        .factor(53, 0)
        .factor(54, 0)
        .absent(NO_I16, [55])
        .factor(56, -2)
        .factor(57, -2)
        .factor(58, -2)
        .factor(59, -1)
        .absent(NO_I16, [60])
        .factor(61, -2)
        .absent(NO_I16, [62])
        .factor(63, 0);
    m
}

pub(super) fn strings(state: &PlantState) -> Model {
    let volts = battery_volts(state);
    let amps = state.battery / volts / f64::from(STRINGS) * 100.0;
    let cell = volts / f64::from(MODULES) / CELLS_PER_MODULE * 1000.0;
    let mut m = Model::new(STRINGS_ID, STRINGS_LENGTH + STRINGS * STRING_LENGTH);
    m.set(2, STRINGS)
        .set(3, STRINGS)
        .set(4, TEMPERATURE)
        .set(7, TEMPERATURE)
        .set(10, TEMPERATURE)
        .unsigned(11, volts * 10.0)
        .unsigned(13, volts * 10.0)
        .unsigned(15, volts * 10.0)
        .signed(16, amps)
        .signed(18, amps)
        .signed(20, amps)
        .absent(NO_U16, [5, 6, 8, 9, 12, 14, 17, 19, 21])
        .factor(22, -3)
        .factor(23, -1)
        .factor(24, -2)
        .factor(25, -2)
        .factor(26, -2)
        .factor(27, -1);
    for string in 0..STRINGS {
        let at = usize::from(2 + STRINGS_LENGTH + string * STRING_LENGTH);
        m.set(at, MODULES)
            .double(at + 1, STRING_CONNECTED)
            .set(at + 3, 0)
            .unsigned(at + 4, state.soc * 100.0)
            .set(at + 5, 9_800)
            .signed(at + 6, amps)
            .unsigned(at + 7, cell)
            .unsigned(at + 9, cell)
            .unsigned(at + 11, cell)
            .set(at + 12, TEMPERATURE)
            .set(at + 14, TEMPERATURE)
            .set(at + 16, TEMPERATURE)
            // No module is worse than the others, no event, nothing to switch.
            .absent(NO_U16, [8, 10, 13, 15, 28, 29].map(|offset| at + offset));
    }
    m
}
