//! Commands as an adapter sees them: what a device takes, what is asked, what came of it.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use crate::{BoxFuture, Capability, DeviceId, UnitId, Value};

/// What a parameter may be.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterKind {
    /// A number in `unit`, from `min` to `max`, in multiples of `step` (0 = any).
    Number {
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
        /// Step, 0 for any.
        step: f64,
        /// Unit in words.
        unit: Arc<str>,
    },
    /// One of these words.
    Word(Vec<Arc<str>>),
    /// true or false.
    Bool,
}

/// One parameter of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// snake_case.
    pub name: Arc<str>,
    /// What is allowed.
    pub kind: ParameterKind,
    /// Must it be given?
    pub required: bool,
}

/// One command that a device takes. Admission checks against it; nothing else reaches an adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandSpec {
    /// snake_case.
    pub name: Arc<str>,
    /// What it takes.
    pub parameters: Vec<ParameterSpec>,
    /// Exactly one of these must be given (`power | percent | enabled`); empty: no such rule.
    pub exactly_one: Vec<Arc<str>>,
    /// What it sets: a newer command of the group makes an older one pointless.
    pub group: Option<Arc<str>>,
    /// May it be sent again when nobody knows whether it was applied?
    pub idempotent: bool,
    /// Allowed although `control = false`: it changes nothing.
    pub harmless: bool,
    /// The capability that it belongs to.
    pub capability: Capability,
    /// How long fresh reads may still show the old value.
    pub verify_for: Duration,
}

/// Named values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters(pub BTreeMap<Arc<str>, Value>);

impl Parameters {
    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The number of one.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::number)
    }

    /// The word of one.
    pub fn word(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::text)
    }

    /// The switch of one.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name) {
            Some(Value::Bool(on)) => Some(*on),
            _ => None,
        }
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteOutcome {
    /// Applied. `observed` is what fresh reads showed; `verified` is false where the device
    /// accepted it but nothing can be read back; `written` is false where it was so already.
    Done {
        /// Fresh values, by parameter or point name.
        observed: Parameters,
        /// Proven by reading?
        verified: bool,
        /// Were bytes sent at all?
        written: bool,
    },
    /// The device took it and shows something else. Final.
    Mismatch {
        /// What the gateway asked for, as the device would show it.
        requested: Parameters,
        /// What the device shows.
        observed: Parameters,
    },
    /// The device said no. Final.
    Rejected {
        /// In words.
        reason: String,
    },
    /// Certainly not applied (busy, no route, or fresh reads show the old values); may be retried.
    NotApplied {
        /// In words.
        reason: String,
        /// Had bytes left? Then it is repeated only where that is harmless (`idempotent`).
        sent: bool,
    },
    /// Bytes left and no proof came back.
    Unknown {
        /// In words.
        reason: String,
    },
}

/// What the adapter is asked to do with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Write, settle, read back.
    Execute,
    /// It may have been written before a crash or a lost answer: read back only.
    ReadBack,
}

/// One command in an adapter's hands. It is durably `executing`; settling it is the only way to
/// put it down. A job that is dropped (a panic, a cancelled task) tells so, and the command is read
/// back: it can never be forgotten, nor silently repeated.
pub struct Job {
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
    settle: Option<Settle>,
}

/// Told the outcome, or none when the job was dropped.
type Settle = Box<dyn FnOnce(Option<WriteOutcome>) + Send + Sync>;

impl Job {
    /// A job whose end is told to `settle`: its outcome, or none when it was dropped.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        number: u64,
        device: DeviceId,
        unit: UnitId,
        command: Arc<str>,
        parameters: Parameters,
        purpose: Purpose,
        verify_for: Duration,
        settle: impl FnOnce(Option<WriteOutcome>) + Send + Sync + 'static,
    ) -> Self {
        let settle = Some(Box::new(settle) as Settle);
        Self { number, device, unit, command, parameters, purpose, verify_for, settle }
    }

    /// Puts the job down.
    pub fn settle(mut self, outcome: WriteOutcome) {
        if let Some(settle) = self.settle.take() {
            settle(Some(outcome));
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(settle) = self.settle.take() {
            settle(None);
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
}
