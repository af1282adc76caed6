//! The connection to the broker: one task that owns the client and always polls it.
//!
//! Each connection gets a client of its own. A client that is used again would repeat what it held
//! when the old connection ended (or drop it, when the broker forgot the session), keep packet ids
//! that collided, and hand out events of the old connection; what must not be lost is in the
//! journal instead. A poll is never cancelled: it may be between taking a packet and writing it.

mod farewell;
mod incoming;
mod outgoing;
mod turn;

use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use rumqttc::{
    Outgoing,
    v5::{AsyncClient, Event},
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::farewell::Farewell;
use super::{
    arrivals::Arrivals,
    connect::{self, Lost, STUCK},
    inbox::{Answer, Work},
    link::{Link, QUEUE},
    message::Message,
    outbox::Outbox,
    settings::Settings,
    states::States,
    topics::Topics,
};
use crate::{
    command::{Commands, LeaseView, Notice},
    journal::{BatchRow, CommandRow, Journal},
};

/// First and longest pause between connections.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// A connection that held this long was a good one; the next pause is short again.
const GOOD: Duration = Duration::from_secs(30);
/// Answers that wait for the client; admission waits when there are more.
const REPLIES: usize = 64;

/// What shows that states have to be looked at.
pub(super) struct Changes {
    pub live: watch::Receiver<u64>,
    pub devices: watch::Receiver<u64>,
    pub leases: watch::Receiver<Arc<Vec<LeaseView>>>,
}

/// What runs beside the connection, each for a moment.
enum Chore {
    Untold { rows: Vec<CommandRow>, all: bool },
    UntoldBatches { rows: Vec<BatchRow>, all: bool },
    Kept,
}

enum Out {
    Publish(Message),
    Acknowledge(u16),
}

/// See the module.
pub(super) struct Connection {
    settings: Settings,
    client_id: String,
    expires_in: Duration,
    topics: Topics,
    journal: Journal,
    work: mpsc::Sender<Work>,
    answers: mpsc::Receiver<Answer>,
    /// Keeps the notices open.
    _commands: Commands,
    notices: broadcast::Receiver<Notice>,
    changes: Changes,
    states: States,
    outbox: Outbox,
    arrivals: Arrivals,
    replies: VecDeque<Out>,
    progress: VecDeque<Message>,
    chores: JoinSet<Chore>,
    /// Number of the connection: what is due on another one is dropped.
    number: u64,
    link: Option<Link>,
    up_since: Option<Instant>,
    /// The broker forgot the session, and admission does not know yet.
    session_is_new: bool,
    /// When results that the broker did not take are tried again.
    try_again: Option<Instant>,
    /// The connection is closed to fetch what found no room.
    fetching: bool,
    /// Was it said on this connection that the broker refuses messages?
    refusals_told: bool,
    farewell: Option<Farewell>,
    down: bool,
}

impl Connection {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        settings: Settings,
        client_id: String,
        expires_in: Duration,
        topics: Topics,
        commands: Commands,
        states: States,
        changes: Changes,
        journal: Journal,
        work: mpsc::Sender<Work>,
        answers: mpsc::Receiver<Answer>,
    ) -> Self {
        Self {
            settings,
            client_id,
            expires_in,
            topics,
            journal,
            work,
            answers,
            notices: commands.notices(),
            _commands: commands,
            changes,
            states,
            outbox: Outbox::default(),
            arrivals: Arrivals::default(),
            replies: VecDeque::new(),
            progress: VecDeque::new(),
            chores: JoinSet::new(),
            number: 0,
            link: None,
            up_since: None,
            session_is_new: false,
            try_again: None,
            fetching: false,
            refusals_told: false,
            farewell: None,
            down: false,
        }
    }

    /// Connects until shutdown, again and again.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut pauses = pauses();
        let mut pause = Duration::ZERO;
        while let Err(lost) = self.connection(pause, &shutdown).await {
            let held = self.up_since.take().map(|since| since.elapsed());
            self.forget();
            if self.farewell.is_some() {
                break;
            }
            if held.is_some_and(|held| held >= GOOD) {
                pauses = self::pauses();
            }
            pause = match lost {
                Lost::Fetch => Duration::ZERO,
                _ => pauses.next().unwrap_or(PAUSE.1),
            };
            if matches!(lost, Lost::Fetch) {
                tracing::debug!("MQTT broker is asked for commands that found no room");
            } else if !std::mem::replace(&mut self.down, true) {
                tracing::warn!(broker = self.settings.url, error = %lost, remedy = lost.remedy(),
                    "MQTT broker is not connected; results wait in the journal");
            }
        }
    }

    /// One connection, from the pause before it to its end; `Ok` when it was ended by shutdown.
    async fn connection(&mut self, pause: Duration, shutdown: &CancellationToken) -> Result<(), Lost> {
        let options = connect::options(&self.settings, &self.client_id, self.expires_in, &self.topics);
        let mut pause = Some(pause);
        let (client, mut events) = match options.await {
            Ok(options) => AsyncClient::new(options, QUEUE),
            Err(lost) => {
                tokio::select! {
                    // The pause of this one is long enough for the next.
                    () = sleep(PAUSE.1) => {}
                    () = shutdown.cancelled() => self.stop(),
                }
                return Err(lost);
            }
        };
        self.number += 1;
        self.link = Some(Link::new(client));
        loop {
            // The broker may have asked for a longer keep-alive when it took the connection.
            let stuck = events.options.keep_alive().mul_f32(STUCK);
            let polled = {
                let next = async {
                    if let Some(pause) = pause.take() {
                        sleep(pause).await;
                    }
                    timeout(stuck, events.poll()).await
                };
                let mut next = pin!(next);
                loop {
                    let turn = tokio::select! {
                        polled = &mut next => break polled,
                        turn = self.turn(shutdown) => turn,
                    };
                    self.handle(turn);
                    self.fill();
                    if self.is_over() {
                        return Ok(());
                    }
                }
            };
            let event = polled.map_err(|_| Lost::Stuck)?.map_err(|error| Lost::Client(Box::new(error)))?;
            let left = matches!(event, Event::Outgoing(Outgoing::Disconnect));
            self.event(event)?;
            self.fill();
            if left && std::mem::take(&mut self.fetching) && self.farewell.is_none() {
                return Err(Lost::Fetch);
            }
            if left || self.is_over() {
                return Ok(());
            }
        }
    }

    fn is_up(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_up)
    }

    /// The connection ended: nothing that was under way on it counts.
    fn forget(&mut self) {
        self.link = None;
        self.fetching = false;
        self.replies.clear();
        self.progress.clear();
        self.outbox.lost();
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(PAUSE.0)
        .with_max_delay(PAUSE.1)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
}
