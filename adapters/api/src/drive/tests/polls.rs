//! Who is read when.

use proptest::{collection::vec, prelude::*};

use super::{
    bus::{Bus, Line, Mood, Polled, Spec, every},
    *,
};

/// When a unit was read.
fn reads(log: &[Line], unit: usize) -> Vec<Duration> {
    log.iter().filter(|line| line.unit == unit && line.what == "read").map(|line| line.at).collect()
}

#[tokio::test(start_paused = true)]
async fn all_units_are_read_at_once_after_the_start_and_then_spread_over_their_interval() {
    let bus = Polled::start((0..10).map(|_| every(1_000)).collect());
    bus.ms(199).await;
    let first = bus.bus.happened();
    assert!((0..10).all(|unit| reads(&first, unit)[0] <= Duration::from_millis(50)), "{first:?}");
    bus.ms(1_801).await;
    bus.bus.happened();
    bus.ms(60_000).await;
    let log = bus.bus.happened();
    for unit in 0..10 {
        let reads = reads(&log, unit);
        assert_eq!(reads.len(), 60);
        assert!(reads.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_secs(1)), "{reads:?}");
    }
    // In any tenth of the interval one unit is read: no two come together.
    let mut all: Vec<_> = log.iter().map(|line| line.at).collect();
    all.sort();
    let gaps: Vec<_> = all.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.iter().all(|gap| gap.abs_diff(Duration::from_millis(100)) <= Duration::from_millis(2)),
        "{gaps:?}"
    );
    assert!((0..10).all(|unit| bus.bus.count(unit, Counter::MissedPolls) == 0));
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn links_of_one_unit_each_are_not_read_in_the_same_moment() {
    let phase = |name: &str| schedule::phase(&UnitId::from(name), 0, 1, Duration::from_secs(10));
    let mut phases: Vec<_> = ["roof/1", "garage/1", "grid/1", "car/1", "cellar/1"].map(phase).into();
    phases.sort();
    assert!(phases.windows(2).all(|pair| pair[1] - pair[0] > Duration::from_millis(50)), "{phases:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fast_unit_keeps_its_period_among_slow_ones_that_came_due_before_it() {
    // Eleven slow ones take 100 ms each, every 10 s; the fast one has 1 s.
    let slow = || Spec { takes: Duration::from_millis(100), ..every(10_000) };
    let mut units: Vec<_> = (0..11).map(|_| slow()).collect();
    units.push(every(1_000));
    let bus = Polled::start(units);
    bus.ms(10_000).await;
    // All the slow ones come due in the same second: they were held up.
    bus.bus.happened();
    bus.bus.set(0, |spec| spec.takes = Duration::from_secs(8));
    bus.ms(30_000).await;
    bus.bus.set(0, |spec| spec.takes = Duration::from_millis(100));
    let log = bus.bus.happened();
    // After each long stall the fast one is among the first two.
    let stalls = reads(&log, 0).iter().map(|at| *at + Duration::from_secs(8)).collect::<Vec<_>>();
    for stall in &stalls[..stalls.len() - 1] {
        let after: Vec<_> =
            log.iter().filter(|line| line.at >= *stall && line.what == "read").take(2).collect();
        assert!(after.iter().any(|line| line.unit == 11), "{stall:?} {after:?}");
    }
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn turns_that_a_stall_ate_are_counted_and_never_piled_up() {
    let bus = Polled::start(vec![every(1_000), every(1_000), every(60_000)]);
    bus.ms(5_000).await;
    bus.bus.happened();
    // The next read of the slow unit holds the link for 20 s.
    bus.bus.set(2, |spec| spec.takes = Duration::from_secs(20));
    let begun = loop {
        bus.ms(10).await;
        if !reads(&bus.bus.happened(), 2).is_empty() {
            break Instant::now();
        }
    };
    tokio::time::sleep_until(begun + Duration::from_millis(20_500)).await;
    let log = bus.bus.happened();
    for unit in 0..2 {
        let reads = reads(&log, unit);
        assert!((2..=3).contains(&reads.len()), "one late turn, and its own: {reads:?}");
        let missed = bus.bus.count(unit, Counter::MissedPolls);
        assert!((18..=19).contains(&missed), "{missed}");
    }
    bus.ms(10_000).await;
    let log = bus.bus.happened();
    assert!((0..2).all(|unit| reads(&log, unit).len() == 10), "{log:?}");
    assert_eq!(bus.bus.count(2, Counter::MissedPolls), 0);
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn polls_that_come_to_nothing_are_counted() {
    let bus = Polled::start(vec![every(1_000), every(1_000)]);
    bus.ms(2_000).await;
    bus.bus.happened();
    bus.bus.set(1, |spec| spec.mood = Mood::Busy);
    bus.ms(20_000).await;
    let asked = bus
        .bus
        .happened()
        .iter()
        .filter(|line| line.unit == 1 && matches!(&*line.what, "read" | "probe"))
        .count();
    assert_eq!(bus.bus.count(1, Counter::FailedPolls), u64::try_from(asked).unwrap());
    assert!((19..=21).contains(&asked), "{asked}");
    assert_eq!((bus.bus.count(0, Counter::FailedPolls), bus.bus.count(0, Counter::MissedPolls)), (0, 0));
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_goes_before_all_polls_that_are_due() {
    let bus =
        Polled::start((0..5).map(|_| Spec { takes: Duration::from_millis(300), ..every(1_000) }).collect());
    // 1.5 s of work for each second: something is always due.
    bus.ms(10_000).await;
    for _ in 0..20 {
        bus.ms(77).await;
        bus.bus.happened();
        bus.command(3).await;
        // What was in flight ends, and then it is the command's turn.
        let log = bus.bus.only(&["read", "write"]);
        assert_eq!(log[0].what, "write", "{log:?}");
    }
    bus.stop().await;
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![4 => Just(Mood::Answers), 1 => Just(Mood::Silent), 1 => Just(Mood::Busy), 1 => Just(Mood::Refuses)]
}

/// Interval, time of a request, timeout, mood.
fn units() -> impl Strategy<Value = Vec<(u64, u64, u64, Mood)>> {
    vec((100..5_000_u64, 1..400_u64, 100..2_000_u64, mood()), 1..8)
}

async fn mixed(units: &[(u64, u64, u64, Mood)]) -> Result<(), TestCaseError> {
    let spec = |(interval, takes, timeout, mood): &(u64, u64, u64, Mood)| Spec {
        takes: Duration::from_millis(*takes),
        timeout: Duration::from_millis(*timeout),
        mood: *mood,
        ..every(*interval)
    };
    let bus = Polled::begin(Bus::new(units.iter().map(spec).collect()));
    bus.ms(60_000).await;
    bus.bus.happened();
    // Long enough for the longest pause of a silent one, and then for all of them to take their turns.
    let watched = Duration::from_secs(800);
    let begun = bus.bus.age();
    tokio::time::sleep(watched).await;
    let log = bus.bus.happened();
    // The longest that one round over all units can take: probes of silent ones come between, with the
    // read after one that was answered, and nobody is passed over twice for one that came due later.
    let round: u64 = units
        .iter()
        .map(|(_, takes, timeout, mood)| if *mood == Mood::Silent { *timeout } else { takes * 2 })
        .sum();
    for (at, (interval, _, _, mood)) in units.iter().enumerate() {
        let asked: Vec<_> = log
            .iter()
            .filter(|line| line.unit == at && matches!(&*line.what, "read" | "probe"))
            .map(|line| line.at)
            .collect();
        if *mood == Mood::Silent {
            let silent = units.iter().filter(|(.., mood)| *mood == Mood::Silent);
            let turns: u64 = silent
                .map(|(_, _, timeout, _)| patience::between_probes(ms(*timeout)))
                .sum::<Duration>()
                .as_millis() as u64;
            let bound = patience::LONGEST + ms(turns + 4 * round + 10_000);
            let ends = std::iter::once(begun).chain(asked).chain([begun + watched]);
            let ends: Vec<_> = ends.collect();
            let longest = ends.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX);
            prop_assert!(
                longest <= bound && bound < watched,
                "{at} was not probed for {longest:?} of {bound:?}"
            );
            continue;
        }
        // The first minutes are enough to compare every read with every other one.
        let reads: Vec<_> = reads(&log, at).into_iter().filter(|read| *read - begun < ms(120_000)).collect();
        let longest = asked.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX);
        let slowest = units.iter().map(|(interval, ..)| *interval).max().unwrap_or(0);
        let bound = Duration::from_millis(2 * interval.max(&1_000) + 4 * round + slowest + 10_000);
        prop_assert!(longest <= bound, "{at} waited {longest:?} of {bound:?}");
        // In no stretch of time more reads than turns, but for one that is caught up.
        for (first, begun) in reads.iter().enumerate() {
            for (further, end) in reads[first..].iter().enumerate() {
                let turns = (*end - *begun).as_millis() as usize / *interval as usize + 2;
                prop_assert!(further < turns + 1, "{at}: {} reads in {:?}", further + 1, *end - *begun);
            }
        }
    }
    bus.stop().await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_unit_starves_and_none_is_read_more_often_than_its_interval_says(units in units()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(mixed(&units))?;
    }
}
