//! The fault dial in words, as an installer writes them: `delay=2s`, `busy@10`. Pure.

use std::{fmt, str::FromStr, time::Duration};

use adapter_api::Span;

use crate::{Fault, Scope};

/// One turn of the dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Requests of a scope meet a fault.
    Fault(Fault, Scope),
    /// The whole map moves by so many registers.
    Moved(i16),
    /// Lifetime counters show 0 in the next so many reads.
    Bounce(u32),
    /// Lifetime counters show 0 for so long.
    BounceFor(Duration),
    /// Lifetime counters begin again at 0.
    ResetCounters,
}

/// One word: what it is, what is written behind `=` unless one says otherwise, and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// The name.
    pub name: &'static str,
    /// The value where none is written; empty: it takes none.
    pub value: &'static str,
    /// What it does, in one line.
    pub text: &'static str,
}

const fn word(name: &'static str, value: &'static str, text: &'static str) -> Word {
    Word { name, value, text }
}

/// All words.
pub fn words() -> &'static [Word] {
    &WORDS
}

static WORDS: [Word; 32] = [
    word("delay", "1s", "the answer takes so long"),
    word("late", "10s", "the answer comes when nobody waits for it any more"),
    word("half-open", "", "the connection stays, and nothing comes on it any more"),
    word("reset", "", "the connection is reset instead of an answer"),
    word("silence", "", "no answer, and nothing is done"),
    word("lost-answer", "", "it is done, and no answer comes"),
    word("close", "", "the connection closes instead of an answer"),
    word("other-transaction", "", "the answer has another transaction id"),
    word("other-unit", "", "the answer comes from another unit"),
    word("other-function", "", "the answer has another function code"),
    word("protocol", "1", "the answer has this protocol id"),
    word("crc", "", "the checksum is wrong (serial lines)"),
    word("fewer", "", "a read answers one register too few"),
    word("more", "1", "a read answers so many registers too many"),
    word("missing-bytes", "", "the last two bytes are missing"),
    word("lying-count", "", "the byte count is too small"),
    word("exception", "4", "it refuses with this code"),
    word("busy", "", "it refuses because it is busy (code 6)"),
    word("echo-other-value", "", "a write answers another value"),
    word("echo-other-address", "", "a write answers another register"),
    word("echo-only", "", "a write is answered and never done"),
    word("clamp", "0:1000", "this register stores this magnitude at most"),
    word("stale", "5s", "after a write the old values show for so long"),
    word("garbage", "", "bytes that are no frame, instead of an answer"),
    word("noise", "", "three bytes of noise before the answer"),
    word("tail", "", "three bytes of noise after the answer"),
    word("torn", "", "half of an answer, then the connection closes"),
    word("refuse", "", "new connections are refused"),
    word("one-client", "", "a second connection is closed at once"),
    word("moved", "10", "the whole map stands so many registers further back"),
    word("bounce", "1", "lifetime counters show 0 in the next so many reads, or for so long, like 30s"),
    word("reset-counters", "", "lifetime counters begin again at 0"),
];

/// A word that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrongTurn {
    /// There is no such fault.
    Unknown(String),
    /// What it says, and what is wrong with it.
    Value(String, &'static str),
}

impl std::error::Error for WrongTurn {}

impl fmt::Display for WrongTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(word, why) => write!(f, "`{word}` {why}"),
            Self::Unknown(name) => {
                write!(
                    f,
                    "there is no fault `{name}`; write one of these, with @<n> behind it for every n-th request:"
                )?;
                for Word { name, value, text } in words() {
                    let written =
                        if value.is_empty() { (*name).to_owned() } else { format!("{name}={value}") };
                    write!(f, "\n  {written:<20} {text}")?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Turn {
    type Err = WrongTurn;

    fn from_str(text: &str) -> Result<Self, WrongTurn> {
        let wrong = |why| WrongTurn::Value(text.to_owned(), why);
        let (written, every) = match text.split_once('@') {
            Some((written, every)) => {
                let every = every.parse().ok().filter(|n| *n > 0);
                (written, Some(every.ok_or_else(|| wrong("needs a number from 1 on behind @"))?))
            }
            None => (text, None),
        };
        let (name, value) =
            written.split_once('=').map_or((written, None), |(name, value)| (name, Some(value)));
        let known = words().iter().find(|word| word.name == name);
        let known = known.ok_or_else(|| WrongTurn::Unknown(name.to_owned()))?;
        if known.value.is_empty() && value.is_some() {
            return Err(wrong("takes no value"));
        }
        let value = value.unwrap_or(known.value);
        let span =
            || value.parse::<Span>().map(|span| span.0).map_err(|_| wrong("needs a time, like 2s or 500ms"));
        let fault = match name {
            "delay" | "late" => Fault::Delay(span()?),
            "half-open" => Fault::HalfOpen,
            "reset" => Fault::Reset,
            "silence" => Fault::Silence { executed: false },
            "lost-answer" => Fault::Silence { executed: true },
            "close" => Fault::Close { executed: false },
            "other-transaction" => Fault::OtherTransaction,
            "other-unit" => Fault::OtherUnit,
            "other-function" => Fault::OtherFunction,
            "protocol" => Fault::Protocol(value.parse().map_err(|_| wrong("needs a number up to 65535"))?),
            "crc" => Fault::Crc,
            "fewer" => Fault::FewerRegisters,
            "more" => Fault::MoreRegisters(value.parse().map_err(|_| wrong("needs a number of registers"))?),
            "missing-bytes" => Fault::MissingBytes,
            "lying-count" => Fault::LyingCount,
            "exception" => Fault::Exception(value.parse().map_err(|_| wrong("needs a code up to 255"))?),
            "busy" => Fault::Exception(BUSY),
            "echo-other-value" => Fault::EchoOtherValue,
            "echo-other-address" => Fault::EchoOtherAddress,
            "echo-only" => Fault::EchoOnly,
            "clamp" => {
                clamp(value).ok_or_else(|| wrong("needs <register>:<greatest raw value>, like 47512:1000"))?
            }
            "stale" => Fault::Stale(span()?),
            "garbage" => Fault::Garbage,
            "noise" => Fault::Noise,
            "tail" => Fault::Tail,
            "torn" => Fault::Torn,
            "refuse" => Fault::RefuseConnections,
            "one-client" => Fault::OneClient,
            _ if every.is_some() => return Err(wrong("happens once: leave out @")),
            "moved" => {
                return value.parse().map(Self::Moved).map_err(|_| wrong("needs a number of registers"));
            }
            "bounce" => {
                let reads = value.parse().map(Self::Bounce).ok();
                let bounce = reads.or_else(|| span().ok().map(Self::BounceFor));
                return bounce.ok_or_else(|| wrong("needs a number of reads, or a time, like 30s"));
            }
            _ => return Ok(Self::ResetCounters),
        };
        Ok(Self::Fault(fault, Scope::ALL.every(every.unwrap_or(1))))
    }
}

/// Server device busy.
const BUSY: u8 = 6;

fn clamp(value: &str) -> Option<Fault> {
    let (register, most) = value.split_once(':')?;
    Some(Fault::Clamp { register: register.parse().ok()?, most: most.parse().ok()? })
}
