//! What a door asks, and what it is told.

use std::{sync::Arc, time::Duration};

use adapter_api::{CommandSource, Parameters, Priority};

use super::LeaseLost;
use crate::journal::{BatchRow, CommandRow, JournalError, Reply, Step};

/// A command that somebody wants; not yet checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The asker's id; one is made when there is none.
    pub id: Option<String>,
    /// For which device.
    pub device: String,
    /// Which command.
    pub command: String,
    /// With what.
    pub parameters: Parameters,
    /// How urgent, normal unless said.
    pub priority: Priority,
    /// What kind of asker.
    pub source: CommandSource,
    /// Who: the door and its user, like `mqtt:night-charge`.
    pub owner: String,
    /// The asker's own.
    pub correlation_id: Option<String>,
    /// The asker's own.
    pub batch_id: Option<String>,
    /// When it was asked, by the asker's clock, ms since 1970.
    pub issued_at: Option<i64>,
    /// How long it may wait; the configured default unless said.
    pub expires_in: Option<Duration>,
    /// Not before, ms since 1970.
    pub scheduled_at: Option<i64>,
    /// Retries, 3 unless said.
    pub max_retries: Option<u32>,
    /// Where the answer goes besides the device's topics.
    pub reply: Option<Reply>,
    /// Set by a broker's door: how a redelivery of this message is recognised.
    pub redelivery: Option<String>,
    /// Is this a redelivery that was first seen on an earlier connection?
    pub redelivered: bool,
    /// Must the result wait in the outbox until the broker has it?
    pub tell: bool,
    /// For how long it wants to hold its setpoint.
    pub lease: Option<LeaseRequest>,
    /// Did it come from this machine's own socket?
    pub local: bool,
}

/// What an asker says about its lease.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseRequest {
    /// For how long, from its execution on.
    pub lasts: Duration,
    /// What gives the setpoint back; the profile's safe command unless said.
    pub revert: Option<Step>,
}

impl Request {
    /// A request with nothing but the necessary.
    pub fn new(device: &str, command: &str, parameters: Parameters, owner: &str) -> Self {
        Self {
            id: None,
            device: device.to_owned(),
            command: command.to_owned(),
            parameters,
            priority: Priority::Normal,
            source: CommandSource::Api,
            owner: owner.to_owned(),
            correlation_id: None,
            batch_id: None,
            issued_at: None,
            expires_in: None,
            scheduled_at: None,
            max_retries: None,
            reply: None,
            redelivery: None,
            redelivered: false,
            tell: false,
            lease: None,
            local: false,
        }
    }
}

/// What became of a request that was not refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    /// It is on disk and will be executed or expire.
    New(Arc<CommandRow>),
    /// The same id was accepted before; this is how it stands. Nothing is executed again.
    Known(Arc<CommandRow>),
}

impl Accepted {
    /// The command.
    pub fn row(&self) -> &Arc<CommandRow> {
        match self {
            Self::New(row) | Self::Known(row) => row,
        }
    }
}

/// Why a request did not become a command. Nothing is queued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people: what is wrong and what is allowed.
    pub message: String,
}

impl Refusal {
    /// Both.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn not_kept(error: &JournalError) -> Self {
        Self::new(RefusalCode::NotKept, format!("the command could not be kept: {error}"))
    }
}

/// The reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RefusalCode {
    Malformed,
    UnknownDevice,
    UnknownCommand,
    InvalidParameter,
    ControlDisabled,
    Expired,
    IdReused,
    NotKept,
    Busy,
    Stopping,
    Held,
    RateLimited,
    NoRevert,
    OutOfBounds,
    SocketOnly,
    UnknownId,
}

impl RefusalCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownDevice => "unknown_device",
            Self::UnknownCommand => "unknown_command",
            Self::InvalidParameter => "invalid_parameter",
            Self::ControlDisabled => "control_disabled",
            Self::Expired => "expired",
            Self::IdReused => "id_reused",
            Self::NotKept => "not_kept",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::Held => "held",
            Self::RateLimited => "rate_limited",
            Self::NoRevert => "no_revert",
            Self::OutOfBounds => "out_of_bounds",
            Self::SocketOnly => "socket_only",
            Self::UnknownId => "unknown_id",
        }
    }
}

/// What happened to a command, after its commit.
#[derive(Debug, Clone)]
pub enum Notice {
    /// Accepted or executing.
    Progress(Arc<CommandRow>),
    /// It ended.
    Result(Arc<CommandRow>),
    /// A holder lost its setpoint before its time.
    LeaseLost(Arc<LeaseLost>),
    /// All of a batch has ended.
    Batch(Arc<BatchRow>),
}

/// Several requests that belong together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Its id; one is made when there is none.
    pub id: Option<String>,
    /// What was understood of each, and what not.
    pub requests: Vec<Result<Request, Refusal>>,
    /// Where the summary goes besides the common topic.
    pub reply: Option<Reply>,
    /// Must the summary wait in the outbox until the broker has it?
    pub tell: bool,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchAnswer {
    /// Its id.
    pub id: String,
    /// Of each request, in order.
    pub answers: Vec<Result<Accepted, Refusal>>,
}

/// What became of a cancellation.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancelled {
    /// It waited and is cancelled now.
    Now(Arc<CommandRow>),
    /// An adapter has it: it ends by itself, and is not tried again.
    TooLate(Arc<CommandRow>),
    /// It had ended.
    Ended(Arc<CommandRow>),
}

impl Cancelled {
    /// The command.
    pub fn row(&self) -> &Arc<CommandRow> {
        match self {
            Self::Now(row) | Self::TooLate(row) | Self::Ended(row) => row,
        }
    }
}
