//! A connection that a request may be sent on, and the end of one that can no longer be trusted.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};
use tokio_modbus::{
    Slave,
    client::{rtu, tcp},
};

use super::{
    Link, LinkError, Live, Pace,
    open::open,
    wire::{End, Waiting, Wire},
};
use crate::config::{Address, Serial};

/// How often a line that does not become silent is listened to, before it is used nevertheless, and the
/// least pause between.
const LISTENS: u32 = 20;
const LISTEN: Duration = Duration::from_millis(5);

impl Link {
    /// Nothing that comes from now on on this connection answers anything. A serial port stays open: it
    /// is left alone and emptied instead.
    pub(super) fn give_up(&mut self) {
        self.debts.failed(Instant::now(), self.address.serial());
        let kept = self.live.take().filter(|_| self.address.serial().is_some());
        self.live = kept.map(|live| self.attached(live.wire));
    }

    /// A connection that a request may be sent on, after the pauses that the device wants.
    pub(super) async fn ready(&mut self, pace: Pace) -> Result<Live, LinkError> {
        let silence = self.address.serial().map_or(Duration::ZERO, Serial::silence);
        if let Some(last) = self.last {
            if self.idle_close.is_some_and(|limit| last.elapsed() >= limit) {
                self.close();
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
        if let (None, Some(port)) = (&self.live, &self.port) {
            self.live = Some(self.attached(Arc::clone(port)));
        }
        for _ in 0..LISTENS {
            let Some(live) = self.live.take() else { break };
            match live.wire.discard() {
                Waiting::Nothing => return Ok(live),
                Waiting::Bytes => {
                    self.live = Some(live);
                    sleep(silence.max(LISTEN)).await;
                }
                Waiting::End => {
                    self.port = None;
                    break;
                }
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
        self.port = self.address.serial().map(|_| Arc::clone(&wire));
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
            rtu::attach_slave(end, Slave::tcp_device())
        };
        Live { context, wire }
    }

    /// Do its answers carry the number of their request?
    pub(super) fn numbered(&self) -> bool {
        matches!(self.address, Address::Tcp(_))
    }
}

/// A timer costs up to a millisecond even when its time is now.
async fn wait_until(at: Instant) {
    if at > Instant::now() {
        sleep_until(at).await;
    }
}
