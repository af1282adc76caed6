//! Which points are read when, and what becomes of their values: signs, what is not believed, one reading
//! per device. Never decides when a turn is.

use std::{collections::BTreeSet, time::Duration};

use adapter_api::{
    Counter, DeviceId, Fault, Moment, PointId, Quality, Reading, Usage, Wanted,
    profile::{Class, Point},
};
use tokio::time::Instant;

use super::{
    decode::{Decoded, decode, extents},
    describe::{greatest, usage},
    found::Found,
    interval,
    shown::Shown,
};
use crate::{
    config::BATTERY,
    plan::Extent,
    port::Port,
    reading::{POWER, Points, bounds, is_possible, spoils},
    units::{Part, UnitConfig},
};

/// The points of a unit, in their rhythm.
pub(super) struct Poll {
    points: Vec<Polled>,
    /// When each class is read next, in the order of `Class::ALL`; none: not before it is found again.
    due: [Option<Instant>; 4],
    /// Places of the points that had a value the last time.
    had: BTreeSet<usize>,
    pub disbelieved: Vec<(DeviceId, Counter, u64)>,
}

struct Polled {
    part: &'static str,
    name: PointId,
    point: &'static Point,
    extents: Vec<Extent>,
}

/// Are the points of a part wanted by anybody?
pub(super) fn is_read(unit: &UnitConfig, part: &str) -> bool {
    // What the sun gives is what the battery does not.
    unit.part(part).is_some_and(Part::enabled) || part == BATTERY && unit.profile.dc_includes_battery
}

impl Poll {
    pub fn new(unit: &UnitConfig) -> Self {
        let own = unit.profile.all_points().filter(|(part, ..)| is_read(unit, part));
        let polled = |(part, name, point): (&'static str, &'static str, &'static Point)| Polled {
            part,
            name: PointId::from(name),
            point,
            extents: extents(point, unit.rules(&unit.barred)),
        };
        Self {
            points: own.map(polled).collect(),
            due: [Some(Instant::now()); 4],
            had: BTreeSet::new(),
            disbelieved: Vec::new(),
        }
    }

    /// The value with the lowest address.
    pub fn first(&self) -> Option<Extent> {
        self.points.iter().flat_map(|polled| &polled.extents).min().copied()
    }

    /// All of them are due.
    pub fn anew(&mut self) {
        self.due = [Some(Instant::now()); 4];
    }

    pub async fn read(
        &mut self,
        port: &mut Port<'_>,
        found: &Found,
        wanted: Wanted,
        now: Moment,
    ) -> Result<Vec<Reading>, Fault> {
        let turn = Instant::now();
        let classes = self.classes(wanted, turn, interval(port.unit));
        let there = |polled: &Polled| polled.part.is_empty() || found.parts.contains(&polled.part);
        let chosen: Vec<usize> = (0..self.points.len())
            .filter(|place| classes.contains(&self.points[*place].point.class) && there(&self.points[*place]))
            .collect();
        let mut extents: Vec<Extent> =
            chosen.iter().flat_map(|place| self.points[*place].extents.iter().copied()).collect();
        // Two points may be two halves of one register.
        extents.sort_unstable();
        extents.dedup();
        let fetched = port.fetch_known(&extents).await.map_err(|error| port.fault(&error))?;
        let shown = Shown::of(extents.into_iter().zip(fetched.iter().map(Option::as_deref)));
        self.served(&classes, turn, port.unit.interval);
        let mut readings = Vec::new();
        for name in port.unit.names() {
            let Some(part) = port.unit.part(name) else { continue };
            let own = chosen.iter().copied().filter(|place| self.points[*place].part == name);
            let own: Vec<usize> = own.collect();
            readings.extend(self.reading(port.unit, found, (name, part), &own, &shown, now));
        }
        Ok(readings)
    }

    /// The reading of one device.
    fn reading(
        &mut self,
        unit: &UnitConfig,
        found: &Found,
        (name, part): (&str, &Part),
        own: &[usize],
        shown: &Shown,
        now: Moment,
    ) -> Option<Reading> {
        let mut points = Points::default();
        let (mut impossible, mut gone, mut is_poor, mut is_spoilt) = (0, 0, false, false);
        for place in own {
            let Polled { name, point, .. } = &self.points[*place];
            match decode(point, &unit.profile.sentinels, shown) {
                Decoded::Number(value) => {
                    self.had.insert(*place);
                    let bounds = point.range.or_else(|| bounds(name.as_str(), &point.unit));
                    let possible = is_possible(name.as_str(), value, bounds);
                    // One that is above what no home has is counted with the quality that it gives.
                    impossible += u64::from(!possible && name != POWER);
                    is_poor |= !possible && name == POWER;
                    is_spoilt |= !possible && spoils(name.as_str());
                    if possible || name == POWER {
                        points.add(name.clone(), Some(value));
                    }
                }
                Decoded::Text(text) => {
                    self.had.insert(*place);
                    points.word(name.as_str(), Some(&text));
                }
                Decoded::Missing => gone += u64::from(self.had.remove(place)),
                Decoded::Absent => {}
            }
        }
        let invert = part.keys.invert.unwrap_or(false);
        points = match usage(unit, name) {
            Some(usage) => points.turn(usage, invert),
            // Of a battery, what the installer sees says whether its sign is as the profile takes it.
            None if name == BATTERY => points.turn(Usage::Load, invert),
            None => points,
        };
        let mut reading = points.reading(&part.id, greatest(unit, name, found.rated), now);
        if let Some(reading) = &mut reading {
            impossible += u64::from(is_poor || reading.quality == Quality::Poor);
            if is_spoilt {
                reading.quality = Quality::Poor;
            }
        }
        for (counter, times) in [(Counter::OutOfRange, impossible), (Counter::Sentinels, gone)] {
            if times > 0 {
                self.disbelieved.push((part.id.clone(), counter, times));
            }
        }
        reading
    }

    /// Whose turn it is; a turn that is closer than to the next one counts as now.
    pub fn classes(&self, wanted: Wanted, now: Instant, between: Duration) -> Vec<Class> {
        let due = |at: &Option<Instant>| at.is_some_and(|at| at <= now + between / 2);
        // A turn at which nothing is due is one out of turn, for somebody who wants to see.
        let all = wanted == Wanted::All || !self.due.iter().any(due);
        let classes = Class::ALL.into_iter().zip(&self.due);
        classes.filter(|(_, at)| all || due(at)).map(|(class, _)| class).collect()
    }

    pub fn served(&mut self, classes: &[Class], now: Instant, interval: Duration) {
        for class in classes {
            self.due[*class as usize] = class.period(interval).map(|period| now + period);
        }
    }
}
