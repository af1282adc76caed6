//! The server: one listening task, one task per connection, all ended by one token. It decides
//! nothing about answers; the desk does.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    select,
    sync::Notify,
    time::sleep,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::{debug, warn};

use super::{
    desk::{Desk, Now},
    frame::{HEADER, Header},
    reply::Reply,
};
use crate::{Fault, Port, Units};

/// Far more clients than any test has; beyond it a connection is closed at once.
const CONNECTIONS_MOST: usize = 256;
/// Between two attempts to get a port back that was given up to refuse connections, and after a
/// failed accept (out of file descriptors), so that the loop does not spin.
const AGAIN: Duration = Duration::from_millis(20);

/// A Modbus TCP server. Dropping it stops it without waiting.
pub struct Server {
    addr: SocketAddr,
    port: Port,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Server {
    /// Listens on `addr` (port 0: a free one) and serves these units to any number of clients.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(addr: SocketAddr, units: Units) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            desk: Mutex::new(Desk::new(units)),
            changed: Notify::new(),
            accepted: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            connections: Mutex::new(stop.child_token()),
            stop: stop.clone(),
        });
        let tasks = TaskTracker::new();
        tasks.spawn(listen(listener, addr, shared.clone(), tasks.clone()));
        tasks.close();
        Ok(Self { addr, port: Port::new(shared), tasks, stop: stop.drop_guard() })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its dial and its record.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Closes everything and waits for it.
    pub async fn stop(self) {
        drop(self.stop);
        self.tasks.wait().await;
    }
}

/// What a server's tasks and its [`Port`] share.
pub(crate) struct Shared {
    desk: Mutex<Desk>,
    /// The listening task looks at the dial again.
    changed: Notify,
    accepted: AtomicU64,
    open: AtomicUsize,
    /// Ends the open connections; replaced when it is used.
    connections: Mutex<CancellationToken>,
    stop: CancellationToken,
}

impl Shared {
    pub fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn dial_changed(&self) {
        self.changed.notify_one();
    }

    pub fn disconnect(&self) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *connections, self.stop.child_token()).cancel();
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn has(&self, fault: Fault) -> bool {
        self.desk().dial.has(fault)
    }

    fn connection_token(&self) -> CancellationToken {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn listen(listener: TcpListener, addr: SocketAddr, shared: Arc<Shared>, tasks: TaskTracker) {
    let mut listener = Some(listener);
    loop {
        let refuses = shared.has(Fault::RefuseConnections);
        if refuses {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(addr).await.ok();
        }
        let stream = select! {
            () = shared.stop.cancelled() => return,
            () = shared.changed.notified() => None,
            () = sleep(AGAIN), if listener.is_none() && !refuses => None,
            accepted = accept(listener.as_ref()), if listener.is_some() => Some(accepted),
        };
        match stream {
            Some(Ok(stream)) if admits(&shared) => {
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                let token = shared.connection_token();
                tasks.spawn(connection(stream, Open(shared.clone()), token));
            }
            Some(Ok(stream)) => drop(stream),
            Some(Err(error)) => {
                warn!(%addr, %error, "the simulator could not accept a connection");
                sleep(AGAIN).await;
            }
            None => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

fn admits(shared: &Shared) -> bool {
    let most = if shared.has(Fault::OneClient) { 1 } else { CONNECTIONS_MOST };
    // The dial may have changed while the connection waited.
    shared.open() < most && !shared.has(Fault::RefuseConnections)
}

/// Counts an open connection for as long as its task lives, panics included.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(mut stream: TcpStream, open: Open, token: CancellationToken) {
    let ended = token.run_until_cancelled(converse(&mut stream, &open.0)).await;
    if let Some(Err(error)) = ended {
        debug!(%error, "a simulated connection broke");
    }
    // Closed before it is no longer counted: who sees it gone may connect.
    drop(stream);
    drop(open);
}

async fn converse(stream: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut header = [0; HEADER];
        if stream.read(&mut header[..1]).await? == 0 {
            return Ok(());
        }
        stream.read_exact(&mut header[1..]).await?;
        let Some(header) = Header::parse(header) else { return Ok(()) };
        let mut pdu = vec![0; header.pdu];
        stream.read_exact(&mut pdu).await?;
        let now = Now { mono: Instant::now(), wall_ms: wall_ms() };
        let (late, reply) = shared.desk().answer(header.transaction, header.unit, &pdu, now);
        if !late.is_zero() {
            sleep(late).await;
        }
        match reply {
            Reply::Send(bytes) => stream.write_all(&bytes).await?,
            Reply::SendAndClose(bytes) => return stream.write_all(&bytes).await,
            Reply::Close => return Ok(()),
            Reply::Nothing => {}
        }
    }
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
