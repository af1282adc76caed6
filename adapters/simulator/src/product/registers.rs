//! Registers by table and address, and how a raw number lies in them. Pure; it knows no device.

use std::collections::BTreeMap;

use adapter_api::profile::{Function, RegisterType, WordOrder};

/// What a device has in its two tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Registers {
    tables: [BTreeMap<u16, u16>; 2],
}

impl Registers {
    /// A register that is not there is 0.
    pub fn get(&self, function: Function, at: u16) -> u16 {
        self.table(function).get(&at).copied().unwrap_or_default()
    }

    pub fn set(&mut self, function: Function, at: u16, value: u16) {
        self.table_mut(function).insert(at, value);
    }

    /// Makes it be there, as 0 unless it is already.
    pub fn have(&mut self, function: Function, at: u16) {
        self.table_mut(function).entry(at).or_default();
    }

    pub fn table(&self, function: Function) -> &BTreeMap<u16, u16> {
        &self.tables[usize::from(function == Function::Input)]
    }

    pub fn table_mut(&mut self, function: Function) -> &mut BTreeMap<u16, u16> {
        &mut self.tables[usize::from(function == Function::Input)]
    }

    /// The raw bits of a value.
    pub fn bits(&self, function: Function, registers: &[u16], order: WordOrder) -> u64 {
        let words: Vec<u16> = registers.iter().map(|&at| self.get(function, at)).collect();
        joined(&words, order)
    }

    /// Lays raw bits into their registers.
    pub fn put(&mut self, function: Function, registers: &[u16], order: WordOrder, bits: u64) {
        for (&at, word) in registers.iter().zip(split(bits, registers.len(), order)) {
            self.set(function, at, word);
        }
    }

    /// A text, padded with NUL.
    pub fn put_text(&mut self, function: Function, first: u16, count: u16, text: &str, swapped: bool) {
        let mut bytes = text.bytes().chain(std::iter::repeat(0));
        for at in (first..=u16::MAX).take(count.into()) {
            let pair = [bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)];
            let word = if swapped { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) };
            self.set(function, at, word);
        }
    }
}

/// Bits as words in the order of the table.
pub(super) fn split(bits: u64, count: usize, order: WordOrder) -> Vec<u16> {
    let mut words: Vec<u16> = (0..count).map(|word| (bits >> (16 * word)) as u16).collect();
    if order == WordOrder::Big {
        words.reverse();
    }
    words
}

fn joined(words: &[u16], order: WordOrder) -> u64 {
    let join = |bits: u64, word: &u16| bits << 16 | u64::from(*word);
    match order {
        WordOrder::Big => words.iter().fold(0, join),
        WordOrder::Little => words.iter().rev().fold(0, join),
    }
}

/// The bits of a number, which is rounded and kept within its type.
pub(super) fn encoded(kind: RegisterType, raw: f64) -> u64 {
    if kind == RegisterType::F32 {
        return u64::from((raw as f32).to_bits());
    }
    let (least, most) = kind.bounds();
    let whole = (raw.round() as i64).clamp(least, most);
    whole as u64 & (u64::MAX >> (64 - 16 * kind.registers()))
}

/// The number that bits are.
pub(super) fn decoded(kind: RegisterType, bits: u64) -> f64 {
    match kind {
        RegisterType::U16 | RegisterType::U32 | RegisterType::U64 => bits as f64,
        RegisterType::I16 => f64::from(bits as u16 as i16),
        RegisterType::I32 => f64::from(bits as u32 as i32),
        RegisterType::I64 => bits as i64 as f64,
        RegisterType::F32 => f64::from(f32::from_bits(bits as u32)),
    }
}
