//! The fault dial: how a port misbehaves, for which requests and how often. Decisions only; the
//! server acts on them.

use std::time::Duration;

/// One way to misbehave. Unless it says otherwise the device does what it was asked, and only the
/// answer is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The answer comes late. A connection answers nothing else meanwhile; on a line the other units do,
    /// and the late answer may collide with theirs.
    Delay(Duration),
    /// The connection stays open, and nothing ever comes on it again, also to new requests; the request
    /// does not reach the device. A client that connects anew is served, unless this hits it too. On a
    /// line: no answer to this request.
    HalfOpen,
    /// The connection is reset (RST) instead of an answer. On a line: no answer.
    Reset,
    /// No answer at all; `executed`: did the request still reach the device?
    Silence {
        /// Did it reach the device?
        executed: bool,
    },
    /// The connection closes instead of an answer. On a line: no answer.
    Close {
        /// Did it reach the device?
        executed: bool,
    },
    /// The answer has another transaction id. On a line: nothing.
    OtherTransaction,
    /// The answer comes from another unit.
    OtherUnit,
    /// The answer has another function code.
    OtherFunction,
    /// MBAP's protocol id is this. On a line: nothing.
    Protocol(u16),
    /// The CRC is wrong; over Modbus TCP there is none.
    Crc,
    /// A read answer that holds one register less than asked, and says so.
    FewerRegisters,
    /// A read answer that holds so many registers more than asked, and says so.
    MoreRegisters(u16),
    /// The last two bytes are missing; the byte count still counts them.
    MissingBytes,
    /// A read answer with all bytes, whose byte count says two less.
    LyingCount,
    /// The device refuses with this code and does nothing.
    Exception(u8),
    /// A write answer that echoes another value or count.
    EchoOtherValue,
    /// A write answer that echoes another address.
    EchoOtherAddress,
    /// A write is answered as done and never reaches the device.
    EchoOnly,
    /// A write is done, but this register stores a magnitude (as int16) of `most` at most.
    Clamp {
        /// Which.
        register: u16,
        /// Greatest raw magnitude.
        most: u16,
    },
    /// A write is done, and reads show the old values for so long.
    Stale(Duration),
    /// Bytes that are no frame, instead of the answer.
    Garbage,
    /// Three bytes that are no frame, and at once the right answer.
    Noise,
    /// The right answer, and three bytes more.
    Tail,
    /// Half of the answer, then the connection closes. On a line: half of the answer.
    Torn,
    /// New connections are refused; the scope means nothing, and on a line the fault. Open ones stay.
    RefuseConnections,
    /// While one connection is open, another one is closed at once; the scope means nothing, and on a
    /// line the fault.
    OneClient,
}

/// For which requests a fault holds, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    kind: Option<Kind>,
    times: Option<u32>,
    unit: Option<u8>,
    register: Option<u16>,
    every: u32,
    /// Requests that fitted since the last hit.
    passed: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

impl Scope {
    /// Every request, until cleared.
    pub const ALL: Self = Self { kind: None, times: None, unit: None, register: None, every: 1, passed: 0 };
    /// Every read, until cleared.
    pub const READS: Self = Self { kind: Some(Kind::Read), ..Self::ALL };
    /// Every write, until cleared.
    pub const WRITES: Self = Self { kind: Some(Kind::Write), ..Self::ALL };

    /// The next `times` requests of any kind.
    pub const fn next(times: u32) -> Self {
        Self::ALL.times(times)
    }

    /// Only the next `times` of them.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only those to one unit.
    #[must_use]
    pub const fn unit(mut self, unit: u8) -> Self {
        self.unit = Some(unit);
        self
    }

    /// Only each `n`-th of them, beginning with the `n`-th; 0 counts as 1.
    #[must_use]
    pub const fn every(mut self, n: u32) -> Self {
        self.every = n;
        self
    }

    /// Only those whose range covers this register.
    #[must_use]
    pub const fn covering(mut self, register: u16) -> Self {
        self.register = Some(register);
        self
    }
}

/// What the dial looks at in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub unit: u8,
    pub kind: Kind,
    pub address: u16,
    pub count: u16,
}

#[derive(Debug, Default)]
pub(crate) struct Dial {
    entries: Vec<(Fault, Scope)>,
}

impl Dial {
    pub fn set(&mut self, fault: Fault, scope: Scope) {
        self.entries.push((fault, scope));
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn has(&self, fault: Fault) -> bool {
        self.entries.iter().any(|(set, _)| *set == fault)
    }

    /// The faults of this request, in the order in which they were set; each is one use.
    pub fn take(&mut self, asked: Asked) -> Vec<Fault> {
        let mut taken = Vec::new();
        for (fault, scope) in &mut self.entries {
            if fault.concerns(asked.kind) && scope.fits(asked) && scope.hits() {
                taken.push(*fault);
                scope.times = scope.times.map(|left| left.saturating_sub(1));
            }
        }
        self.entries.retain(|(_, scope)| scope.times != Some(0));
        taken
    }
}

impl Scope {
    fn fits(&self, asked: Asked) -> bool {
        let covers = |register| register >= asked.address && register - asked.address < asked.count;
        self.times != Some(0)
            && self.kind.is_none_or(|kind| kind == asked.kind)
            && self.unit.is_none_or(|unit| unit == asked.unit)
            && self.register.is_none_or(covers)
    }

    /// Counts a request that fits: is it the one among so many?
    fn hits(&mut self) -> bool {
        self.passed += 1;
        let hit = self.passed >= self.every;
        if hit {
            self.passed = 0;
        }
        hit
    }
}

impl Fault {
    /// Does it mean anything for such a request?
    fn concerns(self, kind: Kind) -> bool {
        match self {
            Self::RefuseConnections | Self::OneClient => false,
            Self::FewerRegisters | Self::MoreRegisters(_) | Self::LyingCount => kind == Kind::Read,
            Self::EchoOtherValue
            | Self::EchoOtherAddress
            | Self::EchoOnly
            | Self::Clamp { .. }
            | Self::Stale(_) => kind == Kind::Write,
            _ => true,
        }
    }

    /// What the device stores when it is told `value` at `address`.
    pub(crate) fn stored(self, address: u16, value: u16) -> u16 {
        match self {
            Self::Clamp { register, most } if register == address => {
                let told = value as i16;
                let kept = told.unsigned_abs().min(most);
                if told < 0 { kept.wrapping_neg() } else { kept }
            }
            _ => value,
        }
    }

    /// Does the request still reach the device?
    pub(crate) fn lets_through(self) -> bool {
        !matches!(
            self,
            Self::Exception(_)
                | Self::EchoOnly
                | Self::HalfOpen
                | Self::Silence { executed: false }
                | Self::Close { executed: false }
        )
    }
}
