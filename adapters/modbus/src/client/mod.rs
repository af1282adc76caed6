//! The link: one TCP connection, its deadlines, the checks of every answer, and its rebuilding.
//! Never decides what is read, and never repeats a request.
//!
//! tokio-modbus 0.17 is used through `Client::call` alone, because its readers and writers trust
//! lengths and echoes. What it leaves open is closed here:
//!
//! | it would | here |
//! | --- | --- |
//! | give later requests the answers of earlier ones, once one was not waited for | a connection is used again only after a good answer or an exception; it is taken out before the wait, so a dropped future drops it |
//! | wait for ever | a deadline for connecting and for every call |
//! | take more or fewer registers, and any echo | counted and compared |
//! | send 0 or 126 registers, addresses above 65,535, or a broadcast | refused before sending |
//!
//! There is no TCP keep-alive (tokio offers none without another crate): a peer that vanished is
//! noticed by the deadline of the next request, one that hung up or spoke unasked before it is sent.

mod error;
mod wire;

use std::{borrow::Cow, sync::Arc, time::Duration};

use adapter_api::profile::Function;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_modbus::{
    Error, Request, Response, Slave,
    client::{Client, Context, tcp::attach_slave},
    slave::SlaveContext,
};

pub(crate) use self::error::{ILLEGAL_ADDRESS, ILLEGAL_VALUE, LinkError};
use self::wire::{End, Wire};
use crate::config::{Address, Host, Settings};

/// Most registers that one request may read.
pub(crate) const MAX_READ: u16 = 125;
/// Most registers that one request may write.
const MAX_WRITE: usize = 123;

/// What a unit's requests must respect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// How long an answer may take.
    pub timeout: Duration,
    /// Least pause since the previous request on the connection.
    pub spacing: Duration,
}

/// One connection, rebuilt whenever it cannot be trusted.
pub(crate) struct Link {
    address: Address,
    connect_timeout: Duration,
    pause_after_connect: Duration,
    idle_close: Option<Duration>,
    live: Option<Live>,
    /// End of the last request.
    last: Option<Instant>,
}

struct Live {
    context: Context,
    wire: Arc<Wire>,
}

impl Link {
    pub fn new(address: Address, settings: &Settings) -> Self {
        Self {
            address,
            connect_timeout: settings.connect_timeout.0,
            pause_after_connect: settings.pause_after_connect.0,
            idle_close: settings.idle_close.map(|span| span.0),
            live: None,
            last: None,
        }
    }

    /// Where it goes to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Closes the connection; the next request opens another one.
    pub fn close(&mut self) {
        self.live = None;
    }

