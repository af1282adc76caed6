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
mod form;
mod open;
mod rtu;
mod wire;

use std::{borrow::Cow, sync::Arc, time::Duration};

use adapter_api::profile::Function;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_modbus::{
    Error, ProtocolError, Request, Response, Slave,
    client::{Client, Context, rtu as serial, tcp},
    slave::SlaveContext,
};

pub(crate) use self::error::{ILLEGAL_ADDRESS, ILLEGAL_VALUE, LinkError, SERVER_FAILURE};
pub(crate) use self::form::Form;
use self::{
    open::open,
    rtu::{Debts, First},
    wire::{End, Waiting, Wire},
};
use crate::config::{Address, Serial, Settings};

/// Most registers that one request may read.
pub(crate) const MAX_READ: u16 = 125;
/// How often a line that does not become silent is listened to, before it is used nevertheless, and the
/// least pause between.
const LISTENS: u32 = 20;
const LISTEN: Duration = Duration::from_millis(5);
/// How many other forms a unit is asked for before a request; each refusal settles one answer at the least.
const DETOURS: u32 = 4;
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
    /// End of the last request.
    last: Option<Instant>,
}

/// What came for a request.
enum Heard {
    Answer(Response),
    /// An exception; not its own when it may answer an earlier request.
    Refusal {
        code: u8,
        own: bool,
    },
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
            last: None,
        }
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

    async fn call(&mut self, unit: u8, pace: Pace, request: Request<'static>) -> Result<Response, LinkError> {
        let reads = matches!(request, Request::ReadHoldingRegisters(..) | Request::ReadInputRegisters(..));
        let mut refused = false;
        for _ in 0..=DETOURS {
            match self.debts.first(unit, &request, Instant::now()) {
                First::Itself => {
                    return match self.exchange(unit, pace, request).await? {
                        Heard::Answer(response) => Ok(response),
                        // A unit that refused the detour, too, would be heard never again otherwise.
                        Heard::Refusal { code, own } if own || (refused && reads) => {
                            Err(LinkError::Exception(code))
                        }
                        Heard::Refusal { code, .. } => {
                            Err(self
                                .distrust(format!("exception {code}, which may answer an earlier request")))
                        }
                    };
                }
                First::Detour(detour) => {
                    let heard = self.exchange(unit, pace, detour).await?;
                    refused = matches!(heard, Heard::Refusal { .. });
                }
                First::Nothing => break,
            }
        }
        Err(LinkError::NoAnswer("it owes the answers of too many earlier requests".to_owned()))
    }

    /// One request and its answer, which is for this request in every respect; or an exception, which may
    /// be for an earlier one.
    async fn exchange(
        &mut self,
        unit: u8,
        pace: Pace,
        request: Request<'static>,
    ) -> Result<Heard, LinkError> {
        // Out of `self` until a good answer: a future that is dropped takes its connection along.
        let mut live = self.ready(pace).await?;
        let form = Form::of(&request);
        let bytes = form.map_or(0, Form::bytes);
        let patience =
            pace.timeout + self.address.serial().map_or(Duration::ZERO, |line| line.time_of(bytes));
        if let Some(form) = form.filter(|_| !self.numbered()) {
            self.debts.asked(unit, form, Instant::now(), patience, self.address.serial());
        }
        live.context.set_slave(Slave(unit));
        live.wire.begin();
        let answer = timeout(patience, live.context.call(request)).await;
        self.last = Some(Instant::now());
        let error = match answer {
            Ok(Ok(Ok(response))) if Form::answered(&response) == form => {
                self.debts.answered(unit);
                self.live = Some(live);
                return Ok(Heard::Answer(response));
            }
            Ok(Ok(Ok(response))) => LinkError::Mismatch(format!(
                "it answered {} instead of {}",
                named(Form::answered(&response)),
                named(form)
            )),
            // Of the function that was asked, or it would be an error of the protocol.
            Ok(Ok(Err(code))) => {
                let own = form.is_none_or(|form| self.debts.refused(unit, form));
                self.live = Some(live);
                return Ok(Heard::Refusal { code: code.into(), own });
            }
            // Its own words hold numbers that differ each time, and all registers: they are for the log.
            Ok(Err(Error::Protocol(error))) => {
                tracing::debug!(address = %self.address, %error, "an answer does not fit its request");
                LinkError::Mismatch(misfit(&error).to_owned())
            }
            Ok(Err(Error::Transport(error))) if error.kind() == std::io::ErrorKind::InvalidData => {
                tracing::debug!(address = %self.address, %error, "an answer cannot be read");
                LinkError::Mismatch("bytes that are no whole Modbus frame".to_owned())
            }
            Ok(Err(Error::Transport(error))) => {
                self.debts.failed(Instant::now(), self.address.serial());
                return Err(lost(&live.wire, &error));
            }
            Err(_) if !live.wire.has_left() => {
                LinkError::Unreachable("the request could not be sent".to_owned())
            }
            Err(_) => LinkError::NoAnswer(format!("nothing came within {:?}", pace.timeout)),
        };
        self.live = Some(live);
        self.give_up();
        Err(error)
    }

    /// What was said cannot be believed, so neither can what comes after it.
    fn distrust(&mut self, why: String) -> LinkError {
        self.give_up();
        LinkError::Mismatch(why)
    }

    /// Nothing that comes from now on on this connection answers anything. A serial port stays open: it
    /// is left alone and emptied instead.
    fn give_up(&mut self) {
        self.debts.failed(Instant::now(), self.address.serial());
        let kept = self.live.take().filter(|_| self.address.serial().is_some());
        self.live = kept.map(|live| self.attached(live.wire));
    }

    /// A connection that a request may be sent on, after the pauses that the device wants.
    async fn ready(&mut self, pace: Pace) -> Result<Live, LinkError> {
        let silence = self.address.serial().map_or(Duration::ZERO, Serial::silence);
        if let Some(last) = self.last {
            if self.idle_close.is_some_and(|limit| last.elapsed() >= limit) {
                self.live = None;
            }
            wait_until(last + pace.spacing.max(silence)).await;
        }
        if self.numbered() {
            return match self.live.take() {
                // Bytes that nobody asked for could only be a late or a second answer.
                Some(live) if live.wire.discard() == Waiting::Nothing => Ok(live),
                _ => self.connect().await,
            };
        }
        if let Some(until) = self.debts.quiet_until(Instant::now(), self.address.serial()) {
            wait_until(until).await;
            self.debts.rested();
        }
        for _ in 0..LISTENS {
            let Some(live) = self.live.take() else { break };
            match live.wire.discard() {
                Waiting::Nothing => return Ok(live),
                Waiting::Bytes => {
                    self.live = Some(live);
                    sleep(silence.max(LISTEN)).await;
                }
                Waiting::End => break,
            }
        }
        let live = match self.live.take() {
            // A line that never falls silent: its frames are checked one by one.
            Some(live) => live,
            None => self.connect().await?,
        };
        // What came for somebody who had the port before.
        live.wire.discard();
        Ok(live)
    }

    async fn connect(&mut self) -> Result<Live, LinkError> {
        let wire = open(&self.address, self.connect_timeout, self.keep_alive).await?;
        if !self.pause_after_connect.is_zero() {
            sleep(self.pause_after_connect).await;
        }
        tracing::debug!(address = %self.address, "connected");
        Ok(self.attached(wire))
    }

    fn attached(&self, wire: Arc<Wire>) -> Live {
        let end = End(Arc::clone(&wire));
        let context = if self.numbered() {
            tcp::attach_slave(end, Slave::tcp_device())
        } else {
            serial::attach_slave(end, Slave::tcp_device())
        };
        Live { context, wire }
    }

    /// Do its answers carry the number of their request?
    fn numbered(&self) -> bool {
        matches!(self.address, Address::Tcp(_))
    }
}

fn misfit(error: &ProtocolError) -> &'static str {
    match error {
        ProtocolError::HeaderMismatch { .. } => "it is that of another request or another unit",
        ProtocolError::FunctionCodeMismatch { .. } => "it is that of another function",
    }
}

fn named(form: Option<Form>) -> String {
    form.map_or("another function".to_owned(), |form| form.to_string())
}

/// Its error code is whatever the system said last: tokio-modbus makes one up for "closed".
fn lost(wire: &Wire, error: &std::io::Error) -> LinkError {
    if wire.has_left() {
        LinkError::NoAnswer("the connection was closed before the answer".to_owned())
    } else {
        LinkError::Unreachable(error.to_string())
    }
}

/// A timer costs up to a millisecond even when its time is now.
async fn wait_until(at: Instant) {
    if at > Instant::now() {
        sleep_until(at).await;
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
