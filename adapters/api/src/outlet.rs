//! Where an adapter puts what it learns.

use std::sync::Arc;

use crate::{Availability, BoxFuture, DeviceId, DeviceInfo, Problem, Reading};

/// The gateway no longer takes readings: it is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the gateway is stopping and takes no more readings")]
pub struct Closed;

/// What is counted of a device, from the start of the process on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Polls that were asked for and came to nothing: no answer, or none that could be believed.
    FailedPolls,
    /// Polls whose time passed before the link was free for them. They are dropped, never piled up.
    MissedPolls,
    /// Values outside of what they can be: left out.
    OutOfRange,
    /// Values that the device gave before, and now says that it has not: left out.
    Sentinels,
    /// Lifetime counters that stood lower than before: not believed until they stay.
    FallingCounters,
    /// Lifetime counters that rose by more than the device can move: not believed until they stay.
    Leaps,
}

impl Counter {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailedPolls => "failedPolls",
            Self::MissedPolls => "missedPolls",
            Self::OutOfRange => "outOfRange",
            Self::Sentinels => "sentinels",
            Self::FallingCounters => "fallingCounters",
            Self::Leaps => "leaps",
        }
    }
}

/// The gateway's side of [`Outlet`].
pub trait OutletPort: Send + Sync {
    /// Takes readings; waits only for room, or for the commit when `durable`.
    fn publish(&self, readings: Vec<Reading>, durable: bool) -> BoxFuture<'_, Result<(), Closed>>;
    /// A device exists, or changed.
    fn announce(&self, device: DeviceInfo) -> BoxFuture<'_, ()>;
    /// A device answers, or does not.
    fn availability(&self, device: DeviceId, state: Availability) -> BoxFuture<'_, ()>;
    /// What is wrong with a device, or nothing.
    fn problem(&self, device: DeviceId, problem: Option<Problem>) -> BoxFuture<'_, ()>;
    /// Something happened to a device so many times more.
    fn count(&self, device: DeviceId, what: Counter, times: u64);
}

/// An adapter's way out. Back-pressure is here: an adapter that waits in `publish` polls no more.
#[derive(Clone)]
pub struct Outlet(Arc<dyn OutletPort>);

impl Outlet {
    /// Wraps the gateway's side.
    pub fn new(port: impl OutletPort + 'static) -> Self {
        Self(Arc::new(port))
    }

    /// Hands readings over; returns when they are taken. They survive a crash of the process from
    /// then on, and a power cut from the next group commit on.
    ///
    /// # Errors
    /// [`Closed`] when the gateway is stopping.
    pub async fn publish(&self, readings: Vec<Reading>) -> Result<(), Closed> {
        self.0.publish(readings, false).await
    }

    /// Hands readings over and returns after the commit: what follows may be acknowledged to
    /// whoever sent them.
    ///
    /// # Errors
    /// [`Closed`] when the gateway is stopping.
    pub async fn publish_durable(&self, readings: Vec<Reading>) -> Result<(), Closed> {
        self.0.publish(readings, true).await
    }

    /// Tells that a device exists, or changed.
    pub async fn announce(&self, device: DeviceInfo) {
        self.0.announce(device).await;
    }

    /// Tells whether a device answers.
    pub async fn availability(&self, device: &DeviceId, state: Availability) {
        self.0.availability(device.clone(), state).await;
    }

    /// Tells what is wrong, or that nothing is.
    pub async fn problem(&self, device: &DeviceId, problem: Option<Problem>) {
        self.0.problem(device.clone(), problem).await;
    }

    /// Counts what happened to a device.
    pub fn count(&self, device: &DeviceId, what: Counter, times: u64) {
        self.0.count(device.clone(), what, times);
    }
}
