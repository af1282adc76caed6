use adapter_api::{DeviceId, MeasurementSource, Moment, PointId, Value};

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

#[test]
fn a_counter_of_16_bits_wraps_as_well() {
    for end in [65.536, 655.36, 6553.6] {
        let values = [(0, end - 0.1), (60, 0.0), (120, 0.0), (180, 0.0)];
        assert_eq!(increments(&values), [None, None, None, Some(100)], "{end}");
    }
    let far = [(0, 500.0), (60, 0.0), (120, 0.0), (180, 0.0)];
    assert_eq!(increments(&far), [None, None, None, Some(0)], "it was not near its end");
}

#[test]
fn a_coarse_step_is_no_leap_and_more_than_one_is() {
    let values = [(0, 10.0), (5, 10.1), (10, 10.1), (15, 10.2), (20, 11.2), (25, 11.2), (30, 11.2)];
    assert_eq!(
        increments(&values),
        [None, Some(100), Some(0), Some(100), None, None, Some(1000)],
        "3.6 kW move 1 kWh in no 5 s"
    );
}

#[test]
fn a_counter_that_is_zero_for_a_night_and_comes_back_adds_what_it_counted_meanwhile() {
    let night: Vec<_> = (1..=480).map(|minute| (minute * 60, 0.0)).collect();
    let morning = [(28_860, 10.05), (28_920, 10.05), (28_980, 10.06), (29_040, 10.07)];
    let values: Vec<_> = [(0, 10.0)].into_iter().chain(night).chain(morning).collect();
    let increments = increments(&values);
    assert_eq!(increments[478..], [Some(0), Some(0), Some(0), None, None, Some(60), Some(10)]);
    assert_eq!(increments.into_iter().flatten().sum::<u64>(), 70);
}

#[test]
fn a_counter_that_starts_again_for_good_passes_where_it_was_as_any_other_value() {
    let hour = |n: u64| (n * 3600, 0.5 * n as f64);
    let again: Vec<_> = (0..30).map(|n| (hour(n).0 + 3600, hour(n).1)).collect();
    let values: Vec<_> = [(0, 10.0)].into_iter().chain(again).collect();
    // The three that it is believed at lose what was counted in them.
    assert_eq!(increments(&values).into_iter().flatten().sum::<u64>(), 27 * 500);
}

#[test]
fn a_counter_that_comes_back_after_so_long_that_it_could_have_counted_all_again_counts_nothing_twice() {
    // Ten hours are enough for a plug to use 30 kWh.
    assert_eq!(
        increments(&[(0, 30.0), (10, 0.0), (50, 0.0), (80, 0.0), (36_080, 30.2)]),
        [None, None, None, Some(0), Some(200)]
    );
}

#[test]
fn a_bounce_is_one_also_long_after_a_new_start() {
    let ten_days = 864_000;
    let at = |seconds: u64, kwh: f64| (ten_days + seconds, kwh);
    assert_eq!(
        increments(&[(0, 1000.0), (10, 0.0), (50, 0.0), (80, 0.0), at(80, 800.0)]),
        [None, None, None, Some(0), Some(800_000)]
    );
    assert_eq!(
        increments(&[
            (0, 1000.0),
            (10, 0.0),
            (50, 0.0),
            (80, 0.0),
            at(80, 800.0),
            at(90, 0.0),
            at(130, 0.0),
            at(170, 0.0),
            at(180, 800.01),
            at(190, 800.01),
            at(200, 800.01),
        ])[5..],
        [None, None, Some(0), None, None, Some(10)]
    );
}

#[test]
fn a_new_start_near_the_end_of_coarser_counters_is_no_wrap() {
    let mut meter = Meter::default();
    let any = Traits { max_power: None, ..PLUG };
    let mut of =
        |seconds, kwh| meter.take(any, &reading(seconds, &[("energyConsumedTotal", kwh)])).consumed.increment;
    let values = [(0, 6000.123), (18_000, 0.007), (18_030, 0.007), (18_061, 0.007)];
    assert_eq!(values.map(|(seconds, kwh)| of(seconds, kwh)), [None, None, None, Some(0)]);
}

#[test]
fn a_counter_that_trembles_counts_nothing_twice() {
    let values =
        [(0, 10.0), (30, 9.995), (60, 9.995), (95, 9.995), (125, 9.998), (155, 10.005), (185, 10.01)];
    assert_eq!(increments(&values), [None, None, None, Some(0), Some(3), Some(2), Some(5)]);
}

