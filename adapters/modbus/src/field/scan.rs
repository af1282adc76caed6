//! The sweep over a plan: a cheap sign of life from each unit, and a closer look at those that gave
//! one. The report grows while it runs, so that whoever ends it early has what was found so far.

use std::time::Duration;

use adapter_api::{Problem, profile::Function};
use tokio::time::{Instant, sleep};

use super::{
    ask::{Blank, nobody, problem, refuses, settings, unit},
    place,
    plan::{BYTES, Scan},
    recognise::recognise,
    report::{Found, Identity, Report},
};
use crate::{
    client::{Link, LinkError},
    config::Address,
    port::Port,
    sunspec::{Common, DiscoveryError, Group, Search},
};

/// A device that takes one client only needs a moment to notice that the last one left.
const AGAIN: Duration = Duration::from_secs(1);

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

/// What one unit's sign of life was.
enum Sign {
    Alive,
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
        Sweep { scan: self, report, watch, blank: Blank::new(), link: None, slowest: None, done: 0, total }
            .run()
            .await
    }
}

struct Sweep<'a> {
    scan: &'a Scan,
    report: &'a mut Report,
    watch: &'a mut (dyn FnMut(Step<'_>) + Send),
    blank: Blank,
    link: Option<Link>,
    /// The slowest answer to a question that was answered.
    slowest: Option<Duration>,
    done: usize,
    total: usize,
}

