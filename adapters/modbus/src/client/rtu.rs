//! What a serial line needs beyond tokio-modbus: its answers carry no transaction number, so that an
//! answer that comes late looks like the answer to the next request. Pure: the caller brings the clock.
//!
//! Two things keep it away. The line is left alone after every failure, for the time that the longest
//! answer takes, and what comes meanwhile is thrown away. And a unit that owes an answer is first asked
//! something whose answer has another form, before it is asked again what it owes: units answer in the
//! order in which they are asked, so that the right form proves that nothing older is under way.

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

/// What the units of a line owe, and until when the line is left alone.
#[derive(Debug, Default)]
pub(super) struct Debts {
    /// By unit; each with the instant after which it is paid no more.
    owed: BTreeMap<u8, Vec<(Form, Instant)>>,
    quiet_until: Option<Instant>,
}

impl Debts {
    /// A request is about to leave: until its answer is there, it is owed.
    pub fn asked(&mut self, unit: u8, form: Form, now: Instant, patience: Duration, line: Option<&Serial>) {
        let owed = self.owed.entry(unit).or_default();
        owed.retain(|(known, latest)| *known != form && *latest > now);
        owed.push((form, now + (patience * LATEST).max(LATEST_AT_LEAST)));
        self.quiet_until = Some(now + patience + longest(line));
    }

    /// A good answer came: units answer in the order in which they are asked.
    pub fn answered(&mut self, unit: u8) {
        self.owed.remove(&unit);
        self.quiet_until = None;
    }

    /// An exception came, which says nothing of what it answers; false when it may be an older one.
    pub fn refused(&mut self, unit: u8) -> bool {
        let own = self.owed.get(&unit).is_none_or(|owed| owed.len() <= 1);
        if own {
            self.answered(unit);
        }
        own
    }

    /// Something failed now, or something is wrong on the line.
    pub fn failed(&mut self, now: Instant, line: Option<&Serial>) {
        self.quiet_until = Some(now + longest(line));
    }

    /// Until when nothing may be sent.
    pub fn quiet_until(&self) -> Option<Instant> {
        self.quiet_until
    }

    /// It was left alone for long enough.
    pub fn rested(&mut self) {
        self.quiet_until = None;
    }

    /// What to ask first, so that an answer that is owed cannot be taken for that of `request`.
    pub fn first(&mut self, unit: u8, request: &Request<'_>, now: Instant) -> Option<Request<'static>> {
        let owed = self.owed.get_mut(&unit)?;
        owed.retain(|(_, latest)| *latest > now);
        let forms: Vec<Form> = owed.iter().map(|(form, _)| *form).collect();
        let wanted = Form::of(request)?;
        forms.contains(&wanted).then(|| Form::unlike(&forms, request))
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
        assert_eq!(debts.first(1, &asked, now), None, "nothing is owed");
        debts.asked(1, form(&asked), now, PATIENCE, None);
        assert_eq!(debts.first(1, &asked, now), Some(Request::ReadInputRegisters(10, 3)));
        let elsewhere = Request::ReadInputRegisters(50, 4);
        assert_eq!(debts.first(1, &elsewhere, now), Some(Request::ReadInputRegisters(50, 3)));
        for other in [Request::ReadInputRegisters(10, 5), Request::ReadHoldingRegisters(10, 4)] {
            assert_eq!(debts.first(1, &other, now), None, "its answer looks different anyway");
        }
        assert_eq!(debts.first(2, &asked, now), None, "another unit's answer names that unit");
        assert_eq!(debts.first(1, &asked, now + LATEST_AT_LEAST), None, "nobody answers that late");
        debts.asked(1, form(&asked), now, PATIENCE, None);
        debts.answered(1);
        assert_eq!((debts.first(1, &asked, now), debts.quiet_until()), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn several_debts_are_all_avoided_and_an_exception_pays_none_of_them() {
        let now = Instant::now();
        let mut debts = Debts::default();
        let (long, short) = (Request::ReadInputRegisters(10, 4), Request::ReadInputRegisters(10, 3));
        debts.asked(1, form(&long), now, PATIENCE, None);
        assert!(debts.refused(1), "its own");
        debts.asked(1, form(&long), now, PATIENCE, None);
        debts.asked(1, form(&short), now, PATIENCE, None);
        assert!(!debts.refused(1), "it may be that of the first");
        assert_eq!(debts.first(1, &long, now), Some(Request::ReadInputRegisters(10, 2)));
        assert_eq!(debts.first(1, &short, now), Some(Request::ReadInputRegisters(10, 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_left_alone_for_the_longest_answer_after_a_failure() {
        let now = Instant::now();
        let line = Serial { path: "/dev/x".into(), baud: 9600, parity: Parity::None, stop: 1 };
        let mut debts = Debts::default();
        debts.failed(now, Some(&line));
        let quiet = debts.quiet_until().unwrap() - now;
        assert!(quiet >= Duration::from_millis(266) && quiet < Duration::from_millis(268), "{quiet:?}");
        debts.rested();
        assert_eq!(debts.quiet_until(), None);
    }
}
