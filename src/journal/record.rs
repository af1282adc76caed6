//! What the journal keeps, as the rest of the gateway sees it.

use adapter_api::{
    Availability, CommandSource, CommandStatus, DeviceId, DeviceInfo, Outcome, Parameters, PointId, Priority,
    Problem, Reading,
};

/// A reading that the gateway took: numbered, with its increments of energy.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Unique for ever in this installation, growing by one.
    pub number: u64,
    /// What the device said.
    pub reading: Reading,
    /// What it adds to the counters.
    pub energy: Energy,
}

/// Where increments come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnergyBasis {
    /// The device has no counter and no power, or this reading adds nothing.
    None,
    /// The device's own lifetime counters.
    Counter,
    /// Power over time, because the device counts nothing.
    Integrated,
}

/// Energy of one reading, in whole Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Energy {
    /// Where it comes from.
    pub basis: EnergyBasis,
    /// Consumed: drawn, charged, imported or own use, by the device's role.
    pub consumed: Flow,
    /// Produced: fed back, discharged, exported or generated.
    pub produced: Flow,
}

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// The believed counter after this reading, Wh; none when the device counts nothing here.
    pub total: Option<u64>,
    /// What came since the device's previous believed reading, Wh; none for the first one and for
    /// readings of poor quality.
    pub increment: Option<u64>,
}

/// A device as it is kept: known before it answers.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceRow {
    /// As it was last announced.
    pub info: DeviceInfo,
    /// The adapter's name (its worker, `modbus.roof`).
    pub adapter: String,
    /// Whether it answered when it was last heard of.
    pub availability: Option<Availability>,
    /// What is wrong with it.
    pub problem: Option<Problem>,
    /// Last reading or answer, ms since 1970.
    pub seen_at: Option<i64>,
}

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
    /// Where the asker wants the answer.
    pub reply: Option<Reply>,
    /// How a broker's redelivery of the same message is recognised.
    pub redelivery: Option<String>,
    /// Has the broker taken the result? True from the start where no broker shall.
    pub told: bool,
    /// Every change of state.
    pub events: Vec<Event>,
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

/// A point over one hour.
#[derive(Debug, Clone, PartialEq)]
pub struct HourRow {
    /// Whose.
    pub device: DeviceId,
    /// Start of the hour, ms since 1970.
    pub hour: i64,
    /// Which point; only numbers have hours.
    pub point: PointId,
    /// How many values of good or fair quality.
    pub n: u64,
    /// Their mean.
    pub avg: f64,
    /// Least.
    pub min: f64,
    /// Greatest.
    pub max: f64,
}

/// What the journal found when it was opened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recovery {
    /// Readings that were taken and not committed before the last end.
    pub replayed: u64,
    /// Batches that could not be read while looking for the latest readings.
    pub damaged_batches: u64,
    /// Bytes of a torn end of the pending file that were cut.
    pub torn_bytes: u64,
    /// The last end was an ordered one, or this is the first start.
    pub clean: bool,
    /// The latest reading of every device.
    pub latest: Vec<Stored>,
    /// Commands that were executing, oldest first.
    pub in_flight: Vec<CommandRow>,
    /// Commands that waited, oldest first.
    pub waiting: Vec<CommandRow>,
    /// Every device that was ever announced.
    pub devices: Vec<DeviceRow>,
}
