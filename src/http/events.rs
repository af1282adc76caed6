//! What happens to commands, as server-sent events.
//!
//! | event | data |
//! | --- | --- |
//! | `accepted`, `executing` | progress |
//! | `result` | a result |
//! | `lease_lost` | who lost which setpoint, and why |
//! | `batch` | the summary of a batch; not on the stream of one device |
//! | `lagged` | `missed`: so many events were lost, because the reader was too slow; it goes on |
//!
//! The JSON is that of `command::wire`. A comment comes every 15 s, so that both sides see whether
//! the other is there. All streams end when the gateway stops.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream::{Stream, unfold};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    Api,
    answer::{Asked, unknown_command, unknown_device},
};
use crate::{
    command::{Commands, Notice, wire},
    journal::{CommandRow, Event as Change},
};

/// How often a silent stream shows that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// The events of one command: first how it stands, last its result.
pub(super) async fn of_command(State(api): State<Api>, Path(id): Path<String>) -> Response {
    // Before it is looked up, so that nothing falls in between.
    let notices = api.commands.notices();
    let Some(row) = api.commands.find(&id).await else { return unknown_command(&id) };
    let mut stream = Events::new(&api, notices, Scope::Command(id));
    stream.stands(&row);
    answer(stream)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    device: Option<String>,
}

/// The events of all commands, or of those for one device.
pub(super) async fn of_all(State(api): State<Api>, Asked(which): Asked<Which>) -> Response {
    let scope = match which.device {
        Some(device) if api.devices.get(&device).is_none() => return unknown_device(&api, &device),
        Some(device) => Scope::Device(device),
        None => Scope::All,
    };
    answer(Events::new(&api, api.commands.notices(), scope))
}

fn answer(events: Events) -> Response {
    let events = stream(events);
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

#[derive(Debug, PartialEq)]
enum Scope {
    All,
    Device(String),
    Command(String),
}

impl Scope {
    fn has(&self, notice: &Notice) -> bool {
        let (device, id) = match notice {
            Notice::Progress(row) | Notice::Result(row) => (row.device.as_str(), row.id.as_str()),
            Notice::LeaseLost(lost) => (lost.device.as_str(), lost.id.as_str()),
            // One of commands that all came before says nothing.
            Notice::Batch(row) => return *self == Self::All && row.total > 0,
        };
        match self {
            Self::All => true,
            Self::Device(wanted) => wanted == device,
            Self::Command(wanted) => wanted == id,
        }
    }
}

/// Did something happen that is not known? Only the first and the latest changes of a command are
/// kept, so that their number says nothing.
fn is_news(row: &CommandRow, known: &[Change]) -> bool {
    row.events.last().is_none_or(|last| !known.contains(last))
}

type Told = (&'static str, Value);

fn told(notice: &Notice) -> Told {
    match notice {
        Notice::Progress(row) => (wire::status_word(row.status), wire::progress(row)),
        Notice::Result(row) => ("result", wire::result(row)),
        Notice::LeaseLost(lost) => ("lease_lost", wire::lease_lost(lost)),
        Notice::Batch(row) => ("batch", wire::batch(row)),
    }
}

struct Events {
    commands: Commands,
    notices: Receiver<Notice>,
    stopping: tokio_util::sync::CancellationToken,
    scope: Scope,
    ready: VecDeque<Told>,
    /// Changes of the one command that were told.
    known: Vec<Change>,
    ended: bool,
}

impl Events {
    fn new(api: &Api, notices: Receiver<Notice>, scope: Scope) -> Self {
        Self {
            commands: api.commands.clone(),
            notices,
            stopping: api.stopping.clone(),
            scope,
            ready: VecDeque::new(),
            known: Vec::new(),
            ended: false,
        }
    }

    /// The one command stands like this.
    fn stands(&mut self, row: &Arc<CommandRow>) {
        let notice = match row.outcome {
            Some(_) => Notice::Result(row.clone()),
            None => Notice::Progress(row.clone()),
        };
        self.take(&notice);
    }

    fn take(&mut self, notice: &Notice) {
        if self.ended || !self.scope.has(notice) {
            return;
        }
        if let (Scope::Command(_), Notice::Progress(row) | Notice::Result(row)) = (&self.scope, notice) {
            self.ended = row.outcome.is_some();
            // What was told as its standing comes as a notice as well.
            if !self.ended && !is_news(row, &self.known) {
                return;
            }
            self.known.clone_from(&row.events);
        }
        self.ready.push_back(told(notice));
    }

    async fn missed(&mut self, missed: u64) {
        self.ready.push_back(("lagged", json!({"missed": missed})));
        // Its end may be among them.
        if let Scope::Command(id) = &self.scope
            && let Some(row) = self.commands.find(&id.clone()).await
        {
            self.stands(&row);
        }
    }

    /// The next event; none when there will be no more.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            let notice = tokio::select! {
                notice = self.notices.recv() => notice,
                () = self.stopping.cancelled() => return None,
            };
            match notice {
                Ok(notice) => self.take(&notice),
                Err(RecvError::Lagged(missed)) => self.missed(missed).await,
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn stream(events: Events) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(events, |mut events| async {
        let told = events.next().await?;
        Some((Ok(event(&told)), events))
    })
}

fn event((name, data): &Told) -> Event {
    Event::default().event(name).data(data.to_string())
}
