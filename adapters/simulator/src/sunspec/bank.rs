//! Model 802: a battery that describes itself; positive = discharging. Pure. Offsets count from the model's id register.

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
