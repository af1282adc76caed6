//! One turn of one unit: what is asked, what its answer means, and what is counted of it.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Loop, Member,
    health::Failure,
    load::{self, Demand, Strain},
    patience,
    schedule::{Ask, earliest},
    within,
};
use crate::{AdapterError, Availability, Counter, DeviceInfo, Driver, Fault, Problem, Wanted};

impl<D: Driver> Loop<D> {
    /// Asks the unit whose deadline is the earliest of those that are due.
    pub(super) async fn poll_one(&mut self) -> Result<(), AdapterError> {
        let began = Instant::now();
        let Some(at) = self.next(began) else {
            return Ok(());
        };
        let unit = self.members[at].id.clone();
        let deadline = self.schedule.deadline;
        if self.members[at].health.needs_probe() {
            let glance = self.glance(at, began);
            match within(glance.unwrap_or(deadline), self.driver.probe(&unit)).await {
                Ok(devices) => self.found(at, devices, began).await,
                Err(Fault::Silent(_)) if glance.is_some() => self.glanced(at, began),
                Err(fault) => self.failed(at, &fault, began).await,
            }
            return Ok(());
        }
        self.take_turn(at, began);
        let read = within(deadline, self.driver.read(&unit, Wanted::Due)).await;
        self.count_disbelieved();
        match read {
            Ok(readings) => {
                let now = Instant::now();
                self.link_answered(now);
                self.answers.took(now - began);
                if self.members[at].health.answered(now) {
                    tracing::info!(%unit, devices = self.members[at].devices.len(), "unit answers");
                }
                if let Some(sleep) = &mut self.members[at].sleep {
                    sleep.read(&readings);
                }
                self.tell_online(at).await;
                self.publish(readings).await.map(drop).map_err(|closed| AdapterError(closed.to_string()))
            }
            Err(fault) => {
                self.failed(at, &fault, began).await;
                Ok(())
            }
        }
    }

    /// Whose turn it is. After a silence the reads that came due meanwhile go first, for as long as it took:
    /// many units that are dead when the link opens do not shut out those that answer.
    fn next(&self, now: Instant) -> Option<usize> {
        let asks = || self.asks().zip(&self.members).map(|(ask, member)| (ask, member.health.needs_probe()));
        let is_read_due = asks().any(|(ask, is_probe)| !is_probe && ask.due <= now);
        let probes_from = if is_read_due { self.reads_first } else { now };
        let held = |(ask, is_probe): (Ask, bool)| {
            if is_probe { Ask { due: ask.due.max(probes_from), ..ask } } else { ask }
        };
        earliest(asks().map(held), now)
    }

    /// How long the unit is waited for when it is only asked so soon because a setpoint has to be given back,
    /// and others pay for it. None: for as long as the driver wants.
    fn glance(&self, at: usize, now: Instant) -> Option<Duration> {
        let gate = self.gates().and_then(|gates| gates.of(&self.members[at]));
        self.members[at].health.is_early(now, gate).then(|| self.answers.glance())
    }

    /// It did not answer so soon, which is no news. Whether its link could be opened is not known either.
    fn glanced(&mut self, at: usize, began: Instant) {
        let now = Instant::now();
        self.count_failed(at);
        self.reads_first = now + (now - began);
        self.members[at].health.glanced(now);
    }

    fn take_turn(&mut self, at: usize, now: Instant) {
        let member = &mut self.members[at];
        let is_turn = member.health.is_in_use();
        let missed = member.health.begin(now);
        self.count(at, Counter::MissedPolls, missed);
        match is_turn.then(|| self.turns.take(now, missed)).flatten() {
            Some(Strain::Begins { missed, factor }) => {
                let achievable = load::achievable(&self.demands(), factor);
                tracing::warn!(
                    missed,
                    achievable,
                    "polls are being missed: raise the intervals to what is achievable, read fewer points, or \
                     see to the units that are slow or do not answer"
                );
            }
            Some(Strain::Ends) => tracing::info!(unit = %self.members[at].id, "no polls are missed any more"),
            None => {}
        }
    }

    /// It answered a probe, and is read next.
    async fn found(&mut self, at: usize, devices: Vec<DeviceInfo>, began: Instant) {
        let now = Instant::now();
        self.link_answered(now);
        self.answers.took(now - began);
        self.weigh();
        let member = &mut self.members[at];
        member.health.probed(now);
        if member.announced == devices {
            return;
        }
        let found: Vec<_> = devices.iter().map(|device| device.id.clone()).collect();
        if found != member.devices {
            // What is told next is told of all of them.
            member.state = None;
        }
        let before = std::mem::replace(&mut member.devices, found);
        for id in before.iter().filter(|id| !member.devices.contains(id)) {
            let problem = Problem::new(
                "The unit answers and no longer has this part",
                "Check what is connected to it, or remove the part's table",
            );
            self.context.outlet.availability(id, Availability::Offline).await;
            self.context.outlet.problem(id, Some(problem)).await;
        }
        for device in &devices {
            self.context.outlet.announce(device.clone()).await;
        }
        member.announced = devices;
    }