    /// Reads registers; exactly `count` come back.
    pub async fn read(
        &mut self,
        unit: u8,
        pace: Pace,
        function: Function,
        start: u16,
        count: u16,
    ) -> Result<Vec<u16>, LinkError> {
        if !(1..=MAX_READ).contains(&count) {
            return Err(LinkError::Impossible(format!(
                "{count} registers at once; 1 to {MAX_READ} are possible"
            )));
        }
        check_place(unit, start, usize::from(count))?;
        let request = match function {
            Function::Holding => Request::ReadHoldingRegisters(start, count),
            Function::Input => Request::ReadInputRegisters(start, count),
        };
        match self.call(unit, pace, request).await? {
            Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words)
                if words.len() == usize::from(count) =>
            {
                Ok(words)
            }
            Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) => {
                Err(self.distrust(format!("{} registers instead of {count}", words.len())))
            }
            _ => Err(self.distrust("another function's answer".to_owned())),
        }
    }

    /// Writes registers with function 16.
    pub async fn write(&mut self, unit: u8, pace: Pace, start: u16, words: &[u16]) -> Result<(), LinkError> {
        let Some(count) = u16::try_from(words.len()).ok().filter(|_| (1..=MAX_WRITE).contains(&words.len()))
        else {
            let count = words.len();
            return Err(LinkError::Impossible(format!(
                "writing {count} registers; 1 to {MAX_WRITE} are possible"
            )));
        };
        check_place(unit, start, words.len())?;
        let request = Request::WriteMultipleRegisters(start, Cow::Owned(words.to_vec()));
        match self.call(unit, pace, request).await? {
            Response::WriteMultipleRegisters(at, echoed) if (at, echoed) == (start, count) => Ok(()),
            Response::WriteMultipleRegisters(at, echoed) => Err(self
                .distrust(format!("it confirmed {echoed} registers at {at} instead of {count} at {start}"))),
            _ => Err(self.distrust("another function's answer".to_owned())),
        }
    }

    /// Writes one register with function 6: some devices take no other write for some registers.
    pub async fn write_single(
        &mut self,
        unit: u8,
        pace: Pace,
        register: u16,
        word: u16,
    ) -> Result<(), LinkError> {
        check_place(unit, register, 1)?;
        match self.call(unit, pace, Request::WriteSingleRegister(register, word)).await? {
            Response::WriteSingleRegister(at, echoed) if (at, echoed) == (register, word) => Ok(()),
            Response::WriteSingleRegister(at, echoed) => Err(self
                .distrust(format!("it confirmed {echoed} in register {at} instead of {word} in {register}"))),
            _ => Err(self.distrust("another function's answer".to_owned())),
        }
    }

    /// What was said cannot be believed, so neither can what comes after it.
    fn distrust(&mut self, why: String) -> LinkError {
        self.live = None;
        LinkError::Mismatch(why)
    }

    async fn call(&mut self, unit: u8, pace: Pace, request: Request<'static>) -> Result<Response, LinkError> {
        // Out of `self` until a good answer: a future that is dropped takes its connection along.
        let mut live = self.ready(pace).await?;
        live.context.set_slave(Slave(unit));
        live.wire.begin();
        let answer = timeout(pace.timeout, live.context.call(request)).await;
        self.last = Some(Instant::now());
        let left = live.wire.has_left();
        match answer {
            Ok(Ok(result)) => {
                self.live = Some(live);
                result.map_err(|code| LinkError::Exception(code.into()))
            }
            Ok(Err(Error::Protocol(error))) => Err(LinkError::Mismatch(error.to_string())),
            Ok(Err(Error::Transport(error))) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(LinkError::Mismatch(error.to_string()))
            }
            Ok(Err(Error::Transport(error))) if !left => Err(LinkError::Unreachable(error.to_string())),
            // Its error code is whatever the system said last: tokio-modbus makes one up for "closed".
            Ok(Err(Error::Transport(_))) => {
                Err(LinkError::NoAnswer("the connection was closed before the answer".to_owned()))
            }
            Err(_) if !left => Err(LinkError::Unreachable("the request could not be sent".to_owned())),
            Err(_) => Err(LinkError::NoAnswer(format!("nothing came within {:?}", pace.timeout))),
        }
    }

    /// A connection that a request may be sent on, after the pauses that the device wants.
    async fn ready(&mut self, pace: Pace) -> Result<Live, LinkError> {
        if let Some(last) = self.last {
            if self.idle_close.is_some_and(|limit| last.elapsed() >= limit) {
                self.live = None;
            }
            // A timer costs up to a millisecond even when its time is now.
            let free = last + pace.spacing;
            if free > Instant::now() {
                sleep_until(free).await;
            }
        }
        match self.live.take() {
            Some(live) if live.wire.is_quiet() => Ok(live),
            _ => self.connect().await,
        }
    }

    async fn connect(&mut self) -> Result<Live, LinkError> {
        let Address::Tcp(Host { host, port }) = &self.address else {
            return Err(LinkError::Unreachable("serial".to_owned()));
        };
        let connecting = timeout(self.connect_timeout, TcpStream::connect((host.as_str(), *port))).await;
        let stream = match connecting {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(LinkError::Unreachable(error.to_string())),
            Err(_) => {
                let limit = self.connect_timeout;
                return Err(LinkError::Unreachable(format!("not connected within {limit:?}")));
            }
        };
        // Without it, small requests wait for the peer's acknowledgement of the one before.
        stream.set_nodelay(true).map_err(|error| LinkError::Unreachable(error.to_string()))?;
        if !self.pause_after_connect.is_zero() {
            sleep(self.pause_after_connect).await;
        }
        tracing::debug!(address = %self.address, "connected");
        let wire = Wire::new(stream);
        let context = attach_slave(End(Arc::clone(&wire)), Slave::tcp_device());
        Ok(Live { context, wire })
    }
}

fn check_place(unit: u8, start: u16, count: usize) -> Result<(), LinkError> {
    if unit == 0 {
        return Err(LinkError::Impossible("unit 0 is a broadcast, which nobody answers".to_owned()));
    }
    if usize::from(start) + count > 65_536 {
        return Err(LinkError::Impossible(format!("{count} registers from {start} on end above 65535")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
