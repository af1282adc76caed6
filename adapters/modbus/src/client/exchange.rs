//! One request and its answer, which must be for this request in every respect. Never decides what is
//! asked, but for the detour that makes sure of a unit that owes an answer.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_modbus::{Error, ProtocolError, Request, Response, Slave, client::Client, slave::SlaveContext};

use super::{Form, Link, LinkError, Pace, rtu::First, wire::Wire};

/// How many other forms a unit is asked for before a request; each refusal settles one answer at the least.
pub(super) const DETOURS: u32 = 4;

/// What came for a request.
enum Heard {
    Answer(Response),
    /// An exception; not its own when it may answer an earlier request.
    Refusal {
        code: u8,
        own: bool,
    },
}

impl Link {
    pub(super) async fn call(
        &mut self,
        unit: u8,
        pace: Pace,
        request: Request<'static>,
    ) -> Result<Response, LinkError> {
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
                self.port = None;
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
    pub(super) fn distrust(&mut self, why: String) -> LinkError {
        self.give_up();
        LinkError::Mismatch(why)
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
