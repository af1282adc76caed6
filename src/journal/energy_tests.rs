use adapter_api::{DeviceId, MeasurementSource, PointId, Value};

use super::*;

const PLUG: Traits = Traits { max_power: Some(3_600.0), positive_is_produced: false };
const BATTERY: Traits = Traits { max_power: Some(5_000.0), positive_is_produced: true };

fn reading(seconds: u64, points: &[(&str, f64)]) -> Reading {
    Reading {
        device: DeviceId::new("plug").unwrap(),
        points: points.iter().map(|(name, value)| (PointId::from(*name), Value::Number(*value))).collect(),
        quality: Quality::Good,
        source: MeasurementSource::Device,
        measured_at: Moment {
            wall_ms: 1_700_000_000_000 + seconds as i64 * 1000,
            mono_ms: 5_000 + seconds * 1000,
        },
    }
}

/// Increments of what a plug's counter says at these seconds, in kWh.
fn increments(values: &[(u64, f64)]) -> Vec<Option<u64>> {
    let mut meter = Meter::default();
    let of = |(seconds, kwh): &(u64, f64)| {
        meter.take(PLUG, &reading(*seconds, &[("energyConsumedTotal", *kwh)])).consumed.increment
    };
    values.iter().map(of).collect()
}

#[test]
fn increments_are_whole_wh_since_the_last_reading_and_the_first_has_none() {
    assert_eq!(
        increments(&[(0, 10.0), (60, 10.05), (120, 10.05), (180, 10.0601)]),
        [None, Some(50), Some(0), Some(10)]
    );
}

#[test]
fn a_gap_puts_its_energy_into_the_later_reading() {
    assert_eq!(increments(&[(0, 10.0), (7200, 12.5)]), [None, Some(2500)]);
}

#[test]
fn a_reading_of_poor_quality_adds_nothing_and_loses_nothing() {
    let mut meter = Meter::default();
    meter.take(PLUG, &reading(0, &[("energyConsumedTotal", 1.0)]));
    let poor = Reading { quality: Quality::Poor, ..reading(60, &[("energyConsumedTotal", 1.02)]) };
    let energy = meter.take(PLUG, &poor);
    assert_eq!(energy.consumed, Flow { total: Some(1000), increment: None });
    let energy = meter.take(PLUG, &reading(120, &[("energyConsumedTotal", 1.03)]));
    assert_eq!(energy.consumed, Flow { total: Some(1030), increment: Some(30) });
}

#[test]
fn a_bounce_to_zero_is_ignored() {
    assert_eq!(
        increments(&[(0, 10.0), (5, 0.0), (10, 0.0), (15, 0.0), (20, 0.0), (25, 10.01)]),
        [None, None, None, None, None, Some(10)]
    );
}

#[test]
fn a_counter_that_starts_again_counts_from_its_new_value() {
    assert_eq!(
        increments(&[(0, 10.0), (30, 0.0), (60, 0.01), (91, 0.02), (121, 0.04)]),
        [None, None, None, Some(0), Some(20)]
    );
}

#[test]
fn a_counter_of_32_bits_wraps() {
    let end = 4_294_967.296;
    assert_eq!(
        increments(&[(0, end - 0.010), (30, 0.005), (60, 0.015), (91, 0.025)]),
        [None, None, None, Some(35)]
    );
    let end = 429_496_729.6;
    assert_eq!(
        increments(&[(0, end - 0.1), (60, 0.0), (120, 0.0), (180, 0.0)]),
        [None, None, None, Some(100)]
    );
}

#[test]
fn a_leap_is_believed_when_it_stays_for_three_readings() {
    assert_eq!(
        increments(&[(0, 10.0), (5, 500.0), (10, 500.001), (15, 500.002), (20, 500.004)]),
        [None, None, None, Some(490_002), Some(2)]
    );
    assert_eq!(
        increments(&[(0, 10.0), (5, 500.0), (10, 10.003), (15, 500.0), (20, 500.0), (25, 10.006)]),
        [None, None, Some(3), None, None, Some(3)]
    );
}

#[test]
fn a_leap_from_zero_is_a_start_and_no_energy() {
    assert_eq!(
        increments(&[(0, 0.0), (5, 500.0), (10, 500.0), (15, 500.0), (20, 500.001)]),
        [None, None, None, Some(0), Some(1)]
    );
}

