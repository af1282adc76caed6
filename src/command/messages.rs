//! What the dispatcher is told and asked by doors and ports.

use adapter_api::{Asked, BoxFuture, JobPort, Parameters, WriteOutcome};
use std::sync::Arc;
use tokio::sync::{
    mpsc::{self, OwnedPermit},
    oneshot,
};

use super::{
    Accepted, Cancelled, Refusal, Request,
    engine::{Scope, What},
};
use crate::journal::{Change, CommandRow, Step};

/// What must not be admitted twice at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Id(String),
    Message(String),
}

/// By what an admission is recognised.
pub(super) fn keys(request: &Request) -> Vec<Key> {
    let id = request.id.as_ref().map(|id| Key::Id(id.clone()));
    let message = request.redelivery.as_ref().map(|message| Key::Message(message.clone()));
    id.into_iter().chain(message).collect()
}

pub(super) enum Message {
    /// `looked`: it is in the journal under none of its keys, which it has reserved.
    Admit {
        request: Box<Request>,
        looked: bool,
        reply: oneshot::Sender<Admission>,
    },
    /// It was found in the journal: its keys are free again.
    Release {
        keys: Vec<Key>,
    },
    Find {
        id: String,
        reply: oneshot::Sender<Option<Arc<CommandRow>>>,
    },
    BatchBegin {
        id: String,
        begin: Box<Change>,
        reply: oneshot::Sender<bool>,
    },
    BatchComplete {
        id: String,
        complete: Box<Change>,
    },
    Cancel {
        id: String,
        by: String,
        reply: oneshot::Sender<Option<Result<Cancelled, Refusal>>>,
    },
    /// `place` is where the outcome goes: settling never waits.
    Take {
        adapter: String,
        place: OwnedPermit<Message>,
        reply: oneshot::Sender<Option<Hands>>,
    },
    NotTaken {
        what: What,
    },
    /// No outcome: the adapter let it fall. `wore`: some of what it wrote wears out.
    Settled {
        what: What,
        outcome: Option<WriteOutcome>,
        wore: bool,
    },
    Resolve {
        number: u64,
        step: Step,
        reply: oneshot::Sender<bool>,
    },
    /// Resolves when everything in the scope is given back.
    Close {
        scope: Scope,
        reason: String,
        reply: oneshot::Sender<()>,
    },
    Reopen,
}

/// What an admission comes to.
pub(super) enum Admission {
    Done(Result<Accepted, Refusal>),
    /// A command of that name has not ended.
    Live(Arc<CommandRow>),
    /// Look into the journal first; the keys are reserved meanwhile.
    LookUp,
    /// Another admission has a key; ask again when this resolves.
    Wait(oneshot::Receiver<()>),
}

/// A command on its way to an adapter, and in its job. An adapter that is cut off before it has a
/// job gives the command back, else its unit would be busy for ever.
pub(super) struct Hands {
    pub what: What,
    pub asked: Asked,
    /// It has told that some of what it writes wears out.
    wore: bool,
    place: Option<OwnedPermit<Message>>,
    messages: mpsc::Sender<Message>,
}

impl Hands {
    pub fn new(
        what: What,
        asked: Asked,
        place: OwnedPermit<Message>,
        messages: mpsc::Sender<Message>,
    ) -> Self {
        Self { what, asked, wore: false, place: Some(place), messages }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            place.send(Message::NotTaken { what: self.what.clone() });
        }
    }
}

impl JobPort for Hands {
    fn resolve<'a>(&'a mut self, command: &'a Arc<str>, parameters: &'a Parameters) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let What::Command(number) = self.what else { return false };
            let step = Step { command: command.to_string(), parameters: parameters.clone() };
            let (reply, kept) = oneshot::channel();
            let told = self.messages.send(Message::Resolve { number, step, reply }).await;
            told.is_ok() && kept.await.unwrap_or(false)
        })
    }

    fn wears(&mut self) {
        self.wore = true;
    }

    fn settle(mut self: Box<Self>, outcome: Option<WriteOutcome>) {
        if let Some(place) = self.place.take() {
            place.send(Message::Settled { what: self.what.clone(), outcome, wore: self.wore });
        }
    }
}
