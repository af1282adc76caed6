//! The loop around a [`Driver`]: owns interval, deadline, backoff, quarantine, proof of commands
//! and "commands first". Never speaks a protocol.

mod health;
mod proof;

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};

use self::{
    health::{Change, Health},
    proof::{Proof, doubt_of},
};
use crate::{
    AdapterError, Availability, Context, DeviceId, DeviceInfo, Driver, Fault, Job, Parameters, Problem,
    ReadBack, UnitId, WriteOutcome, Written,
};

/// Limits of the loop.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// One probe, read, write or read-back takes no longer, whatever the driver thinks.
    pub deadline: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30) }
    }
}

struct Member {
    id: UnitId,
    devices: Vec<DeviceId>,
    health: Health,
    /// What was told to be wrong, while it is set aside.
    problem: Option<Problem>,
}

struct Loop<D> {
    driver: D,
    schedule: Schedule,
    context: Context,
    members: Vec<Member>,
    settling: Vec<(Job, Proof)>,
}

/// Runs a driver until shutdown: probes each unit, reads it at its interval, executes commands
/// before any read, and proves them by fresh reads while it serves the other units.
///
/// # Errors
/// When the gateway takes no more readings although it does not stop, or closing fails.
pub async fn drive<D: Driver>(driver: D, schedule: Schedule, context: Context) -> Result<(), AdapterError> {
    let units = driver.units();
    let now = Instant::now();
    let members = units
        .into_iter()
        .enumerate()
        .map(|(place, unit)| {
            // Spread over the interval, so that units do not all come due at once.
            let spread = unit.interval.min(Duration::from_secs(1)) * u32::try_from(place).unwrap_or(0) / 8;
            Member {
                id: unit.id,
                devices: unit.devices,
                health: Health::new(unit.interval, now + spread),
                problem: None,
            }
        })
        .collect();
    Loop { driver, schedule, context, members, settling: Vec::new() }.run().await
}

enum Turn {
    Stop,
    Command,
    Timer,
}

impl<D: Driver> Loop<D> {
    async fn run(mut self) -> Result<(), AdapterError> {
        loop {
            let wake = self.next_wake();
            // One turn holds at most a few calls to the driver, each with its deadline.
            let turn = wake.saturating_duration_since(Instant::now()) + self.schedule.deadline * 4;
            self.context.pulse.within(turn);
            let shutdown = self.context.shutdown.clone();
            let turn = tokio::select! {
                biased;
                () = shutdown.cancelled() => Turn::Stop,
                () = self.context.commands.ready() => Turn::Command,
                () = sleep_until(wake) => Turn::Timer,
            };
            match turn {
                Turn::Stop => break,
                Turn::Command => {
                    if let Some(job) = self.context.commands.take().await {
                        self.execute(job).await;
                    }
                }
                Turn::Timer => {
                    if !self.prove_one().await {
                        self.poll_one().await?;
                    }
                }
            }
        }
        self.context.pulse.rest();
        // What is in flight gets its true answer before the connection closes.
        while let Some(at) = self.settling.iter().map(|(_, proof)| proof.look_at).min() {
            sleep_until(at).await;
            self.prove_one().await;
        }
        self.driver.close().await
    }

