//! Register devices with a profile: the points whose turn it is are read in the fewest requests,
//! scaled, and turned into a reading with the signs of what the meter measures. Knows no model by name.

use std::time::Duration;

use adapter_api::{
    Capability, DeviceInfo, DeviceType, Fault, Moment, PointId, Reading, Usage, Wanted,
    profile::{Class, Function, Point, Setup},
};
use tokio::time::Instant;

use crate::{
    client::LinkError,
    codec,
    declare::with_commands,
    fetch::is_refusal,
    plan::Extent,
    port::Port,
    reading::{Points, role_of},
    units::UnitConfig,
};

/// A unit that is one device with a profile.
pub(crate) struct Meter {
    points: Vec<(PointId, Point)>,
    /// When each class is read next, in the order of `Class::ALL`; none: not before it is found again.
    due: [Option<Instant>; 4],
}

/// What is known about it, which is all from the profile and the configuration.
pub(crate) fn describe(unit: &UnitConfig) -> DeviceInfo {
    let mut info = unit.describe(&unit.main);
    if info.device_type == DeviceType::EnergyMeter {
        let usage = usage(unit);
        info.usage = Some(usage);
        info.role = unit.main.keys.energy_role.unwrap_or(role_of(usage));
    }
    let main = unit.profile.capabilities.first().copied().unwrap_or(Capability::EnergyMeter);
    with_commands(info, main, Vec::new())
}

fn usage(unit: &UnitConfig) -> Usage {
    unit.main.keys.usage.or(unit.profile.usage).unwrap_or(Usage::Grid)
}

/// How often the unit is read: as often as the points that are read most often.
pub(crate) fn interval(unit: &UnitConfig) -> Duration {
    let periods = unit.profile.points.values().filter_map(|point| point.class.period(unit.interval));
    periods.min().unwrap_or(unit.interval)
}

impl Meter {
    pub fn new(unit: &UnitConfig) -> Self {
        let point = |(name, point): (&String, &Point)| (PointId::from(name.as_str()), point.clone());
        Self { points: unit.profile.points.iter().map(point).collect(), due: [Some(Instant::now()); 4] }
    }

    /// The cheapest sign of life: the point with the lowest address. What it is set up with may be lost.
    pub async fn probe(&mut self, port: &mut Port<'_>) -> Result<Vec<DeviceInfo>, Fault> {
        if let Some(Extent { function, start, count }) = self.first() {
            match port.read(function, start, count).await {
                Ok(_) => {}
                // It is there, and does not have this one: reading finds out what it has.
                Err(LinkError::Exception(code)) if is_refusal(code) => {}
                Err(error) => return Err(port.fault(&error)),
            }
        }
        if port.unit.main.keys.control == Some(true) {
            for setup in &port.unit.profile.setup {
                set_up(port, *setup).await?;
            }
        }
        port.learned.doubt(port.clock.now().wall_ms);
        self.due = [Some(Instant::now()); 4];
        Ok(vec![describe(port.unit)])
    }

    fn first(&self) -> Option<Extent> {
        self.points.iter().map(|(_, point)| extent(point)).min()
    }

    pub async fn read(
        &mut self,
        port: &mut Port<'_>,
        wanted: Wanted,
        now: Moment,
    ) -> Result<Vec<Reading>, Fault> {
        let turn = Instant::now();
        let classes = self.classes(wanted, turn, interval(port.unit));
        let chosen: Vec<_> = self.points.iter().filter(|(_, point)| classes.contains(&point.class)).collect();
        let extents: Vec<Extent> = chosen.iter().map(|(_, point)| extent(point)).collect();
        let fetched = port.fetch_known(&extents).await.map_err(|error| port.fault(&error))?;
        let mut points = Points::default();
        for ((name, point), words) in chosen.into_iter().zip(fetched) {
            let raw = words.and_then(|words| codec::number(&words, point.first().kind, point.first().order));
            points.add(name.clone(), raw.map(|raw| codec::times(raw, point.first().scale)));
        }
        let unit = port.unit;
        self.served(&classes, turn, unit.interval);
        let info = describe(unit);
        if info.usage.is_some() {
            points = points.turn(usage(unit), unit.main.keys.invert.unwrap_or(false));
        }
        Ok(points.reading(&unit.main.id, info.max_power, now).into_iter().collect())
    }

    /// Whose turn it is; a turn that is closer than to the next one counts as now.
    fn classes(&self, wanted: Wanted, now: Instant, between: Duration) -> Vec<Class> {
        let due = |at: &Option<Instant>| at.is_some_and(|at| at <= now + between / 2);
        // A turn at which nothing is due is one out of turn, for somebody who wants to see.
        let all = wanted == Wanted::All || !self.due.iter().any(due);
        let classes = Class::ALL.into_iter().zip(&self.due);
        classes.filter(|(_, at)| all || due(at)).map(|(class, _)| class).collect()
    }

    fn served(&mut self, classes: &[Class], now: Instant, interval: Duration) {
        for class in classes {
            self.due[*class as usize] = class.period(interval).map(|period| now + period);
        }
    }
}

/// What is so already is not written: such registers may wear out.
async fn set_up(port: &mut Port<'_>, setup: Setup) -> Result<(), Fault> {
    let Setup { register, value } = setup;
    let shown = port.read(Function::Holding, register, 1).await.map_err(|error| port.fault(&error))?;
    if shown != [value] {
        tracing::info!(unit = %port.unit.id, register, value, "the unit is set up");
        port.write(register, &[value]).await.map_err(|error| port.fault(&error))?;
    }
    Ok(())
}

pub(crate) fn extent(point: &Point) -> Extent {
    let term = point.first();
    let (start, last) = term.span();
    Extent { function: term.function, start, count: last - start + 1 }
}

#[cfg(test)]
mod tests;
