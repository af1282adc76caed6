//! The embedded MQTT broker, for homes that have none.
//!
//! Owns one listening socket, one thread and everything that lives on it: MQTT 3.1.1 and 5, retained
//! messages, sessions of clients that are away, last wills. The protocol is `rmqtt`'s; this module
//! decides what it is allowed to do.
//!
//! Never: TLS (rmqtt would bring a second TLS stack), a file (what the broker holds dies with the
//! process; what must not be lost is in the journal), a connection from another machine without a
//! password.
//!
//! What rmqtt does not do, and clients must live with: it leaves the closing of the connection to the
//! client after a DISCONNECT; a DISCONNECT with reason 0x04 does not send the last will; what was
//! unconfirmed when a client vanished comes again newest first; there are no shared subscriptions.

mod door;
mod retained;
mod settings;

use std::{net::SocketAddr, num::NonZeroU16, sync::Arc, thread, time::Duration};

use rmqtt::{
    context::ServerContext,
    hook::Type,
    net::{Builder, Listener},
    router::DefaultRouter,
    server::MqttServer,
    shared::DefaultShared,
};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use door::Door;
use retained::{MAX_TOPIC_LEVELS, Retained, RetainedPort};
pub use settings::{Password, Settings};

/// The largest packet in or out: Zigbee2MQTT's device list is the largest that homes have.
const MAX_PACKET: u32 = 1024 * 1024;
/// Messages that wait for one client, there or away; the oldest of QoS 1 goes first when more come. The
/// longest burst of a home (every retained state, every discovery message) is a tenth of it.
const MAX_QUEUE: usize = 20_000;
/// Unacknowledged messages in each direction (Receive Maximum): the gateway confirms a group of
/// readings at a time, and a window shorter than the group would stop the senders.
const WINDOW: NonZeroU16 = NonZeroU16::new(1_000).expect("not zero");
/// Sessions at once, connected or away.
const MAX_SESSIONS: isize = 1_000;
/// How long a client may be away before its session is forgotten, whatever it asks for: a queue that
/// nobody will ever empty must not stay.
const MAX_AWAY: Duration = Duration::from_secs(24 * 3600);
/// A connection that sends no CONNECT is closed.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that may be at their CONNECT at once.
const HANDSHAKES: usize = 64;
/// How often expired retained messages are removed; they are never delivered, this frees memory.
const SWEEP: Duration = Duration::from_secs(60);

/// Why there is no broker. Each text says the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// [`Settings::check`] says no.
    #[error("{0}")]
    Settings(String),
    /// Somebody else listens there.
    #[error(
        "[broker] listen = \"{0}\": the port is in use, most likely by another MQTT broker. Remove [broker] \
         and name that one in [mqtt_api] url, or listen on another port"
    )]
    InUse(SocketAddr),
    /// The address is not of this machine, or the port is not allowed to this user.
    #[error(
        "[broker] listen = \"{address}\" cannot be opened: use an address of this machine and a port above 1023"
    )]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No thread or no event loop to run on: the machine is out of memory or of file handles.
    #[error("the broker has no thread to run on: free memory or raise the limit of open files")]
    Thread(#[source] std::io::Error),
    /// It ended by itself. Starting again helps.
    #[error("the broker ended by itself")]
    Ended,
}

/// A listening broker. Dropping it stops it; [`Broker::run`] waits for the end as well.
#[derive(Debug)]
pub struct Broker {
    local: SocketAddr,
    stop: DropGuard,
    ended: oneshot::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

impl Broker {
    /// Opens the socket and serves from now on.
    ///
    /// The broker has an event loop of its own: rmqtt leaves its tasks to the loop that it was called
    /// on, and only the end of that loop ends them all.
    pub async fn start(settings: &Settings) -> Result<Self, BrokerError> {
        settings.check().map_err(BrokerError::Settings)?;
        let (settings, stop) = (settings.clone(), CancellationToken::new());
        let (opened, answer) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let token = stop.clone();
        let thread = thread::Builder::new()
            .name("broker".into())
            .spawn(move || {
                serve(&settings, opened, &token);
                // Nobody may be left to hear it.
                let _ = end.send(());
            })
            .map_err(BrokerError::Thread)?;
        let local = answer.await.map_err(|_| BrokerError::Ended)??;
        tracing::info!(address = %local, "MQTT broker listens");
        Ok(Self { local, stop: stop.drop_guard(), ended, thread })
    }

