//! Values → a reading: signs by what a meter measures, magnitudes, and whether it can be believed.
//! Pure; knows no registers.

use adapter_api::{DeviceId, EnergyRole, MeasurementSource, Moment, PointId, Quality, Reading, Usage, Value};

/// No home device moves more than this, W.
const IMPOSSIBLE: f64 = 100_000.0;
/// Nor this many times its rating; inverters and clamps do overshoot.
const OVERSHOOT: f64 = 1.5;

/// The points of one device, growing.
#[derive(Debug, Default)]
pub(crate) struct Points(Vec<(PointId, Value)>);

impl Points {
    /// Adds a number that the device has. Currents become magnitudes: direction lives in power. A
    /// frequency of 0 means that there is no AC, not that it swings slowly.
    pub fn number(&mut self, name: &str, value: Option<f64>) {
        if value.is_some() {
            self.add(PointId::from(name), value);
        }
    }

    /// The same with a name that is made once, for those who add it at every poll.
    pub fn add(&mut self, point: PointId, value: Option<f64>) {
        let name = point.as_str();
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let value = if name.starts_with("current") { value.abs() } else { value };
        if name == "frequency" && value == 0.0 {
            return;
        }
        // Not "-0".
        self.0.push((point, Value::Number(value + 0.0)));
    }

    /// Adds one number per phase: `voltageL1` …
    pub fn phases(&mut self, name: &str, values: &[Option<f64>]) {
        for (phase, value) in (1..).zip(values) {
            self.number(&format!("{name}L{phase}"), *value);
        }
    }

    pub fn word(&mut self, name: &str, word: Option<&str>) {
        self.0.extend(word.map(|word| (PointId::from(name), Value::from(word))));
    }

    pub fn flag(&mut self, name: &str, on: Option<bool>) {
        self.0.extend(on.map(|on| (PointId::from(name), Value::from(on))));
    }

    /// Turns a meter's points, which count import positive, into those of what it measures.
    pub fn turn(mut self, usage: Usage, invert: bool) -> Self {
        let flip = invert != matches!(usage, Usage::Pv | Usage::Battery);
        for (point, value) in &mut self.0 {
            let name = point.as_str();
            let directed = name == "activePower" || name == "reactivePower" || name.starts_with("powerL");
            if let (Value::Number(number), true) = (value, flip && directed) {
                *number = 0.0 - *number;
            } else if invert && name == CONSUMED {
                *point = PointId::from(PRODUCED);
            } else if invert && name == PRODUCED {
                *point = PointId::from(CONSUMED);
            }
        }
        self
    }

    /// The reading, unless the device had nothing to say. `rated` is its greatest power, W.
    pub fn reading(self, device: &DeviceId, rated: Option<f64>, measured_at: Moment) -> Option<Reading> {
        if self.0.is_empty() {
            return None;
        }
        let mut reading = Reading {
            device: device.clone(),
            points: self.0,
            quality: Quality::Good,
            source: MeasurementSource::Device,
            measured_at,
        };
        let limit = rated.map_or(IMPOSSIBLE, |rated| (rated * OVERSHOOT).min(IMPOSSIBLE));
        let power = reading.point("activePower").and_then(Value::number);
        if power.is_some_and(|power| power.abs() > limit) {
            reading.quality = Quality::Poor;
        }
        Some(reading)
    }
}

/// Lifetime counters, kWh.
pub(crate) const CONSUMED: &str = "energyConsumedTotal";
pub(crate) const PRODUCED: &str = "energyProducedTotal";

/// The role of a meter in the home's energy, by what it measures.
pub(crate) const fn role_of(usage: Usage) -> EnergyRole {
    match usage {
        Usage::Grid => EnergyRole::Monitor,
        Usage::Pv => EnergyRole::Producer,
        Usage::Battery => EnergyRole::Storage,
        Usage::Load => EnergyRole::Consumer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment { wall_ms: 0, mono_ms: 0 };

    fn meter() -> Points {
        let mut points = Points::default();
        points.number("activePower", Some(500.0));
        points.number("powerL1", Some(-100.0));
        points.number("currentL1", Some(-2.0));
        points.number(CONSUMED, Some(10.0));
        points.number(PRODUCED, Some(3.0));
        points
    }

    fn numbers(points: Points) -> [f64; 5] {
        let reading = points.reading(&DeviceId::new("m").unwrap(), None, NOW).unwrap();
        ["activePower", "powerL1", "currentL1", CONSUMED, PRODUCED]
            .map(|name| reading.point(name).unwrap().number().unwrap())
    }

    #[test]
    fn a_meter_takes_the_signs_of_what_it_measures() {
        assert_eq!(numbers(meter().turn(Usage::Grid, false)), [500.0, -100.0, 2.0, 10.0, 3.0]);
        assert_eq!(numbers(meter().turn(Usage::Load, false)), [500.0, -100.0, 2.0, 10.0, 3.0]);
        assert_eq!(numbers(meter().turn(Usage::Pv, false)), [-500.0, 100.0, 2.0, 10.0, 3.0]);
        assert_eq!(numbers(meter().turn(Usage::Battery, false)), [-500.0, 100.0, 2.0, 10.0, 3.0]);
    }

    #[test]
    fn a_reversed_clamp_swaps_power_and_counters() {
        assert_eq!(numbers(meter().turn(Usage::Grid, true)), [-500.0, 100.0, 2.0, 3.0, 10.0]);
        assert_eq!(numbers(meter().turn(Usage::Pv, true)), [500.0, -100.0, 2.0, 3.0, 10.0]);
    }

    #[test]
    fn missing_values_and_a_frequency_of_zero_are_left_out_and_nothing_makes_no_reading() {
        let mut points = Points::default();
        points.number("frequency", Some(0.0));
        points.number("activePower", Some(f64::NAN));
        points.phases("voltage", &[None, None, None]);
        points.word("operatingState", None);
        assert!(points.reading(&DeviceId::new("m").unwrap(), None, NOW).is_none());
    }

    #[test]
    fn only_an_impossible_power_makes_the_quality_poor() {
        let quality = |power, rated| {
            let mut points = Points::default();
            points.number("activePower", Some(power));
            points.number("voltage", Some(5_000.0));
            points.reading(&DeviceId::new("m").unwrap(), rated, NOW).unwrap().quality
        };
        assert_eq!(quality(99_999.0, None), Quality::Good);
        assert_eq!(quality(-100_001.0, None), Quality::Poor);
        assert_eq!(quality(7_400.0, Some(5_000.0)), Quality::Good);
        assert_eq!(quality(7_600.0, Some(5_000.0)), Quality::Poor);
    }
}
