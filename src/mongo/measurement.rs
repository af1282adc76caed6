//! Documents of `energymeasurements`.
//!
//! | field | from |
//! | --- | --- |
//! | `_id` | second of the sample, installation, number |
//! | `deviceId`, `userId`, `timestamp` | the input |
//! | `measurements.<name>` | the point of that name, if it is in its range ([`SCALARS`]) |
//! | `measurements.phaseA/B/C.{voltage,current,power}` | `voltageL1`, `currentL1`, `powerL1`, … |
//! | `measurements.energy`, `energyConsumed`, `energyProduced`, `totals` | the energy, Wh as kWh; for good and fair only |
//! | `measurements.quality`, `confidence` | good 1, fair 0.7, poor 0.3, unknown 0.5 |
//! | `source`, `tags {gateway, energy}` | the input |

use adapter_api::{Quality, Reading, Value};
use mongodb::bson::{Document, doc, oid::ObjectId};

use super::fields::{date, put};

/// Which way energy flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the device, or out of the grid.
    Consumed,
    /// Out of the device, or into the grid.
    Produced,
}

/// One direction's energy, in whole Wh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowInput {
    /// The lifetime counter.
    pub total: Option<u64>,
    /// What came since the previous document.
    pub increment: Option<u64>,
}

/// A reading's energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnergyInput {
    /// `counter` or `integrated`; none when there is no energy.
    pub basis: Option<&'static str>,
    /// Which of the two is the device's main counter; none while the device is not known.
    pub main: Option<Direction>,
    /// Consumed.
    pub consumed: FlowInput,
    /// Produced.
    pub produced: FlowInput,
}

/// One reading and whose it is.
#[derive(Debug, Clone)]
pub struct MeasurementInput<'a> {
    /// See [`super::object_id`].
    pub id: ObjectId,
    /// The device's id in MongoDB.
    pub device_id: &'a str,
    /// The owner.
    pub user_id: &'a str,
    /// The gateway.
    pub gateway_id: &'a str,
    /// What the device said.
    pub reading: &'a Reading,
    /// What it adds.
    pub energy: EnergyInput,
}

/// A document, and what was left out of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// None when nothing meaningful is left: no power, energy, voltage or current.
    pub document: Option<Document>,
    /// Points with a value out of range.
    pub dropped: Vec<(&'static str, f64)>,
}

/// Points that have a field of their own name: least and greatest.
const SCALARS: [(&str, f64, f64); 14] = [
    ("activePower", -100_000.0, 100_000.0),
    ("reactivePower", -100_000.0, 100_000.0),
    ("apparentPower", 0.0, 100_000.0),
    ("powerFactor", -1.0, 1.0),
    ("voltage", 0.0, 1_000.0),
    ("current", 0.0, 1_000.0),
    ("frequency", 40.0, 70.0),
    ("temperature", -50.0, 150.0),
    ("humidity", 0.0, 100.0),
    ("batteryLevel", 0.0, 100.0),
    ("solarIrradiance", 0.0, 2_000.0),
    ("efficiency", 0.0, 1.0),
    ("costRate", 0.0, f64::MAX),
    ("carbonIntensity", 0.0, f64::MAX),
];

/// The phases' field, and its points as (point, field, least, greatest).
type PhasePoint = (&'static str, &'static str, f64, f64);
const PHASES: [(&str, [PhasePoint; 3]); 3] = [
    ("phaseA", phase("voltageL1", "currentL1", "powerL1")),
    ("phaseB", phase("voltageL2", "currentL2", "powerL2")),
    ("phaseC", phase("voltageL3", "currentL3", "powerL3")),
];

const fn phase(voltage: &'static str, current: &'static str, power: &'static str) -> [PhasePoint; 3] {
    [
        (voltage, "voltage", 0.0, 1_000.0),
        (current, "current", 0.0, 1_000.0),
        (power, "power", -100_000.0, 100_000.0),
    ]
}

/// The backend takes a document for a measurement when it has one of these.
const MEANINGFUL: [&str; 4] = ["activePower", "energy", "voltage", "current"];

/// The document of a reading.
pub fn build_measurement(input: &MeasurementInput<'_>) -> Built {
    let reading = input.reading;
    let mut dropped = Vec::new();
    let mut measurements = Document::new();
    for (name, least, most) in SCALARS {
        put(&mut measurements, name, in_range(reading, name, least, most, &mut dropped));
    }
    for (field, points) in PHASES {
        let mut phase = Document::new();
        for (point, name, least, most) in points {
            put(&mut phase, name, in_range(reading, point, least, most, &mut dropped));
        }
        put(&mut measurements, field, (!phase.is_empty()).then_some(phase));
    }
    let impossible = dropped.iter().any(|(name, _)| *name == "activePower");
    let quality = if impossible { Quality::Poor } else { reading.quality };
    let believed = matches!(quality, Quality::Good | Quality::Fair);
    if believed {
        energy(&mut measurements, &input.energy);
    }
    if !MEANINGFUL.iter().any(|name| measurements.contains_key(name)) {
        return Built { document: None, dropped };
    }
    measurements.insert("quality", quality.as_str());
    measurements.insert("confidence", confidence(quality));
    let mut tags = doc! { "gateway": input.gateway_id };
    put(&mut tags, "energy", input.energy.basis.filter(|_| believed));
    let document = doc! {
        "_id": input.id,
        "deviceId": input.device_id,
        "userId": input.user_id,
        "timestamp": date(reading.measured_at.wall_ms),
        "measurements": measurements,
        "source": reading.source.as_str(),
        "tags": tags,
    };
    Built { document: Some(document), dropped }
}

