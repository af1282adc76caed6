//! Whole numbers and texts in as few bytes as they need: the ground on which [`super::payload`] stands.
//!
//! | name | bytes |
//! | --- | --- |
//! | varint | 7 bits a byte, lowest first, the high bit set on all but the last; at most 10 bytes |
//! | zigzag | a signed number as varint: 0, -1, 1, -2, 2 … become 0, 1, 2, 3, 4 … |
//! | text | its length in bytes as varint, then UTF-8 |

/// Bytes that are not what was written. Whoever meets it counts the batch as damaged and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are damaged: {0}")]
pub(super) struct Damaged(pub &'static str);

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// What is left to read. Never reads past the end and never panics.
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| Damaged("it ends too early"))
    }

    pub fn byte(&mut self) -> Result<u8, Damaged> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn varint(&mut self) -> Result<u64, Damaged> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damaged("a number is too long"))
    }

    pub fn zigzag(&mut self) -> Result<i64, Damaged> {
        self.varint().map(|value| (value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A length or a count. Everything that is counted takes at least one byte for eight of it, so
    /// a count that could not fit is refused before memory is asked for.
    pub fn count(&mut self) -> Result<usize, Damaged> {
        let count = self.varint()?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.0.len().saturating_mul(8))
            .ok_or(Damaged("a count is larger than what follows"))
    }

    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Damaged("a text is not UTF-8"))
    }
}
