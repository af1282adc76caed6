//! Values → a reading: signs by what a meter measures, magnitudes, and whether it can be believed.
//! Pure; knows no registers.

use adapter_api::{DeviceId, EnergyRole, MeasurementSource, Moment, PointId, Quality, Reading, Usage, Value};

/// No home device moves more than this, W.
pub(crate) const IMPOSSIBLE: f64 = 100_000.0;
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

/// The least and the greatest value that a point can have at all, by its unit. None: nobody can say.
pub(crate) fn bounds(name: &str, unit: &str) -> Option<(f64, f64)> {
    Some(match unit {
        "" if name.starts_with("powerFactor") => (-1.001, 1.001),
        "%" => (0.0, 100.0),
        "V" => (0.0, 1_500.0),
        "A" => (-1_000.0, 1_000.0),
        "Hz" => (40.0, 70.0),
        "°C" => (-50.0, 150.0),
        "W" => (-IMPOSSIBLE, IMPOSSIBLE),
        "kWh" => (0.0, 9e6),
        _ => return None,
    })
}

/// The unit that the familiar names have.
fn unit_of(name: &str) -> &'static str {
    let ends = |word: &str| {
        let phase = name.strip_suffix(['1', '2', '3']).and_then(|name| name.strip_suffix('L'));
        let name = phase.unwrap_or(name);
        // `pv1Voltage`, and `voltage` itself.
        name == word || {
            let mut chars = word.chars();
            let first = chars.next().map(|first| first.to_ascii_uppercase());
            first.is_some_and(|first| {
                name.strip_suffix(chars.as_str()).is_some_and(|rest| rest.ends_with(first))
            })
        }
    };
    match name {
        CONSUMED | PRODUCED => "kWh",
        "batteryLevel" | "batteryHealth" => "%",
        _ if ends("voltage") => "V",
        _ if ends("current") => "A",
        _ if ends("frequency") => "Hz",
        _ if ends("temperature") => "°C",
        "activePower" | "inverterPower" | "loadPower" => "W",
        _ => "",
    }
}

/// Can a point have this value? A power that cannot be is told with the quality of its reading.
pub(crate) fn is_possible(name: &str, value: f64, bounds: Option<(f64, f64)>) -> bool {
    // 0 Hz means that there is no AC.
    let none = name == "frequency" && value == 0.0;
    none || bounds.is_none_or(|(least, greatest)| (least..=greatest).contains(&value))
}

/// Takes out of a reading what cannot be, by the points' names. How many values that were, and the power
/// with them that makes its quality poor; none is left of a reading without points.
pub(crate) fn sifted(mut reading: Reading) -> (Option<Reading>, u64) {
    let before = reading.points.len();
    let mut is_spoilt = false;
    reading.points.retain(|(point, value)| {
        let name = point.as_str();
        let possible = |number: f64| is_possible(name, number, bounds(name, unit_of(name)));
        let stays = name == POWER || value.number().is_none_or(possible);
        is_spoilt |= !stays && spoils(name);
        stays
    });
    let out = before - reading.points.len() + usize::from(reading.quality == Quality::Poor);
    if is_spoilt {
        reading.quality = Quality::Poor;
    }
    ((!reading.points.is_empty()).then_some(reading), out as u64)
}

/// The point whose value is told with its quality.
pub(crate) const POWER: &str = "activePower";
/// Does a value of it that cannot be make its whole reading poor? Any other one is left out alone.
pub(crate) fn spoils(name: &str) -> bool {
    matches!(name, POWER | CONSUMED | PRODUCED)
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
    fn what_no_home_has_is_taken_out_and_counted_and_a_power_stays() {
        let mut points = Points::default();
        for (name, value) in [
            ("activePower", 200_000.0),
            ("voltageL1", 1_501.0),
            ("pv1Voltage", 1_499.0),
            ("batteryLevel", 101.0),
            ("temperature", -51.0),
            ("frequency", 30.0),
            (CONSUMED, 9_000_001.0),
            (PRODUCED, -0.5),
            ("powerFactor", 1.0),
            ("thing", 1e12),
        ] {
            points.number(name, Some(value));
        }
        let reading = points.reading(&DeviceId::new("m").unwrap(), None, NOW).unwrap();
        let (reading, out) = sifted(reading);
        let reading = reading.unwrap();
        let names: Vec<_> = reading.points.iter().map(|(point, _)| point.as_str()).collect();
        assert_eq!((names, out), (vec!["activePower", "pv1Voltage", "powerFactor", "thing"], 7));
        assert_eq!(reading.quality, Quality::Poor);
        assert!(is_possible("frequency", 0.0, bounds("frequency", "Hz")), "no AC");
        assert!(!is_possible("batteryHealth", 100.5, bounds("batteryHealth", "%")));
    }

    #[test]
    fn only_an_impossible_power_or_counter_makes_the_quality_poor() {
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
        let of_counter = |name: &str, energy| {
            let mut points = Points::default();
            points.number("activePower", Some(1.0));
            points.number(name, Some(energy));
            let (reading, out) = sifted(points.reading(&DeviceId::new("m").unwrap(), None, NOW).unwrap());
            let reading = reading.unwrap();
            (reading.quality, reading.points.len(), out)
        };
        assert_eq!(of_counter(PRODUCED, 9e6), (Quality::Good, 2, 0));
        assert_eq!(of_counter(PRODUCED, 9.1e6), (Quality::Poor, 1, 1));
        assert_eq!(of_counter(CONSUMED, -1.0), (Quality::Poor, 1, 1));
        assert_eq!(of_counter("voltage", 5_000.0), (Quality::Good, 1, 1));
    }
}
