//! Modbus RTU frames and the time that they take. Pure.
//!
//! | bytes | frame |
//! |---|---|
//! | 0 | unit id; 0 is for all and never answered |
//! | 1.. | PDU, as over TCP |
//! | last two | CRC-16 of all before, low byte first |
//!
//! A frame ends by silence of 3.5 characters (1.75 ms above 19,200 baud); a character is a start bit,
//! eight data bits, the parity bit if there is one, and the stop bits.

use std::time::Duration;

/// What a frame has around its PDU: unit and CRC.
pub(super) const AROUND: usize = 3;
/// The shortest frame.
const LEAST: usize = AROUND + 1;
/// So many bytes of a request say how long it is.
pub(super) const HEAD: usize = 7;
/// The longest frame.
pub(super) const MOST: usize = 256;
/// Above this speed the silence is fixed.
const FIXED_ABOVE: u32 = 19_200;
const FIXED_SILENCE: Duration = Duration::from_micros(1_750);

/// The parity bit of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parity {
    /// No such bit.
    #[default]
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// How a serial line is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// Bits per second; 0 counts as 1.
    pub baud: u32,
    /// The parity bit.
    pub parity: Parity,
    /// Stop bits, 1 or 2.
    pub stop: u8,
}

impl Default for Speed {
    /// 9600 8N1.
    fn default() -> Self {
        Self { baud: 9_600, parity: Parity::None, stop: 1 }
    }
}

impl Speed {
    /// How long so many bytes take on the line.
    pub fn time_of(self, bytes: usize) -> Duration {
        let bits = 9 + u64::from(self.parity != Parity::None) + u64::from(self.stop);
        Duration::from_nanos(bits * bytes as u64 * 1_000_000_000 / u64::from(self.baud.max(1)))
    }

    /// The silence that ends a frame.
    pub fn silence(self) -> Duration {
        if self.baud > FIXED_ABOVE { FIXED_SILENCE } else { self.time_of(7) / 2 }
    }

    /// How many bytes are through after this time.
    pub(super) fn bytes_in(self, time: Duration) -> usize {
        let one = self.time_of(1).as_nanos().max(1);
        usize::try_from(time.as_nanos() / one).unwrap_or(usize::MAX)
    }
}

/// A frame around a PDU.
pub(super) fn frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(pdu.len() + AROUND);
    frame.push(unit);
    frame.extend(pdu);
    frame.extend(crc(&frame).to_le_bytes());
    frame
}

/// Unit and PDU of a frame; none when it is none.
pub(super) fn parse(frame: &[u8]) -> Option<(u8, &[u8])> {
    if !(LEAST..=MOST).contains(&frame.len()) {
        return None;
    }
    let (body, sum) = frame.split_at(frame.len() - 2);
    (crc(body).to_le_bytes() == sum).then(|| (body[0], &body[1..]))
}

/// How long the request that begins so is, for a stream that has no silence; none when the function
/// does not say.
pub(super) fn request_length(begin: &[u8]) -> Option<usize> {
    match begin.get(1)? {
        3 | 4 | 6 => Some(8),
        16 => begin.get(6).map(|&bytes| 9 + usize::from(bytes)),
        _ => None,
    }
}

fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_standard() {
        for (body, sum) in [
            (&[0x01, 0x04, 0x00, 0x00, 0x00, 0x02][..], [0x71, 0xCB]),
            (&[0x11, 0x03, 0x00, 0x6B, 0x00, 0x03], [0x76, 0x87]),
            (b"123456789", [0x37, 0x4B]),
        ] {
            let built = frame(body[0], &body[1..]);
            assert_eq!(built[body.len()..], sum);
            assert_eq!(parse(&built), Some((body[0], &body[1..])));
        }
    }

    #[test]
    fn no_changed_bit_goes_unseen() {
        let right = frame(1, &[4, 0, 0, 0, 2]);
        for bit in 0..right.len() * 8 {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&wrong), None, "bit {bit}");
        }
        assert_eq!(parse(&right[..3]), None);
        assert_eq!(parse(&[]), None);
    }

    #[test]
    fn a_character_has_ten_bits_or_more() {
        let speed = Speed::default();
        assert_eq!(speed.time_of(96), Duration::from_millis(100));
        assert_eq!(Speed { parity: Parity::Even, ..speed }.time_of(960), Duration::from_millis(1_100));
        assert_eq!(Speed { stop: 2, ..speed }.time_of(960), Duration::from_millis(1_100));
        assert_eq!(speed.silence(), speed.time_of(7) / 2);
        assert_eq!(Speed { baud: 115_200, ..speed }.silence(), FIXED_SILENCE);
        assert_eq!(speed.bytes_in(Duration::from_millis(100)), 96);
    }
}
