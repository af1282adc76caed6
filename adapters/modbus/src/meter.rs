//! Register devices with a profile: points are planned once, read, scaled, and turned into a
//! reading with the signs of what the meter measures. Knows no model by name.

use adapter_api::{Capability, DeviceInfo, DeviceType, Fault, Moment, Reading, Usage, profile::Point};

use crate::{
    codec,
    declare::with_commands,
    plan::{Extent, Request, plan},
    port::Port,
    reading::{Points, role_of},
    units::UnitConfig,
};

/// A unit that is one device with a profile.
pub(crate) struct Meter {
    points: Vec<(String, Point)>,
    requests: Vec<Request>,
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

impl Meter {
    pub fn new(unit: &UnitConfig) -> Self {
        let points: Vec<_> =
            unit.profile.points.iter().map(|(name, point)| (name.clone(), point.clone())).collect();
        let extents: Vec<_> = points.iter().map(|(_, point)| extent(point)).collect();
        let requests = plan(&extents, unit.profile.limits.block, unit.profile.limits.gap);
        Self { points, requests }
    }

    /// The cheapest sign of life: the first point of the plan.
    pub async fn probe(&self, port: &mut Port<'_>) -> Result<Vec<DeviceInfo>, Fault> {
        if let Some(place) = self.requests.first().and_then(|request| request.members.first()) {
            let Extent { function, start, count } = extent(&self.points[*place].1);
            port.read(function, start, count).await.map_err(|error| port.fault(&error))?;
        }
        Ok(vec![describe(port.unit)])
    }

    pub async fn read(&self, port: &mut Port<'_>, now: Moment) -> Result<Vec<Reading>, Fault> {
        let mut points = Points::default();
        for request in &self.requests {
            let words = port.read(request.function, request.start, request.count).await;
            let words = words.map_err(|error| port.fault(&error))?;
            for place in &request.members {
                let (name, point) = &self.points[*place];
                let own = &words[usize::from(point.register - request.start)..];
                let raw = codec::number(own, point.kind, point.order);
                points.number(name, raw.map(|raw| raw * point.scale));
            }
        }
        let unit = port.unit;
        let info = describe(unit);
        if info.usage.is_some() {
            points = points.turn(usage(unit), unit.main.keys.invert.unwrap_or(false));
        }
        Ok(points.reading(&unit.main.id, info.max_power, now).into_iter().collect())
    }
}

fn extent(point: &Point) -> Extent {
    Extent { function: point.function, start: point.register, count: point.kind.registers() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::resolve;

    #[test]
    fn every_profile_with_points_is_planned_within_its_limits() {
        for (name, profile) in adapter_api::profile::builtin() {
            if profile.points.is_empty() {
                continue;
            }
            let settings = format!("address = 'tcp://x'\n[device.m]\nprofile = '{name}'");
            let units = resolve("home", &toml::from_str(&settings).unwrap());
            let meter = Meter::new(&units[0]);
            let read: usize = meter.requests.iter().map(|request| request.members.len()).sum();
            assert_eq!(read, profile.points.len());
            assert!(meter.requests.iter().all(|request| request.count <= profile.limits.block), "{name}");
        }
    }

    #[test]
    fn the_sdm630_is_one_request() {
        let settings = "address = 'tcp://x'\n[device.m]\nprofile = 'eastron-sdm630'";
        let units = resolve("home", &toml::from_str(settings).unwrap());
        assert_eq!(Meter::new(&units[0]).requests.len(), 1);
    }
}
