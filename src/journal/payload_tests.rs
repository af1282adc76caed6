use adapter_api::{PointId, Value};
use proptest::prelude::*;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_map(Value::Number),
        any::<u64>().prop_map(|bits| Value::Number(f64::from_bits(bits))),
        any::<f32>().prop_map(|number| Value::Number(number.into())),
        (-100_000i32..100_000, 0usize..5).prop_map(|(whole, digits)| Value::Number(
            f64::from(whole) * [1.0, 0.1, 0.01, 0.001, 1e-4][digits]
        )),
        "[a-z]{0,4}".prop_map(|text| Value::from(text.as_str())),
        any::<bool>().prop_map(Value::Bool),
    ]
}

fn flow() -> impl Strategy<Value = Flow> {
    (any::<Option<u64>>(), any::<Option<u64>>()).prop_map(|(total, increment)| Flow { total, increment })
}

fn stored() -> impl Strategy<Value = Stored> {
    let quality = prop::sample::select(Quality::ALL);
    let source = prop::sample::select(MeasurementSource::ALL);
    let basis = prop::sample::select(&[EnergyBasis::None, EnergyBasis::Counter, EnergyBasis::Integrated][..]);
    let device = prop::sample::select(&["roof", "roof-battery", "meter.1"][..]);
    let name = prop::sample::select(&["activePower", "voltage", "state", "Ünit"][..]);
    let points = prop::collection::vec((name.prop_map(Into::into), value()), 0..6);
    (any::<i64>(), any::<u64>(), quality, source, basis, device, points, flow(), flow()).prop_map(
        |(wall_ms, mono_ms, quality, source, basis, device, points, consumed, produced)| Stored {
            number: 0,
            reading: Reading {
                device: DeviceId::new(device).unwrap(),
                points,
                quality,
                source,
                measured_at: Moment { wall_ms, mono_ms },
            },
            energy: Energy { basis, consumed, produced },
        },
    )
}

/// Equal bit by bit: NaN is like itself, and 0 is not -0.
fn bits(readings: &[Stored]) -> Vec<String> {
    let number = |value: &Value| match value {
        Value::Number(number) => format!("{:x}", number.to_bits()),
        other => format!("{other:?}"),
    };
    let points = |stored: &Stored| {
        let points = &stored.reading.points;
        points.iter().map(|(name, value)| format!("{name}={}", number(value))).collect::<Vec<_>>()
    };
    let rest = |stored: &Stored| {
        let mut stored = stored.clone();
        stored.reading.points.clear();
        stored
    };
    readings.iter().map(|stored| format!("{:?} {:?}", rest(stored), points(stored))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_readings_come_back_bit_by_bit(
        mut readings in prop::collection::vec(stored(), 0..40), first in 1u64..u64::MAX - 100,
    ) {
        for (stored, number) in readings.iter_mut().zip(first..) {
            stored.number = number;
        }
        let blob = seal(&content(&readings)).unwrap();
        let back = super::readings(&unseal(&blob).unwrap(), |_| true).unwrap();
        prop_assert_eq!(bits(&back), bits(&readings));
    }

    #[test]
    fn bytes_that_are_no_content_are_refused_and_never_panic(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let _refused_or_empty = super::readings(&noise, |_| true);
        prop_assert!(unseal(&noise).is_err());
    }
}

fn meter(rows: usize) -> Vec<Stored> {
    let mut seed = 42u64;
    let mut noise = move |range: f64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as f64 / (1u64 << 31) as f64 * range
    };
    let names = [
        "voltageL1",
        "voltageL2",
        "voltageL3",
        "currentL1",
        "currentL2",
        "currentL3",
        "powerL1",
        "powerL2",
        "powerL3",
        "activePower",
        "frequency",
        "energyConsumedTotal",
    ];
    let mut wh = 1_234_560.0;
    (0..rows)
        .map(|at| {
            wh += 10.0 * noise(2.0).round();
            let points: Vec<_> = names
                .iter()
                .enumerate()
                .map(|(column, name)| {
                    let value = match column {
                        0..3 => ((2_300.0 + noise(30.0)).round()) / 10.0,
                        3..6 => (noise(600.0)).round() / 100.0,
                        6..10 => (500.0 + noise(300.0)).round(),
                        10 => (5_000.0 + noise(5.0)).round() / 100.0,
                        _ => wh / 1000.0,
                    };
                    (PointId::from(*name), Value::Number(value))
                })
                .collect();
            let wall_ms = 1_700_000_000_000 + (at / 10) as i64 * 5_000 + noise(20.0) as i64;
            Stored {
                number: 1 + at as u64,
                reading: Reading {
                    device: DeviceId::new(&format!("meter-{}", at % 10)).unwrap(),
                    points,
                    quality: Quality::Good,
                    source: MeasurementSource::Device,
                    measured_at: Moment { wall_ms, mono_ms: (wall_ms - 1_690_000_000_000) as u64 },
                },
                energy: Energy {
                    basis: EnergyBasis::Counter,
                    consumed: Flow { total: Some(wh as u64), increment: Some(10) },
                    produced: Flow::default(),
                },
            }
        })
        .collect()
}

#[test]
fn a_reading_of_twelve_points_takes_at_most_twenty_bytes_in_a_full_batch() {
    let blob = seal(&content(&meter(1000))).unwrap();
    let bytes = blob.len() as f64 / 1000.0;
    assert!(bytes <= 20.0, "{bytes} bytes");
}

#[test]
fn every_flipped_bit_is_an_error_and_never_other_data() {
    let readings = meter(20);
    let blob = seal(&content(&readings)).unwrap();
    for at in 0..blob.len() {
        for bit in [0, 3, 7] {
            let mut damaged = blob.clone();
            damaged[at] ^= 1 << bit;
            assert!(unseal(&damaged).is_err(), "byte {at} bit {bit}");
        }
    }
    for length in 0..blob.len() {
        assert!(unseal(&blob[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn only_the_wanted_device_is_read() {
    let content = content(&meter(30));
    let found = super::readings(&content, |device| device == "meter-3").unwrap();
    assert_eq!(found.iter().map(|stored| stored.number).collect::<Vec<_>>(), [4, 14, 24]);
}
