//! An answer on its way to the wire, and what faults do to it. Pure.

use super::{desk::Caller, frame, rtu};
use crate::Fault;

/// No frame, whatever one tries: its length would be 42,405.
const GARBAGE: [u8; 12] = [0xA5; 12];
/// What a line catches while nobody drives it.
const NOISE: [u8; 3] = [0xFE, 0x00, 0xBF];

/// An answer before it is bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Whose request it answers, and so what its frame looks like.
    pub caller: Caller,
    pub unit: u8,
    pub pdu: Vec<u8>,
}

/// What the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Send(Vec<u8>),
    SendAndClose(Vec<u8>),
    Close,
    Reset,
    Nothing,
    /// Nothing now and for ever.
    Hang,
}

impl Answer {
    /// The reply without any fault.
    pub fn reply(self) -> Reply {
        self.damaged(&[])
    }

    /// The reply with these faults, one after the other.
    pub fn damaged(mut self, faults: &[Fault]) -> Reply {
        let mut protocol = 0;
        let mut wrong_sum = false;
        for fault in faults {
            match *fault {
                Fault::OtherTransaction => {
                    if let Caller::Tcp { transaction } = &mut self.caller {
                        *transaction = transaction.wrapping_add(1);
                    }
                }
                Fault::Crc => wrong_sum = true,
                Fault::OtherUnit => self.unit = self.unit.wrapping_add(1),
                Fault::Protocol(id) => protocol = id,
                Fault::OtherFunction => self.pdu[0] = other_function(self.pdu[0]),
                _ => self.damage_body(*fault),
            }
        }
        let mut frame = self.frame(protocol);
        if wrong_sum
            && self.caller == Caller::Line
            && let Some(last) = frame.last_mut()
        {
            *last ^= 0xFF;
        }
        let half = frame.len() / 2;
        for fault in faults {
            match fault {
                Fault::Silence { .. } => return Reply::Nothing,
                Fault::Close { .. } => return Reply::Close,
                Fault::Reset => return Reply::Reset,
                Fault::HalfOpen => return Reply::Hang,
                Fault::Garbage => return Reply::Send(GARBAGE.to_vec()),
                Fault::Torn => return Reply::SendAndClose(frame[..half].to_vec()),
                _ => {}
            }
        }
        for fault in faults {
            match fault {
                Fault::Noise => drop(frame.splice(..0, NOISE)),
                Fault::Tail => frame.extend(NOISE),
                _ => {}
            }
        }
        Reply::Send(frame)
    }

    /// Changes what only an answer that is no refusal has.
    fn damage_body(&mut self, fault: Fault) {
        let refusal = self.pdu[0] & 0x80 != 0;
        let body = &mut self.pdu;
        match fault {
            _ if refusal => {}
            Fault::FewerRegisters => {
                body.truncate(body.len() - 2);
                body[1] = body[1].wrapping_sub(2);
            }
            Fault::MoreRegisters(more) => {
                let bytes = usize::from(more) * 2;
                body.extend(std::iter::repeat_n(0, bytes));
                body[1] = body[1].wrapping_add(bytes as u8);
            }
            Fault::MissingBytes => body.truncate(body.len() - 2),
            Fault::LyingCount => body[1] = body[1].wrapping_sub(2),
            Fault::EchoOtherAddress => body[2] ^= 1,
            Fault::EchoOtherValue => body[4] ^= 1,
            _ => {}
        }
    }

    fn frame(&self, protocol: u16) -> Vec<u8> {
        match self.caller {
            Caller::Line => rtu::frame(self.unit, &self.pdu),
            Caller::Tcp { transaction } => frame::tcp(transaction, protocol, self.unit, &self.pdu),
        }
    }
}

fn other_function(function: u8) -> u8 {
    match function {
        3 => 4,
        4 => 3,
        6 => 16,
        16 => 6,
        other => other ^ 1,
    }
}
