//! Whether a unit answers, what it is asked next, and when. Pure: the caller brings the clock.
//!
//! | state | what it is asked | when |
//! | --- | --- | --- |
//! | new, unlinked | a probe, then a read | at once |
//! | doubted: silent at its first probe, and told | a probe, then a read | soon |
//! | live | a read | in its rhythm |
//! | failing, not told yet | a read | in its rhythm |
//! | refusing: answers, but nothing useful | a probe, then a read | in its rhythm, not faster than every 1 s, not slower than every 10 s |
//! | quarantined: silent twice and for 3 s | a probe, then a read | after growing pauses |
//!
//! It is back when the read after the probe brought something: a unit that answers probes only would
//! otherwise come and go all the time.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    patience::{ASK_AGAIN, Pauses, Run, URGENT_PAUSE},
    schedule::{Ask, Rhythm},
};

/// How long a probe waits for reads that are due as well: it may cost a timeout.
const STEPS_BACK: Duration = Duration::from_secs(10);
/// What refuses is asked no more often …
const REFUSING_PAUSE: Duration = Duration::from_secs(1);
/// … and no less: it answers at once.
const REFUSING_LONGEST: Duration = Duration::from_secs(10);

/// How a unit failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No answer.
    Silent,
    /// An answer, and nothing useful in it.
    Refused,
}

pub(super) struct Health {
    rhythm: Rhythm,
    state: State,
    /// When a unit that is in no rhythm is asked.
    due: Instant,
    /// When it last answered, or failed to.
    asked: Instant,
    /// It answered the probe: it is read at once, to see whether it is back.
    probed: bool,
}

enum State {
    New,
    Live,
    Failing {
        all: Run,
        silent: Option<Run>,
    },
    Refusing {
        silent: Option<Run>,
    },
    /// Silent since it was found to be there, or since a command found it away.
    Doubted(Run),
    Quarantined(Pauses),
    /// Its link was away.
    Unlinked,
}

impl Health {
    pub fn new(rhythm: Rhythm, now: Instant) -> Self {
        Self { rhythm, state: State::New, due: now, asked: now, probed: false }
    }

    /// The next read or probe. `urgent`: a setpoint of the unit has to be given back. `gate`: no
    /// probe of a silent unit comes earlier, for the sake of the others on the link.
    pub fn ask(&self, urgent: bool, gate: Option<Instant>) -> Ask {
        if self.probed {
            return Ask { due: self.asked, deadline: self.asked };
        }
        let own = Ask { due: self.due, deadline: self.due + STEPS_BACK };
        match self.state {
            State::New | State::Unlinked => own,
            State::Live | State::Failing { .. } => self.rhythm.ask(),
            // It is told to be offline, so that commands wait for it: not for a long interval.
            State::Refusing { .. } => {
                let (ask, soon) = (self.rhythm.ask(), if urgent { URGENT_PAUSE } else { REFUSING_LONGEST });
                Ask { due: ask.due.min(self.asked + soon), ..ask }
            }
            State::Quarantined(_) if urgent => {
                let due = self.turn(gate).min(self.asked + URGENT_PAUSE);
                Ask { due, deadline: due }
            }
            // Its deadline stays its own, so that the one that waits longest is the next. That of a second
            // probe lies behind those of all first ones, and of the reads after them.
            State::Doubted(_) | State::Quarantined(_) => Ask { due: self.turn(gate), ..own },
        }
    }

    /// When the probe of a silent unit is its turn.
    fn turn(&self, gate: Option<Instant>) -> Instant {
        gate.map_or(self.due, |gate| gate.max(self.due))
    }

    /// Is a probe now one before its turn, which others on the link pay for?
    pub fn is_early(&self, now: Instant, gate: Option<Instant>) -> bool {
        self.is_set_aside() && gate.is_some() && now < self.turn(gate)
    }

    /// A command changed it: it is read at once, and keeps its rhythm.
    pub fn read_soon(&mut self, now: Instant) {
        self.rhythm.read_soon(now);
    }

    /// Must the unit be probed before it is read?
    pub fn needs_probe(&self) -> bool {
        !self.probed && !self.is_in_use()
    }

    /// Is it read as one that answers?
    pub fn is_in_use(&self) -> bool {
        matches!(self.state, State::Live | State::Failing { .. })
    }