    fn next_wake(&self) -> Instant {
        let proofs = self.settling.iter().map(|(_, proof)| proof.look_at);
        let reads = self.members.iter().map(|member| member.health.due);
        proofs.chain(reads).min().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    async fn execute(&mut self, job: Job) {
        // Also when it was in flight at a crash: reading again is all that it ever does.
        if &*job.command == "refresh" {
            return self.refresh(job).await;
        }
        if let Some(reason) = doubt_of(job.purpose) {
            return self.settle_later(job, Proof::of_doubt, reason);
        }
        let deadline = self.schedule.deadline;
        let written = timeout(deadline, self.driver.write(&job)).await.unwrap_or_else(|_| {
            Written::Ended(WriteOutcome::Unknown {
                reason: format!("no end of the write within {deadline:?}"),
            })
        });
        match written {
            Written::Sent { settle } => {
                let proof = Proof::of_write(Instant::now(), settle, job.verify_for);
                self.settling.push((job, proof));
            }
            Written::Already { observed } => {
                job.settle(WriteOutcome::Done { observed, verified: true, written: false });
            }
            Written::Ended(WriteOutcome::Unknown { reason }) => {
                self.settle_later(job, Proof::of_doubt, reason)
            }
            Written::Ended(outcome @ WriteOutcome::NotApplied { sent: false, .. }) => {
                self.ask_again(&job.unit).await;
                job.settle(outcome);
            }
            Written::Ended(outcome) => job.settle(outcome),
        }
    }

    fn settle_later(&mut self, job: Job, proof: fn(Instant, String, Duration) -> Proof, reason: String) {
        let proof = proof(Instant::now(), reason, job.verify_for);
        self.settling.push((job, proof));
    }

    /// `refresh` is a read out of turn; its proof is the reading itself.
    async fn refresh(&mut self, job: Job) {
        let outcome = match within(self.schedule.deadline, self.driver.read(&job.unit)).await {
            Ok(readings) => match self.context.outlet.publish(readings).await {
                Ok(()) => {
                    WriteOutcome::Done { observed: Parameters::default(), verified: true, written: false }
                }
                Err(closed) => WriteOutcome::NotApplied { reason: closed.to_string(), sent: false },
            },
            Err(fault) => {
                self.ask_again(&job.unit).await;
                WriteOutcome::NotApplied { reason: fault.to_string(), sent: false }
            }
        };
        job.settle(outcome);
    }

    /// A command found no way to its unit. When the unit does not answer a probe either it is away,
    /// and that is told before the command's outcome, so that the command waits for its return.
    async fn ask_again(&mut self, unit: &UnitId) {
        let Some(at) = self.members.iter().position(|member| member.id == *unit) else { return };
        if self.members[at].health.needs_probe() {
            return;
        }
        if let Err(fault) = within(self.schedule.deadline, self.driver.probe(unit)).await {
            self.members[at].health.lost(Instant::now());
            self.told_down(at, &fault).await;
        }
    }

    /// Takes the look that is due, if one is.
    async fn prove_one(&mut self) -> bool {
        let now = Instant::now();
        let Some(at) = self.settling.iter().position(|(_, proof)| proof.look_at <= now) else {
            return false;
        };
        let deadline = self.schedule.deadline;
        let seen = match timeout(deadline, self.driver.read_back(&self.settling[at].0)).await {
            Ok(seen) => seen,
            Err(_) => ReadBack::Failed(too_slow(deadline)),
        };
        if let Some(outcome) = self.settling[at].1.look(Instant::now(), seen) {
            let (job, _) = self.settling.swap_remove(at);
            job.settle(outcome);
        }
        true
    }

    /// Serves the unit whose turn is longest due.
    async fn poll_one(&mut self) -> Result<(), AdapterError> {
        let Some(at) = (0..self.members.len()).min_by_key(|at| self.members[*at].health.due) else {
            return Ok(());
        };
        let now = Instant::now();
        if self.members[at].health.due > now {
            return Ok(());
        }
        let unit = self.members[at].id.clone();
        let deadline = self.schedule.deadline;
        if self.members[at].health.needs_probe() {
            match within(deadline, self.driver.probe(&unit)).await {
                Ok(devices) => self.up(at, devices).await,
                Err(fault) => self.down(at, &fault).await,
            }
            return Ok(());
        }
        match within(deadline, self.driver.read(&unit)).await {
            Ok(readings) => {
                self.members[at].health.answered(Instant::now());
                // A journal without room must not hold up the stop; what is taken at once is taken.
                self.context.pulse.rest();
                tokio::select! {
                    biased;
                    taken = self.context.outlet.publish(readings) => {
                        taken.map_err(|closed| AdapterError(closed.to_string()))
                    }
                    () = self.context.shutdown.cancelled() => Ok(()),
                }
            }
            Err(fault) => {
                self.down(at, &fault).await;
                Ok(())
            }
        }
    }

    async fn up(&mut self, at: usize, devices: Vec<DeviceInfo>) {
        let member = &mut self.members[at];
        let found: Vec<_> = devices.iter().map(|device| device.id.clone()).collect();
        let gone: Vec<_> = member.devices.iter().filter(|id| !found.contains(id)).cloned().collect();
        member.devices = found;
        member.health.probed(Instant::now());
        member.problem = None;
        tracing::info!(unit = %member.id, devices = member.devices.len(), "unit answers");
        for id in gone {
            let problem = Problem::new(
                "The unit answers and no longer has this part",
                "Check what is connected to it, or remove the part's table",
            );
            self.context.outlet.availability(&id, Availability::Offline).await;
            self.context.outlet.problem(&id, Some(problem)).await;
        }
        for device in devices {
            let id = device.id.clone();
            self.context.outlet.announce(device).await;
            self.context.outlet.availability(&id, Availability::Online).await;
            self.context.outlet.problem(&id, None).await;
        }
    }

    async fn down(&mut self, at: usize, fault: &Fault) {
        let member = &mut self.members[at];
        let problem = fault.problem();
        match member.health.failed(Instant::now()) {
            Change::Down => self.told_down(at, fault).await,
            // What is wrong may change while it stays away.
            Change::None if member.health.needs_probe() && member.problem.as_ref() != Some(problem) => {
                member.problem = Some(problem.clone());
                for device in &member.devices {
                    self.context.outlet.problem(device, Some(problem.clone())).await;
                }
            }
            _ => tracing::debug!(unit = %member.id, %problem, "unit gave no readings"),
        }
    }

    async fn told_down(&mut self, at: usize, fault: &Fault) {
        let member = &mut self.members[at];
        let problem = fault.problem();
        member.problem = Some(problem.clone());
        tracing::warn!(unit = %member.id, %problem, "unit is set aside until it answers again");
        for device in &member.devices {
            self.context.outlet.availability(device, Availability::Offline).await;
            self.context.outlet.problem(device, Some(problem.clone())).await;
        }
    }
}

fn too_slow(deadline: Duration) -> Fault {
    Fault::Silent(Problem::new(
        format!("The unit took longer than {deadline:?} for one turn"),
        "Check its network, or raise its timeout",
    ))
}

async fn within<T>(deadline: Duration, turn: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout(deadline, turn).await.unwrap_or_else(|_| Err(too_slow(deadline)))
}
