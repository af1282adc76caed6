//! What doors hold: one admission path for all of them.

use std::{collections::HashSet, sync::Arc, time::Duration};

use adapter_api::{Clock, UnitId};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{
    Accepted, Batch, BatchAnswer, Cancelled, LeaseView, Notice, Port, Refusal, RefusalCode, Request,
    engine::Scope,
    messages::{Admission, Message, keys},
    port::Turns,
    wear::WearLimits,
};
use crate::{
    devices::Devices,
    journal::{Change, CommandRow, Journal},
};

/// An id is remembered this long.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Defaults for commands.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How long a command may wait when it does not say.
    pub expires_in: Duration,
    /// Accepted per minute for one device and owner; 0 is no limit.
    pub rate_limit: u32,
    /// What battery commands hold when they do not say.
    pub battery_lease: Duration,
    /// How often what wears out may be written.
    pub wear: WearLimits,
}

/// A handle to the commands.
#[derive(Clone)]
pub struct Commands {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub messages: mpsc::Sender<Message>,
    pub notices: broadcast::Sender<Notice>,
    pub wake: watch::Sender<Turns>,
    /// Units with a setpoint to give back.
    pub urgent: watch::Sender<HashSet<UnitId>>,
    pub leases: watch::Sender<Arc<Vec<LeaseView>>>,
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
        // From here on the dispatcher goes on with it alone, unless the journal has to be asked first.
        match self.ask(&request, false).await?.await.map_err(|_| stopping())? {
            Admission::Done(result) => result,
            Admission::Live(row) => self.known(row, &request),
            more => {
                let commands = self.clone();
                let admission = tokio::spawn(async move { commands.admitted(request, more).await });
                admission.await.unwrap_or_else(|_| Err(stopping()))
            }
        }
    }

    /// Several at once: each is accepted or refused by itself, in their order, and one summary
    /// follows when all of them have ended. It goes on to its end when the caller goes away.
    pub async fn submit_batch(&self, batch: Batch) -> BatchAnswer {
        let id = batch.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let (commands, named) = (self.clone(), id.clone());
        let count = batch.requests.len();
        let admission = tokio::spawn(async move { commands.admit_batch(named, batch).await });
        let answers = admission.await.unwrap_or_else(|_| vec![Err(stopping()); count]);
        BatchAnswer { id, answers }
    }

    /// Takes back what waits; `by` is who asks (the door and its user).
    ///
    /// # Errors
    /// [`RefusalCode::UnknownId`], or when it could not be kept.
    pub async fn cancel(&self, id: &str, by: &str) -> Result<Cancelled, Refusal> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Cancel { id: id.to_owned(), by: by.to_owned(), reply };
        self.send(message).await?;
        if let Some(answer) = answer.await.map_err(|_| stopping())? {
            return answer;
        }
        let row = self
            .shared
            .journal
            .reader()
            .command_by_id(id)
            .await
            .map_err(|error| Refusal::not_kept(&error))?;
        match row.map(Arc::new) {
            Some(row) if row.outcome.is_some() => Ok(Cancelled::Ended(row)),
            Some(row) => Ok(Cancelled::TooLate(row)),
            None => Err(Refusal::new(
                RefusalCode::UnknownId,
                format!("there is no command with the id `{id}`; `maestro commands` lists them"),
            )),
        }
    }

    /// Every setpoint that somebody holds or wrote, as it stands; changes whenever one does.
    pub fn leases(&self) -> watch::Receiver<Arc<Vec<LeaseView>>> {
        self.shared.leases.subscribe()
    }

    /// Gives back what is held, before nobody is there to do it: at devices of these adapters, or
    /// everywhere. Nothing else is executed there from here on, until [`Self::reopen`]. Resolves when
    /// the devices have confirmed; a device that is away may keep it waiting for ever.
    pub async fn give_back(&self, adapters: Option<HashSet<String>>, reason: &str) {
        let scope = adapters.map_or(Scope::All, Scope::Adapters);
        let (reply, done) = oneshot::channel();
        if self.send(Message::Close { scope, reason: reason.to_owned(), reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Commands are executed again everywhere.
    pub async fn reopen(&self) {
        let _ = self.send(Message::Reopen).await;
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
        if self.send(Message::Find { id: id.to_owned(), reply }).await.is_ok()
            && let Ok(Some(row)) = answer.await
        {
            return Some(row);
        }
        self.shared.journal.reader().command_by_id(id).await.ok().flatten().map(Arc::new)
    }

    /// Does the dispatcher turn? For the watchdog.
    pub async fn turns(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        match self.send(Message::Find { id: String::new(), reply }).await {
            Ok(()) => answer.await.is_ok() || self.shared.messages.is_closed(),
            // It ended in order; a dead one ends the process.
            Err(_) => true,
        }
    }

    async fn send(&self, message: Message) -> Result<(), Refusal> {
        self.shared.messages.send(message).await.map_err(|_| stopping())
    }

    async fn ask(&self, request: &Request, looked: bool) -> Result<oneshot::Receiver<Admission>, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Admit { request: Box::new(request.clone()), looked, reply }).await?;
        Ok(answer)
    }

    /// Follows an admission to its end.
    async fn admitted(&self, request: Request, mut so_far: Admission) -> Result<Accepted, Refusal> {
        loop {
            let asked = match so_far {
                Admission::Done(result) => return result,
                Admission::Live(row) => return self.known(row, &request),
                Admission::Wait(other) => {
                    let _ = other.await;
                    self.ask(&request, false).await?
                }
                Admission::LookUp => {
                    let found = self.remembered(&request).await;
                    let Ok(None) = found else {
                        self.send(Message::Release { keys: keys(&request) }).await?;
                        return match found? {
                            Some(row) => self.known(Arc::new(row), &request),
                            None => Err(stopping()),
                        };
                    };
                    self.ask(&request, true).await?
                }
            };
            so_far = asked.await.map_err(|_| stopping())?;
        }
    }

    async fn admit_batch(&self, id: String, batch: Batch) -> Vec<Result<Accepted, Refusal>> {
        let begin = Change::BatchBegin { id: id.clone(), reply: batch.reply, tell: batch.tell };
        let begin = Box::new(begin);
        let (reply, kept) = oneshot::channel();
        let began = self.send(Message::BatchBegin { id: id.clone(), begin, reply }).await;
        if began.is_err() || !kept.await.unwrap_or(false) {
            let refusal = Refusal::new(RefusalCode::NotKept, "the batch could not be kept; send it again");
            return vec![Err(refusal); batch.requests.len()];
        }
        // All are asked for before the first is waited for: they share their commits.
        let mut asked = Vec::with_capacity(batch.requests.len());
        for request in batch.requests {
            asked.push(match request {
                Ok(request) => {
                    let request = Request { batch_id: Some(id.clone()), ..request };
                    self.ask(&request, false).await.map(|answer| (request, answer))
                }
                Err(refusal) => Err(refusal),
            });
        }
        let mut answers = Vec::with_capacity(asked.len());
        for asked in asked {
            answers.push(match asked {
                Ok((request, answer)) => match answer.await {
                    Ok(so_far) => self.admitted(request, so_far).await,
                    Err(_) => Err(stopping()),
                },
                Err(refusal) => Err(refusal),
            });
        }
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
        let (late, other): (Vec<_>, Vec<_>) =
            refused.partition(|refusal| refusal.code == RefusalCode::Expired);
        let (expired, refused) = (late.len() as u64, other.len() as u64);
        let complete = Box::new(Change::BatchComplete { id: id.clone(), refused, expired });
        let _ = self.send(Message::BatchComplete { id, complete }).await;
        answers
    }

    async fn remembered(&self, request: &Request) -> Result<Option<CommandRow>, Refusal> {
        let reader = self.shared.journal.reader();
        let since =
            self.shared.clock.now().wall_ms - i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
        if let Some(id) = &request.id {
            let row = reader.command_by_id(id).await.map_err(|error| Refusal::not_kept(&error))?;
            if let Some(row) = row.filter(|row| row.accepted_at >= since) {
                return Ok(Some(row));
            }
        }
        match &request.redelivery {
            Some(message) if request.redelivered => {
                reader.command_by_redelivery(message, since).await.map_err(|error| Refusal::not_kept(&error))
            }
            _ => Ok(None),
        }
    }

    /// The stored result of the same command; another command under its id is refused.
    fn known(&self, row: Arc<CommandRow>, request: &Request) -> Result<Accepted, Refusal> {
        let default = u64::try_from(self.shared.settings.battery_lease.as_millis()).unwrap_or(u64::MAX);
        let same_lease = match (&request.lease, &row.lease) {
            (Some(asked), Some(terms)) => {
                let same_revert = asked.revert.as_ref().is_none_or(|revert| *revert == terms.revert);
                u128::from(terms.lasts_ms) == asked.lasts.as_millis() && same_revert
            }
            (Some(_), None) => false,
            (None, terms) => terms.as_ref().is_none_or(|terms| terms.lasts_ms == default),
        };
        let same = row.device == *request.device.as_str()
            && row.command == request.command
            && row.parameters == request.parameters
            && same_lease;
        if same {
            return Ok(Accepted::Known(row));
        }
        Err(Refusal::new(
            RefusalCode::IdReused,
            format!(
                "the id `{}` was used for {} on `{}` with other parameters or another lease; send a new id",
                row.id, row.command, row.device
            ),
        ))
    }
}

fn stopping() -> Refusal {
    Refusal::new(RefusalCode::Stopping, "the gateway is stopping; send it again when it is back")
}