    async fn failed(&mut self, at: usize, fault: &Fault, began: Instant) {
        self.count_failed(at);
        let now = Instant::now();
        let problem = fault.problem();
        let Some(failure) = failure(fault) else {
            self.members[at].health.not_reached();
            if self.link.failed(now) {
                self.tell_link_down(problem, now).await;
            } else {
                tracing::debug!(%problem, "connection could not be opened");
            }
            return;
        };
        self.link_answered(now);
        let (is_away, missed) = self.members[at].health.failed(now, failure);
        match failure {
            // One that is read on may be silent now and then: that must not keep others from their probes.
            Failure::Silent if self.members[at].health.is_in_use() => self.reads_first = now + (now - began),
            Failure::Silent => self.silent(now, now - began),
            Failure::Refused => self.answers.took(now - began),
        }
        self.count(at, Counter::MissedPolls, missed);
        if is_away {
            self.tell_offline(at, problem, failure, now).await;
        } else {
            tracing::debug!(unit = %self.members[at].id, %problem, "unit gave no readings");
        }
    }

    /// A short silence does not end what a long one costs.
    fn silent(&mut self, now: Instant, took: Duration) {
        let paid = |(known, took): (Instant, Duration)| known + patience::between_probes(took);
        if self.silence.is_none_or(|longest| paid(longest) < paid((now, took))) {
            self.silence = Some((now, took));
        }
        self.reads_first = now + took;
    }

    /// Neither a command nor a probe reached it: that is told at once.
    pub(super) async fn lost(&mut self, at: usize, fault: &Fault) {
        let now = Instant::now();
        match failure(fault) {
            Some(failure) => {
                self.link_answered(now);
                self.members[at].health.lost(now, failure);
                self.tell_offline(at, fault.problem(), failure, now).await;
            }
            None => {
                self.link.lost(now);
                self.tell_link_down(fault.problem(), now).await;
            }
        }
    }

    /// An answer, or at least an open connection.
    pub(super) fn link_answered(&mut self, now: Instant) {
        if self.link.opened(now) {
            tracing::info!(
                units = self.members.len(),
                "connection is open again, all of its units are asked"
            );
        }
    }

    /// What the driver did not believe of what it read.
    pub(super) fn count_disbelieved(&mut self) {
        for (device, what, times) in self.driver.disbelieved() {
            self.context.outlet.count(&device, what, times);
        }
    }

    /// That a unit does not answer in its sleep is no failed poll.
    fn count_failed(&self, at: usize) {
        if !self.members[at].sleep.as_ref().is_some_and(super::Sleep::is_asleep) {
            self.count(at, Counter::FailedPolls, 1);
        }
    }

    fn count(&self, at: usize, what: Counter, times: u64) {
        if times > 0 {
            for device in &self.members[at].devices {
                self.context.outlet.count(device, what, times);
            }
        }
    }

    fn demands(&self) -> Vec<Demand<'_>> {
        self.members
            .iter()
            .map(|Member { id, interval, .. }| Demand {
                unit: id,
                turn: self.driver.turn(id),
                interval: *interval,
            })
            .collect()
    }

    /// Says when the intervals are more than the link can do, and when they no longer are.
    pub(super) fn weigh(&mut self) {
        let demands = self.demands();
        let needed: Duration = demands.iter().map(|demand| demand.turn).sum();
        let achievable = load::stretch(&demands).map(|factor| load::achievable(&demands, factor));
        if !self.too_much.changes(achievable.clone()) {
            return;
        }
        match achievable {
            Some(achievable) => tracing::warn!(
                achievable,
                one_turn_of_all_ms = needed.as_millis(),
                "the units of this connection cannot be read as often as configured: raise the intervals to what \
                 is achievable, read fewer points, or make the link faster"
            ),
            None => tracing::info!("the units of this connection can be read as often as configured"),
        }
    }
}

/// None when it is the link that failed.
fn failure(fault: &Fault) -> Option<Failure> {
    match fault {
        Fault::Unreachable(_) => None,
        Fault::Silent(_) => Some(Failure::Silent),
        Fault::Answered(_) => Some(Failure::Refused),
    }
}