    /// Is it silent, and probed only, ever more rarely?
    pub fn is_set_aside(&self) -> bool {
        matches!(self.state, State::Quarantined(_))
    }

    /// Is it yet to be asked once more before it is set aside?
    pub fn is_doubted(&self) -> bool {
        matches!(self.state, State::Doubted(_))
    }

    /// It is asked now; says how many turns were dropped because it was not before.
    pub fn begin(&mut self, now: Instant) -> u64 {
        match self.state {
            State::Live | State::Failing { .. } => self.rhythm.take(now),
            // It is told to be offline: nobody misses these.
            State::New
            | State::Refusing { .. }
            | State::Doubted(_)
            | State::Quarantined(_)
            | State::Unlinked => 0,
        }
    }

    /// It answered a probe: read it at once.
    pub fn probed(&mut self, now: Instant) {
        (self.probed, self.asked) = (true, now);
    }

    /// It answered a read; true when it did not before.
    pub fn answered(&mut self, now: Instant) -> bool {
        let back = !self.is_in_use();
        if back {
            self.rhythm.resume(now);
        }
        (self.state, self.probed, self.asked) = (State::Live, false, now);
        back
    }

    /// It did not answer usefully. Says whether that is to be told, and how many turns passed over
    /// it: what fails is not asked twice for one interval.
    pub fn failed(&mut self, now: Instant, failure: Failure) -> (bool, u64) {
        let in_use = self.is_in_use();
        (self.asked, self.probed) = (now, false);
        let is_silent = failure == Failure::Silent;
        let longer = |run: Option<Run>| is_silent.then(|| Run::longer(run, now));
        self.state = match std::mem::replace(&mut self.state, State::New) {
            State::Live => State::Failing { all: Run::longer(None, now), silent: longer(None) },
            State::Failing { all, silent } => {
                let (all, silent) = (Run::longer(Some(all), now), longer(silent));
                if all.is_over(now) { self.away(now, silent) } else { State::Failing { all, silent } }
            }
            State::Refusing { silent } => self.away(now, longer(silent)),
            State::Quarantined(pauses) if is_silent => self.quarantined(now, pauses),
            State::New | State::Unlinked if is_silent => self.doubted(now, Run::longer(None, now)),
            State::Doubted(run) if is_silent => self.doubted(now, Run::longer(Some(run), now)),
            State::New | State::Unlinked | State::Doubted(_) | State::Quarantined(_) => {
                State::Refusing { silent: None }
            }
        };
        let passed = self.rhythm.resume(now);
        if matches!(self.state, State::Refusing { .. }) {
            self.rhythm.resume(now + REFUSING_PAUSE.saturating_sub(self.rhythm.interval()));
        }
        (!self.is_in_use(), if in_use { passed } else { 0 })
    }

    /// Told to be offline: only silence that lasts makes its pauses grow.
    fn away(&mut self, now: Instant, silent: Option<Run>) -> State {
        match silent {
            Some(run) if run.is_over(now) => self.quarantined(now, Pauses::new()),
            silent => State::Refusing { silent },
        }
    }

    fn doubted(&mut self, now: Instant, run: Run) -> State {
        if run.is_over(now) {
            return self.quarantined(now, Pauses::new());
        }
        self.due = now + ASK_AGAIN;
        State::Doubted(run)
    }

    fn quarantined(&mut self, now: Instant, mut pauses: Pauses) -> State {
        self.due = now + pauses.next();
        State::Quarantined(pauses)
    }

    /// It did not answer a probe before its turn: that one comes when it would have.
    pub fn glanced(&mut self, now: Instant) {
        self.asked = now;
    }

    /// A command found out that it is away.
    pub fn lost(&mut self, now: Instant, failure: Failure) {
        self.state = State::New;
        self.failed(now, failure);
    }

    /// Its link is away: nothing is known of it, and it is asked at once when the link is back.
    pub fn unlinked(&mut self, now: Instant) {
        (self.state, self.due, self.probed) = (State::Unlinked, now, false);
    }

    /// It could not be asked.
    pub fn not_reached(&mut self) {
        self.probed = false;
    }
}

#[cfg(test)]
#[path = "tests/health.rs"]
mod tests;
