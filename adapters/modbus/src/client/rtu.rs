//! What a serial line needs beyond tokio-modbus: its answers carry no transaction number, so that an
//! answer that comes late looks like the answer to the next request. Pure: the caller brings the clock.
//!
//! Two things keep it away. The line is left alone after every failure, for the time that the longest
//! answer takes, and what comes meanwhile is thrown away. And a unit that owes an answer is first asked
//! something whose answer has another form, before it is asked again what it owes: units answer in the
//! order in which they are asked, so that the right form proves that nothing older is under way.
//!
//! The unit may refuse that other form, and an exception tells its function and nothing else. It answers
//! some request of that function that is still owed, at the least the oldest one; that one and all before
//! it are settled, whichever it was. So a refused detour frees the form that was owed, while the detour's
//! own answer counts as owed from then on: it has another form and is never taken for the request's. What
//! can go wrong is an exception for nothing: the lost answer was one and came late, and that of the
//! detour is taken for the request's. Only reads take that risk; a write's outcome is never guessed.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use tokio_modbus::Request;

use super::form::Form;
use crate::config::Serial;

/// Longest frame of a line, bytes.
const LONGEST: usize = 256;
/// Behind a converter nobody knows the speed of the line: that of the slowest that is common.
const BEHIND_CONVERTER: Duration = Duration::from_millis(300);
/// No device answers later than this many times what it was given, nor after …
const LATEST: u32 = 10;
/// … so long at least.
const LATEST_AT_LEAST: Duration = Duration::from_secs(10);

/// What may be sent to a unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    /// The request itself.
    Itself,
    /// This read before, because the request's own form is owed.
    Detour(Request<'static>),
    /// Nothing, until some of what is owed has lapsed.
    Nothing,
}

/// What the units of a line owe, and until when the line is left alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Debts {
    /// By unit, the oldest first; each with the instant after which it is paid no more.
    owed: BTreeMap<u8, Vec<(Form, Instant)>>,
    quiet_until: Option<Instant>,
    /// A request is under way.
    awaited: bool,
}

impl Debts {
    /// A request is about to leave: until its answer is there, it is owed.
    pub fn asked(&mut self, unit: u8, form: Form, now: Instant, patience: Duration, line: Option<&Serial>) {
        let owed = self.owed.entry(unit).or_default();
        owed.retain(|(_, latest)| *latest > now);
        owed.push((form, now + (patience * LATEST).max(LATEST_AT_LEAST)));
        self.quiet_until = Some(now + patience + longest(line));
        self.awaited = true;
    }

    /// A good answer came: units answer in the order in which they are asked.
    pub fn answered(&mut self, unit: u8) {
        self.owed.remove(&unit);
        self.quiet_until = None;
    }

    /// An exception of the form's function came; false when it may answer an older request than that of
    /// the form, which then stays owed.
    pub fn refused(&mut self, unit: u8, form: Form) -> bool {
        let owed = self.owed.entry(unit).or_default();
        let mut same = (0..owed.len()).filter(|place| owed[*place].0.function() == form.function());
        let (oldest, other) = (same.next(), same.next());
        match oldest.filter(|_| other.is_some()) {
            Some(oldest) => {
                owed.drain(..=oldest);
                self.quiet_until = None;
                false
            }
            None => {
                self.answered(unit);
                true
            }
        }
    }

    /// Something failed now, or something is wrong on the line.
    pub fn failed(&mut self, now: Instant, line: Option<&Serial>) {
        self.awaited = false;
        self.quiet_until = Some(now + longest(line));
    }

    /// Until when nothing may be sent.
    pub fn quiet_until(&mut self, now: Instant, line: Option<&Serial>) -> Option<Instant> {
        // Nobody waits any more for what was asked last: the line is left alone, and not for all the time
        // that its answer had.
        if std::mem::take(&mut self.awaited) {
            self.quiet_until = self.quiet_until.map(|until| until.min(now + longest(line)));
        }
        self.quiet_until
    }

    /// It was left alone for long enough.
    pub fn rested(&mut self) {
        self.quiet_until = None;
    }

