//! One command in an adapter's hands, and where an adapter gets the next. Owns neither queue nor
//! journal: both are the gateway's side.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use crate::{BoxFuture, DeviceId, Parameters, UnitId, WriteOutcome};

/// What the adapter is asked to do with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Write, settle, read back.
    Execute,
    /// It may have been written before a crash or a lost answer: read back only.
    ReadBack,
    /// It holds its setpoint: look whether the device still shows it, and if so write it again, so
    /// that the device's own revert timer starts anew. What the device no longer shows is not
    /// written but told as a mismatch.
    Renew,
}

/// May a command write what wears out?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wear {
    /// Its registers do not wear.
    None,
    /// It may, when a fresh read shows something else.
    Allowed,
    /// Not now, for this reason; it can still find that nothing needs to be written.
    Spent(String),
    /// Some of its registers wear and others do not: the driver writes those that wear only where they show
    /// something else, and tells. With a reason it may not write them now.
    Partly(Option<String>),
}

/// What is asked of an adapter.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The command's number in the journal.
    pub number: u64,
    /// For whom.
    pub device: DeviceId,
    /// On which unit.
    pub unit: UnitId,
    /// Which.
    pub command: Arc<str>,
    /// With what.
    pub parameters: Parameters,
    /// Write, or only look.
    pub purpose: Purpose,
    /// How long the proof may take.
    pub verify_for: Duration,
    /// What the device's own revert timer shall be set to; none: no timer may be left running.
    pub timer: Option<Duration>,
    /// May it write what wears out?
    pub wear: Wear,
    /// Does its target have to be read first? See [`Job::resolve`].
    pub relative: bool,
}

/// One command in an adapter's hands. It is durably `executing`; settling it is the only way to
/// put it down. A job that is dropped (a panic, a cancelled task) tells so, and the command is read
/// back: it can never be forgotten, nor silently repeated.
pub struct Job {
    asked: Asked,
    hands: Option<Box<dyn JobPort>>,
}

/// The gateway's side of a [`Job`].
pub trait JobPort: Send + Sync {
    /// Keeps what a relative command comes to, durably; false when it could not be kept.
    fn resolve<'a>(&'a mut self, command: &'a Arc<str>, parameters: &'a Parameters) -> BoxFuture<'a, bool>;
    /// What wears out is being written; told before the outcome, and only of [`Wear::Partly`].
    fn wears(&mut self) {}
    /// The outcome, or none when the job was dropped.
    fn settle(self: Box<Self>, outcome: Option<WriteOutcome>);
}

impl Job {
    /// A job whose end is told to the gateway's side.
    pub fn new(asked: Asked, hands: impl JobPort + 'static) -> Self {
        Self { asked, hands: Some(Box::new(hands)) }
    }

    /// A relative command (`toggle`) comes to this one, by a fresh read. Nothing may be sent before
    /// this returned true: after a crash the gateway must know what was sent.
    #[must_use]
    pub async fn resolve(&mut self, command: Arc<str>, parameters: Parameters) -> bool {
        let kept = match &mut self.hands {
            Some(hands) => hands.resolve(&command, &parameters).await,
            None => false,
        };
        if kept {
            (self.asked.command, self.asked.parameters, self.asked.relative) = (command, parameters, false);
        }
        kept
    }

    /// What wears out is being written.
    pub fn wears(&mut self) {
        if let Some(hands) = &mut self.hands {
            hands.wears();
        }
    }

    /// Puts the job down.
    pub fn settle(mut self, outcome: WriteOutcome) {
        if let Some(hands) = self.hands.take() {
            hands.settle(Some(outcome));
        }
    }
}

impl Deref for Job {
    type Target = Asked;

    fn deref(&self) -> &Asked {
        &self.asked
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(hands) = self.hands.take() {
            hands.settle(None);
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({} {} {:?} {:?})", self.number, self.device, self.command, self.purpose)
    }
}

/// The gateway's side of [`Commands`].
pub trait CommandPort: Send {
    /// Waits until a command may be due for this adapter. Cancel safe, and may wake for nothing.
    fn ready(&mut self) -> BoxFuture<'_, ()>;
    /// Takes the next one, if there is one: it is durably `executing` before this returns.
    /// Not to be cancelled.
    fn take(&mut self) -> BoxFuture<'_, Option<Job>>;
    /// Does somebody wait urgently for this unit, because a setpoint has to be given back? Then it
    /// is probed more often than its backoff says.
    fn is_urgent(&self, unit: &UnitId) -> bool;
}

/// An adapter pulls its commands here when it is ready for one. Priority, expiry and one in flight
/// per unit are decided at that moment.
pub struct Commands(Box<dyn CommandPort>);

impl Commands {
    /// Wraps the gateway's side.
    pub fn new(port: impl CommandPort + 'static) -> Self {
        Self(Box::new(port))
    }

    /// See [`CommandPort::ready`].
    pub async fn ready(&mut self) {
        self.0.ready().await;
    }

    /// See [`CommandPort::take`].
    pub async fn take(&mut self) -> Option<Job> {
        self.0.take().await
    }

    /// See [`CommandPort::is_urgent`].
    pub fn is_urgent(&self, unit: &UnitId) -> bool {
        self.0.is_urgent(unit)
    }
}
