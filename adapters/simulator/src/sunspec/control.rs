//! Writes: which registers can be written, and to what. Pure.
//!
//! | model | writable here |
//! |---|---|
//! | 121 | WMax, 1 to the rating |
//! | 123 | Conn, WMaxLimPct (0–100 %), its WinTms, RvrtTms, RmpTms, WMaxLim_Ena |
//! | 124 | WChaMax, StorCtl_Mod (0–3), MinRsvPct (0–100 %), OutWRte and InWRte (±100 %), WinTms, RvrtTms, RmpTms, ChaGriSet |
//! | 702 | WMax, 1 to the rating |
//! | 703, 704 | what `der` says |
//!
//! Any accepted write to a control of 123's limit or of 124 starts its revert timer again. All other
//! registers answer exception 2, a value out of range exception 3.

use super::{
    der,
    image::Image,
    points::{limit, settings, storage},
};
use crate::{
    Exception,
    plant::{BATTERY_W, Controls, RATED_W, Touched},
};

/// 100 % at the scale factor of all rates here, -2.
const WHOLE: u16 = 10_000;

pub(super) fn write(
    image: &Image,
    controls: &mut Controls,
    address: u16,
    values: &[u16],
) -> Result<Touched, Exception> {
    let mut touched = Touched::default();
    let mut wrong_value = None;
    for (at, &value) in (address..=u16::MAX).zip(values) {
        let (model, offset) = image.point(at).ok_or(Exception::IllegalAddress)?;
        match point(controls, model, offset, value) {
            Ok(()) => {}
            // An address that cannot be written is the greater mistake: look at the others first.
            Err(Exception::IllegalValue) => wrong_value = Some(Exception::IllegalValue),
            Err(other) => return Err(other),
        }
        let by_der = der::touches(model, offset);
        touched.storage |= model == storage::ID;
        touched.limit |= (model == limit::ID && offset != limit::CONNECTED) || by_der.limit;
        touched.set_point |= by_der.set_point;
    }
    der::in_range(controls)?;
    wrong_value.map_or(Ok(touched), Err)
}

fn point(controls: &mut Controls, model: u16, offset: usize, value: u16) -> Result<(), Exception> {
    let (cap, battery) = (&mut controls.limit, &mut controls.storage);
    match (model, offset) {
        (der::SERVICE | der::CONTROLS, _) => return der::point(controls, model, offset, value),
        (settings::ID, settings::W_MAX) | (der::RATINGS, der::W_MAX) => {
            controls.max_output = within(value, 1, RATED_W)?
        }
        (limit::ID, limit::CONNECTED) => controls.connected = switch(value)?,
        (limit::ID, limit::PERCENT) => cap.percent = within(value, 0, WHOLE)?,
        (limit::ID, limit::WINDOW) => cap.window_s = value,
        (limit::ID, limit::REVERT) => cap.revert_s = value.into(),
        (limit::ID, limit::RAMP) => cap.ramp_s = value,
        (limit::ID, limit::ENABLED) => cap.enabled = switch(value)?,
        (storage::ID, storage::CHARGE_MAX) => battery.max_charge = within(value, 1, BATTERY_W)?,
        (storage::ID, storage::MODE) => battery.mode = within(value, 0, 3)?,
        (storage::ID, storage::RESERVE) => battery.reserve = within(value, 0, WHOLE)?,
        (storage::ID, storage::DISCHARGE_RATE) => battery.discharge_rate = rate(value)?,
        (storage::ID, storage::CHARGE_RATE) => battery.charge_rate = rate(value)?,
        (storage::ID, storage::WINDOW) => battery.window_s = value,
        (storage::ID, storage::REVERT) => battery.revert_s = value,
        (storage::ID, storage::RAMP) => battery.ramp_s = value,
        (storage::ID, storage::GRID_CHARGE) => battery.grid_charge = switch(value)?,
        _ => return Err(Exception::IllegalAddress),
    }
    Ok(())
}

fn within(value: u16, least: u16, most: u16) -> Result<u16, Exception> {
    if (least..=most).contains(&value) { Ok(value) } else { Err(Exception::IllegalValue) }
}

fn switch(value: u16) -> Result<bool, Exception> {
    within(value, 0, 1).map(|value| value == 1)
}

fn rate(value: u16) -> Result<i16, Exception> {
    let rate = value as i16;
    if rate.unsigned_abs() <= WHOLE { Ok(rate) } else { Err(Exception::IllegalValue) }
}
