//! The loop around a [`Driver`]: owns interval, deadline, backoff, quarantine, proof of commands
//! and "commands first". Never speaks a protocol.

mod execute;
mod health;
mod proof;

#[cfg(test)]
mod tests;

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};

use self::{
    health::{Change, Health},
    proof::Proof,
};
use crate::{
    AdapterError, Availability, Closed, Context, DeviceId, DeviceInfo, Driver, Fault, Job, Problem, Reading,
    UnitId, Wanted,
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

/// Calls to the driver in one turn of the loop, at most: what a relative command comes to, a look
/// before what wears out, the write, and a probe where the unit could not be asked.
const CALLS: u32 = 4;

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
        // The last call for a command found nothing. Every event of the gateway wakes every adapter:
        // what is due here must not wait until the others are done.
        let mut for_nothing = false;
        loop {
            let wake = self.next_wake();
            let timer_first = for_nothing && wake <= Instant::now();
            // One turn holds at most a few calls to the driver, each with its deadline.
            let turn = wake.saturating_duration_since(Instant::now()) + self.schedule.deadline * CALLS;
            self.context.pulse.within(turn);
            let shutdown = self.context.shutdown.clone();
            let turn = tokio::select! {
                biased;
                () = shutdown.cancelled() => Turn::Stop,
                () = self.context.commands.ready(), if !timer_first => Turn::Command,
                () = until(wake) => Turn::Timer,
            };
            match turn {
                Turn::Stop => break,
                Turn::Command => match self.context.commands.take().await {
                    Some(job) => {
                        for_nothing = false;
                        self.execute(job).await;
                    }
                    None => for_nothing = true,
                },
                Turn::Timer => {
                    for_nothing = false;
                    if !self.prove_one().await {
                        self.poll_one().await?;
                    }
                }
            }
        }
        self.context.pulse.rest();
        // What is in flight gets its true answer before the connection closes.
        while let Some(at) = self.settling.iter().map(|(_, proof)| proof.look_at).min() {
            until(at).await;
            self.prove_one().await;
        }
        self.driver.close().await
    }

    fn next_wake(&self) -> Instant {
        let proofs = self.settling.iter().map(|(_, proof)| proof.look_at);
        let reads = self.members.iter().map(|member| self.due(member));
        proofs.chain(reads).min().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    /// When a unit is asked next. The port wakes the loop when a unit becomes urgent.
    fn due(&self, member: &Member) -> Instant {
        member.health.due(member.health.is_set_aside() && self.context.commands.is_urgent(&member.id))
    }

    /// Serves the unit whose turn is longest due.
    async fn poll_one(&mut self) -> Result<(), AdapterError> {
        let dues = self.members.iter().map(|member| self.due(member)).enumerate();
        let Some((at, due)) = dues.min_by_key(|(_, due)| *due) else {
            return Ok(());
        };
        if due > Instant::now() {
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
        match within(deadline, self.driver.read(&unit, Wanted::Due)).await {
            Ok(readings) => {
                self.members[at].health.answered(Instant::now());
                self.publish(readings).await.map(drop).map_err(|closed| AdapterError(closed.to_string()))
            }
            Err(fault) => {
                self.down(at, &fault).await;
                Ok(())
            }
        }
    }

    /// Hands readings over; false when the stop came first. A journal without room is no hang of this
    /// loop, and must not hold up the stop; what is taken at once is taken.
    async fn publish(&mut self, readings: Vec<Reading>) -> Result<bool, Closed> {
        self.context.pulse.rest();
        let taken = tokio::select! {
            biased;
            taken = self.context.outlet.publish(readings) => taken.map(|()| true),
            () = self.context.shutdown.cancelled() => Ok(false),
        };
        self.context.pulse.within(self.schedule.deadline * CALLS);
        taken
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

/// Waits for an instant, and not at all for one that is not in the future: a timer costs up to a
/// millisecond even then.
async fn until(at: Instant) {
    if at > Instant::now() {
        sleep_until(at).await;
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
