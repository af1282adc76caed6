//! RTU frames over TCP, as converters for serial lines pass them on: one serial bus behind all
//! connections, which may take its time, and answers that may arrive in two packets. A converter does not
//! know who asked: what is said on the line goes to every connection that is open then.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    select,
    sync::{Mutex, broadcast},
    time::{sleep, timeout},
};

use super::{
    desk::{Caller, Now},
    reply::Reply,
    rtu::{self, Speed},
    server::{hang, reset},
    shared::Shared,
};

/// Frames that a connection may lag behind the line; one that fetches nothing for longer loses some, as
/// from a real converter.
const LAG_MOST: usize = 64;
/// The rest of a frame comes within this time or never: long for a loopback, short for a client.
const REST: Duration = Duration::from_millis(100);

/// How a converter and the line behind it behave. The default is an infinitely fast one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConverterSettings {
    /// The speed of the line; none takes no time.
    pub line: Option<Speed>,
    /// What a unit needs before it answers.
    pub latency: Duration,
    /// Answers are cut in two packets with this pause between them.
    pub split: Option<Duration>,
}

pub(super) struct Converter {
    settings: ConverterSettings,
    /// One exchange at a time, whichever connection it is for; the others wait in the converter.
    bus: Mutex<()>,
    /// What is said on the line, to all connections.
    said: broadcast::Sender<Arc<[u8]>>,
}

impl Converter {
    pub fn new(settings: ConverterSettings) -> Self {
        Self { settings, bus: Mutex::new(()), said: broadcast::Sender::new(LAG_MOST) }
    }

    /// How long these bytes and the silence after them take.
    fn time_of(&self, bytes: usize) -> Duration {
        self.settings.line.map_or(Duration::ZERO, |speed| speed.time_of(bytes) + speed.silence())
    }

    /// Asks on the line; the answer is said there.
    async fn ask(&self, request: &[u8], shared: &Shared) -> Reply {
        let Some((unit, pdu)) = rtu::parse(request) else { return Reply::Nothing };
        let _bus = self.bus.lock().await;
        pause(self.time_of(request.len())).await;
        let (late, reply) = shared.desk().answer(Caller::Line, unit, pdu, Now::at(Instant::now()));
        pause(late + self.settings.latency).await;
        if let Reply::Send(bytes) | Reply::SendAndClose(bytes) = &reply {
            pause(self.time_of(bytes.len())).await;
            // Nobody is connected any more: nobody hears it.
            let _ = self.said.send(bytes.as_slice().into());
        }
        reply
    }
}

/// One connection's view of the line.
struct Ear<'a> {
    line: broadcast::Receiver<Arc<[u8]>>,
    out: WriteHalf<'a>,
    split: Option<Duration>,
}

impl Ear<'_> {
    /// Waits for something, and passes on meanwhile what is said on the line.
    async fn during<T>(&mut self, something: impl Future<Output = T>) -> T {
        let mut something = pin!(something);
        loop {
            let said = select! {
                done = &mut something => return done,
                said = self.line.recv() => said,
            };
            self.pass_on(said.ok()).await;
        }
    }

    /// Passes on what was said so far.
    async fn catch_up(&mut self) {
        while let Ok(said) = self.line.try_recv() {
            self.pass_on(Some(said)).await;
        }
    }

    async fn pass_on(&mut self, said: Option<Arc<[u8]>>) {
        if let Some(said) = said {
            // The client is gone; its last request is still on its way, and reading tells the end.
            let _ = send(&mut self.out, &said, self.split).await;
        }
    }
}

/// Serves one connection until it ends.
pub(super) async fn converse(
    stream: &mut TcpStream,
    shared: &Shared,
    converter: &Converter,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let line = converter.said.subscribe();
    let (mut input, out) = stream.split();
    let mut ear = Ear { line, out, split: converter.settings.split };
    let mut heard = Vec::new();
    loop {
        let Some(request) = ear.during(next_request(&mut input, &mut heard)).await? else { return Ok(()) };
        let reply = ear.during(converter.ask(&request, shared)).await;
        match reply {
            Reply::Send(_) | Reply::Nothing => {}
            Reply::SendAndClose(_) => {
                ear.catch_up().await;
                return Ok(());
            }
            Reply::Close => return Ok(()),
            Reply::Reset => return reset(stream),
            Reply::Hang => return hang(stream).await,
        }
    }
}

/// The bytes of the next request, right or wrong; none at the end of the connection. There is no
/// silence in a stream, so its length says where a request ends, and what has no known length is all
/// that came.
async fn next_request(stream: &mut ReadHalf<'_>, heard: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut packet = [0; rtu::MOST];
    loop {
        match rtu::request_length(heard) {
            Some(length) if heard.len() >= length => return Ok(Some(heard.drain(..length).collect())),
            // Nothing about it can be trusted.
            None if heard.len() > rtu::HEAD => return Ok(Some(std::mem::take(heard))),
            _ => {}
        }
        let patience = if heard.is_empty() { Duration::MAX } else { REST };
        match timeout(patience, stream.read(&mut packet)).await {
            Ok(Ok(0)) => return Ok(None),
            Ok(Ok(count)) => heard.extend(&packet[..count]),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(Some(std::mem::take(heard))),
        }
    }
}

async fn send(stream: &mut WriteHalf<'_>, bytes: &[u8], split: Option<Duration>) -> io::Result<()> {
    let Some(split) = split else { return stream.write_all(bytes).await };
    let (first, second) = bytes.split_at(bytes.len() / 2);
    stream.write_all(first).await?;
    sleep(split).await;
    stream.write_all(second).await
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
