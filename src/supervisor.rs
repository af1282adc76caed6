//! Workers from factories: starts them, starts them again with backoff when they fail or panic,
//! and stops them in order. Knows no business.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// The order of stopping: what lets work in goes first, what carries it away last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Lets work in: MQTT, HTTP.
    Doors,
    /// Speaks to devices.
    Adapters,
    /// Makes it durable.
    Durable,
    /// Carries it away.
    Uplink,
}

impl Phase {
    /// In the order in which they stop.
    pub const ALL: [Self; 4] = [Self::Doors, Self::Adapters, Self::Durable, Self::Uplink];

    /// How long its workers may take before they are cut off. Adapters prove what is in flight,
    /// for at most the 30 s that a profile may ask.
    const fn grace(self) -> Duration {
        match self {
            Self::Doors => Duration::from_secs(5),
            Self::Adapters => Duration::from_secs(35),
            Self::Durable => Duration::from_secs(20),
            Self::Uplink => Duration::from_secs(15),
        }
    }
}

/// One run of a worker.
pub type Run = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// How often it is said what still runs while a phase stops.
const SAY: Duration = Duration::from_secs(1);
/// First and longest pause before a worker is started again.
const RESTART: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// A worker that ran this long has recovered: its next failure starts with a short pause again.
const RECOVERED: Duration = Duration::from_secs(60);

struct Worker {
    name: String,
    phase: Phase,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Owns the workers.
#[derive(Default)]
pub struct Supervisor {
    workers: Vec<Worker>,
}

impl Supervisor {
    /// Starts a worker; `factory` makes each of its runs, which ends when its token is cancelled.
    pub fn start(
        &mut self,
        name: &str,
        phase: Phase,
        factory: impl FnMut(CancellationToken) -> Run + Send + 'static,
    ) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep_running(name.to_owned(), stop.clone(), factory));
        self.workers.push(Worker { name: name.to_owned(), phase, stop, task });
    }

    /// Stops one worker by name and waits for its end.
    pub async fn stop_worker(&mut self, name: &str) {
        let Some(at) = self.workers.iter().position(|worker| worker.name == name) else { return };
        let worker = self.workers.swap_remove(at);
        worker.stop.cancel();
        end(vec![worker]).await;
    }

    /// Stops every worker of one phase; says what still runs.
    pub async fn stop_phase(&mut self, phase: Phase) {
        let workers = std::mem::take(&mut self.workers);
        let (now, later) = workers.into_iter().partition(|worker| worker.phase == phase);
        self.workers = later;
        end(now).await;
    }

    /// Stops every worker, phase by phase.
    pub async fn stop(mut self) {
        for phase in Phase::ALL {
            self.stop_phase(phase).await;
        }
    }
}

async fn end(workers: Vec<Worker>) {
    let Some(grace) = workers.iter().map(|worker| worker.phase.grace()).max() else { return };
    let deadline = Instant::now() + grace;
    for worker in &workers {
        worker.stop.cancel();
    }
    let mut running = workers;
    loop {
        running.retain(|worker| !worker.task.is_finished());
        let Some(next) = running.first_mut() else { return };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        if timeout(left.min(SAY), &mut next.task).await.is_err() {
            let names: Vec<_> = running.iter().map(|worker| worker.name.as_str()).collect();
            tracing::info!(still_running = names.join(", "), "stopping");
        } else {
            running.remove(0);
        }
    }
    for worker in running {
        tracing::error!(worker = worker.name, "worker did not stop in time and is cut off");
        worker.task.abort();
    }
}

async fn keep_running(
    name: String,
    stop: CancellationToken,
    mut factory: impl FnMut(CancellationToken) -> Run + Send + 'static,
) {
    let (mut pauses, mut failing) = (pauses(), false);
    loop {
        let started = Instant::now();
        // In a task of its own, so that a panic ends this run alone.
        let made = catch_unwind(AssertUnwindSafe(|| factory(stop.child_token())));
        let result = match made {
            Ok(run) => {
                let mut run = AbortOnDrop(tokio::spawn(run));
                (&mut run.0).await.map_err(|panic| panic.to_string())
            }
            Err(_) => Err("its factory panicked".to_owned()),
        };
        if stop.is_cancelled() {
            if let Ok(Err(error)) = result {
                tracing::warn!(
                    worker = name,
                    error = format!("{error:#}"),
                    "worker ended with an error while stopping"
                );
            }
            return;
        }
        if started.elapsed() >= RECOVERED {
            pauses = self::pauses();
            failing = false;
        }
        // A condition is told when it starts, not at each try.
        let told = std::mem::replace(&mut failing, true);
        let pause = pauses.next().unwrap_or(RESTART.1);
        match result {
            Ok(Ok(())) => {
                tracing::warn!(worker = name, ?pause, "worker ended by itself and is started again")
            }
            Ok(Err(error)) if told => {
                tracing::debug!(worker = name, ?pause, error = format!("{error:#}"), "worker failed again");
            }
            Ok(Err(error)) => {
                tracing::warn!(
                    worker = name,
                    ?pause,
                    error = format!("{error:#}"),
                    "worker failed and is started again"
                );
            }
            Err(panic) => {
                tracing::error!(worker = name, ?pause, %panic, "worker panicked and is started again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

struct AbortOnDrop(JoinHandle<anyhow::Result<()>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(RESTART.0)
        .with_max_delay(RESTART.1)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panicking_worker_starts_again_alone_and_phases_stop_in_order() {
        let mut supervisor = Supervisor::default();
        let story = Arc::new(Mutex::new(Vec::new()));
        for (name, phase) in [("uplink", Phase::Uplink), ("door", Phase::Doors), ("adapter", Phase::Adapters)]
        {
            let story = story.clone();
            supervisor.start(name, phase, move |stop| {
                let story = story.clone();
                let first =
                    name == "adapter" && story.lock().unwrap().iter().all(|line| line != "adapter panics");
                Box::pin(async move {
                    if first {
                        story.lock().unwrap().push("adapter panics".to_owned());
                        panic!("on purpose");
                    }
                    story.lock().unwrap().push(format!("{name} runs"));
                    stop.cancelled().await;
                    story.lock().unwrap().push(format!("{name} stops"));
                    Ok(())
                })
            });
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut started = std::mem::take(&mut *story.lock().unwrap());
        started.sort();
        assert_eq!(started, ["adapter panics", "adapter runs", "door runs", "uplink runs"]);
        supervisor.stop().await;
        assert_eq!(*story.lock().unwrap(), ["door stops", "adapter stops", "uplink stops"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_does_not_stop_is_cut_off_after_its_grace() {
        let mut supervisor = Supervisor::default();
        supervisor.start("stubborn", Phase::Doors, |_| Box::pin(std::future::pending()));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let before = Instant::now();
        supervisor.stop().await;
        assert_eq!(before.elapsed(), Phase::Doors.grace());
    }
}
