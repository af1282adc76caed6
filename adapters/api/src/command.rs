//! Commands as an adapter sees them: what a device takes, and what came of one. What is asked of an
//! adapter is a [`crate::Job`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{Capability, Value};

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
    /// Does it write what wears out (EEPROM, flash)? Then it is compared with a fresh read before
    /// anything is written, and the gateway bounds how often it is written.
    pub persistent: bool,
    /// Do some of its registers wear out, although not all? Then they are bounded alone.
    pub wears: bool,
    /// Does it always hold its setpoint for a while? Battery commands do.
    pub leased: bool,
    /// With these parameters the command gives its setpoint back to the device.
    pub safe: Option<Parameters>,
    /// Does its meaning depend on what the device shows (`toggle`)? Then its target is read fresh.
    pub relative: bool,
    /// Is it taken from this machine's own socket only?
    pub local: bool,
    /// The most that the device's own revert timer is given; none: the gateway's own longest.
    pub timer_most: Option<Duration>,
}

impl CommandSpec {
    /// A command without parameters and with nothing special about it, to fill in from.
    pub fn plain(name: &str, capability: Capability) -> Self {
        Self {
            name: Arc::from(name),
            parameters: Vec::new(),
            exactly_one: Vec::new(),
            group: None,
            idempotent: false,
            harmless: false,
            capability,
            verify_for: Duration::from_secs(5),
            persistent: false,
            wears: false,
            leased: false,
            safe: None,
            relative: false,
            local: false,
            timer_most: None,
        }
    }
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
