//! A unit that sleeps by night: when it gave nearly nothing and then falls silent, that is no failure.
//! Pure: the caller brings the clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    DeviceId, DeviceInfo, DeviceType, MeasurementSource, Moment, PointId, Problem, Quality, Reading, Unit,
    Value,
};

/// Less than this is nearly nothing, W …
const LITTLE: f64 = 50.0;
/// … and so is less than this part of the most that it can give.
const PART: f64 = 0.02;
/// No night is longer: what is still silent then has failed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What it means that it does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Night {
    /// It has failed.
    No,
    /// It falls asleep now.
    Begins,
    /// It sleeps on.
    Goes,
}

/// A unit that sleeps.
#[derive(Debug)]
pub(super) struct Sleep {
    /// Which of its devices gives no power then.
    device: DeviceId,
    /// The last that it gave, W; none: not known, or known to be too long ago.
    power: Option<f64>,
    /// Since when it sleeps.
    since: Option<Instant>,
}

impl Sleep {
    /// None for a unit that never sleeps.
    pub fn of(unit: &Unit) -> Option<Self> {
        unit.sleeps.clone().map(|device| Self { device, power: None, since: None })
    }

    /// Which of its devices gives no power then.
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// Does it sleep, as far as was told?
    pub fn is_asleep(&self) -> bool {
        self.since.is_some()
    }

    /// It was read: it is awake.
    pub fn read(&mut self, readings: &[Reading]) {
        self.since = None;
        let own = readings.iter().find(|reading| reading.device == self.device);
        if let Some(power) = own.and_then(|own| own.point("activePower")).and_then(Value::number) {
            self.power = Some(power);
        }
    }

    /// It is told that it does not answer. `silent`: it said nothing at all. `devices`: those of the unit, as it
    /// said itself. One of them a battery, or it a meter: then it runs by night as well, whatever its profile says.
    pub fn away(&mut self, now: Instant, silent: bool, devices: &[DeviceInfo]) -> Night {
        let runs = |device: &DeviceInfo| {
            device.device_type == DeviceType::BatteryPack
                || device.id == self.device && device.usage.is_some()
        };
        if devices.iter().any(runs) {
            return Night::No;
        }
        let own = devices.iter().find(|device| device.id == self.device);
        if let Some(since) = self.since {
            if now - since <= LONGEST {
                return Night::Goes;
            }
            (self.since, self.power) = (None, None);
            return Night::No;
        }
        let little = own.and_then(|own| own.max_power).map_or(LITTLE, |most| (most * PART).max(LITTLE));
        if silent && self.power.is_some_and(|power| power < little) {
            self.since = Some(now);
            return Night::Begins;
        }
        Night::No
    }

    /// What is made up for it when it falls asleep.
    pub fn reading(&self, now: Moment) -> Reading {
        Reading {
            device: self.device.clone(),
            points: vec![(PointId::from("activePower"), Value::Number(0.0))],
            quality: Quality::Fair,
            source: MeasurementSource::Estimated,
            measured_at: now,
        }
    }
}

/// What is told of a unit that sleeps.
pub(super) fn asleep() -> Problem {
    Problem::new("It is asleep: it does not answer until there is sun", "Nothing to do")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(watts: f64) -> Sleep {
        let device = DeviceId::new("roof").unwrap();
        let (id, interval, sleeps) = ("roof/1".into(), Duration::from_secs(5), Some(device));
        let mut sleep = Sleep::of(&Unit { id, devices: Vec::new(), interval, sleeps }).unwrap();
        let mut reading = sleep.reading(Moment { wall_ms: 0, mono_ms: 0 });
        reading.points[0].1 = Value::Number(watts);
        sleep.read(&[reading]);
        sleep
    }

    fn roof(max_power: Option<f64>) -> DeviceInfo {
        let roof = DeviceId::new("roof").unwrap();
        DeviceInfo { max_power, ..super::super::tests::described::meter(roof, "roof/1".into()) }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_gave_nearly_nothing_falls_asleep_when_it_falls_silent() {
        let now = Instant::now();
        let night = |watts, silent, most| sleeper(watts).away(now, silent, &[roof(most)]);
        assert_eq!(night(49.0, true, None), Night::Begins);
        assert_eq!(night(50.0, true, None), Night::No);
        assert_eq!(night(-6.0, true, Some(600.0)), Night::Begins);
        assert_eq!(night(150.0, true, Some(10_000.0)), Night::Begins, "2 % of it are 200 W");
        assert_eq!(night(0.0, false, None), Night::No, "it answers, and refuses");
        let mut unknown = sleeper(0.0);
        unknown.power = None;
        assert_eq!(unknown.away(now, true, &[]), Night::No, "nobody knows what it gave");
        let battery = DeviceInfo { device_type: DeviceType::BatteryPack, ..roof(None) };
        assert_eq!(
            sleeper(0.0).away(now, true, &[roof(None), battery]),
            Night::No,
            "a battery gives by night"
        );
        let meter = DeviceInfo { usage: Some(crate::Usage::Grid), ..roof(None) };
        assert_eq!(sleeper(0.0).away(now, true, &[meter]), Night::No, "a meter measures by night");
    }

    #[tokio::test(start_paused = true)]
    async fn a_night_ends_with_a_reading_and_after_a_day_at_the_latest() {
        let now = Instant::now();
        let mut sleep = sleeper(0.0);
        assert_eq!(sleep.away(now, true, &[]), Night::Begins);
        assert_eq!(
            sleep.away(now + Duration::from_secs(3600), false, &[]),
            Night::Goes,
            "it wakes up slowly"
        );
        assert!(sleep.is_asleep());
        sleep.read(&[]);
        assert!(!sleep.is_asleep());
        assert_eq!(sleep.away(now, true, &[]), Night::Begins);
        assert_eq!(sleep.away(now + LONGEST + Duration::from_secs(1), true, &[]), Night::No);
        assert_eq!(sleep.away(now + LONGEST * 2, true, &[]), Night::No, "that stays so");
    }
}
