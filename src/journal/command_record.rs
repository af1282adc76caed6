//! What the journal keeps of commands, as the rest of the gateway sees it.

use adapter_api::{CommandSource, CommandStatus, DeviceId, Outcome, Parameters, Priority};

/// A command through its whole life.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandRow {
    /// The journal's number; 0 until it is inserted.
    pub number: u64,
    /// The asker's id, or ours.
    pub id: String,
    /// For whom.
    pub device: DeviceId,
    /// Which.
    pub command: String,
    /// With what.
    pub parameters: Parameters,
    /// How urgent.
    pub priority: Priority,
    /// What kind of asker.
    pub source: CommandSource,
    /// Who: the door and its user, like `mqtt:night-charge`.
    pub owner: String,
    /// Where it stands.
    pub status: CommandStatus,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The asker's.
    pub correlation_id: Option<String>,
    /// The asker's.
    pub batch_id: Option<String>,
    /// The asker's clock, ms.
    pub issued_at: Option<i64>,
    /// Committed, ms.
    pub accepted_at: i64,
    /// Not before, ms.
    pub scheduled_at: Option<i64>,
    /// Never after, ms.
    pub expires_at: i64,
    /// First bytes, ms.
    pub executed_at: Option<i64>,
    /// End, ms.
    pub completed_at: Option<i64>,
    /// Times that it was given to an adapter.
    pub attempts: u32,
    /// Retries that are allowed.
    pub max_retries: u32,
    /// Proven by a fresh read?
    pub verified: Option<bool>,
    /// Were bytes sent?
    pub written: Option<bool>,
    /// What was asked for, as the device would show it.
    pub requested: Option<Parameters>,
    /// What fresh reads showed.
    pub observed: Option<Parameters>,
    /// Code and message of what went wrong.
    pub error: Option<(String, String)>,
    /// Id of the newer command that made it pointless.
    pub superseded_by: Option<String>,
    /// How long it holds its setpoint, and what comes after.
    pub lease: Option<LeaseTerms>,
    /// Did the battery's power follow it?
    pub effect: Option<bool>,
    /// Gives a setpoint back: id of the command that held it.
    pub reverts: Option<String>,
    /// Where the asker wants the answer.
    pub reply: Option<Reply>,
    /// How a broker's redelivery of the same message is recognised.
    pub redelivery: Option<String>,
    /// Has the broker taken the result? True from the start where no broker shall.
    pub told: bool,
    /// Every change of state.
    pub events: Vec<Event>,
}

/// A command in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Which.
    pub command: String,
    /// With what.
    pub parameters: Parameters,
}

/// On which terms a command holds its setpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseTerms {
    /// For how long from its execution on, ms.
    pub lasts_ms: u64,
    /// What gives the setpoint back.
    pub revert: Step,
}

/// Commands that were sent together, and how they ended. Those that were refused count as failed,
/// or as timeout when they came too late. Commands that are pruned count no more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BatchRow {
    /// The batch's id.
    pub id: String,
    /// All of them.
    pub total: u64,
    /// Ended well.
    pub completed: u64,
    /// Ended badly, or refused.
    pub failed: u64,
    /// Too late.
    pub timeout: u64,
    /// Superseded or cancelled.
    pub cancelled: u64,
    /// Still to end; one more while the batch is still being taken in.
    pub waiting: u64,
    /// Where the asker wants the summary.
    pub reply: Option<Reply>,
    /// Has the broker taken the summary? True from the start where no broker shall.
    pub told: bool,
    /// Last change of what it takes in, ms since 1970: an id that is used again has another end, and
    /// each has its own summary. 0 where only its commands know it.
    pub at: i64,
}

/// One thing that [`super::Journal::commit`] writes together with others.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A new command; its number is the journal's.
    Insert(CommandRow),
    /// A command's new state, found by its number. Who asked, for which device and when (`id`,
    /// `device`, `source`, `owner`, `correlation_id`, `batch_id`, `issued_at`, `accepted_at`,
    /// `redelivery`) stays as it was inserted.
    Update(CommandRow),
    /// A small note, or its removal.
    Note {
        /// Whose.
        space: &'static str,
        /// Which.
        key: String,
        /// None removes it.
        value: Option<Vec<u8>>,
    },
    /// A batch begins, or more of it comes. It is not summed up before [`Change::BatchComplete`],
    /// or before the next start of the gateway.
    BatchBegin {
        /// Its id.
        id: String,
        /// Where the asker wants the summary; none leaves it where an earlier one wants it.
        reply: Option<Reply>,
        /// Shall the broker have the summary? It shall also when an earlier one is still to be told.
        tell: bool,
    },
    /// A command that was sent by itself belongs to a batch, which is known from here on.
    BatchJoin {
        /// Its id.
        id: String,
        /// As in [`Change::BatchBegin`].
        reply: Option<Reply>,
        /// As in [`Change::BatchBegin`].
        tell: bool,
    },
    /// All of a batch was taken in; so many were refused. Takes the place of what was said before.
    BatchComplete {
        /// Its id.
        id: String,
        /// Refused, other than for coming too late.
        refused: u64,
        /// Came too late.
        expired: u64,
    },
}

/// How commands of one source and device did.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandStats {
    /// What kind of asker.
    pub source: CommandSource,
    /// Which device.
    pub device: DeviceId,
    /// All.
    pub total: u64,
    /// By how they stand.
    pub completed: u64,
    /// Likewise.
    pub failed: u64,
    /// Likewise.
    pub timeout: u64,
    /// Likewise.
    pub cancelled: u64,
    /// Waiting or executing.
    pub open: u64,
    /// Mean time from the first bytes (acceptance where there were none) to the end of those that
    /// completed or failed, ms.
    pub mean_response_ms: Option<f64>,
}

/// An MQTT 5 Response Topic and Correlation Data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Where.
    pub topic: String,
    /// Which request, as the asker's own bytes.
    pub correlation: Option<Vec<u8>>,
}

/// One change of state of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, ms since 1970.
    pub at: i64,
    /// To what.
    pub status: CommandStatus,
    /// By whom: an owner, or `gateway`.
    pub by: String,
    /// Why, in words; empty when it goes without saying.
    pub reason: String,
}
