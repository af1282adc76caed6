//! RTU frames over TCP, as converters for serial lines pass them on: one serial bus behind all
//! connections, which may take its time, and answers that may arrive in two packets.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{
    desk::{Caller, Now},
    reply::Reply,
    rtu::{self, Speed},
    server::{hang, reset},
    shared::Shared,
};

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
}

impl Converter {
    pub fn new(settings: ConverterSettings) -> Self {
        Self { settings, bus: Mutex::new(()) }
    }

    /// How long these bytes and the silence after them take.
    fn time_of(&self, bytes: usize) -> Duration {
        self.settings.line.map_or(Duration::ZERO, |speed| speed.time_of(bytes) + speed.silence())
    }
}

/// Serves one connection until it ends.
pub(super) async fn converse(
    stream: &mut TcpStream,
    shared: &Shared,
    converter: &Converter,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut heard = Vec::new();
    loop {
        let Some(request) = next_request(stream, &mut heard).await? else { return Ok(()) };
        let Some((unit, pdu)) = rtu::parse(&request) else { continue };
        let bus = converter.bus.lock().await;
        pause(converter.time_of(request.len())).await;
        let (late, reply) = shared.desk().answer(Caller::Line, unit, pdu, Now::at(Instant::now()));
        pause(late + converter.settings.latency).await;
        if let Reply::Send(bytes) | Reply::SendAndClose(bytes) = &reply {
            pause(converter.time_of(bytes.len())).await;
        }
        drop(bus);
        match reply {
            Reply::Send(bytes) => send(stream, &bytes, converter.settings.split).await?,
            Reply::SendAndClose(bytes) => return stream.write_all(&bytes).await,
            Reply::Close => return Ok(()),
            Reply::Reset => return reset(stream),
            Reply::Nothing => {}
            Reply::Hang => return hang(stream).await,
        }
    }
}

/// The bytes of the next request, right or wrong; none at the end of the connection. There is no
/// silence in a stream, so its length says where a request ends, and what has no known length is all
/// that came.
async fn next_request(stream: &mut TcpStream, heard: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
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

async fn send(stream: &mut TcpStream, bytes: &[u8], split: Option<Duration>) -> io::Result<()> {
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
