//! Units that sleep by night, and what drivers do not believe.

use super::{
    bus::{Mood, Polled, Spec, every},
    *,
};

const ASLEEP: &str = "problem: It is asleep: it does not answer until there is sun";

fn sleeper(power: f64) -> Spec {
    Spec { sleeps: true, power, ..every(5_000) }
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_gave_nothing_and_falls_silent_is_asleep_and_not_failed() {
    let bus = Polled::start(vec![sleeper(20.0), every(5_000)]);
    bus.ms(20_000).await;
    bus.bus.happened();
    bus.bus.published();
    bus.bus.set(0, |spec| spec.mood = Mood::Silent);
    bus.ms(60_000).await;
    let told = bus.bus.only(&["offline", "problem: no answer", ASLEEP]);
    assert_eq!(told.iter().map(|line| &*line.what).collect::<Vec<_>>(), ["offline", ASLEEP]);
    let estimated = bus.bus.estimated();
    assert_eq!(estimated.len(), 1);
    assert_eq!(estimated[0].point("activePower"), Some(&Value::Number(0.0)));
    assert_eq!((estimated[0].points.len(), estimated[0].quality), (1, crate::Quality::Fair));
    let failed = bus.bus.count(0, Counter::FailedPolls);
    // It is probed ever more rarely, and every 5 min all night.
    bus.ms(8 * 3_600_000).await;
    let probes = bus.bus.only(&["probe"]);
    assert!(probes.windows(2).all(|pair| pair[1].at - pair[0].at <= Duration::from_secs(310)), "{probes:?}");
    assert!((96..400).contains(&probes.len()), "{}", probes.len());
    assert_eq!(bus.bus.count(0, Counter::FailedPolls), failed, "silence in its sleep is no failed poll");
    assert!(bus.bus.estimated().is_empty(), "once a night");
    bus.bus.set(0, |spec| (spec.mood, spec.power) = (Mood::Answers, 3_000.0));
    bus.ms(310_000).await;
    let told = bus.bus.only(&["online", "no problem"]);
    assert_eq!(told.iter().map(|line| line.unit).collect::<Vec<_>>(), [0, 0]);
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_falls_silent_at_full_power_has_failed_and_one_that_never_sleeps_as_well() {
    let awake = Spec { power: 0.0, ..every(5_000) };
    let bus = Polled::start(vec![sleeper(3_000.0), awake]);
    bus.ms(20_000).await;
    bus.bus.happened();
    for unit in [0, 1] {
        bus.bus.set(unit, |spec| spec.mood = Mood::Silent);
    }
    bus.ms(60_000).await;
    let told = bus.bus.only(&["problem: no answer", ASLEEP]);
    assert!(told.iter().all(|line| line.what != ASLEEP) && told.len() == 2, "{told:?}");
    assert!(bus.bus.estimated().is_empty());
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_unit_with_a_battery_never_sleeps_whatever_its_profile_says() {
    let bus = Polled::start(vec![Spec { battery: true, ..sleeper(10.0) }, sleeper(10.0)]);
    bus.ms(20_000).await;
    bus.bus.happened();
    for unit in [0, 1] {
        bus.bus.set(unit, |spec| spec.mood = Mood::Silent);
    }
    bus.ms(60_000).await;
    let told = bus.bus.only(&["problem: no answer", ASLEEP]);
    let told: Vec<_> = told.iter().map(|line| (line.unit, &*line.what)).collect();
    assert_eq!(
        told.iter().filter(|told| told.0 == 0).count(),
        2,
        "the unit's device and its battery: {told:?}"
    );
    assert!(told.iter().all(|(unit, what)| (*what == ASLEEP) == (*unit == 1)), "{told:?}");
    assert_eq!(bus.bus.estimated().len(), 1, "of the other one");
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_whose_link_goes_with_it_sleeps_as_well_and_a_night_without_end_is_a_failure() {
    let bus = Polled::start(vec![sleeper(10.0)]);
    bus.ms(20_000).await;
    bus.bus.happened();
    bus.bus.close_for(Some(Duration::from_millis(10)));
    bus.ms(60_000).await;
    assert_eq!(bus.bus.only(&["offline", "problem: no way", ASLEEP]).len(), 2);
    assert_eq!(bus.bus.estimated().len(), 1);
    bus.ms(23 * 3_600_000).await;
    assert!(bus.bus.only(&["problem: no way"]).is_empty());
    bus.ms(2 * 3_600_000).await;
    assert_eq!(bus.bus.only(&["offline", "problem: no way"]).len(), 1, "only its words change");
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_driver_did_not_believe_is_counted_after_each_read() {
    let bus = Polled::start(vec![Spec { disbelieved: 2, ..every(1_000) }]);
    bus.ms(10_500).await;
    let reads = bus.bus.only(&["read"]).len() as u64;
    assert_eq!(bus.bus.count(0, Counter::OutOfRange), 2 * reads);
    bus.bus.set(0, |spec| spec.mood = Mood::Refuses);
    bus.ms(2_000).await;
    let more = bus.bus.only(&["read"]).len() as u64;
    assert_eq!(
        bus.bus.count(0, Counter::OutOfRange),
        2 * (reads + more),
        "also of one that gave no readings"
    );
    bus.stop().await;
}
