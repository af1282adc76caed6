//! The server: one listening task, one task per connection, all ended by one token. It decides
//! nothing about answers; the desk does.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    select,
    time::{sleep, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::{debug, warn};

use super::{
    converter::{self, Converter, ConverterSettings},
    desk::{Caller, Now},
    frame::{HEADER, Header},
    reply::Reply,
    shared::{Open, Shared},
};
use crate::{Fault, Port, Units};

/// Far more clients than any test has; beyond it a connection is closed at once.
const CONNECTIONS_MOST: usize = 256;
/// Between two attempts to get a port back that was given up to refuse connections, and after a
/// failed accept (out of file descriptors), so that the loop does not spin.
const AGAIN: Duration = Duration::from_millis(20);

/// A Modbus server on a TCP port. Dropping it stops it without waiting.
pub struct Server {
    addr: SocketAddr,
    port: Port,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Server {
    /// Listens on `addr` (port 0: a free one) and serves these units by Modbus TCP to any number of
    /// clients.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(addr: SocketAddr, units: Units) -> io::Result<Self> {
        Self::start_as(addr, units, Speech::Tcp).await
    }

    /// The same with RTU frames in the TCP stream, as converters for serial lines pass them on.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start_rtu(addr: SocketAddr, units: Units, settings: ConverterSettings) -> io::Result<Self> {
        Self::start_as(addr, units, Speech::Rtu(Arc::new(Converter::new(settings)))).await
    }

    async fn start_as(addr: SocketAddr, units: Units, speech: Speech) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let stop = CancellationToken::new();
        let shared = Shared::new(units, stop.clone());
        let tasks = TaskTracker::new();
        tasks.spawn(listen(listener, addr, speech, shared.clone(), tasks.clone()));
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

/// Which frames a server speaks.
#[derive(Clone)]
enum Speech {
    Tcp,
    Rtu(Arc<Converter>),
}

async fn listen(
    listener: TcpListener,
    addr: SocketAddr,
    speech: Speech,
    shared: Arc<Shared>,
    tasks: TaskTracker,
) {
    let mut listener = Some(listener);
    loop {
        let refuses = shared.has(Fault::RefuseConnections);
        if refuses {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(addr).await.ok();
        }
        let stream = select! {
            () = shared.stopped() => return,
            () = shared.changed() => None,
            () = sleep(AGAIN), if listener.is_none() && !refuses => None,
            accepted = accept(listener.as_ref()), if listener.is_some() => Some(accepted),
        };
        match stream {
            Some(Ok(stream)) if admits(&shared) => {
                let (open, token) = shared.connected();
                tasks.spawn(connection(stream, speech.clone(), open, token));
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
    let most = if shared.has_room_for_one() { 1 } else { CONNECTIONS_MOST };
    // The dial may have changed while the connection waited.
    shared.open() < most && !shared.has(Fault::RefuseConnections)
}

async fn connection(mut stream: TcpStream, speech: Speech, open: Open, token: CancellationToken) {
    let ended = match &speech {
        Speech::Tcp => token.run_until_cancelled(converse(&mut stream, &open.0)).await,
        Speech::Rtu(converter) => {
            token.run_until_cancelled(converter::converse(&mut stream, &open.0, converter)).await
        }
    };
    if let Some(Err(error)) = ended {
        debug!(%error, "a simulated connection broke");
    }
    // Closed before it is no longer counted: who sees it gone may connect.
    drop(stream);
    drop(open);
}

async fn converse(stream: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let connected = Instant::now();
    let patience = shared.desk().manners().idle_close.unwrap_or(Duration::MAX);
    loop {
        let mut header = [0; HEADER];
        match timeout(patience, stream.read(&mut header[..1])).await {
            // The client closed it, or was silent for too long.
            Ok(Ok(0)) | Err(_) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(_)) => {}
        }
        stream.read_exact(&mut header[1..]).await?;
        let Some(header) = Header::parse(header) else { return Ok(()) };
        let mut pdu = vec![0; header.pdu];
        stream.read_exact(&mut pdu).await?;
        let caller = Caller::Tcp { transaction: header.transaction };
        let (late, reply) =
            shared.desk().answer(caller, header.unit, &pdu, Now::at(Instant::now()).on(connected));
        if !late.is_zero() {
            sleep(late).await;
        }
        // Before it leaves: the client shall not be measured from later than it can know.
        shared.desk().answered(Instant::now());
        match reply {
            Reply::Send(bytes) => stream.write_all(&bytes).await?,
            Reply::SendAndClose(bytes) => return stream.write_all(&bytes).await,
            Reply::Close => return Ok(()),
            Reply::Reset => return reset(stream),
            Reply::Nothing => {}
            Reply::Hang => return hang(stream).await,
        }
    }
}

/// The connection ends with RST as soon as it is dropped.
pub(super) fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// The connection stays, and nothing comes any more, until the client gives it up.
pub(super) async fn hang(stream: &mut TcpStream) -> io::Result<()> {
    let mut unheard = [0; 1024];
    while stream.read(&mut unheard).await? != 0 {}
    Ok(())
}