    /// Where it listens, with the port that was taken for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until `shutdown`, then closes every connection and waits for the thread to end.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), BrokerError> {
        let by_itself = tokio::select! {
            _ = &mut self.ended => true,
            () = shutdown.cancelled() => false,
        };
        if !by_itself {
            drop(self.stop);
            // An error is the thread's end too: its panic dropped the sender.
            let _ = self.ended.await;
        }
        let panicked = self.thread.join().is_err();
        tracing::info!(address = %self.local, "MQTT broker stopped");
        if by_itself || panicked { Err(BrokerError::Ended) } else { Ok(()) }
    }
}

type Opened = oneshot::Sender<Result<SocketAddr, BrokerError>>;

/// The broker's thread: from the open socket to the last task.
fn serve(settings: &Settings, opened: Opened, stop: &CancellationToken) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = opened.send(Err(BrokerError::Thread(error)));
            return;
        }
    };
    let context = runtime.block_on(async {
        let (listener, local) = match open(settings) {
            Ok(found) => found,
            Err(error) => {
                let _ = opened.send(Err(error));
                return None;
            }
        };
        let retained = Arc::new(Retained::default());
        let context = context(settings, retained.clone()).await;
        let server = MqttServer::new(context.clone()).listener_by_id(listener, local.port()).build();
        if opened.send(Ok(local)).is_err() {
            return Some(context);
        }
        tokio::select! {
            _ = server.run() => {}
            () = retained.sweep(SWEEP) => {}
            () = stop.cancelled() => {}
        }
        Some(context)
    });

    // Every task ends here, and with it every socket.
    let handle = runtime.handle().clone();
    drop(runtime);
    if let Some(context) = context {
        let_go(context, &handle);
    }
}

/// The context holds its sessions and the sessions hold the context: cuts the ring, or each reload
/// would leak them all. `ended` is the loop that they ran on: a session spawns a task when it is
/// dropped, which needs a loop, even one that has ended.
fn let_go(context: ServerContext, ended: &tokio::runtime::Handle) {
    let _entered = ended.enter();
    if let Ok(mut shared) = context.extends.shared.try_write() {
        *shared = Box::new(DefaultShared::new(None));
    }
    if let Ok(mut router) = context.extends.router.try_write() {
        *router = Box::new(DefaultRouter::new(None));
    }
    drop(context);
}

/// Binds and listens.
fn open(settings: &Settings) -> Result<(Listener, SocketAddr), BrokerError> {
    let address = settings.listen;
    let listener = listener(settings).bind().and_then(Listener::tcp).and_then(|listener| {
        let local = listener.local_addr()?;
        Ok((listener, local))
    });
    listener.map_err(|error| match error.downcast::<std::io::Error>() {
        Ok(error) if error.kind() == std::io::ErrorKind::AddrInUse => BrokerError::InUse(address),
        Ok(source) => BrokerError::Bind { address, source },
        Err(error) => BrokerError::Bind { address, source: std::io::Error::other(error.to_string()) },
    })
}

fn listener(settings: &Settings) -> Builder {
    Builder::new()
        .name("maestro")
        .laddr(settings.listen)
        // A restart must not wait for the old connections' TIME_WAIT.
        .reuseaddr(Some(true))
        // Small answers leave at once.
        .nodelay(true)
        .allow_anonymous(settings.username.is_none())
        .max_connections(MAX_SESSIONS.unsigned_abs())
        .max_handshaking_limit(HANDSHAKES)
        .handshake_timeout(HANDSHAKE)
        .max_packet_size(MAX_PACKET)
        .max_topic_levels(MAX_TOPIC_LEVELS)
        .max_inflight(WINDOW)
        .max_mqueue_len(MAX_QUEUE)
        .session_expiry_interval(MAX_AWAY)
        .max_session_expiry_interval(MAX_AWAY)
        // Only on a new connection is a message sent again (MQTT 5 §4.4): an acknowledgement that is
        // withheld until a commit is no loss.
        .message_retry_interval(Duration::ZERO)
        // A message without an expiry of its own has none. rmqtt's default forgets it after 5 minutes.
        .message_expiry_interval(Duration::ZERO)
}

async fn context(settings: &Settings, retained: Arc<Retained>) -> ServerContext {
    let context = ServerContext::new()
        .mqtt_max_sessions(MAX_SESSIONS)
        // It refuses clients while the machine's CPU is busy: a full core must not cut off a plug.
        .busy_check_enable(false)
        .build()
        .await;
    *context.extends.retain_mut().await = Box::new(RetainedPort(retained));
    if let (Some(username), Some(password)) = (&settings.username, &settings.password) {
        let door = Door::new(username.clone(), password.clone());
        let hooks = context.extends.hook_mgr().register();
        hooks.add(Type::ClientAuthenticate, Box::new(door)).await;
        hooks.start().await;
    }
    context
}

#[cfg(test)]
mod tests;
