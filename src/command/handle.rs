//! What doors hold: one admission path for all of them.

use std::{sync::Arc, time::Duration};

use adapter_api::Clock;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{
    Accepted, Notice, Port, Refusal, RefusalCode, Request, admission,
    messages::{Key, Message, Reserved},
    state,
};
use crate::{
    devices::Devices,
    journal::{CommandRow, Journal},
};

/// An id is remembered this long.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Defaults for commands.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How long a command may wait when it does not say.
    pub expires_in: Duration,
}

/// A handle to the commands.
#[derive(Clone)]
pub struct Commands {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub messages: mpsc::Sender<Message>,
    pub notices: broadcast::Sender<Notice>,
    pub wake: watch::Sender<u64>,
    pub journal: Journal,
    pub devices: Devices,
    pub clock: Clock,
    pub settings: Settings,
}

impl Commands {
    /// Checks a request, keeps it and queues it. Returns after the commit. It goes on to its end
    /// when the caller goes away.
    ///
    /// # Errors
    /// A [`Refusal`] in words; nothing is queued then.
    pub async fn submit(&self, request: Request) -> Result<Accepted, Refusal> {
        let commands = self.clone();
        let admission = tokio::spawn(async move { commands.admit(request).await });
        admission.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Progress and results from now on. Who lags loses the oldest; results are in the journal.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.shared.notices.subscribe()
    }

    /// Where one adapter pulls its commands.
    pub fn port(&self, adapter: &str) -> Port {
        Port::new(adapter, self.shared.clone())
    }

    /// How a command stands: live, else as the journal has it.
    pub async fn find(&self, id: &str) -> Option<Arc<CommandRow>> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Find { id: id.to_owned(), reply };
        if self.shared.messages.send(message).await.is_ok()
            && let Ok(Some(row)) = answer.await
        {
            return Some(row);
        }
        self.shared.journal.reader().command_by_id(id).await.ok().flatten().map(Arc::new)
    }

    /// Does the dispatcher turn? For the watchdog.
    pub async fn turns(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        match self.shared.messages.send(Message::Find { id: String::new(), reply }).await {
            Ok(()) => answer.await.is_ok() || self.shared.messages.is_closed(),
            // It ended in order; a dead one ends the process.
            Err(_) => true,
        }
    }

    async fn admit(&self, request: Request) -> Result<Accepted, Refusal> {
        let keys: Vec<_> = [
            request.id.as_ref().map(|id| Key::Id(id.clone())),
            request.redelivery.as_ref().map(|message| Key::Message(message.clone())),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let Some(row) = self.reserve(&keys, &request).await? {
            return known(row, &request);
        }
        let result = self.admit_reserved(request).await;
        let row = match &result {
            Ok(Accepted::New(row)) => Some(row.clone()),
            _ => None,
        };
        let _ = self.shared.messages.send(Message::Release { keys, row }).await;
        result
    }

    /// Waits until nobody else admits the same id or message; gives the live command of that name.
    async fn reserve(&self, keys: &[Key], request: &Request) -> Result<Option<Arc<CommandRow>>, Refusal> {
        loop {
            let (reply, answer) = oneshot::channel();
            let message = Message::Reserve { keys: keys.to_vec(), redelivered: request.redelivered, reply };
            self.shared.messages.send(message).await.map_err(|_| stopping())?;
            match answer.await.map_err(|_| stopping())? {
                Reserved::Free => return Ok(None),
                Reserved::Live(row) => return Ok(Some(row)),
                Reserved::Full => {
                    let message =
                        "too many commands wait for their devices; send fewer, or with a shorter expiresIn";
                    return Err(Refusal::new(RefusalCode::Busy, message));
                }
                Reserved::Wait(other) => {
                    let _ = other.await;
                }
            }
        }
    }

    async fn admit_reserved(&self, request: Request) -> Result<Accepted, Refusal> {
        let Shared { journal, devices, clock, settings, .. } = &*self.shared;
        if let Some(row) = self.remembered(&request).await? {
            return known(Arc::new(row), &request);
        }
        let device = devices.get(&request.device);
        let names: Vec<_> = devices.all().into_iter().map(|row| row.info.id.to_string()).collect();
        admission::check(&request, device.as_ref(), &names)?;
        let row = state::accept(request, settings.expires_in, clock.now())?;
        let row = journal.insert_command(row).await.map_err(|error| not_kept(&error))?;
        let row = Arc::new(row);
        let _ = self.shared.notices.send(Notice::Progress(row.clone()));
        Ok(Accepted::New(row))
    }

    async fn remembered(&self, request: &Request) -> Result<Option<CommandRow>, Refusal> {
        let reader = self.shared.journal.reader();
        let since =
            self.shared.clock.now().wall_ms - i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
        if let Some(id) = &request.id {
            let row = reader.command_by_id(id).await.map_err(|error| not_kept(&error))?;
            if let Some(row) = row.filter(|row| row.accepted_at >= since) {
                return Ok(Some(row));
            }
        }
        match &request.redelivery {
            Some(message) if request.redelivered => {
                reader.command_by_redelivery(message, since).await.map_err(|error| not_kept(&error))
            }
            _ => Ok(None),
        }
    }
}

fn known(row: Arc<CommandRow>, request: &Request) -> Result<Accepted, Refusal> {
    let same = row.device == *request.device.as_str()
        && row.command == request.command
        && row.parameters == request.parameters;
    if same {
        return Ok(Accepted::Known(row));
    }
    Err(Refusal::new(
        RefusalCode::IdReused,
        format!(
            "the id `{}` was used for {} on `{}` with other parameters; send a new id",
            row.id, row.command, row.device
        ),
    ))
}

fn stopping() -> Refusal {
    Refusal::new(RefusalCode::Stopping, "the gateway is stopping; send it again when it is back")
}

fn not_kept(error: &crate::journal::JournalError) -> Refusal {
    Refusal::new(RefusalCode::NotKept, format!("the command could not be kept: {error}"))
}
