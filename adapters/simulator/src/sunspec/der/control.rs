//! Models 703 and 704: what can be written, and what it says now. Pure.
//!
//! | model | writable here |
//! |---|---|
//! | 703 | ES |
//! | 704 | WMaxLimPctEna, WMaxLimPct (0–100 %), its Rvrt, EnaRvrt, RvrtTms |
//! | 704 | WSetEna, WSetMod, WSet and WSetPct (the rating at most), their Rvrt, EnaRvrt, RvrtTms |
//!
//! A write to the limit starts its revert timer again, a write to the set point that one. When the
//! time is over, the enable register takes the value of EnaRvrt, and where that is 1 the set points take
//! those of Rvrt.

use super::super::image::{Model, NO_I16, NO_U16};
use crate::{
    Exception,
    plant::{Controls, RATED_W, RevertsIn, Touched, WHOLE},
};

pub(in super::super) const SERVICE: u16 = 703;
const SERVICE_LENGTH: u16 = 17;
const PERMIT: usize = 2;
pub(in super::super) const CONTROLS: u16 = 704;
const CONTROLS_LENGTH: u16 = 65;
const LIMIT: std::ops::Range<usize> = 14..22;
const SET_POINT: std::ops::Range<usize> = 22..35;

/// Model 703.
pub(in super::super) fn enter_service(controls: &Controls) -> Model {
    let mut m = Model::new(SERVICE, SERVICE_LENGTH);
    m.absent(NO_U16, 3..17).set(PERMIT, controls.connected.into()).factor(17, -2).factor(18, -2);
    m
}

/// Model 704.
pub(in super::super) fn der_controls(controls: &Controls, left: RevertsIn) -> Model {
    let (limit, told) = (&controls.limit, &controls.set_point);
    let mut m = Model::new(CONTROLS, CONTROLS_LENGTH);
    m.absent(NO_U16, 2..67)
        .set(14, limit.enabled.into())
        .set(15, limit.percent)
        .set(16, limit.revert_percent)
        .set(17, limit.revert_enabled.into())
        .double(18, limit.revert_s)
        .double(20, left.limit_s)
        .set(22, told.enabled.into())
        .set(23, told.in_watts.into())
        .double(24, told.watts as u32)
        .double(26, told.revert_watts as u32)
        .set(28, told.percent as u16)
        .set(29, told.revert_percent as u16)
        .set(30, told.revert_enabled.into())
        .double(31, told.revert_s)
        .double(33, left.set_point_s)
        .absent(NO_I16, [42, 43])
        // VarSet and VarSetRvrt are signed and have two registers.
        .double(38, 0x8000_0000)
        .double(40, 0x8000_0000)
        .factor(54, -2)
        .factor(55, 0)
        .factor(56, -2)
        .absent(NO_I16, [53, 57, 58]);
    m
}

/// Takes one written register of 703 or 704; a value of two registers takes each for itself.
pub(in super::super) fn point(
    controls: &mut Controls,
    model: u16,
    offset: usize,
    value: u16,
) -> Result<(), Exception> {
    let whole = |value: u16| if value <= WHOLE { Ok(value) } else { Err(Exception::IllegalValue) };
    let (limit, told) = (&mut controls.limit, &mut controls.set_point);
    match (model, offset) {
        (SERVICE, PERMIT) => controls.connected = switch(value)?,
        (CONTROLS, 14) => limit.enabled = switch(value)?,
        (CONTROLS, 15) => limit.percent = whole(value)?,
        (CONTROLS, 16) => limit.revert_percent = whole(value)?,
        (CONTROLS, 17) => limit.revert_enabled = switch(value)?,
        (CONTROLS, 18 | 19) => limit.revert_s = half(limit.revert_s, offset == 18, value),
        (CONTROLS, 22) => told.enabled = switch(value)?,
        (CONTROLS, 23) => told.in_watts = switch(value)?,
        (CONTROLS, 24 | 25) => told.watts = half(told.watts as u32, offset == 24, value) as i32,
        (CONTROLS, 26 | 27) => told.revert_watts = half(told.revert_watts as u32, offset == 26, value) as i32,
        (CONTROLS, 28) => told.percent = value as i16,
        (CONTROLS, 29) => told.revert_percent = value as i16,
        (CONTROLS, 30) => told.revert_enabled = switch(value)?,
        (CONTROLS, 31 | 32) => told.revert_s = half(told.revert_s, offset == 31, value),
        _ => return Err(Exception::IllegalAddress),
    }
    Ok(())
}

/// What a write to this register renews.
pub(in super::super) fn touches(model: u16, offset: usize) -> Touched {
    let of_704 = model == CONTROLS;
    Touched {
        storage: false,
        limit: of_704 && LIMIT.contains(&offset),
        set_point: of_704 && SET_POINT.contains(&offset),
    }
}

/// Set points that are whole and too large are refused; seen only when all registers are written.
pub(in super::super) fn in_range(controls: &Controls) -> Result<(), Exception> {
    let told = &controls.set_point;
    let watts = [told.watts, told.revert_watts].iter().all(|watts| watts.unsigned_abs() <= RATED_W.into());
    let percents = [told.percent, told.revert_percent].iter().all(|percent| percent.unsigned_abs() <= WHOLE);
    if watts && percents { Ok(()) } else { Err(Exception::IllegalValue) }
}

fn switch(value: u16) -> Result<bool, Exception> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Exception::IllegalValue),
    }
}

fn half(whole: u32, high: bool, value: u16) -> u32 {
    match high {
        true => whole & 0x0000_FFFF | u32::from(value) << 16,
        false => whole & 0xFFFF_0000 | u32::from(value),
    }
}
