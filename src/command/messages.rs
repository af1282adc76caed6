//! What the dispatcher is told and asked by doors and ports.

use std::{sync::Arc, time::Duration};

use adapter_api::{Purpose, UnitId, WriteOutcome};
use tokio::sync::oneshot;

use crate::journal::CommandRow;

/// What must not be admitted twice at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Id(String),
    Message(String),
}

pub(super) enum Message {
    Reserve {
        keys: Vec<Key>,
        redelivered: bool,
        reply: oneshot::Sender<Reserved>,
    },
    Release {
        keys: Vec<Key>,
        row: Option<Arc<CommandRow>>,
    },
    Find {
        id: String,
        reply: oneshot::Sender<Option<Arc<CommandRow>>>,
    },
    Take {
        adapter: String,
        reply: oneshot::Sender<Option<Taken>>,
    },
    NotTaken {
        number: u64,
    },
    /// No outcome: the adapter let it fall.
    Settled {
        number: u64,
        outcome: Option<WriteOutcome>,
    },
}

pub(super) enum Reserved {
    /// Nobody has it; the keys are the caller's until it releases them.
    Free,
    /// This one has it.
    Live(Arc<CommandRow>),
    /// Too many commands wait.
    Full,
    /// Another admission has it; ask again when this resolves.
    Wait(oneshot::Receiver<()>),
}

pub(super) struct Taken {
    pub row: Arc<CommandRow>,
    pub unit: UnitId,
    pub purpose: Purpose,
    pub verify_for: Duration,
}
