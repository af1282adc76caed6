//! Leases as doors show them.

use adapter_api::{CommandSource, DeviceId, Outcome, Parameters, Priority};

use crate::journal::{Reply, Step};

/// One setpoint of a device: who holds it, who wrote it, and who was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseView {
    /// Whose.
    pub device: DeviceId,
    /// The setpoint group.
    pub group: String,
    /// Who holds it; none when it is free.
    pub holder: Option<Holder>,
    /// The last five that wrote it, newest last.
    pub writers: Vec<Writer>,
    /// The last five that were refused, newest last.
    pub refusals: Vec<Refused>,
}

/// Who holds a setpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// The door and its user.
    pub owner: String,
    /// What kind of asker.
    pub source: CommandSource,
    /// Who is above takes over.
    pub priority: Priority,
    /// Id of the command that holds it.
    pub id: String,
    /// That command.
    pub step: Step,
    /// Since when, wall ms.
    pub since: i64,
    /// Until when, wall ms as of now.
    pub until: i64,
    /// What gives it back.
    pub revert: Step,
    /// It is being given back, for this reason.
    pub reverting: Option<String>,
    /// How often the device had dropped it and it was set again.
    pub dropped: u32,
}

/// Who wrote a setpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Writer {
    /// When it ended, wall ms.
    pub at: i64,
    /// Who.
    pub owner: String,
    /// Its id.
    pub id: String,
    /// What.
    pub command: String,
    /// With what.
    pub parameters: Parameters,
    /// How it ended.
    pub outcome: Outcome,
}

/// Who was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// When, wall ms.
    pub at: i64,
    /// Who.
    pub owner: String,
    /// What.
    pub command: String,
    /// Why, in words.
    pub reason: String,
}

/// A holder lost its setpoint before its time.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseLost {
    /// When, wall ms.
    pub at: i64,
    /// Whose.
    pub device: DeviceId,
    /// The setpoint group.
    pub group: String,
    /// Who held it.
    pub owner: String,
    /// Id of the command that held it.
    pub id: String,
    /// That command.
    pub command: String,
    /// Why, in words: who took it, or what ended it.
    pub reason: String,
    /// Where the holder wanted its answers.
    pub reply: Option<Reply>,
}