impl Sweep<'_> {
    async fn run(mut self) -> Result<(), Problem> {
        let scan = self.scan;
        for line in &scan.lines {
            if !self.line(line, &scan.first, true).await? {
                return Ok(());
            }
        }
        let alive = |report: &Report, line: &Address| report.alive_at(&line.to_string());
        let deep: Vec<_> = scan.lines.iter().filter(|line| alive(self.report, line)).collect();
        let anywhere = deep.is_empty();
        let deep = if anywhere { scan.lines.iter().collect() } else { deep };
        self.total += deep.len() * scan.rest.len();
        for line in deep {
            if matches!(line, Address::Tcp(_)) && self.all_the_same(line) {
                continue;
            }
            if !self.line(line, &scan.rest, false).await? {
                return Ok(());
            }
            if anywhere && scan.lines.len() > 1 && alive(self.report, line) {
                self.report.remark(
                    "Other speeds were not tried with all unit ids: the devices of a line share one. Name the speed to try it"
                        .to_owned(),
                );
                break;
            }
        }
        self.last_words();
        self.report.complete = true;
        Ok(())
    }

    /// Does the device at this line answer on any unit id, so that the others need not be asked?
    fn all_the_same(&mut self, line: &Address) -> bool {
        let whole = !self.scan.rest.is_empty();
        let certain = whole && self.report.ignores_units(&line.to_string(), &self.scan.first);
        if certain {
            self.total -= self.scan.rest.len();
            self.report.remark(format!(
                "The device at {line} answers on any unit id, so the others were not asked. Use the first one; name unit ids to ask others"
            ));
        }
        certain
    }

    fn last_words(&mut self) {
        let serial = self.scan.lines.iter().filter(|line| line.serial().is_some());
        if serial.filter(|line| self.report.alive_at(&line.to_string())).count() > 1 {
            self.report.remark(
                "Devices answer at different speeds or parities, but a line has one: set them alike in their menus"
                    .to_owned(),
            );
        }
    }

    /// Asks units of one line; tells whether others can be asked after it. A speed that a port cannot
    /// be set to is no reason to give up the others.
    ///
    /// # Errors
    /// When nothing can be asked any more, and nothing was found that could be told.
    async fn line(&mut self, line: &Address, units: &[u8], likely: bool) -> Result<bool, Problem> {
        let done = self.done + units.len();
        let Err((unit, problem)) = self.units(line, units, likely).await else { return Ok(true) };
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
    async fn units(&mut self, line: &Address, units: &[u8], likely: bool) -> Result<(), (u8, Problem)> {
        let address = line.to_string();
        if self.link.as_ref().is_none_or(|link| link.address() != line) {
            // The old one goes first: a serial port has one user.
            self.link = None;
        }
        for id in units {
            let found = match self.sign(line, *id, likely).await {
                Sign::Alive => match self.look(line, *id).await {
                    Some(found) => self.report.take(found, matches!(line, Address::Tcp(_))),
                    None => false,
                },
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

    /// Any answer is life, an exception too, unless a gateway says that nobody is there. Likely
    /// units are asked with both functions: some meters do not answer the other one at all.
    async fn sign(&mut self, line: &Address, id: u8, likely: bool) -> Sign {
        let scan = self.scan;
        let timeout = if likely { scan.patient(line) } else { scan.brief(line, self.slowest) };
        let functions: &[Function] =
            if likely { &[Function::Holding, Function::Input] } else { &[Function::Holding] };
        let unit = unit(id, timeout);
        let mut sign = Sign::Nothing;
        for function in functions {
            let link = self.link.get_or_insert_with(|| Link::new(line.clone(), &settings(&line.to_string())));
            let mut port = self.blank.port(&unit, link);
            let mut begun = Instant::now();
            let mut answer = port.read(*function, 0, 2).await;
            if lost(&answer) && self.done > 0 {
                sleep(AGAIN).await;
                begun = Instant::now();
                answer = port.read(*function, 0, 2).await;
            }
            if matches!(answer, Ok(_) | Err(LinkError::Exception(_))) {
                self.slowest = self.slowest.max(Some(begun.elapsed()));
            }
            match answer {
                Err(LinkError::NoAnswer(_)) => {}
                Err(LinkError::Exception(code)) if nobody(code) => return Sign::Nothing,
                Ok(_) | Err(LinkError::Exception(_)) => return Sign::Alive,
                Err(LinkError::Mismatch(why)) => {
                    tracing::debug!(unit = id, why, "an answer that does not belong to the question");
                    sign = Sign::Garbled;
                }
                Err(error) => return Sign::Lost(problem(&port, &error)),
            }
            if !matches!(line, Address::Tcp(_)) {
                // The link would leave the line alone for as long as the longest answer takes, which is
                // right for readings. Here an answer is short and names its unit: a late one is no life.
                self.link = None;
                let pause = line.serial().map_or(Duration::ZERO, |line| line.time_of(BYTES) + line.silence());
                sleep(pause).await;
            }
        }
        sign
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

/// Who the unit says it is, and which profiles fit.
async fn describe(port: &mut Port<'_>, found: &mut Found) -> Result<(), LinkError> {
    for group in models(port).await? {
        let Common { manufacturer, model, firmware, serial } = group.common;
        found.models.extend(group.places.iter().map(|place| place.id));
        found.identities.push(Identity { manufacturer, model, firmware, serial });
    }
    if !found.models.is_empty() {
        found.profiles.push("sunspec".to_owned());
    }
    let fitting = recognise(port).await?;
    if let (true, Some(profile)) = (found.identities.is_empty(), fitting.first()) {
        let (manufacturer, model) = (profile.manufacturer.clone(), profile.models.first().cloned());
        let model = model.unwrap_or_default();
        found.identities.push(Identity { manufacturer, model, ..Identity::default() });
    }
    found.profiles.extend(fitting.iter().map(|profile| profile.name.clone()));
    Ok(())
}

/// The sub devices of its SunSpec map; none when it has no map. It is found exactly where the adapter
/// finds it.
async fn models(port: &mut Port<'_>) -> Result<Vec<Group>, LinkError> {
    match Search::default().insist(port).await {
        Ok(groups) => Ok(groups),
        Err(DiscoveryError::NotSunspec | DiscoveryError::Link(LinkError::NoAnswer(_))) => Ok(Vec::new()),
        Err(DiscoveryError::Link(error)) if refuses(&error) => Ok(Vec::new()),
        Err(DiscoveryError::Link(error)) => Err(error),
    }
}
