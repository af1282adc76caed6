//! A link that cannot be opened.

use super::{
    bus::{Bus, Line, Mood, Polled, every},
    *,
};

const CONNECT: Duration = Duration::from_millis(100);

fn attempts(log: &[Line]) -> Vec<Duration> {
    log.iter().filter(|line| matches!(&*line.what, "read" | "probe")).map(|line| line.at).collect()
}

fn count(log: &[Line], what: &str) -> usize {
    log.iter().filter(|line| line.what == what).count()
}

fn eight() -> Vec<bus::Spec> {
    (0..8).map(|_| every(1_000)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_away_at_the_start_is_told_for_all_units_at_once_with_one_attempt() {
    let bus = Bus::new(eight());
    bus.close_for(Some(CONNECT));
    let bus = Polled::begin(bus);
    bus.ms(500).await;
    let log = bus.bus.happened();
    assert_eq!((count(&log, "probe"), count(&log, "offline"), count(&log, "problem: no way")), (1, 8, 8));
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_went_away_is_tried_once_for_all_units_ever_more_rarely_and_then_asks_them_all() {
    let bus = Polled::start(eight());
    bus.ms(5_000).await;
    // One that was set aside before has no backoff of its own afterwards.
    bus.bus.set(7, |spec| spec.mood = Mood::Silent);
    bus.ms(300_000).await;
    bus.bus.set(7, |spec| spec.mood = Mood::Answers);
    bus.bus.happened();
    let closed = bus.bus.age();
    bus.bus.close_for(Some(CONNECT));
    bus.ms(2_900).await;
    let log = bus.bus.happened();
    assert_eq!(count(&log, "offline"), 0, "not for 3 s yet");
    assert!(attempts(&log).len() <= 3, "{log:?}");
    bus.ms(3_597_100).await;
    let log = bus.bus.happened();
    assert_eq!(
        (count(&log, "offline"), count(&log, "problem: no way")),
        (7, 8),
        "told once, the eighth was offline"
    );
    let told = log.iter().find(|line| line.what == "offline").unwrap().at - closed;
    assert!((3_000..6_000).contains(&told.as_millis()), "{told:?}");
    let attempts = attempts(&log);
    let pauses: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| *pause <= patience::LONGEST + CONNECT), "{pauses:?}");
    assert!(pauses[pauses.len() - 5..].iter().all(|pause| *pause >= patience::PAUSE.1), "{pauses:?}");
    assert!((15..=40).contains(&attempts.len()), "{}", attempts.len());

    bus.bus.close_for(None);
    bus.ms(300_000).await;
    let log = bus.bus.happened();
    let back: Vec<_> = log.iter().filter(|line| line.what == "online").collect();
    assert_eq!(back.len(), 8);
    assert!(back[7].at - back[0].at <= Duration::from_millis(100), "none waits for itself: {back:?}");
    assert_eq!(back.iter().map(|line| line.unit).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    let first: Vec<_> = log.iter().filter(|line| line.unit == 3).map(|line| &*line.what).take(4).collect();
    assert_eq!(first, ["probe", "read", "online", "no problem"], "what it was set up with is sent again");
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_away_for_a_moment_costs_one_attempt_a_second_and_is_not_told() {
    let bus = Polled::start(eight());
    bus.ms(5_000).await;
    bus.bus.happened();
    bus.bus.close_for(Some(CONNECT));
    bus.ms(2_000).await;
    bus.bus.close_for(None);
    bus.ms(8_000).await;
    let log = bus.bus.happened();
    assert!(log.iter().all(|line| line.what == "read"), "{log:?}");
    let failed: u64 = (0..8).map(|unit| bus.bus.count(unit, Counter::FailedPolls)).sum();
    assert!((2..=3).contains(&failed), "{failed}");
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_away_is_tried_every_ten_seconds_while_a_setpoint_must_be_given_back() {
    let bus = Polled::start(eight());
    bus.ms(5_000).await;
    bus.bus.close_for(Some(CONNECT));
    bus.ms(3_600_000).await;
    bus.bus.world.set(|state| state.urgent = true);
    bus.jobs.send(None).await.unwrap();
    bus.ms(10_000).await;
    bus.bus.happened();
    bus.ms(100_000).await;
    let attempts = attempts(&bus.bus.happened());
    assert!((10..=20).contains(&attempts.len()), "{attempts:?}");
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_finds_no_way_tells_all_units_of_the_link_before_it_ends() {
    let bus = Polled::start(eight());
    bus.ms(5_000).await;
    bus.bus.close_for(Some(CONNECT));
    bus.bus.happened();
    assert!(is_not_sent(&bus.command(3).await));
    assert_eq!(count(&bus.bus.happened(), "offline"), 8);
    bus.stop().await;
}
