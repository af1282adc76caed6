//! Tells systemd how the gateway is: ready, stopping, alive. It is alive while each part that was
//! declared here answers within its own deadline; the journal's thread is one of them, also when it
//! is idle and when the disk is full.

use std::{future::Future, pin::Pin, time::Duration};

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

type Answer = Pin<Box<dyn Future<Output = bool> + Send>>;

/// A part of the gateway that must answer.
pub struct Pulse {
    name: &'static str,
    deadline: Duration,
    ask: Box<dyn Fn() -> Answer + Send + Sync>,
}

impl Pulse {
    /// `ask` resolves to true when the part turned; it has `deadline` for it.
    pub fn new<F>(name: &'static str, deadline: Duration, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Self { name, deadline, ask: Box::new(move || Box::pin(ask())) }
    }

    async fn beats(&self) -> bool {
        tokio::time::timeout(self.deadline, (self.ask)()).await.unwrap_or(false)
    }
}

/// The doors are open.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The stop has begun.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told the state");
    }
}

/// Feeds systemd's watchdog, if it watches, until shutdown.
pub async fn feed_watchdog(pulses: &[Pulse], shutdown: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        shutdown.cancelled().await;
        return;
    };
    let mut healthy = true;
    loop {
        let mut silent = Vec::new();
        for pulse in pulses {
            if !pulse.beats().await {
                silent.push(pulse.name);
            }
        }
        if silent.is_empty() {
            if !healthy {
                tracing::info!("all parts answer again");
            }
            notify(&[NotifyState::Watchdog]);
        } else if healthy {
            tracing::error!(silent = silent.join(", "), "a part does not answer; the watchdog is not fed");
        }
        healthy = silent.is_empty();
        tokio::select! {
            () = tokio::time::sleep(limit / 3) => {}
            () = shutdown.cancelled() => return,
        }
    }
}
