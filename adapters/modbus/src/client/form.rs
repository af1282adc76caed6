//! What tells one answer from another one. Pure.

use std::fmt;

use tokio_modbus::{Request, Response};

use super::MAX_READ;

/// What tells one answer of a unit from another one: function, and what the request decides of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A read's: its function and how many registers.
    Registers(u8, u16),
    /// A write's: its function, address, and count or value.
    Echo(u8, u16, u16),
}

impl Form {
    /// That of the answer that a request wants.
    pub fn of(request: &Request<'_>) -> Option<Self> {
        match request {
            Request::ReadHoldingRegisters(_, count) => Some(Self::Registers(3, *count)),
            Request::ReadInputRegisters(_, count) => Some(Self::Registers(4, *count)),
            Request::WriteSingleRegister(at, word) => Some(Self::Echo(6, *at, *word)),
            Request::WriteMultipleRegisters(at, words) => {
                Some(Self::Echo(16, *at, u16::try_from(words.len()).unwrap_or(u16::MAX)))
            }
            _ => None,
        }
    }

    /// That of an answer.
    pub fn answered(response: &Response) -> Option<Self> {
        let count = |words: &[u16]| u16::try_from(words.len()).unwrap_or(u16::MAX);
        match response {
            Response::ReadHoldingRegisters(words) => Some(Self::Registers(3, count(words))),
            Response::ReadInputRegisters(words) => Some(Self::Registers(4, count(words))),
            Response::WriteSingleRegister(at, word) => Some(Self::Echo(6, *at, *word)),
            Response::WriteMultipleRegisters(at, count) => Some(Self::Echo(16, *at, *count)),
            _ => None,
        }
    }

    /// Bytes of the request and of the answer on the line.
    pub fn bytes(self) -> usize {
        match self {
            Self::Registers(_, count) => 8 + 5 + 2 * usize::from(count),
            Self::Echo(6, ..) => 8 + 8,
            Self::Echo(_, _, count) => 9 + 2 * usize::from(count) + 8,
        }
    }

    /// Its function, which an exception names, too.
    pub fn function(self) -> u8 {
        match self {
            Self::Registers(function, _) | Self::Echo(function, ..) => function,
        }
    }

    /// A read near `request` whose answer has another form than all of these; none when all are owed.
    pub fn unlike(owed: &[Form], request: &Request<'_>) -> Option<Request<'static>> {
        let (function, at, count) = match *request {
            Request::ReadInputRegisters(at, count) => (4, at, count),
            Request::ReadHoldingRegisters(at, count) => (3, at, count),
            Request::WriteSingleRegister(at, _) | Request::WriteMultipleRegisters(at, _) => (3, at, 2),
            _ => (3, 0, 2),
        };
        let other = others(count).find(|count| !owed.contains(&Self::Registers(function, *count)))?;
        let at = at.min(u16::MAX - (other - 1));
        Some(match function {
            4 => Request::ReadInputRegisters(at, other),
            _ => Request::ReadHoldingRegisters(at, other),
        })
    }
}

/// All other counts, the most harmless ones first: within the same range where that is possible, because
/// what lies beyond may not exist, and even ones, because many units refuse half of a 32-bit value.
fn others(count: u16) -> impl Iterator<Item = u16> {
    let fewer = (1..count).rev();
    let more = count + 1..=MAX_READ;
    let even = |count: &u16| count.is_multiple_of(2);
    let odd = |count: &u16| !count.is_multiple_of(2);
    let within = fewer.clone().filter(even).chain(fewer.filter(odd));
    within.chain(more.clone().filter(even)).chain(more.filter(odd))
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registers(_, count) => write!(f, "{count} registers"),
            Self::Echo(6, at, word) => write!(f, "{word} in register {at}"),
            Self::Echo(_, at, count) => write!(f, "{count} registers at {at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(request: &Request<'_>) -> Form {
        Form::of(request).unwrap()
    }

    #[test]
    fn the_other_form_stays_within_the_range_where_it_can_and_differs() {
        for at in [0, 1, 700, u16::MAX] {
            for count in [1, 2, 60, 125] {
                let request = Request::ReadHoldingRegisters(at, count);
                let owed = [form(&request)];
                let Some(Request::ReadHoldingRegisters(other_at, other)) = Form::unlike(&owed, &request)
                else {
                    panic!("a read")
                };
                assert!(other != count && (1..=125).contains(&other));
                assert!(u32::from(other_at) + u32::from(other) <= 65_536);
                assert!(count == 1 || other < count, "not beyond its range");
            }
        }
        let write = Request::WriteSingleRegister(9, 7);
        assert_eq!(Form::unlike(&[form(&write)], &write), Some(Request::ReadHoldingRegisters(9, 1)));
    }

    #[test]
    fn the_other_form_keeps_values_of_two_registers_whole_where_it_can() {
        let first = |count| others(count).take(4).collect::<Vec<_>>();
        assert_eq!(first(8), [6, 4, 2, 7]);
        assert_eq!(first(7), [6, 4, 2, 5]);
        assert_eq!(first(2), [1, 4, 6, 8]);
        assert_eq!(first(1), [2, 4, 6, 8]);
        for count in 1..=MAX_READ {
            let mut all: Vec<u16> = others(count).collect();
            all.sort_unstable();
            let wanted: Vec<u16> = (1..=MAX_READ).filter(|other| *other != count).collect();
            assert_eq!(all, wanted);
        }
    }

    #[test]
    fn a_unit_that_owes_every_form_can_be_asked_nothing() {
        let owed: Vec<Form> = (1..=MAX_READ).map(|count| Form::Registers(4, count)).collect();
        assert_eq!(Form::unlike(&owed, &Request::ReadInputRegisters(0, 2)), None);
    }

    #[test]
    fn frames_are_as_long_as_the_standard_says() {
        let bytes = |request: Request<'_>| form(&request).bytes();
        assert_eq!(bytes(Request::ReadInputRegisters(0, 125)), 8 + 255);
        assert_eq!(bytes(Request::WriteSingleRegister(0, 1)), 16);
        assert_eq!(bytes(Request::WriteMultipleRegisters(0, vec![1, 2].into())), 13 + 8);
    }
}
