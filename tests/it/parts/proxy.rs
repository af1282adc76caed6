//! Stands between a client and a server, sees each message, and cuts where a test wants it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// How messages follow each other on the wire.
#[derive(Clone, Copy)]
pub enum Framing {
    Mqtt,
    Mongodb,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// What becomes of a message.
pub enum Verdict {
    Pass,
    /// It is swallowed and the connection ends.
    Cut,
    /// The connection ends for the client; the server gets the message after this time.
    Late(Duration),
}

type Rule = dyn Fn(Way, &[u8]) -> Verdict + Send + Sync;

pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    server: u16,
    framing: Framing,
    rule: Box<Rule>,
    open: watch::Sender<bool>,
    late: AtomicUsize,
}

/// A message that is still to be delivered.
struct Late {
    message: Vec<u8>,
    to: OwnedWriteHalf,
    after: Duration,
}

impl Proxy {
    /// In front of the server on that port.
    pub async fn start(
        server: u16,
        framing: Framing,
        rule: impl Fn(Way, &[u8]) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (rule, open, late) = (Box::new(rule), watch::Sender::new(true), AtomicUsize::new(0));
        let shared = Arc::new(Shared { server, framing, rule, open, late });
        Self { port, task: tokio::spawn(serve(listener, shared.clone())), shared }
    }

    /// Ends every connection and lets nobody in.
    pub fn close(&self) {
        self.shared.open.send_replace(false);
    }

    pub fn open(&self) {
        self.shared.open.send_replace(true);
    }

    /// Messages that came late and that the server has answered.
    pub fn late(&self) -> usize {
        self.shared.late.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Ends with this task.
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if !*shared.open.borrow() {
            continue;
        }
        if let Ok(server) = TcpStream::connect(("127.0.0.1", shared.server)).await {
            connections.spawn(relay(client, server, shared.clone()));
        }
    }
}

async fn relay(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    let (mut client_in, client_out) = client.into_split();
    let (mut server_in, server_out) = server.into_split();
    let mut open = shared.open.subscribe();
    let late = tokio::select! {
        late = pass(&mut client_in, server_out, Way::ToServer, &shared) => late,
        _ = pass(&mut server_in, client_out, Way::ToClient, &shared) => None,
        _ = open.wait_for(|open| !open) => None,
    };
    drop(client_in);
    if let Some(Late { message, mut to, after }) = late {
        sleep(after).await;
        let sent = to.write_all(&message).await;
        if sent.is_ok() && next_message(&mut server_in, shared.framing).await.is_some() {
            shared.late.fetch_add(1, SeqCst);
        }
    }
}

/// Passes messages on until one end closes, or until the rule cuts.
async fn pass(from: &mut OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, shared: &Shared) -> Option<Late> {
    loop {
        let message = next_message(from, shared.framing).await?;
        match (shared.rule)(way, &message) {
            Verdict::Pass => to.write_all(&message).await.ok()?,
            Verdict::Cut => return None,
            Verdict::Late(after) => return Some(Late { message, to, after }),
        }
    }
}

/// One whole message with its header.
async fn next_message(from: &mut OwnedReadHalf, framing: Framing) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = match framing {
        Framing::Mongodb => {
            let length = from.read_u32_le().await.ok()?;
            bytes.extend(length.to_le_bytes());
            usize::try_from(length).unwrap()
        }
        Framing::Mqtt => {
            bytes.push(from.read_u8().await.ok()?);
            let (mut length, mut shift) = (0, 0);
            loop {
                let byte = from.read_u8().await.ok()?;
                bytes.push(byte);
                length |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break bytes.len() + length;
                }
            }
        }
    };
    let begun = bytes.len();
    bytes.resize(length, 0);
    from.read_exact(&mut bytes[begun..]).await.ok()?;
    Some(bytes)
}
