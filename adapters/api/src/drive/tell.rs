//! What is told of units: that they answer, sleep or are away. Availability and problems go out when they
//! change. Whether it is so is decided elsewhere.

use tokio::time::Instant;

use super::{
    Loop, Member,
    health::Failure,
    sleep::{Night, asleep},
};
use crate::{Availability, Driver, Problem};

/// What was told of a unit's devices.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    Online,
    /// Offline, for this reason.
    Offline(Problem),
    /// Offline until there is sun.
    Asleep,
}

impl State {
    fn is_offline(&self) -> bool {
        matches!(self, Self::Offline(_) | Self::Asleep)
    }
}

impl<D: Driver> Loop<D> {
    pub(super) async fn tell_link_down(&mut self, problem: &Problem, now: Instant) {
        let nights: Vec<_> =
            self.members.iter_mut().map(|member| member.night(now, Failure::Silent)).collect();
        // Its words may differ from one attempt to the next.
        let fails = |(member, night): (&Member, &Night)| {
            *night == Night::No && !member.state.as_ref().is_some_and(State::is_offline)
        };
        if self.members.iter().zip(&nights).any(fails) {
            tracing::warn!(%problem, units = self.members.len(), "connection is away, and all of its units with it");
        }
        for (at, night) in nights.into_iter().enumerate() {
            self.members[at].health.unlinked(now);
            self.tell_night(at, night, problem).await;
        }
    }

    pub(super) async fn tell_offline(
        &mut self,
        at: usize,
        problem: &Problem,
        failure: Failure,
        now: Instant,
    ) {
        let night = self.members[at].night(now, failure);
        let member = &self.members[at];
        // A night that does not end is news, although it was told to be offline.
        if night == Night::No && !matches!(member.state, Some(State::Offline(_))) {
            tracing::warn!(unit = %member.id, %problem, "unit is away until it answers again");
        }
        self.tell_night(at, night, problem).await;
    }

    /// It sleeps, or it is away for this reason.
    async fn tell_night(&mut self, at: usize, night: Night, problem: &Problem) {
        let Member { id, sleep: Some(sleep), .. } = &self.members[at] else {
            return self.tell_state(at, State::Offline(problem.clone())).await;
        };
        match night {
            Night::No => return self.tell_state(at, State::Offline(problem.clone())).await,
            Night::Begins => {
                tracing::info!(unit = %id, device = %sleep.device(), "unit sleeps until there is sun");
                let reading = sleep.reading(self.context.clock.now());
                // When nobody takes it the gateway is stopping, which the loop finds out by itself.
                let _taken = self.publish(vec![reading]).await;
            }
            Night::Goes => {}
        }
        self.tell_state(at, State::Asleep).await;
    }

    pub(super) async fn tell_online(&mut self, at: usize) {
        self.tell_state(at, State::Online).await;
    }

    async fn tell_state(&mut self, at: usize, state: State) {
        let Member { devices, state: told, .. } = &mut self.members[at];
        if told.as_ref() == Some(&state) {
            return;
        }
        let (availability, problem) = match &state {
            State::Offline(problem) => (Availability::Offline, Some(problem.clone())),
            State::Asleep => (Availability::Offline, Some(asleep())),
            State::Online => (Availability::Online, None),
        };
        let only_words = state.is_offline() && told.as_ref().is_some_and(State::is_offline);
        for device in devices.iter() {
            if !only_words {
                self.context.outlet.availability(device, availability).await;
            }
            self.context.outlet.problem(device, problem.clone()).await;
        }
        *told = Some(state);
    }
}

impl Member {
    fn night(&mut self, now: Instant, failure: Failure) -> Night {
        let Some(sleep) = &mut self.sleep else { return Night::No };
        sleep.away(now, failure == Failure::Silent, &self.announced)
    }
}
