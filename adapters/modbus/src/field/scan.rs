//! The sweep over a plan: a cheap sign of life from each unit, and a closer look at those that gave
//! one. The report grows while it runs, so that whoever ends it early has what was found so far.

use std::{collections::BTreeSet, time::Duration};

use adapter_api::{Problem, profile::Function};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    ask::{Blank, nobody, problem, settings, unit},
    describe::describe,
    place,
    plan::{Scan, quiet},
    report::{Found, Report},
};
use crate::{
    client::{Link, LinkError},
    config::Address,
    units::UnitConfig,
};

/// A device that takes one client only needs a moment to notice that the last one left.
const AGAIN: Duration = Duration::from_secs(1);

/// A Modbus gateway's exception: the unit behind it does not answer.
pub(super) const TARGET_SILENT: u8 = 11;

/// How far a scan is.
#[derive(Debug)]
pub struct Step<'a> {
    /// Unit ids that were asked, each line's own.
    pub done: usize,
    /// How many are to be asked, as far as it is known now.
    pub total: usize,
    /// The line that was asked.
    pub address: &'a str,
    /// The unit that was asked.
    pub unit: u8,
    /// A device that was not known before.
    pub found: Option<&'a Found>,
}

/// Which questions a unit is asked for a sign of life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// With both functions, and patience.
    Likely,
    /// With function 3, and those that people set with both.
    Rest,
    /// With function 4, where nobody answers the other one.
    Input,
}

/// What one unit's sign of life was.
enum Sign {
    Alive(Function),
    /// A gateway says that nobody is there, or nobody answers.
    Nothing,
    /// Something answers, and not to the question.
    Garbled,
    /// The line itself is gone.
    Lost(Problem),
}

impl Scan {
    /// Asks the units one after the other. Dropping it ends the scan and closes the line; what is in
    /// `report` stays good.
    ///
    /// # Errors
    /// When the line cannot be opened, in words that name the remedy. A line that is lost later is a
    /// remark in the report.
    pub async fn run(
        &self,
        report: &mut Report,
        watch: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<(), Problem> {
        if let Some(line) = self.lines.first() {
            place::check(line).await?;
        }
        let total = self.lines.len() * self.first.len();
        let sweep = Sweep {
            scan: self,
            report,
            watch,
            blank: Blank::new(),
            link: None,
            quiet_until: None,
            slowest: None,
            holding: BTreeSet::new(),
            done: 0,
            total,
        };
        sweep.run().await
    }
}

struct Sweep<'a> {
    scan: &'a Scan,
    report: &'a mut Report,
    watch: &'a mut (dyn FnMut(Step<'_>) + Send),
    blank: Blank,
    link: Option<Link>,
    /// Until when the line is left alone after a silence. The link sees to it as well; here it keeps the
    /// wait out of the time that an answer took.
    quiet_until: Option<Instant>,
    /// The slowest answer to a question that was answered.
    slowest: Option<Duration>,
    /// Lines on which function 3 was answered.
    holding: BTreeSet<String>,
    done: usize,
    total: usize,
}

