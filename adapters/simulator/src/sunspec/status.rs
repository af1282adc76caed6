//! Model 122: is it connected, and what is it doing? Pure. Offsets count from the model's id register.

use super::image::{Model, NO_I16, NO_U16};
use crate::{PlantState, plant::Controls};

const ID: u16 = 122;
const LENGTH: u16 = 44;
/// Connected, available and operating.
const OPERATING: u16 = 0b111;
const LIMITED: u32 = 1;

pub(super) fn status(state: &PlantState, controls: &Controls) -> Model {
    let mut m = Model::new(ID, LENGTH);
    m.set(2, if controls.connected { OPERATING } else { 0 })
        .set(3, if controls.connected { OPERATING } else { 0 })
        .set(4, controls.connected.into())
        .quad(5, state.counters.produced_wh().floor() as u64)
        .absent(NO_I16, [29, 30, 32])
        .absent(NO_U16, [31, 44])
        .double(33, if state.limit.is_some() { LIMITED } else { 0 })
        .double(35, 0)
        .text(37, 4, "RTC")
        .double(41, state.at.as_secs() as u32)
        .set(43, 0)
        .absent(NO_I16, [45]);
    m
}