fn in_range(
    reading: &Reading,
    name: &'static str,
    least: f64,
    most: f64,
    dropped: &mut Vec<(&'static str, f64)>,
) -> Option<f64> {
    let value = reading.point(name).and_then(Value::number)?;
    // Written so that NaN is out of range.
    if value >= least && value <= most {
        return Some(value);
    }
    dropped.push((name, value));
    None
}

fn energy(measurements: &mut Document, energy: &EnergyInput) {
    let main = match energy.main {
        Some(Direction::Consumed) => energy.consumed.total,
        Some(Direction::Produced) => energy.produced.total,
        None => None,
    };
    put(measurements, "energy", main.map(kwh));
    put(measurements, "energyConsumed", energy.consumed.increment.map(kwh));
    put(measurements, "energyProduced", energy.produced.increment.map(kwh));
    let mut totals = Document::new();
    put(&mut totals, "consumed", energy.consumed.total.map(kwh));
    put(&mut totals, "produced", energy.produced.total.map(kwh));
    put(measurements, "totals", (!totals.is_empty()).then_some(totals));
}

/// Division is correctly rounded, so 1234 Wh is exactly the double that prints as 1.234; a
/// multiplication by 0.001 would not be.
fn kwh(wh: u64) -> f64 {
    wh as f64 / 1_000.0
}

const fn confidence(quality: Quality) -> f64 {
    match quality {
        Quality::Good => 1.0,
        Quality::Fair => 0.7,
        Quality::Poor => 0.3,
        Quality::Unknown => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use adapter_api::{DeviceId, MeasurementSource, Moment, PointId};
    use mongodb::bson::DateTime;

    use super::*;

    fn reading(quality: Quality, points: &[(&str, f64)]) -> Reading {
        Reading {
            device: DeviceId::new("roof").unwrap(),
            points: points.iter().map(|(name, value)| (PointId::from(*name), Value::from(*value))).collect(),
            quality,
            source: MeasurementSource::Device,
            measured_at: Moment { wall_ms: 1_700_000_000_123, mono_ms: 0 },
        }
    }

    fn build(reading: &Reading) -> Built {
        let energy = EnergyInput {
            basis: Some("counter"),
            main: Some(Direction::Produced),
            consumed: FlowInput { total: Some(7), increment: None },
            produced: FlowInput { total: Some(12_345_678), increment: Some(1_234) },
        };
        let id = ObjectId::from_bytes([1; 12]);
        let input =
            MeasurementInput { id, device_id: "h-roof", user_id: "u", gateway_id: "h", reading, energy };
        build_measurement(&input)
    }

    #[test]
    fn a_reading_becomes_the_document_of_the_contract() {
        let built = build(&reading(
            Quality::Good,
            &[
                ("activePower", -1500.5),
                ("voltage", 230.1),
                ("voltageL1", 229.0),
                ("powerL3", -12.0),
                ("inverterPower", 3.0),
            ],
        ));
        let wanted = doc! {
            "_id": ObjectId::from_bytes([1; 12]), "deviceId": "h-roof", "userId": "u",
            "timestamp": DateTime::from_millis(1_700_000_000_123),
            "measurements": {
                "activePower": -1500.5, "voltage": 230.1,
                "phaseA": { "voltage": 229.0 }, "phaseC": { "power": -12.0 },
                "energy": 12_345.678, "energyProduced": 1.234,
                "totals": { "consumed": 0.007, "produced": 12_345.678 },
                "quality": "good", "confidence": 1.0,
            },
            "source": "device", "tags": { "gateway": "h", "energy": "counter" },
        };
        assert_eq!(built, Built { document: Some(wanted), dropped: Vec::new() });
    }

    #[test]
    fn a_value_out_of_range_is_dropped_alone() {
        let built =
            build(&reading(Quality::Good, &[("voltage", 1000.1), ("frequency", 0.0), ("current", 5.0)]));
        assert_eq!(built.dropped, [("voltage", 1000.1), ("frequency", 0.0)]);
        let document = built.document.unwrap();
        let measurements = document.get_document("measurements").unwrap();
        assert_eq!(measurements.get_str("quality").unwrap(), "good");
        assert!(!measurements.contains_key("voltage") && measurements.contains_key("energy"));
    }

    #[test]
    fn every_range_ends_where_the_contract_says() {
        for (name, least, most) in SCALARS {
            for (value, fits) in [
                (least, true),
                (most, true),
                (least - 1.0, false),
                (most * 2.0 + 1.0, false),
                (f64::NAN, false),
            ] {
                let built = build(&reading(Quality::Good, &[(name, value)]));
                assert_eq!(built.dropped.is_empty(), fits, "{name} {value}");
            }
        }
    }

    #[test]
    fn impossible_power_makes_the_reading_poor_and_takes_its_energy_away() {
        let built = build(&reading(Quality::Good, &[("activePower", 1e9), ("voltage", 230.0)]));
        let document = built.document.unwrap();
        let measurements = document.get_document("measurements").unwrap();
        let wanted = doc! { "voltage": 230.0, "quality": "poor", "confidence": 0.3 };
        assert_eq!(measurements, &wanted);
    }

    #[test]
    fn a_reading_without_power_energy_voltage_or_current_is_no_measurement() {
        assert_eq!(build(&reading(Quality::Unknown, &[("batteryLevel", 50.0)])).document, None);
        assert!(
            build(&reading(Quality::Fair, &[("batteryLevel", 50.0)])).document.is_some(),
            "it has energy"
        );
    }

    #[test]
    fn whole_watt_hours_become_kilowatt_hours_without_noise() {
        for (wh, text) in [(1, "0.001"), (1_234, "1.234"), (999_999_999_999, "999999999.999"), (0, "0")] {
            assert_eq!(kwh(wh).to_string(), text);
        }
    }
}
