//! The loop around a [`Driver`]: owns interval, order, deadline, backoff, quarantine, proof of
//! commands and "commands first". Never speaks a protocol.
//!
//! | module | owns |
//! | --- | --- |
//! | `schedule` | whose turn it is: rhythm, spread, earliest deadline first; pure |
//! | `health` | whether a unit answers, and what it is asked; pure |
//! | `link` | whether the link can be opened, for all of its units; pure |
//! | `sleep` | whether silence is a night or a failure; pure |
//! | `patience` | how long failing is borne, and how pauses grow; pure |
//! | `load` | whether the intervals can be kept; pure |
//! | `poll` | one turn of one unit |
//! | `tell` | what is told of units |
//! | `execute`, `proof` | commands |

mod execute;
mod health;
mod link;
mod load;
mod patience;
mod poll;
mod proof;
mod schedule;
mod sleep;
mod tell;

#[cfg(test)]
mod tests;

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};

use self::{
    health::Health,
    link::Link,
    load::Turns,
    patience::Answers,
    proof::Proof,
    schedule::{Ask, Rhythm},
    sleep::Sleep,
    tell::State,
};
use crate::{
    AdapterError, Closed, Context, DeviceId, DeviceInfo, Driver, Fault, Job, Problem, Reading, UnitId,
};

/// Limits of the loop.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// One probe, read, write or read-back takes no longer, whatever the driver thinks.
    pub deadline: Duration,
}

impl Schedule {
    /// The share of its time that a link may spend on polls: the rest is for commands and probes. Intervals
    /// that need more than that are warned of.
    pub const ROOM: f64 = 0.9;
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
    interval: Duration,
    health: Health,
    /// As its devices were last announced.
    announced: Vec<DeviceInfo>,
    /// What was told of its devices; none: nothing, or not of all of them.
    state: Option<State>,
    /// None: it never sleeps.
    sleep: Option<Sleep>,
}

struct Loop<D> {
    driver: D,
    schedule: Schedule,
    context: Context,
    members: Vec<Member>,
    settling: Vec<(Job, Proof)>,
    link: Link,
    /// The silence that is paid for the longest: when it was known, and how long it took.
    silence: Option<(Instant, Duration)>,
    /// Until then, what is due to be read goes before what is due to be probed.
    reads_first: Instant,
    answers: Answers,
    turns: Turns,
    /// What was last told of intervals that the link cannot keep.
    too_much: load::Told,
}

/// Runs a driver until shutdown: probes each unit, reads it at its interval, executes commands
/// before any read, and proves them by fresh reads while it serves the other units.
///
/// # Errors
/// When the gateway takes no more readings although it does not stop, or closing fails.
pub async fn drive<D: Driver>(driver: D, schedule: Schedule, context: Context) -> Result<(), AdapterError> {
    let units = driver.units();
    let now = Instant::now();
    let count = units.len();
    let first = units.first().map(|unit| unit.id.clone());
    let members = units.into_iter().enumerate().map(|(place, unit)| {
        let phase = schedule::phase(first.as_ref().unwrap_or(&unit.id), place, count, unit.interval);
        Member {
            health: Health::new(Rhythm::new(now, phase, unit.interval), now),
            sleep: Sleep::of(&unit),
            id: unit.id,
            devices: unit.devices,
            interval: unit.interval,
            announced: Vec::new(),
            state: None,
        }
    });
    let mut running = Loop {
        members: members.collect(),
        driver,
        schedule,
        context,
        settling: Vec::new(),
        link: Link::new(now),
        silence: None,
        reads_first: now,
        answers: Answers::default(),
        turns: Turns::new(now),
        too_much: load::Told::default(),
    };
    running.weigh();
    running.run().await
}

/// Before these no silent unit is probed: the others on the link keep their period.
#[derive(Clone, Copy)]
struct Gates {
    /// Of those that are asked once more before they are set aside.
    second: Instant,
    /// Of those that are set aside.
    aside: Instant,
}

impl Gates {
    /// The one that the unit waits at.
    fn of(self, member: &Member) -> Option<Instant> {
        match &member.health {
            health if health.is_doubted() => Some(self.second),
            health => health.is_set_aside().then_some(self.aside),
        }
    }
}

enum Turn {
    Stop,
    Command,
    Timer,
    Rest,
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
                () = self.driver.rest() => Turn::Rest,
            };
            match turn {
                Turn::Stop => break,
                Turn::Rest => {}
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
        let asks = self.asks().map(|ask| ask.due);
        proofs.chain(asks).min().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    /// When each unit is asked next. The port wakes the loop when a unit becomes urgent.
    fn asks(&self) -> impl Iterator<Item = Ask> {
        let is_urgent = |member: &Member| self.context.commands.is_urgent(&member.id);
        let free_at = self.link.free_at(self.link.is_down() && self.members.iter().any(is_urgent));
        let gates = self.gates();
        self.members.iter().map(move |member| {
            let urgent = !member.health.is_in_use() && is_urgent(member);
            let ask = member.health.ask(urgent, gates.and_then(|gates| gates.of(member)));
            Ask { due: ask.due.max(free_at), ..ask }
        })
    }

    /// None when there is nobody to be spared.
    fn gates(&self) -> Option<Gates> {
        let (known, took) = self.silence?;
        let count = |is: fn(&Health) -> bool| self.members.iter().filter(|member| is(&member.health)).count();
        let (doubted, aside) = (count(Health::is_doubted), count(Health::is_set_aside));
        (doubted + aside < self.members.len()).then(|| Gates {
            second: known + patience::before_second(took, doubted),
            aside: known + patience::between_probes(took),
        })
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