    /// What to ask first, so that an answer that is owed cannot be taken for that of `request`.
    pub fn first(&mut self, unit: u8, request: &Request<'_>, now: Instant) -> First {
        let (Some(owed), Some(wanted)) = (self.owed.get_mut(&unit), Form::of(request)) else {
            return First::Itself;
        };
        owed.retain(|(_, latest)| *latest > now);
        let forms: Vec<Form> = owed.iter().map(|(form, _)| *form).collect();
        if !forms.contains(&wanted) {
            return First::Itself;
        }
        Form::unlike(&forms, request).map_or(First::Nothing, First::Detour)
    }
}

fn longest(line: Option<&Serial>) -> Duration {
    line.map_or(BEHIND_CONVERTER, |line| line.time_of(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Parity;

    const PATIENCE: Duration = Duration::from_millis(300);

    fn form(request: &Request<'_>) -> Form {
        Form::of(request).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_owes_an_answer_is_first_asked_for_another_form() {
        let now = Instant::now();
        let mut debts = Debts::default();
        let asked = Request::ReadInputRegisters(10, 4);
        assert_eq!(debts.first(1, &asked, now), First::Itself, "nothing is owed");
        debts.asked(1, form(&asked), now, PATIENCE, None);
        let detour = |at, count| First::Detour(Request::ReadInputRegisters(at, count));
        assert_eq!(debts.first(1, &asked, now), detour(10, 2));
        let elsewhere = Request::ReadInputRegisters(50, 4);
        assert_eq!(debts.first(1, &elsewhere, now), detour(50, 2));
        for other in [Request::ReadInputRegisters(10, 5), Request::ReadHoldingRegisters(10, 4)] {
            assert_eq!(debts.first(1, &other, now), First::Itself, "its answer looks different anyway");
        }
        assert_eq!(debts.first(2, &asked, now), First::Itself, "another unit's answer names that unit");
        assert_eq!(debts.first(1, &asked, now + LATEST_AT_LEAST), First::Itself, "nobody answers that late");
        debts.asked(1, form(&asked), now, PATIENCE, None);
        debts.answered(1);
        assert_eq!((debts.first(1, &asked, now), debts.quiet_until(now, None)), (First::Itself, None));
    }

    #[tokio::test(start_paused = true)]
    async fn several_debts_are_all_avoided_and_an_exception_pays_the_oldest_of_its_function() {
        let now = Instant::now();
        let mut debts = Debts::default();
        let read = |count| Request::ReadInputRegisters(10, count);
        let detour = |count| First::Detour(read(count));
        debts.asked(1, form(&read(4)), now, PATIENCE, None);
        assert!(debts.refused(1, form(&read(4))), "its own");
        debts.asked(1, form(&read(4)), now, PATIENCE, None);
        debts.asked(1, form(&read(2)), now, PATIENCE, None);
        assert_eq!((debts.first(1, &read(4), now), debts.first(1, &read(2), now)), (detour(3), detour(1)));
        assert!(!debts.refused(1, form(&read(2))), "it may be that of the first");
        assert_eq!(debts.first(1, &read(4), now), First::Itself, "which is settled in any case");
        assert_eq!(debts.first(1, &read(2), now), detour(1), "its own answer may be under way");
    }

    #[tokio::test(start_paused = true)]
    async fn an_exception_of_another_function_than_all_that_is_owed_is_a_proof() {
        let now = Instant::now();
        let mut debts = Debts::default();
        let write = Request::WriteSingleRegister(9, 7);
        debts.asked(1, form(&write), now, PATIENCE, None);
        let First::Detour(detour) = debts.first(1, &write, now) else { panic!("a detour") };
        debts.asked(1, form(&detour), now, PATIENCE, None);
        assert!(debts.refused(1, form(&detour)), "no answer to a write");
        assert_eq!(debts.first(1, &write, now), First::Itself);
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_left_alone_for_the_longest_answer_after_a_failure() {
        let now = Instant::now();
        let line = Serial { path: "/dev/x".into(), baud: 9600, parity: Parity::None, stop: 1 };
        let mut debts = Debts::default();
        debts.failed(now, Some(&line));
        let quiet = debts.quiet_until(now, Some(&line)).unwrap() - now;
        assert!(quiet >= Duration::from_millis(266) && quiet < Duration::from_millis(268), "{quiet:?}");
        debts.rested();
        assert_eq!(debts.quiet_until(now, Some(&line)), None);
    }
}
