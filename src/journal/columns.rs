//! Columns: many values of one kind, coded so that what repeats or grows evenly becomes zeros,
//! which zstd then folds away. The number of values is always known from outside.
//!
//! | column | bytes |
//! | --- | --- |
//! | runs | pairs of varints (value, how often), until all values are there |
//! | deltas | zigzag of each value minus the one before, which is 0 before the first; wraps at 2^64 |
//! | slopes | zigzag of each delta minus the delta before, which is 0 before the first; wraps |
//! | numbers | one mode byte, then by mode: `0x00 + d`, whole numbers w as deltas, value = w / 10^d (d 0–6); `0x10 + d`, the same with value = w × 10^-d (d 1–6; the factor is the f64 nearest to it); `0x20`, deltas of the bits of f32, each value is that f32; `0x30`, f64, little endian. The writer takes the first mode that gives back every bit of every value |
//! | texts | count of different texts as varint, these texts in order of appearance, then one varint for each value: which of them |
//! | bools | bits, lowest first, eight a byte; the last byte is filled with 0 |

use std::{collections::HashMap, sync::Arc};

use super::bytes::{Bytes, Damaged, put_text, put_varint, put_zigzag};

const FRACTIONS: [f64; 7] = [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6];
const POWERS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
const TIMES: u8 = 0x10;
const SINGLE: u8 = 0x20;
const DOUBLE: u8 = 0x30;
/// Above this, not every whole number has an f64 of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

pub(super) fn put_runs(out: &mut Vec<u8>, values: impl IntoIterator<Item = u64>) {
    let mut run: Option<(u64, u64)> = None;
    for value in values {
        match &mut run {
            Some((held, length)) if *held == value => *length += 1,
            _ => {
                if let Some((held, length)) = run.replace((value, 1)) {
                    put_varint(out, held);
                    put_varint(out, length);
                }
            }
        }
    }
    if let Some((held, length)) = run {
        put_varint(out, held);
        put_varint(out, length);
    }
}

pub(super) fn runs(from: &mut Bytes<'_>, count: usize) -> Result<Vec<u64>, Damaged> {
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let (value, length) = (from.varint()?, from.varint()?);
        let room = (count - values.len()) as u64;
        if length == 0 || length > room {
            return Err(Damaged("a run has a wrong length"));
        }
        values.resize(values.len() + length as usize, value);
    }
    Ok(values)
}

pub(super) fn put_deltas(out: &mut Vec<u8>, values: impl IntoIterator<Item = u64>) {
    let mut last = 0u64;
    for value in values {
        put_zigzag(out, value.wrapping_sub(last) as i64);
        last = value;
    }
}

pub(super) fn deltas(from: &mut Bytes<'_>, count: usize) -> Result<Vec<u64>, Damaged> {
    let mut last = 0u64;
    (0..count)
        .map(|_| {
            last = last.wrapping_add(from.zigzag()? as u64);
            Ok(last)
        })
        .collect()
}

pub(super) fn put_slopes(out: &mut Vec<u8>, values: impl IntoIterator<Item = u64>) {
    let (mut last, mut slope) = (0u64, 0u64);
    for value in values {
        let delta = value.wrapping_sub(last);
        put_zigzag(out, delta.wrapping_sub(slope) as i64);
        (last, slope) = (value, delta);
    }
}

pub(super) fn slopes(from: &mut Bytes<'_>, count: usize) -> Result<Vec<u64>, Damaged> {
    let (mut last, mut slope) = (0u64, 0u64);
    (0..count)
        .map(|_| {
            slope = slope.wrapping_add(from.zigzag()? as u64);
            last = last.wrapping_add(slope);
            Ok(last)
        })
        .collect()
}

/// Whole numbers that give the values back, bit by bit, in this mode.
fn scaled(values: &[f64], digits: usize, times: bool) -> Option<Vec<u64>> {
    values
        .iter()
        .map(|value| {
            let whole = (value * POWERS[digits]).round();
            let fits = whole.abs() <= EXACT;
            (fits && unscaled(whole as i64, digits, times).to_bits() == value.to_bits())
                .then_some(whole as i64 as u64)
        })
        .collect()
}

fn unscaled(whole: i64, digits: usize, times: bool) -> f64 {
    if times { whole as f64 * FRACTIONS[digits] } else { whole as f64 / POWERS[digits] }
}

pub(super) fn put_numbers(out: &mut Vec<u8>, values: &[f64]) {
    let divided = (0..POWERS.len()).map(|digits| (digits, false));
    let multiplied = (1..POWERS.len()).map(|digits| (digits, true));
    for (digits, times) in divided.chain(multiplied) {
        if let Some(whole) = scaled(values, digits, times) {
            out.push(digits as u8 + if times { TIMES } else { 0 });
            return put_deltas(out, whole);
        }
    }
    if values.iter().all(|value| f64::from(*value as f32).to_bits() == value.to_bits()) {
        out.push(SINGLE);
        return put_deltas(out, values.iter().map(|value| u64::from((*value as f32).to_bits())));
    }
    out.push(DOUBLE);
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

pub(super) fn numbers(from: &mut Bytes<'_>, count: usize) -> Result<Vec<f64>, Damaged> {
    let mode = from.byte()?;
    if mode == DOUBLE {
        return (0..count).map(|_| from.array().map(f64::from_le_bytes)).collect();
    }
    let whole = deltas(from, count)?;
    if mode == SINGLE {
        return Ok(whole.into_iter().map(|bits| f64::from(f32::from_bits(bits as u32))).collect());
    }
    let (digits, times) = (usize::from(mode & 0x0f), mode & TIMES != 0);
    if mode >= SINGLE || digits >= POWERS.len() {
        return Err(Damaged("a column of numbers has an unknown mode"));
    }
    Ok(whole.into_iter().map(|whole| unscaled(whole as i64, digits, times)).collect())
}

pub(super) fn put_texts(out: &mut Vec<u8>, values: &[&str]) {
    let mut known = HashMap::new();
    let mut order = Vec::new();
    let which: Vec<u64> = values
        .iter()
        .map(|value| {
            *known.entry(*value).or_insert_with(|| {
                order.push(*value);
                order.len() as u64 - 1
            })
        })
        .collect();
    put_varint(out, order.len() as u64);
    order.iter().for_each(|text| put_text(out, text));
    which.into_iter().for_each(|which| put_varint(out, which));
}

pub(super) fn texts(from: &mut Bytes<'_>, count: usize) -> Result<Vec<Arc<str>>, Damaged> {
    let known = from.count()?;
    let known: Vec<Arc<str>> =
        (0..known).map(|_| from.text().map(Arc::from)).collect::<Result<_, Damaged>>()?;
    (0..count)
        .map(|_| {
            let which = from.varint()? as usize;
            known.get(which).cloned().ok_or(Damaged("a text is missing"))
        })
        .collect()
}

pub(super) fn put_bools(out: &mut Vec<u8>, values: &[bool]) {
    for eight in values.chunks(8) {
        out.push(eight.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
    }
}

pub(super) fn bools(from: &mut Bytes<'_>, count: usize) -> Result<Vec<bool>, Damaged> {
    let bits = from.take(count.div_ceil(8))?;
    Ok((0..count).map(|at| bits[at / 8] >> (at % 8) & 1 == 1).collect())
}
