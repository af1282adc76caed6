//! The 700 series, as newer inverters describe themselves. Pure.
//!
//! | model | what |
//! |---|---|
//! | 701 | AC side, battery included; longer than one request |
//! | 702 | ratings, and the power that 704's percentages mean |
//! | 703 | may it be connected? |
//! | 704 | output limit and set point, each with its revert timer |
//! | 705–712, 715 | nothing, where they are there at all |
//! | 713 | the battery's content |
//! | 714 | DC side by ports: two of PV, one of storage, positive = giving |
//!
//! Offsets count from a model's id register.

mod control;
mod curves;
mod ports;

pub(super) use control::{CONTROLS, SERVICE, der_controls, enter_service, in_range, point, touches};
pub(super) use curves::{curves, remote};
pub(super) use ports::{capacity, ports};

use super::image::{Model, NO_I16, NO_U16};
use crate::{
    PlantState,
    plant::{BATTERY_W, Controls, Electric, RATED_W},
};

const AC: u16 = 701;
const AC_LENGTH: u16 = 153;
pub(super) const RATINGS: u16 = 702;
const RATINGS_LENGTH: u16 = 50;
/// WMax, the only setting of 702 that can be written here.
pub(super) const W_MAX: usize = 26;
/// Where each phase's block begins: W, VA, Var, PF, A, volts to the next phase, volts, and counters.
const PHASES: [usize; 3] = [41, 64, 87];
const PHASE_LENGTH: usize = 23;
const RUNNING: u16 = 3;
const THROTTLED: u16 = 4;
const STANDBY: u16 = 7;
/// It can limit its power and hold a set point.
const MAX_W_AND_FIXED_W: u32 = 0b11;
/// Ordinary unity, at the scale factor of -3.
const UNITY: u16 = 1_000;

pub(super) fn ac(state: &PlantState, now: &Electric, controls: &Controls) -> Model {
    let mut m = Model::new(AC, AC_LENGTH);
    let running = match state {
        _ if state.pv < state.pv_available => THROTTLED,
        _ if state.pv > 0.0 || state.battery != 0.0 => RUNNING,
        _ => STANDBY,
    };
    m.set(2, [0, 1, 2][now.phases - 1])
        .set(3, 1)
        .set(4, running)
        .set(5, controls.connected.into())
        .double(6, 0)
        .double(8, 1)
        .signed(10, state.inverter)
        .signed(11, state.inverter.abs())
        .signed(12, 0.0)
        .set(13, UNITY)
        .unsigned(16, now.mean_volts() * 10.0)
        .double(17, (now.hertz * 1_000.0).round() as u32)
        .quad(19, state.counters.produced_wh().floor() as u64)
        .absent(NO_U16, [15])
        .absent(NO_U16, 23..35)
        .absent(NO_I16, 35..41)
        .signed(36, 300.0 + state.inverter.abs() / 50.0)
        .absent(NO_U16, [110])
        .double(111, 0)
        .factor(113, -2)
        .factor(114, -1)
        .factor(115, -3)
        .factor(116, 0)
        .factor(117, -3)
        .factor(118, 0)
        .factor(119, 0)
        .factor(120, 0)
        .factor(121, 0)
        .factor(122, -1);
    let mut amps = 0.0;
    for (phase, &at) in PHASES.iter().enumerate() {
        m.absent(NO_U16, at..at + PHASE_LENGTH);
        if phase >= now.phases {
            // Watts to amperes are signed.
            m.absent(NO_I16, at..at + 5);
            continue;
        }
        let current = now.inverter[phase].abs() / now.volts[phase];
        amps += current;
        m.signed(at, now.inverter[phase])
            .signed(at + 1, now.inverter[phase].abs())
            .signed(at + 2, 0.0)
            .set(at + 3, UNITY)
            .signed(at + 4, current * 100.0)
            .unsigned(at + 6, now.volts[phase] * 10.0);
        if now.phases == 3 || (now.phases == 2 && phase == 0) {
            m.unsigned(at + 5, now.volts_between(phase) * 10.0);
        }
    }
    m.signed(14, amps * 100.0);
    if now.phases > 1 {
        m.unsigned(15, now.volts_between(0) * 10.0);
    }
    m
}

pub(super) fn ratings(controls: &Controls) -> Model {
    let mut m = Model::new(RATINGS, RATINGS_LENGTH);
    m.absent(NO_U16, 2..45)
        .set(2, RATED_W)
        .set(7, RATED_W)
        .set(10, BATTERY_W)
        .set(11, BATTERY_W)
        .set(14, 230)
        .set(17, 261)
        .double(23, MAX_W_AND_FIXED_W)
        .set(25, 0)
        .set(W_MAX, controls.max_output)
        .set(31, RATED_W)
        .set(34, BATTERY_W)
        .set(35, BATTERY_W)
        .set(44, 0)
        .factor(45, 0)
        .factor(46, -3)
        .factor(47, 0)
        .factor(48, 0)
        .factor(49, 0)
        .factor(50, -1)
        .absent(NO_I16, [51]);
    m
}
