//! `write_point {point, value}`: one register that the profile lets be written by hand. Pure.

use adapter_api::{Parameters, Value, profile::Setting};

use super::{
    order::{Order, Request},
    shown::Shown,
    tell::told,
};
use crate::codec;

/// A value is a whole number of steps, but for what a decimal cannot say.
const ROUNDING: f64 = 1e-6;

/// What the command comes to.
///
/// # Errors
/// In words, when the value may not be.
pub(super) fn order(
    name: &str,
    setting: &Setting,
    asked: &Parameters,
    shown: &Shown,
) -> Result<Order, String> {
    let value = asked.number("value").ok_or("say `value`")?;
    let Setting { register, kind, order, scale, unit, min, max, single } = setting;
    if !(*min..=*max).contains(&value) {
        return Err(format!("`{name}` must be {min} to {max} {unit}, not {value}"));
    }
    let exact = value / scale;
    let raw = exact.round();
    let (least, greatest) = kind.bounds();
    if (exact - raw).abs() > ROUNDING || !(least as f64..=greatest as f64).contains(&raw) {
        return Err(format!("`{name}` goes in steps of {} {unit}", scale.abs()));
    }
    let words = codec::registers(raw as i64, *kind, *order);
    let now = shown.held(*register, kind.registers());
    let told = |words: Option<&[u16]>| {
        let raw = words.and_then(|words| codec::number(words, *kind, *order));
        told([(name, raw.map(|raw| Value::Number(codec::times(raw, *scale))))])
    };
    let applied = now.as_ref() == Some(&words);
    Ok(Order {
        applied,
        is_blind: false,
        requested: told(Some(&words)),
        observed: told(now.as_deref()),
        requests: if applied {
            Vec::new()
        } else {
            vec![Request { register: *register, words, single: *single }]
        },
        keep: None,
        is_as_noted: true,
        forgets: false,
        wears: false,
    })
}
