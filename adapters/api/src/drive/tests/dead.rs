//! Units that do not answer, or not usefully.

use super::{
    bus::{Line, Mood, Polled, Spec, every},
    *,
};

const WHAT: [&str; 2] = ["online", "offline"];

fn asked(log: &[Line], unit: usize) -> Vec<Duration> {
    let is_asked = |line: &&Line| line.unit == unit && matches!(&*line.what, "read" | "probe");
    log.iter().filter(is_asked).map(|line| line.at).collect()
}

fn meters(count: usize, dead: &[usize]) -> Vec<Spec> {
    let mood = |at: usize| if dead.contains(&at) { Mood::Silent } else { Mood::Answers };
    (0..count).map(|at| Spec { takes: Duration::from_millis(20), mood: mood(at), ..every(1_000) }).collect()
}

/// In every minute, of every unit that answers, 57 of 60 reads at least.
async fn neighbours_keep_their_period(bus: &Polled, minutes: usize) {
    for minute in 0..minutes {
        bus.ms(60_000).await;
        for (unit, reads) in bus.bus.published().into_iter().enumerate() {
            let is_alive = bus.bus.mood(unit) == Mood::Answers;
            assert!(!is_alive || reads >= 57, "{unit} was read {reads} times in minute {minute}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_dies_and_one_that_never_lived_cost_their_neighbours_less_than_five_percent() {
    let bus = Polled::start(meters(5, &[0]));
    neighbours_keep_their_period(&bus, 5).await;
    bus.bus.set(3, |spec| spec.mood = Mood::Silent);
    neighbours_keep_their_period(&bus, 10).await;
    assert_eq!(bus.bus.only(&WHAT).iter().filter(|line| line.unit == 3).count(), 2);
    // Its return is not missed for more than 5 min.
    bus.bus.set(3, |spec| spec.mood = Mood::Answers);
    bus.ms(310_000).await;
    assert_eq!(bus.bus.only(&WHAT).len(), 1);
    bus.bus.published();
    neighbours_keep_their_period(&bus, 3).await;
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_that_is_silent_now_and_then_does_not_keep_a_dead_unit_from_its_probes() {
    let bus = Polled::start(meters(3, &[2]));
    bus.ms(60_000).await;
    bus.bus.set(2, |spec| spec.mood = Mood::Answers);
    bus.bus.happened();
    // One lost answer every 12 s, for ten minutes.
    for _ in 0..50 {
        bus.bus.set(0, |spec| spec.mood = Mood::Silent);
        bus.ms(1_100).await;
        bus.bus.set(0, |spec| spec.mood = Mood::Answers);
        bus.ms(10_900).await;
    }
    let told = bus.bus.only(&["online"]);
    assert!(told.iter().any(|line| line.unit == 2), "{told:?}");
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_unit_with_a_long_interval_that_was_busy_is_back_for_its_commands_within_ten_seconds() {
    let bus = Polled::start(vec![Spec { mood: Mood::Busy, ..every(300_000) }]);
    bus.ms(30_000).await;
    bus.bus.set(0, |spec| spec.mood = Mood::Answers);
    bus.bus.only(&WHAT);
    bus.ms(11_000).await;
    assert_eq!(bus.bus.only(&["online"]).len(), 1);
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn ten_dead_units_cost_no_more_than_one_and_none_of_them_is_forgotten() {
    let dead: Vec<_> = (4..14).collect();
    let bus = Polled::start(meters(14, &dead));
    neighbours_keep_their_period(&bus, 15).await;
    bus.bus.happened();
    bus.ms(600_000).await;
    let log = bus.bus.happened();
    for unit in dead {
        let probes = asked(&log, unit);
        assert!((2..=3).contains(&probes.len()), "10 times 20 s: {probes:?}");
    }
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_probe_without_answer_the_link_belongs_to_the_others_for_twenty_times_as_long() {
    for dead in [&[4][..], &[4, 5, 6, 7, 8]] {
        let bus = Polled::start(meters(4 + dead.len(), dead));
        // The first two probes of each come soon.
        bus.ms(40_000).await;
        bus.bus.happened();
        bus.ms(600_000).await;
        let log = bus.bus.happened();
        let probes: Vec<_> = log.iter().filter(|line| line.what == "probe").map(|line| line.at).collect();
        assert!(probes.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(21)), "{probes:?}");
        // Pauses of 32 s, 64 s, 128 s and up to as much again; five take turns of 21 s until theirs are longer.
        assert!(dead.iter().all(|unit| asked(&log, *unit).len() >= 4), "{probes:?}");
        assert!(dead.len() == 1 || probes.len() >= 20, "{probes:?}");
        bus.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn forty_dead_units_take_turns_and_their_neighbours_keep_their_period() {
    let dead = 4..44;
    let mut units = meters(44, &dead.clone().collect::<Vec<_>>());
    units.iter_mut().step_by(2).for_each(|spec| spec.timeout = Duration::from_secs(2));
    let bus = Polled::start(units);
    bus.ms(90_000).await;
    let log = bus.bus.happened();
    // Even while each of the forty is asked for the first time.
    for unit in 0..4 {
        let asked = asked(&log, unit);
        let longest = asked.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest <= Duration::from_millis(3_200), "{unit} waited {longest:?}");
    }
    assert!(dead.clone().all(|unit| !asked(&log, unit).is_empty()));
    bus.bus.published();
    neighbours_keep_their_period(&bus, 60).await;
    // Twenty of 21 s and twenty of 42 s: longer than 5 min, and nobody is forgotten.
    let round = Duration::from_secs(20 * 21 + 20 * 42);
    let log = bus.bus.happened();
    for unit in dead {
        let probes = asked(&log, unit);
        assert!(probes.len() >= 2, "{unit}: {probes:?}");
        let longest = probes.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest <= round + patience::LONGEST, "{unit} waited {longest:?}");
    }
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_unit_whose_first_frame_was_lost_is_told_at_once_and_asked_again_soon() {
    let bus = Polled::start(meters(5, &[0]));
    bus.ms(1_500).await;
    let log = bus.bus.happened();
    let place = |unit: usize, what: &str| log.iter().position(|line| line.unit == unit && line.what == what);
    assert!(place(0, "offline") < place(4, "read") && place(4, "read").is_some(), "{log:?}");
    bus.bus.set(0, |spec| spec.mood = Mood::Answers);
    bus.ms(3_000).await;
    let log = bus.bus.happened();
    let own: Vec<_> = log.iter().filter(|line| line.unit == 0).map(|line| &*line.what).take(4).collect();
    assert_eq!(own, ["probe", "announced", "read", "online"]);
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_a_second_time_before_all_were_asked_once_and_those_that_answer_were_read() {
    let bus = Polled::start(meters(12, &[0, 1, 2, 3, 4, 5, 6, 7]));
    bus.ms(30_000).await;
    let log = bus.bus.happened();
    let second = asked(&log, 0)[1];
    for unit in 0..12 {
        let first = asked(&log, unit)[usize::from(unit >= 8)];
        assert!(first < second, "{unit}: {first:?}, {second:?}");
    }
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_a_command_found_silent_is_asked_again_soon() {
    let bus = Polled::start(meters(5, &[]));
    bus.ms(10_000).await;
    bus.bus.set(2, |spec| spec.mood = Mood::Silent);
    bus.bus.happened();
    assert!(is_not_sent(&bus.command(2).await));
    assert_eq!(bus.bus.only(&WHAT).iter().map(|line| &*line.what).collect::<Vec<_>>(), ["offline"]);
    bus.bus.set(2, |spec| spec.mood = Mood::Answers);
    bus.ms(3_000).await;
    assert_eq!(bus.bus.only(&WHAT).iter().map(|line| &*line.what).collect::<Vec<_>>(), ["online"]);
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_unit_alone_on_its_link_is_probed_as_often_as_its_pauses_say() {
    let bus = Polled::start(meters(1, &[0]));
    bus.ms(20_000).await;
    let probes = asked(&bus.bus.happened(), 0);
    assert!((3..=5).contains(&probes.len()), "{probes:?}");
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_a_setpoint_must_be_given_back_a_dead_unit_is_probed_every_ten_seconds_and_costs_little() {
    // Dead for a long time, and dead just now: its own turns still come often.
    for (dead_for, takes) in [(600_000, 20), (20_000, 20), (600_000, 120), (20_000, 120)] {
        let bus = urgent(dead_for, takes).await;
        neighbours_keep_their_period(&bus, 10).await;
        let log = bus.bus.happened();
        for unit in 0..4 {
            let reads = asked(&log, unit);
            let late =
                reads.windows(2).filter(|pair| pair[1] - pair[0] > Duration::from_millis(1_500)).count();
            assert!(late * 20 <= reads.len(), "{unit}: {late} of {} came late", reads.len());
        }
        let probes = asked(&log, 4);
        let pauses: Vec<_> = probes.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(10)), "{pauses:?}");
        assert!(probes.len() >= 60, "{probes:?}");
        assert!(log.iter().all(|line| !line.what.starts_with("problem")), "it is no news: {log:?}");
        bus.stop().await;
    }
}

/// Four that answer, and one that does not within 2 s and has something to give back.
async fn urgent(dead_for: u64, takes: u64) -> Polled {
    let mut units = meters(5, &[4]);
    units.iter_mut().for_each(|spec| spec.takes = Duration::from_millis(takes));
    units[4].timeout = Duration::from_secs(2);
    let bus = Polled::start(units);
    bus.ms(dead_for).await;
    bus.bus.world.set(|state| state.urgent = true);
    bus.jobs.send(None).await.unwrap();
    bus.ms(10_000).await;
    bus.bus.happened();
    bus.bus.published();
    bus
}

#[tokio::test(start_paused = true)]
async fn a_unit_with_something_to_give_back_that_answers_within_a_glance_is_back_in_ten_seconds() {
    let bus = urgent(600_000, 20).await;
    bus.bus.set(4, |spec| spec.mood = Mood::Answers);
    bus.ms(10_000).await;
    assert_eq!(bus.bus.only(&WHAT).iter().map(|line| &*line.what).collect::<Vec<_>>(), ["online"]);
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_more_slowly_than_a_glance_lasts_is_found_when_it_is_its_turn() {
    let bus = urgent(20_000, 20).await;
    bus.bus.set(4, |spec| (spec.mood, spec.takes) = (Mood::Answers, Duration::from_millis(1_500)));
    bus.ms(60_000).await;
    assert_eq!(bus.bus.only(&WHAT).iter().map(|line| &*line.what).collect::<Vec<_>>(), ["online"]);
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn with_nobody_to_spare_an_urgent_unit_is_waited_for_as_long_as_its_timeout_says() {
    let mut units = meters(1, &[0]);
    units[0].timeout = Duration::from_secs(2);
    let bus = Polled::start(units);
    bus.ms(600_000).await;
    bus.bus.world.set(|state| state.urgent = true);
    bus.jobs.send(None).await.unwrap();
    bus.bus.set(0, |spec| (spec.mood, spec.takes) = (Mood::Answers, Duration::from_millis(1_500)));
    bus.ms(12_000).await;
    assert_eq!(bus.bus.only(&WHAT).last().map(|line| &*line.what), Some("online"));
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_told_once_with_its_words_after_two_times_and_three_seconds() {
    let bus = Polled::start(vec![every(1_000), every(1_000)]);
    bus.ms(3_000).await;
    bus.bus.happened();
    let died = bus.bus.age();
    bus.bus.set(1, |spec| spec.mood = Mood::Silent);
    bus.ms(200_000).await;
    let told = bus.bus.only(&["offline", "problem: no answer", "online"]);
    assert_eq!(told.iter().map(|line| &*line.what).collect::<Vec<_>>(), ["offline", "problem: no answer"]);
    let after = told[0].at - died;
    assert!((3_000..=8_000).contains(&after.as_millis()), "{after:?}");
    bus.bus.set(1, |spec| spec.words = " at all");
    bus.ms(400_000).await;
    let told = bus.bus.only(&["offline", "problem: no answer at all", "online"]);
    assert_eq!(told.iter().map(|line| &*line.what).collect::<Vec<_>>(), ["problem: no answer at all"]);
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_busy_for_an_hour_is_told_once_and_back_within_one_period() {
    for interval in [1_000, 5_000, 60_000] {
        let bus = Polled::start(vec![every(1_000), every(interval)]);
        bus.ms(2 * interval).await;
        bus.bus.happened();
        bus.bus.set(1, |spec| spec.mood = Mood::Busy);
        bus.ms(3_600_000).await;
        let log = bus.bus.happened();
        let times = asked(&log, 1).len() as u64;
        // Commands wait for it: a long interval does not count then.
        let between = interval.min(10_000);
        let wanted = 3_600_000 / between;
        assert!(times <= wanted + 1 && times >= wanted * 98 / 100, "{times} in an hour of {interval} ms");
        let told: Vec<_> =
            log.iter().filter(|line| line.unit == 1 && line.what != "read" && line.what != "probe").collect();
        assert_eq!(told.iter().map(|line| &*line.what).collect::<Vec<_>>(), ["offline", "problem: busy"]);
        let ended = bus.bus.age();
        bus.bus.set(1, |spec| spec.mood = Mood::Answers);
        bus.ms(between + 10).await;
        let log = bus.bus.happened();
        let told: Vec<_> = log.iter().filter(|line| line.unit == 1).map(|line| &*line.what).collect();
        assert_eq!(told[..4], ["probe", "read", "online", "no problem"], "{told:?}");
        let back = log.iter().find(|line| line.what == "online").unwrap().at - ended;
        assert!(back <= Duration::from_millis(between + 10), "{back:?}");
        assert_eq!(bus.bus.count(0, Counter::MissedPolls), 0);
        bus.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_answers_probes_only_does_not_come_and_go() {
    let bus = Polled::start(vec![every(1_000)]);
    bus.ms(2_000).await;
    assert_eq!(bus.bus.only(&WHAT).len(), 1);
    bus.bus.set(0, |spec| spec.mood = Mood::Refuses);
    bus.ms(600_000).await;
    let told = bus.bus.only(&["online", "offline", "announced"]);
    assert_eq!(told.iter().map(|line| &*line.what).collect::<Vec<_>>(), ["offline"]);
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_failure_is_neither_told_nor_followed_by_a_probe() {
    let bus = Polled::start(vec![every(1_000), every(1_000)]);
    bus.ms(3_000).await;
    bus.bus.happened();
    for _ in 0..20 {
        bus.bus.set(0, |spec| spec.mood = Mood::Busy);
        bus.ms(1_000).await;
        bus.bus.set(0, |spec| spec.mood = Mood::Answers);
        bus.ms(2_000).await;
    }
    let log = bus.bus.happened();
    assert!(log.iter().all(|line| line.what == "read"), "{log:?}");
    assert_eq!(bus.bus.count(0, Counter::FailedPolls), 20);
    bus.stop().await;
}
