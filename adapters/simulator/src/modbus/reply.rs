//! An answer on its way to the wire, and what faults do to it. Pure.

use crate::Fault;

/// No frame, whatever one tries: its length would be 42,405.
const GARBAGE: [u8; 12] = [0xA5; 12];

/// An answer before it is bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub transaction: u16,
    pub unit: u8,
    pub pdu: Vec<u8>,
}

/// What the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Send(Vec<u8>),
    SendAndClose(Vec<u8>),
    Close,
    Nothing,
}

impl Answer {
    /// The reply without any fault.
    pub fn reply(self) -> Reply {
        self.damaged(&[])
    }

    /// The reply with these faults, one after the other.
    pub fn damaged(mut self, faults: &[Fault]) -> Reply {
        let mut protocol = 0;
        for fault in faults {
            match *fault {
                Fault::OtherTransaction => self.transaction = self.transaction.wrapping_add(1),
                Fault::OtherUnit => self.unit = self.unit.wrapping_add(1),
                Fault::Protocol(id) => protocol = id,
                Fault::OtherFunction => self.pdu[0] = other_function(self.pdu[0]),
                _ => self.damage_body(*fault),
            }
        }
        let frame = self.frame(protocol);
        let half = frame.len() / 2;
        for fault in faults {
            match fault {
                Fault::Silence { .. } => return Reply::Nothing,
                Fault::Close { .. } => return Reply::Close,
                Fault::Garbage => return Reply::Send(GARBAGE.to_vec()),
                Fault::Torn => return Reply::SendAndClose(frame[..half].to_vec()),
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
        let mut frame = Vec::with_capacity(super::frame::HEADER + self.pdu.len());
        frame.extend(self.transaction.to_be_bytes());
        frame.extend(protocol.to_be_bytes());
        frame.extend((self.pdu.len() as u16 + 1).to_be_bytes());
        frame.push(self.unit);
        frame.extend(&self.pdu);
        frame
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
