//! Tells systemd how the gateway is: ready, stopping, alive. It is alive while the parts that are
//! asked here answer in time, the journal's thread also when it is idle and when the disk is full,
//! and while each loop that declared a deadline turns within it.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use adapter_api::Pulse;
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

type Answer = Pin<Box<dyn Future<Output = bool> + Send>>;

/// The pulses of loops that come and go, by their worker's name.
#[derive(Clone, Default)]
pub struct Pulses(Arc<Mutex<BTreeMap<String, Pulse>>>);

impl Pulses {
    /// A new pulse for one run of a worker; it rests from the moment that the run ends.
    pub fn of_run(&self, worker: &str) -> (Pulse, AtRest) {
        let pulse = Pulse::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(worker.to_owned(), pulse.clone());
        (pulse.clone(), AtRest(pulse))
    }

    fn late(&self) -> Vec<String> {
        let pulses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.iter().filter(|(_, pulse)| pulse.is_late()).map(|(worker, _)| worker.clone()).collect()
    }
}

/// Lets a pulse rest when the run that it belongs to ends, however it ends.
pub struct AtRest(Pulse);

impl Drop for AtRest {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// A part of the gateway that must answer when it is asked.
pub struct Part {
    name: &'static str,
    deadline: Duration,
    ask: Box<dyn Fn() -> Answer + Send + Sync>,
}

impl Part {
    /// `ask` resolves to true when the part turned; it has `deadline` for it.
    pub fn new<F>(name: &'static str, deadline: Duration, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        Self { name, deadline, ask: Box::new(move || Box::pin(ask())) }
    }

    async fn answers(&self) -> bool {
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

/// How often the parts are asked when systemd does not watch.
const UNWATCHED: Duration = Duration::from_secs(30);

/// Asks the parts until shutdown, and feeds systemd's watchdog, if it watches, while all answer.
pub async fn watch(parts: &[Part], pulses: &Pulses, shutdown: CancellationToken) {
    let watchdog = sd_notify::watchdog_enabled();
    let pause = watchdog.map_or(UNWATCHED, |limit| limit / 3);
    let mut healthy = true;
    loop {
        let mut silent = pulses.late();
        for part in parts {
            if !part.answers().await {
                silent.push(part.name.to_owned());
            }
        }
        if silent.is_empty() {
            if !healthy {
                tracing::info!("all parts answer again");
            }
            if watchdog.is_some() {
                notify(&[NotifyState::Watchdog]);
            }
        } else if healthy {
            tracing::error!(silent = silent.join(", "), "a part does not answer; a watchdog is not fed");
        }
        healthy = silent.is_empty();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
    }
}
