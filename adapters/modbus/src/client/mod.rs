//! The link: one connection, its deadlines, the checks of every answer, and its rebuilding. Never
//! decides what is read, and never repeats a request.
//!
//! tokio-modbus 0.17 is used through `Client::call` alone, because its readers and writers trust
//! lengths and echoes. What it leaves open is closed here:
//!
//! | it would | here |
//! | --- | --- |
//! | give later requests the answers of earlier ones, once one was not waited for | a connection is used again only after a good answer or an exception; it is taken out before the wait, so a dropped future drops it. A serial line is left alone and emptied, and a unit that owes an answer is asked for another form first (`rtu`) |
//! | wait for ever | a deadline for connecting and for every call |
//! | take more or fewer registers, and any echo | counted and compared |
//! | send 0 or 126 registers, addresses above 65,535, or a broadcast | refused before sending |
//! | make up the error of a closed connection | told as "closed before the answer" |
//! | go on after a frame that is no Modbus | the connection is rebuilt |
//! | begin a serial frame right after another one | the silence of 3.5 characters is kept |
//! | hold the thread until a serial frame is out | not flushed |
//! | know neither TCP_NODELAY nor keep-alive | set here (`open`) |

mod error;
mod exchange;
mod form;
mod open;
mod ready;
mod rtu;
mod wire;

use std::{borrow::Cow, sync::Arc, time::Duration};

use adapter_api::profile::{Function, Limits};
use tokio::time::{Instant, sleep_until};
use tokio_modbus::{Request, Response, client::Context};

pub(crate) use self::{
    error::{ILLEGAL_ADDRESS, ILLEGAL_VALUE, LinkError, SERVER_FAILURE},
    form::Form,
};
use self::{rtu::Debts, wire::Wire};
use crate::config::{Address, Settings};

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
    keep_alive: Duration,
    debts: Debts,
    live: Option<Live>,
    /// A serial port stays open while nobody holds it: closing one that has still to send waits for that.
    port: Option<Arc<Wire>>,
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
            keep_alive: settings.keep_alive.0,
            debts: Debts::default(),
            live: None,
            port: None,
            last: None,
        }
    }

    /// Respects what a device needs of the connection beside what is configured.
    pub fn heed(&mut self, limits: &Limits) {
        self.pause_after_connect = self.pause_after_connect.max(limits.pause_after_connect.0);
        let own = limits.idle_close.map(|span| span.0);
        self.idle_close = self.idle_close.into_iter().chain(own).min();
    }

    /// Where it goes to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Closes the connection once it was idle for as long as is configured; waits for ever otherwise. Some
    /// devices have room for one client and others want to be it, too.
    pub async fn rest(&mut self) {
        match (self.idle_close, self.last, &self.live) {
            (Some(limit), Some(last), Some(_)) => {
                sleep_until(last + limit).await;
                self.close();
            }
            _ => std::future::pending().await,
        }
    }

    /// Closes the connection; the next request opens another one.
    pub fn close(&mut self) {
        (self.live, self.port) = (None, None);
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
            Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) => Ok(words),
            _ => Err(self.distrust("another function's answer".to_owned())),
        }
    }

    /// Writes registers with function 16.
    pub async fn write(&mut self, unit: u8, pace: Pace, start: u16, words: &[u16]) -> Result<(), LinkError> {
        if !(1..=MAX_WRITE).contains(&words.len()) {
            return Err(LinkError::Impossible(format!(
                "writing {} registers; 1 to {MAX_WRITE} are possible",
                words.len()
            )));
        }
        check_place(unit, start, words.len())?;
        let request = Request::WriteMultipleRegisters(start, Cow::Owned(words.to_vec()));
        self.call(unit, pace, request).await.map(drop)
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
        self.call(unit, pace, Request::WriteSingleRegister(register, word)).await.map(drop)
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