#[test]
fn what_is_no_counter_value_is_ignored() {
    assert_eq!(
        increments(&[(0, 10.0), (5, f64::NAN), (10, -1.0), (15, 1e300), (20, 10.01)]),
        [None, None, None, None, Some(10)]
    );
}

#[test]
fn power_is_integrated_where_nothing_counts_and_no_rest_is_lost() {
    let mut meter = Meter::default();
    let mut sum = 0;
    for second in 0..=3600 {
        let energy = meter.take(PLUG, &reading(second, &[("activePower", 100.4)]));
        sum += energy.consumed.increment.unwrap_or(0);
        assert_eq!(energy.produced.increment, None);
        assert_eq!(energy.basis == EnergyBasis::Integrated, second > 0);
    }
    assert_eq!(sum, 100);
}

#[test]
fn power_that_changes_its_sign_counts_in_both_directions() {
    let mut meter = Meter::default();
    meter.take(BATTERY, &reading(0, &[("activePower", 3600.0)]));
    let energy = meter.take(BATTERY, &reading(240, &[("activePower", -1200.0)]));
    assert_eq!(energy.produced.increment, Some(90));
    assert_eq!(energy.consumed.increment, Some(10));
}

#[test]
fn power_is_not_integrated_across_a_long_gap() {
    let mut meter = Meter::default();
    meter.take(PLUG, &reading(0, &[("activePower", 1000.0)]));
    let energy = meter.take(PLUG, &reading(301, &[("activePower", 1000.0)]));
    assert_eq!(energy.basis, EnergyBasis::None);
    let energy = meter.take(PLUG, &reading(319, &[("activePower", 1000.0)]));
    assert_eq!(energy.consumed.increment, Some(5));
}

#[test]
fn a_device_that_counts_is_never_integrated() {
    let mut meter = Meter::default();
    meter.take(PLUG, &reading(0, &[("activePower", 1000.0), ("energyConsumedTotal", 1.0)]));
    let energy = meter.take(PLUG, &reading(60, &[("activePower", 1000.0)]));
    assert_eq!(energy.basis, EnergyBasis::Counter);
    assert_eq!(energy.consumed, Flow { total: Some(1000), increment: None });
    assert_eq!(energy.produced, Flow::default());
}

#[test]
fn a_restart_goes_on_from_the_believed_total() {
    let mut meter = Meter::default();
    let taken = reading(0, &[("energyConsumedTotal", 5.0)]);
    let energy = meter.take(PLUG, &taken);
    let latest = Stored { number: 1, reading: taken, energy };
    let mut again = Meter::recovered(&latest, true);
    let later = again.take(PLUG, &reading(60, &[("energyConsumedTotal", 5.02)]));
    assert_eq!(later.consumed.increment, Some(20));
    // After a reboot the monotonic time starts again, and only wall time tells how long it was.
    let mut reading = reading(3600, &[("energyConsumedTotal", 6.5)]);
    reading.measured_at.mono_ms = 10;
    let later = Meter::recovered(&latest, false).take(PLUG, &reading);
    assert_eq!(later.consumed.increment, Some(1500));
}

#[test]
fn role_and_usage_decide_what_positive_power_means() {
    let inverter = Traits { positive_is_produced: true, ..PLUG };
    let mut meter = Meter::default();
    meter.take(inverter, &reading(0, &[("activePower", 3000.0)]));
    let energy = meter.take(inverter, &reading(60, &[("activePower", 3000.0)]));
    assert_eq!((energy.produced.increment, energy.consumed.increment), (Some(50), None));
}

#[test]
fn an_impossible_power_carries_no_increment_and_the_next_reading_makes_up_for_it() {
    let mut meter = Meter::default();
    let mut take = |seconds, power, kwh| {
        let points = [("activePower", power), ("energyConsumedTotal", kwh)];
        meter.take(PLUG, &reading(seconds, &points)).consumed.increment
    };
    assert_eq!(take(0, 100.0, 10.0), None);
    assert_eq!(take(60, 200_000.0, 10.002), None);
    assert_eq!(take(120, 100.0, 10.004), Some(4));
}