#[test]
fn a_device_that_begins_with_zero_after_a_restart_of_the_gateway_is_not_believed_at_once() {
    let mut meter = Meter::default();
    let taken = reading(0, &[("energyConsumedTotal", 5.0), ("energyProducedTotal", 2.0)]);
    let energy = meter.take(PLUG, &taken);
    let mut again = Meter::recovered(&Stored { number: 1, reading: taken, energy }, true);
    let mut take = |seconds, consumed, produced| {
        let points = [("energyConsumedTotal", consumed), ("energyProducedTotal", produced)];
        let energy = again.take(PLUG, &reading(seconds, &points));
        (energy.consumed, energy.produced)
    };
    let still = |total| Flow { total: Some(total), increment: None };
    assert_eq!(take(60, 0.0, 0.0), (still(5000), still(2000)));
    assert_eq!(take(65, 0.0, 0.0), (still(5000), still(2000)));
    let more = |total, increment| Flow { total: Some(total), increment: Some(increment) };
    assert_eq!(take(70, 5.01, 2.02), (more(5010, 10), more(2020, 20)), "both counters");
}

#[test]
fn each_reading_that_is_not_believed_is_said_once() {
    let mut meter = Meter::default();
    let mut doubted = |seconds, consumed, produced| {
        let points = [("energyConsumedTotal", consumed), ("energyProducedTotal", produced)];
        meter.take(PLUG, &reading(seconds, &points));
        (meter.doubted().fell, meter.doubted().leapt)
    };
    assert_eq!(doubted(0, 10.0, 5.0), (false, false));
    assert_eq!(doubted(5, 0.0, 0.0), (true, false));
    assert_eq!(doubted(10, 300.0, 0.0), (true, true));
    assert_eq!(doubted(15, 10.0, 5.0), (false, false));
    assert_eq!(doubted(20, 300.0, 5.0), (false, true));
    assert_eq!(doubted(25, 300.0, 5.0), (false, true));
    assert_eq!(doubted(30, 300.0, 5.0), (false, false), "it stayed");
}

#[test]
fn what_is_made_up_of_a_device_that_sleeps_moves_no_energy() {
    let asleep = |seconds| Reading {
        source: MeasurementSource::Estimated,
        quality: Quality::Fair,
        ..reading(seconds, &[("activePower", 0.0)])
    };
    let mut meter = Meter::default();
    meter.take(BATTERY, &reading(0, &[("activePower", 3600.0)]));
    let energy = meter.take(BATTERY, &asleep(60));
    assert_eq!((energy.basis, energy.produced), (EnergyBasis::None, Flow::default()));
    let mut meter = Meter::default();
    let taken = reading(0, &[("energyProducedTotal", 5.0)]);
    meter.take(BATTERY, &taken);
    let energy = meter.take(BATTERY, &asleep(60));
    let still = Flow { total: Some(5000), increment: None };
    assert_eq!((energy.basis, energy.produced), (EnergyBasis::Counter, still));
    // Over a restart at night the counter goes on from there.
    let mut again = Meter::recovered(&Stored { number: 2, reading: asleep(60), energy }, true);
    let energy = again.take(BATTERY, &reading(36_000, &[("energyProducedTotal", 5.001)]));
    assert_eq!(energy.produced.increment, Some(1));
}

mod bounces {
    use proptest::prelude::*;

    use super::*;

    /// What a device shows of its counter for a while.
    #[derive(Debug, Clone)]
    enum Shows {
        Truth,
        Zero,
        Garbage(u32),
        Nothing,
    }

    fn spell() -> impl Strategy<Value = (Shows, u32)> {
        prop_oneof![
            5 => (Just(Shows::Truth), 1..40_u32),
            3 => (Just(Shows::Zero), 1..40_u32),
            // Above all that is true, and never for three readings.
            1 => ((3..8_u32).prop_map(|times| Shows::Garbage(times * 500_007)), 1..3_u32),
            1 => (Just(Shows::Nothing), 1..20_u32),
        ]
    }

    proptest! {
        #[test]
        fn sums_over_a_long_bouncing_series_are_what_the_meter_counted(
            spells in prop::collection::vec(spell(), 1..60),
            step in 1..60_u64,
            watts in prop::collection::vec(0..3_600_u64, 1..20),
        ) {
            let mut meter = Meter::default();
            let (mut seconds, mut ws, mut sum, first) = (0, 36_000_000_u64 * 100, 0, 1_000_000_u64);
            let mut show = |wh: Option<u64>, seconds: u64| {
                let points = wh.map(|wh| ("energyConsumedTotal", wh as f64 / 1000.0));
                sum += meter.take(PLUG, &reading(seconds, points.as_slice())).consumed.increment.unwrap_or(0);
            };
            show(Some(ws / 3600), 0);
            let spells = spells.into_iter().flat_map(|spell| [spell, (Shows::Truth, 1)]).chain([(Shows::Truth, 4)]);
            let turns = spells.flat_map(|(shows, times)| std::iter::repeat_n(shows, times as usize));
            for (turn, shows) in turns.enumerate() {
                seconds += step;
                ws += watts[turn % watts.len()] * step;
                let shown = match shows {
                    Shows::Truth => Some(ws / 3600),
                    Shows::Zero => Some(0),
                    Shows::Garbage(wh) => Some(u64::from(wh)),
                    Shows::Nothing => None,
                };
                show(shown, seconds);
            }
            prop_assert_eq!(sum, ws / 3600 - first);
        }
    }
}
