//! Modbus TCP frames, and the PDUs in them, which RTU shares. Pure.
//!
//! | bytes | MBAP header |
//! |---|---|
//! | 0–1 | transaction id |
//! | 2–3 | protocol id, 0 |
//! | 4–5 | length: unit id and PDU |
//! | 6 | unit id |
//!
//! | function | request PDU after the function code | answer PDU after the function code |
//! |---|---|---|
//! | 3, 4 | address, count | byte count, registers |
//! | 6 | address, value | address, value |
//! | 16 | address, count, byte count, registers | address, count |
//! | + 0x80 | | exception code |

use crate::{Exception, Table};

/// Length of the header with the unit id.
pub(super) const HEADER: usize = 7;
/// Longest PDU.
const PDU_MOST: usize = 253;
const READ_MOST: u16 = 125;
const WRITE_MOST: u16 = 123;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub transaction: u16,
    pub unit: u8,
    /// Length of the PDU that follows.
    pub pdu: usize,
}

impl Header {
    /// None for what is no Modbus: nothing after it can be trusted.
    pub fn parse(bytes: [u8; HEADER]) -> Option<Self> {
        let [t1, t0, p1, p0, l1, l0, unit] = bytes;
        let pdu = usize::from(u16::from_be_bytes([l1, l0])).checked_sub(1)?;
        let fits = [p1, p0] == [0, 0] && (1..=PDU_MOST).contains(&pdu);
        fits.then_some(Self { transaction: u16::from_be_bytes([t1, t0]), unit, pdu })
    }
}

/// A frame around a PDU.
pub(super) fn tcp(transaction: u16, protocol: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + pdu.len());
    frame.extend(transaction.to_be_bytes());
    frame.extend(protocol.to_be_bytes());
    frame.extend((pdu.len() as u16 + 1).to_be_bytes());
    frame.push(unit);
    frame.extend(pdu);
    frame
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Read { function: u8, table: Table, address: u16, count: u16 },
    Write { function: u8, address: u16, values: Vec<u16> },
}

impl Request {
    pub fn function(&self) -> u8 {
        match self {
            Self::Read { function, .. } | Self::Write { function, .. } => *function,
        }
    }
}

/// A request, or the function code and the exception that it deserves.
pub(super) fn request(pdu: &[u8]) -> Result<Request, (u8, Exception)> {
    let (&function, rest) = pdu.split_first().unwrap_or((&0, &[]));
    let refuse = |exception| Err((function, exception));
    let word = |at: usize| rest.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    if !matches!(function, 3 | 4 | 6 | 16) {
        return refuse(Exception::IllegalFunction);
    }
    let (Some(address), Some(second)) = (word(0), word(2)) else {
        return refuse(Exception::IllegalValue);
    };
    let past_end = |count: u16| u32::from(address) + u32::from(count) > 65_536;
    match function {
        6 if rest.len() == 4 => Ok(Request::Write { function, address, values: vec![second] }),
        3 | 4 if rest.len() == 4 && (1..=READ_MOST).contains(&second) => {
            let table = if function == 3 { Table::Holding } else { Table::Input };
            match past_end(second) {
                true => refuse(Exception::IllegalAddress),
                false => Ok(Request::Read { function, table, address, count: second }),
            }
        }
        16 if (1..=WRITE_MOST).contains(&second) => {
            let bytes = usize::from(second) * 2;
            if rest.get(4).map(|&count| usize::from(count)) != Some(bytes) || rest.len() != 5 + bytes {
                return refuse(Exception::IllegalValue);
            }
            if past_end(second) {
                return refuse(Exception::IllegalAddress);
            }
            let values = rest[5..].chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            Ok(Request::Write { function, address, values: values.collect() })
        }
        _ => refuse(Exception::IllegalValue),
    }
}

pub(super) fn read_answer(function: u8, registers: &[u16]) -> Vec<u8> {
    let mut pdu = vec![function, (registers.len() * 2) as u8];
    pdu.extend(registers.iter().flat_map(|register| register.to_be_bytes()));
    pdu
}

pub(super) fn write_answer(function: u8, address: u16, values: &[u16]) -> Vec<u8> {
    let second = match (function, values) {
        (6, [value]) => *value,
        _ => values.len() as u16,
    };
    let mut pdu = vec![function];
    pdu.extend(address.to_be_bytes());
    pdu.extend(second.to_be_bytes());
    pdu
}

pub(super) fn refusal(function: u8, exception: Exception) -> Vec<u8> {
    vec![function | 0x80, exception.code()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_are_wrong_get_their_exception() {
        let exception = |pdu: &[u8]| request(pdu).unwrap_err();
        assert_eq!(exception(&[1, 0, 0, 0, 1]), (1, Exception::IllegalFunction));
        assert_eq!(exception(&[3, 0, 0, 0, 0]), (3, Exception::IllegalValue));
        assert_eq!(exception(&[3, 0, 0, 0, 126]), (3, Exception::IllegalValue));
        assert_eq!(exception(&[3, 0xFF, 0xFF, 0, 2]), (3, Exception::IllegalAddress));
        assert_eq!(exception(&[16, 0, 0, 0, 2, 4, 0, 0]), (16, Exception::IllegalValue));
        assert_eq!(exception(&[6, 0]), (6, Exception::IllegalValue));
        assert!(request(&[3, 0xFF, 0xFF, 0, 1]).is_ok());
    }
}
