//! Models and their place in the register image. Pure.
//!
//! Values of two and four registers have their high word first. Strings are padded with NUL.

use super::EndModel;

const MARKER: [u16; 2] = [0x5375, 0x6E53];
const END: u16 = 0xFFFF;
pub(super) const NO_U16: u16 = 0xFFFF;
pub(super) const NO_I16: u16 = 0x8000;

/// One model; offsets count from its id register.
pub(super) struct Model {
    registers: Vec<u16>,
}

impl Model {
    /// A model whose points are all zero; `length` counts what follows id and length.
    pub fn new(id: u16, length: u16) -> Self {
        let mut registers = vec![0; usize::from(length) + 2];
        (registers[0], registers[1]) = (id, length);
        Self { registers }
    }

    pub fn set(&mut self, offset: usize, value: u16) -> &mut Self {
        self.registers[offset] = value;
        self
    }

    /// A scale factor: the value counts in units of 10^`factor`.
    pub fn factor(&mut self, offset: usize, factor: i16) -> &mut Self {
        self.set(offset, factor as u16)
    }

    /// A signed value, already in units of its scale factor.
    pub fn signed(&mut self, offset: usize, value: f64) -> &mut Self {
        self.set(offset, value.round() as i16 as u16)
    }

    /// An unsigned value, already in units of its scale factor.
    pub fn unsigned(&mut self, offset: usize, value: f64) -> &mut Self {
        self.set(offset, value.round() as u16)
    }

    /// A counter of 32 bits, which starts again at zero after its end.
    pub fn counter(&mut self, offset: usize, value: f64) -> &mut Self {
        self.double(offset, value.floor() as u64 as u32)
    }

    pub fn double(&mut self, offset: usize, value: u32) -> &mut Self {
        self.set(offset, (value >> 16) as u16).set(offset + 1, value as u16)
    }

    pub fn quad(&mut self, offset: usize, value: u64) -> &mut Self {
        self.double(offset, (value >> 32) as u32).double(offset + 2, value as u32)
    }

    /// A float of two registers.
    pub fn float(&mut self, offset: usize, value: f64) -> &mut Self {
        self.double(offset, (value as f32).to_bits())
    }

    /// Floats that this device does not have.
    pub fn no_floats(&mut self, offsets: impl IntoIterator<Item = usize>) -> &mut Self {
        for offset in offsets {
            self.float(offset, f64::NAN);
        }
        self
    }

    pub fn text(&mut self, offset: usize, registers: usize, text: &str) -> &mut Self {
        let mut bytes = text.bytes().chain(std::iter::repeat(0));
        for place in &mut self.registers[offset..offset + registers] {
            *place = u16::from_be_bytes([bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)]);
        }
        self
    }

    /// Points that this device does not have.
    pub fn absent(&mut self, sentinel: u16, offsets: impl IntoIterator<Item = usize>) -> &mut Self {
        for offset in offsets {
            self.registers[offset] = sentinel;
        }
        self
    }
}

/// All models one after the other.
pub(super) struct Image {
    base: u16,
    registers: Vec<u16>,
    models: Vec<Place>,
}

struct Place {
    id: u16,
    start: usize,
    end: usize,
}

impl Image {
    pub fn new(base: u16) -> Self {
        Self { base, registers: MARKER.to_vec(), models: Vec::new() }
    }

    pub fn push(&mut self, model: Model) {
        let start = self.registers.len();
        self.registers.extend(&model.registers);
        self.models.push(Place { id: model.registers[0], start, end: self.registers.len() });
    }

    pub fn end(&mut self, end: EndModel) {
        match end {
            EndModel::Whole => self.registers.extend([END, 0]),
            EndModel::WithoutLength => self.registers.push(END),
            EndModel::Missing => {}
        }
    }

    /// None when any of them does not exist.
    pub fn read(&self, address: u16, count: u16) -> Option<Vec<u16>> {
        let first = usize::from(address.checked_sub(self.base)?);
        self.registers.get(first..first + usize::from(count)).map(<[u16]>::to_vec)
    }

    /// Model id and offset in it of a register.
    pub fn point(&self, address: u16) -> Option<(u16, usize)> {
        let at = usize::from(address.checked_sub(self.base)?);
        let place = self.models.iter().find(|place| (place.start..place.end).contains(&at))?;
        Some((place.id, at - place.start))
    }
}
