//! `maestro run`: the daemon. Checks first, because systemd looks at this process' exit code only.

use std::{path::Path, process::ExitCode, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::EX_CONFIG;
use crate::{
    app::App,
    config::{Finding, Sources, load},
    health,
};

pub async fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let (config, warnings) = match load(&Sources::of_process(file)) {
        Ok(loaded) => loaded,
        Err(findings) => {
            findings.iter().for_each(|finding| super::complain(&finding.to_string()));
            return Ok(ExitCode::from(EX_CONFIG));
        }
    };
    warn(&warnings);
    let mut signals = Signals::listen()?;
    let mut app = App::start(config).await?;
    health::ready();
    tracing::info!(gateway = app.config().gateway.id, devices = app.devices().all().len(), "ready");
    let failed = app.failed();
    let code = loop {
        match signals.next(&failed).await {
            Told::Stop => break ExitCode::SUCCESS,
            Told::Failed => {
                tracing::error!("a part failed that only a new start can mend; stopping");
                break ExitCode::FAILURE;
            }
            // A stop that comes meanwhile does not wait for it.
            Told::Reload => tokio::select! {
                () = reload(&mut app, file) => {}
                () = signals.stop() => break ExitCode::SUCCESS,
            },
        }
    };
    health::stopping();
    tracing::info!("stopping; a second signal ends at once");
    tokio::select! {
        stopped = app.stop() => stopped.map(|()| code),
        () = signals.stop() => {
            tracing::warn!("ended at once; what was in flight is read back at the next start");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn reload(app: &mut App, file: &Path) {
    match load(&Sources::of_process(file)) {
        Ok((config, _)) if config == *app.config() => {
            tracing::info!("the configuration was read again; nothing changed");
        }
        Ok((config, warnings)) => {
            warn(&warnings);
            app.reload(config).await;
            tracing::info!("the configuration was read again and is in force");
        }
        Err(findings) => {
            for finding in findings {
                tracing::error!(%finding, "the new configuration cannot be used; the old one stays in force");
            }
        }
    }
}

fn warn(warnings: &[Finding]) {
    for warning in warnings {
        tracing::warn!(finding = %warning, "doubtful configuration");
    }
}

enum Told {
    Stop,
    Reload,
    Failed,
}

/// What the process is told from outside.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self, failed: &CancellationToken) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
            () = failed.cancelled() => Told::Failed,
        }
    }

    /// Resolves at SIGTERM, SIGINT and SIGHUP: for what ends with its terminal.
    pub async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }

    /// Resolves when it is told a second time. What comes along with the first time is the same one:
    /// `timeout` and some shells signal the process and its group.
    pub async fn end_again(&mut self) {
        const SAME: Duration = Duration::from_millis(500);
        let started = tokio::time::Instant::now();
        loop {
            self.end().await;
            if started.elapsed() >= SAME {
                return;
            }
        }
    }

    /// Resolves at SIGTERM and SIGINT.
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
