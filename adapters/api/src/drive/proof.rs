//! When a written command counts as proven, pure: the caller brings the clock and the reads.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Parameters, ReadBack, WriteOutcome};

/// Pause between two looks at a device that still shows something else.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Equal readings that are needed before "not applied" is believed: dongles answer old values.
const EQUAL_READINGS: u32 = 2;

/// A command whose bytes may have left, on its way to the truth.
pub(super) struct Proof {
    /// Next fresh read.
    pub look_at: Instant,
    /// Nothing is written yet: it is to be seen whether the device still shows what it holds.
    pub before_renewal: bool,
    deadline: Instant,
    /// Nobody knows whether the write was taken: no answer came, or the process died.
    doubt: Option<String>,
    /// What was asked for and what was seen at the last look.
    last: Option<(Parameters, Parameters)>,
    equal: u32,
}

impl Proof {
    pub fn of_write(now: Instant, settle: Duration, verify_for: Duration) -> Self {
        let look_at = now + settle;
        let deadline = look_at + verify_for;
        Self { look_at, before_renewal: false, deadline, doubt: None, last: None, equal: 0 }
    }

    pub fn of_doubt(now: Instant, reason: String, verify_for: Duration) -> Self {
        Self { doubt: Some(reason), ..Self::of_write(now, Duration::ZERO, verify_for) }
    }

    /// Whether a setpoint that is held is still there: two equal looks at something else say no.
    pub fn of_renewal(now: Instant) -> Self {
        Self { before_renewal: true, ..Self::of_write(now, Duration::ZERO, Duration::ZERO) }
    }

    /// Takes one look; `Some` ends it.
    pub fn look(&mut self, now: Instant, seen: ReadBack) -> Option<WriteOutcome> {
        let late = now >= self.deadline;
        self.look_at = now + LOOK_AGAIN;
        match seen {
            ReadBack::Applied { observed } => {
                Some(WriteOutcome::Done { observed, verified: true, written: true })
            }
            ReadBack::Nothing => Some(self.without_proof("this command leaves nothing to read")),
            ReadBack::Failed(fault) if late => Some(match (&self.doubt, &self.last) {
                // What it showed while it may still have shown old values proves nothing, and that it
                // accepted the write is no longer enough either.
                (None, Some(_)) => WriteOutcome::Unknown {
                    reason: format!(
                        "it accepted the write, showed something else, and then could not be read: {fault}"
                    ),
                },
                _ => self.without_proof(&format!("the read-back failed: {fault}")),
            }),
            ReadBack::Failed(_) => {
                self.equal = 0;
                None
            }
            ReadBack::Different { requested, observed } => {
                let same = self.last.as_ref().is_some_and(|(_, last)| *last == observed);
                self.equal = if same { self.equal + 1 } else { 1 };
                self.last = Some((requested.clone(), observed.clone()));
                // Two that fight over a setpoint never show the same twice: that ends as well.
                let too_late = now >= self.deadline + LOOK_AGAIN * 2 * EQUAL_READINGS;
                if !late || (self.equal < EQUAL_READINGS && !too_late) {
                    return None;
                }
                Some(match &self.doubt {
                    Some(reason) if self.equal < EQUAL_READINGS => WriteOutcome::Unknown {
                        reason: format!("{reason}; fresh reads show something else each time"),
                    },
                    Some(reason) => WriteOutcome::NotApplied {
                        reason: format!("{reason}; fresh reads show that it was not applied"),
                        sent: true,
                    },
                    None => WriteOutcome::Mismatch { requested, observed },
                })
            }
        }
    }

    /// The device accepted the write, or nobody knows: that decides when reading does not help.
    fn without_proof(&self, why: &str) -> WriteOutcome {
        match &self.doubt {
            Some(reason) => WriteOutcome::Unknown { reason: format!("{reason}; {why}") },
            None => WriteOutcome::Done { observed: Parameters::default(), verified: false, written: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fault, Problem, Value};

    fn different(value: f64) -> ReadBack {
        let mut observed = Parameters::default();
        observed.0.insert("power".into(), Value::Number(value));
        ReadBack::Different { requested: Parameters::default(), observed }
    }

    fn silent() -> ReadBack {
        ReadBack::Failed(Fault::Silent(Problem::new("no answer", "wait")))
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_value_is_not_believed_before_the_time_is_over_and_seen_twice() {
        let start = Instant::now();
        let mut proof = Proof::of_write(start, Duration::ZERO, Duration::from_secs(5));
        assert_eq!(proof.look(start, different(1.0)), None);
        assert_eq!(proof.look(start + Duration::from_secs(6), different(2.0)), None, "not equal yet");
        let end = proof.look(start + Duration::from_secs(7), different(2.0));
        assert!(matches!(end, Some(WriteOutcome::Mismatch { .. })), "{end:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn doubt_ends_as_not_applied_when_read_and_as_unknown_when_not() {
        let start = Instant::now();
        let late = start + Duration::from_secs(6);
        let mut proof = Proof::of_doubt(start, "no answer".into(), Duration::from_secs(5));
        assert_eq!(proof.look(start, different(1.0)), None);
        assert!(matches!(proof.look(late, different(1.0)), Some(WriteOutcome::NotApplied { .. })));
        let mut proof = Proof::of_doubt(start, "no answer".into(), Duration::from_secs(5));
        assert_eq!(proof.look(start, silent()), None);
        assert!(matches!(proof.look(late, silent()), Some(WriteOutcome::Unknown { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_look_that_shows_it_ends_the_proof() {
        let start = Instant::now();
        let mut proof = Proof::of_write(start, Duration::ZERO, Duration::from_secs(5));
        for second in 0..4 {
            assert_eq!(proof.look(start + Duration::from_secs(second), different(1.0)), None, "old values");
        }
        let applied = ReadBack::Applied { observed: Parameters::default() };
        let end = proof.look(start + Duration::from_secs(4), applied);
        assert!(matches!(end, Some(WriteOutcome::Done { verified: true, .. })), "{end:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn old_values_and_then_silence_are_neither_a_failure_nor_a_success() {
        let start = Instant::now();
        let mut proof = Proof::of_write(start, Duration::ZERO, Duration::from_secs(5));
        assert_eq!(proof.look(start, different(1.0)), None);
        assert_eq!(proof.look(start + Duration::from_secs(1), different(1.0)), None);
        let end = proof.look(start + Duration::from_secs(6), silent());
        assert!(matches!(end, Some(WriteOutcome::Unknown { .. })), "{end:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn doubt_about_values_that_never_stand_still_stays_doubt() {
        let start = Instant::now();
        let mut proof = Proof::of_doubt(start, "no answer".into(), Duration::from_secs(1));
        let mut end = None;
        for look in 0..20_u32 {
            end = end.or(proof.look(start + LOOK_AGAIN * look, different(f64::from(look))));
        }
        assert!(matches!(end, Some(WriteOutcome::Unknown { .. })), "{end:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_accepted_write_that_cannot_be_read_is_done_but_not_verified() {
        let start = Instant::now();
        let mut proof = Proof::of_write(start, Duration::ZERO, Duration::from_secs(5));
        let end = proof.look(start + Duration::from_secs(6), silent());
        assert!(matches!(end, Some(WriteOutcome::Done { verified: false, written: true, .. })));
    }
}
