//! What the journal keeps, as the rest of the gateway sees it.

use adapter_api::{Availability, DeviceId, DeviceInfo, PointId, Problem, Reading};

use super::command_record::CommandRow;

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
