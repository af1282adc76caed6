//! Models 713 and 714: the battery's content, and the DC side by ports. Pure.

use super::super::{
    image::{Model, NO_I16, NO_U16},
    storage::{FIRST_STRING, STRING_VOLTS, battery_volts},
};
use crate::{PlantState, plant::CAPACITY_WH};

const CAPACITY: u16 = 713;
const CAPACITY_LENGTH: u16 = 7;
const PORTS: u16 = 714;
const HEAD: u16 = 18;
const FIRST: usize = 20;
const SIZE: u16 = 25;
const PV: u16 = 0;
const STORAGE: u16 = 1;
const ON: u16 = 1;

/// Model 713.
pub(in super::super) fn capacity(state: &PlantState) -> Model {
    let mut m = Model::new(CAPACITY, CAPACITY_LENGTH);
    m.unsigned(2, CAPACITY_WH)
        .unsigned(3, CAPACITY_WH * state.soc / 100.0)
        .unsigned(4, state.soc * 100.0)
        .unsigned(5, 10_000.0)
        .set(6, 0)
        .factor(7, 0)
        .factor(8, -2);
    m
}

/// Model 714.
pub(in super::super) fn ports(state: &PlantState) -> Model {
    let counters = &state.counters;
    let first = (state.pv * FIRST_STRING).floor();
    let first_wh = (counters.pv_wh() * FIRST_STRING).floor();
    let second_wh = counters.pv_wh().floor() - first_wh;
    let list = [
        (PV, "PV 1", first, STRING_VOLTS, first_wh, 0.0),
        (PV, "PV 2", state.pv - first, STRING_VOLTS, second_wh, 0.0),
        (
            STORAGE,
            "Battery",
            state.battery,
            battery_volts(state),
            counters.discharged_wh(),
            counters.charged_wh(),
        ),
    ];
    let mut m = Model::new(PORTS, HEAD + SIZE * list.len() as u16);
    m.double(2, 0)
        .set(4, list.len() as u16)
        .absent(NO_I16, [5])
        .signed(6, state.pv + state.battery)
        .absent(NO_U16, 7..15)
        .factor(15, -2)
        .factor(16, -1)
        .factor(17, 0)
        .factor(18, 0)
        .absent(NO_I16, [19]);
    for (number, (kind, name, watts, volts, given_wh, taken_wh)) in list.into_iter().enumerate() {
        let at = FIRST + number * usize::from(SIZE);
        m.set(at, kind)
            .set(at + 1, number as u16 + 1)
            .text(at + 2, 8, name)
            .signed(at + 10, watts / volts * 100.0)
            .unsigned(at + 11, volts * 10.0)
            .signed(at + 12, watts)
            .quad(at + 13, given_wh.floor() as u64)
            .quad(at + 17, taken_wh.floor() as u64)
            .absent(NO_I16, [at + 21])
            .set(at + 22, ON)
            .double(at + 23, 0);
    }
    m
}
