//! Why a request brought nothing, by what follows from it, and in an installer's words.

use adapter_api::{Fault, Problem, WriteOutcome};

/// A request that failed. One variant per reaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    /// No byte of the request left.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// The serial port cannot be opened; no byte of the request left.
    #[error("the serial port cannot be opened: {reason}")]
    NoPort { reason: String, remedy: &'static str },
    /// The request left, and no answer came.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// What came is not the answer to this request. It is thrown away with its connection.
    #[error("a wrong answer: {0}")]
    Mismatch(String),
    /// The device, or the gateway before it, refused with a Modbus exception.
    #[error("{}", words(*.0).0)]
    Exception(u8),
    /// A request that Modbus cannot carry; it was not sent.
    #[error("an impossible request: {0}")]
    Impossible(String),
}

pub(crate) const ILLEGAL_ADDRESS: u8 = 2;
pub(crate) const ILLEGAL_VALUE: u8 = 3;
pub(crate) const SERVER_FAILURE: u8 = 4;

/// What an exception means, and what to do.
fn words(code: u8) -> (String, &'static str) {
    let (what, remedy) = match code {
        1 => ("the device does not know this Modbus function", "Check that the profile fits the device"),
        2 => (
            "the device has no such register",
            "Check the profile and the unit id; a firmware update may have moved its registers",
        ),
        3 => (
            "the device refuses this value or length",
            "Check that the profile fits the device and that its own settings allow the value",
        ),
        4 => ("the device failed while it executed the request", "Look for a fault on its display"),
        5 => ("the device took the request and needs time", "Wait; it is asked again"),
        6 => (
            "the device is busy",
            "Wait; if it stays so, end other programs that ask it, or raise `interval` or `spacing`",
        ),
        8 => ("the device found its memory damaged", "Restart it, and call its maker if it stays so"),
        10 => (
            "the Modbus gateway has no way to this unit",
            "Check the unit id and the gateway's serial settings",
        ),
        11 => (
            "the unit behind the Modbus gateway does not answer",
            "Check its power, its RS-485 wiring and its unit id",
        ),
        _ => ("the device refuses with a code of its own", "Look the code up in the device's manual"),
    };
    (format!("{what} (exception {code})"), remedy)
}

impl LinkError {
    /// As a fault of the unit. `place` names unit and address.
    pub fn fault(&self, place: &str) -> Fault {
        let what = format!("{place}: {self}");
        match self {
            Self::Unreachable(_) => Fault::Unreachable(Problem::new(
                what,
                "Check the address, power and network of the device, and that Modbus TCP is switched on in it; many take one client only",
            )),
            Self::NoPort { remedy, .. } => Fault::Unreachable(Problem::new(what, *remedy)),
            Self::NoAnswer(_) => Fault::Silent(Problem::new(
                what,
                "Check the unit id and that no other program holds the device; if it is slow, raise `timeout`",
            )),
            Self::Mismatch(_) => Fault::Answered(Problem::new(
                what,
                "The connection was rebuilt; if it stays so, look for a second program that uses the same Modbus gateway",
            )),
            // A gateway waited for it: nobody answers there, and each question costs the gateway's patience.
            Self::Exception(code @ (10 | 11)) => Fault::Silent(Problem::new(what, words(*code).1)),
            Self::Exception(code) => Fault::Answered(Problem::new(what, words(*code).1)),
            Self::Impossible(_) => Fault::Answered(Problem::new(what, "Correct the profile")),
        }
    }

    /// What became of a command whose write failed so. `begun`: an earlier write of the same
    /// command was taken, so that "certainly not applied" can no longer be said.
    pub fn outcome(&self, place: &str, begun: bool) -> WriteOutcome {
        let mut reason = format!("{place}: {self}");
        if begun {
            reason.push_str(
                "; an earlier part of the command was taken, so only a fresh read tells what it is now",
            );
        }
        match self {
            // A refusal: the same request would be refused again. It says nothing of what was taken before.
            Self::Exception(1..=3) | Self::Impossible(_) if !begun => WriteOutcome::Rejected { reason },
            // Never begun: busy, no route, no connection.
            Self::Exception(6 | 10 | 11) | Self::Unreachable(_) | Self::NoPort { .. } if !begun => {
                WriteOutcome::NotApplied { reason, sent: false }
            }
            // Exception 4 says that it failed while executing, 5 that it has not ended, and the rest
            // says nothing: only a fresh read tells how much of it was done.
            Self::Exception(_)
            | Self::Unreachable(_)
            | Self::NoPort { .. }
            | Self::NoAnswer(_)
            | Self::Mismatch(_)
            | Self::Impossible(_) => WriteOutcome::Unknown { reason },
        }
    }
}