impl Sweep<'_> {
    async fn run(mut self) -> Result<(), Problem> {
        let scan = self.scan;
        for line in &scan.lines {
            if !self.line(line, &scan.first, Pass::Likely).await? {
                return Ok(());
            }
        }
        let alive = |report: &Report, line: &Address| report.alive_at(&line.to_string());
        let deep: Vec<_> = scan.lines.iter().filter(|line| alive(self.report, line)).collect();
        let deep = if deep.is_empty() { scan.lines.iter().collect() } else { deep };
        let mut deep = deep.into_iter().filter(|line| !self.all_the_same(line)).collect::<Vec<_>>();
        if !self.sweep(&deep, &scan.rest, Pass::Rest).await? {
            return Ok(());
        }
        if deep.iter().any(|line| alive(self.report, line)) {
            deep.retain(|line| alive(self.report, line));
        }
        deep.retain(|line| !self.holding.contains(&line.to_string()));
        if !self.sweep(&deep, &scan.half_asked(), Pass::Input).await? {
            return Ok(());
        }
        self.report.complete = true;
        Ok(())
    }

    /// Asks the units of all these lines; tells whether others can be asked after it. The first line of
    /// several on which something answers ends it: where nothing is known, that is the one.
    async fn sweep(&mut self, lines: &[&Address], units: &[u8], pass: Pass) -> Result<bool, Problem> {
        let unknown = lines.len() > 1 && self.report.found.is_empty();
        let begun = self.done;
        self.total = begun + lines.len() * units.len();
        for line in lines {
            if !self.line(line, units, pass).await? {
                return Ok(false);
            }
            if unknown && !self.report.found.is_empty() {
                self.report.remark(
                    "Other speeds were not tried with all unit ids: the devices of a line share one. Name the speed to try it"
                        .to_owned(),
                );
                break;
            }
        }
        self.total = self.done;
        Ok(true)
    }

    /// Does the device at this line answer on any unit id, so that the others need not be asked?
    fn all_the_same(&mut self, line: &Address) -> bool {
        let numbered = matches!(line, Address::Tcp(_)) && !self.scan.rest.is_empty();
        let certain = numbered && self.report.ignores_units(&line.to_string(), &self.scan.first);
        if certain {
            self.report.remark(format!(
                "The device at {line} answers on any unit id, so the others were not asked. Use the first one; name unit ids to ask others"
            ));
        }
        certain
    }

    /// Asks units of one line; tells whether others can be asked after it. A speed that a port cannot
    /// be set to is no reason to give up the others.
    ///
    /// # Errors
    /// When nothing can be asked any more, and nothing was found that could be told.
    async fn line(&mut self, line: &Address, units: &[u8], pass: Pass) -> Result<bool, Problem> {
        let done = self.done + units.len();
        let Err((unit, problem)) = self.units(line, units, pass).await else { return Ok(true) };
        self.link = None;
        self.done = done;
        let first = &self.scan.lines[0];
        let gone = line == first || place::check(first).await.is_err();
        if gone && self.report.found.is_empty() {
            return Err(problem);
        }
        self.report.remark(match gone {
            true => format!("The line was lost before unit {unit}: {problem}"),
            false => format!("{line} cannot be asked: {problem}"),
        });
        Ok(!gone)
    }

    /// Asks units of one line. An error names the unit before which the line was lost.
    async fn units(&mut self, line: &Address, units: &[u8], pass: Pass) -> Result<(), (u8, Problem)> {
        let address = line.to_string();
        if self.link.as_ref().is_none_or(|link| link.address() != line) {
            // The old one goes first: a serial port has one user.
            self.link = None;
        }
        for id in units {
            let found = match self.sign(line, *id, pass).await {
                Sign::Alive(function) => {
                    if function == Function::Holding {
                        self.holding.insert(address.clone());
                    }
                    match self.look(line, *id).await {
                        Some(found) => self.report.take(found, matches!(line, Address::Tcp(_))),
                        None => false,
                    }
                }
                Sign::Nothing => false,
                Sign::Garbled => {
                    self.report.remark(format!(
                        "At {line} something answers, but not to the question: it has another speed, two devices have one unit id, or a second program uses the line"
                    ));
                    false
                }
                Sign::Lost(problem) => return Err((*id, problem)),
            };
            self.done += 1;
            let found = self.report.found.last().filter(|_| found);
            (self.watch)(Step { done: self.done, total: self.total, address: &address, unit: *id, found });
        }
        Ok(())
    }

    /// Any answer is life, an exception too, unless a gateway says that nobody is there.
    async fn sign(&mut self, line: &Address, id: u8, pass: Pass) -> Sign {
        let scan = self.scan;
        let timeout = if pass == Pass::Likely { scan.patient(line) } else { scan.brief(line, self.slowest) };
        let functions = if pass == Pass::Input { &[Function::Input][..] } else { scan.functions(id) };
        let unit = unit(id, timeout);
        let mut sign = Sign::Nothing;
        for function in functions {
            let mut answer = self.question(line, &unit, *function).await;
            if lost(&answer) && self.done > 0 {
                sleep(AGAIN).await;
                answer = self.question(line, &unit, *function).await;
            }
            if matches!(answer, Err(LinkError::Mismatch(_))) && !matches!(line, Address::Tcp(_)) {
                // A refusal after a silence may answer either question, which is no matter here: a unit
                // says so. A new link owes nothing.
                self.link = None;
                answer = self.question(line, &unit, *function).await;
            }
            match answer {
                // A gateway says the same of a unit that is silent to one function.
                Err(LinkError::NoAnswer(_) | LinkError::Exception(TARGET_SILENT)) => {}
                Err(LinkError::Exception(code)) if nobody(code) => return Sign::Nothing,
                Ok(_) | Err(LinkError::Exception(_)) => return Sign::Alive(*function),
                Err(LinkError::Mismatch(why)) => {
                    tracing::debug!(unit = id, why, "an answer that does not belong to the question");
                    sign = Sign::Garbled;
                }
                Err(error) => {
                    return Sign::Lost(error.fault(&format!("Unit {id} at {line}")).problem().clone());
                }
            }
        }
        sign
    }

    /// One question for two registers. The link is kept, also after a silence: opening a serial port
    /// moves its control lines, which resets some adapters.
    async fn question(
        &mut self,
        line: &Address,
        unit: &UnitConfig,
        function: Function,
    ) -> Result<Vec<u16>, LinkError> {
        if let Some(until) = self.quiet_until.take() {
            sleep_until(until).await;
        }
        let link = self.link.get_or_insert_with(|| Link::new(line.clone(), &settings(&line.to_string())));
        let begun = Instant::now();
        let answer = self.blank.port(unit, link).read(function, 0, 2).await;
        if matches!(answer, Ok(_) | Err(LinkError::Exception(_))) {
            self.slowest = self.slowest.max(Some(begun.elapsed()));
        } else {
            self.quiet_until = Some(Instant::now() + quiet(line));
        }
        answer
    }

    /// What a living unit is. None when it vanished meanwhile, which is remarked.
    async fn look(&mut self, line: &Address, id: u8) -> Option<Found> {
        let unit = unit(id, self.scan.patient(line));
        let link = self.link.as_mut()?;
        let mut port = self.blank.port(&unit, link);
        let mut found = Found { address: line.to_string(), unit: id, ..Found::default() };
        match describe(&mut port, &mut found).await {
            Ok(()) => {}
            Err(LinkError::Exception(code)) if nobody(code) => return None,
            Err(error) => {
                self.report
                    .remark(format!("Unit {id} answered, and then no longer: {}", problem(&port, &error)));
            }
        }
        Some(found)
    }
}

/// Could the line itself not be used?
fn lost(answer: &Result<Vec<u16>, LinkError>) -> bool {
    matches!(answer, Err(LinkError::Unreachable(_) | LinkError::NoPort { .. }))
}
