//! Units that do not take every request of their profile: what they take is found out once, and
//! remembered.

use std::sync::atomic::{AtomicI64, Ordering};

use adapter_api::{Clock, Moment, Wanted};

use super::*;
use crate::testing::Seen;

const METER: &str = "[device.m]\nprofile = 'eastron-sdm630'\n";

async fn meter() -> Peer {
    let peer = Peer::start().await;
    fill(&peer);
    peer
}

/// 230 of everything, but for the power factor and the frequency.
fn fill(peer: &Peer) {
    peer.input(1, 0, &[0x4366; 80]);
    peer.input(1, 62, &[0x3F80, 0]);
    peer.input(1, 70, &[0x4248, 0]);
}

fn at(peer: &Peer, notes: &Notes, wall_ms: i64) -> ModbusDriver {
    let clock = Clock::new("boot", move || Moment { wall_ms, mono_ms: 1 });
    ModbusDriver::new("home", &peer.settings(METER), clock, Store::new(notes.clone())).unwrap()
}

/// The points of one poll, and the requests that it took.
async fn poll(driver: &mut ModbusDriver, peer: &Peer) -> (Vec<String>, Vec<Seen>) {
    peer.seen();
    let readings = driver.read(&unit(), Wanted::All).await.unwrap();
    let names = readings[0].points.iter().map(|(name, _)| name.to_string()).collect();
    (names, peer.seen())
}

async fn count(driver: &mut ModbusDriver, peer: &Peer) -> usize {
    poll(driver, peer).await.1.len()
}

#[tokio::test]
async fn registers_between_two_values_that_a_unit_refuses_part_the_request_there_and_nowhere_else() {
    let peer = meter().await;
    let notes = Notes::default();
    let mut driver = at(&peer, &notes, 0);
    let (all, requests) = poll(&mut driver, &peer).await;
    assert_eq!(requests.len(), 1);
    // Between voltage (42) and current (48), and between reactive power (60) and frequency (70).
    peer.without(1, 44..48);
    peer.without(1, 64..70);
    let (names, searched) = poll(&mut driver, &peer).await;
    assert_eq!(names, all, "nothing is missing, also not in the poll that found out");
    assert!(searched.len() > 3, "{searched:?}");
    let (names, requests) = poll(&mut driver, &peer).await;
    assert_eq!(names, all);
    let places: Vec<_> = requests.iter().map(|seen| (seen.start, seen.count)).collect();
    assert_eq!(places, [(0, 44), (48, 16), (70, 6)]);
}

#[tokio::test]
async fn a_value_that_a_unit_does_not_have_is_left_out_and_remembered_over_a_restart() {
    let peer = meter().await;
    let notes = Notes::default();
    let mut driver = at(&peer, &notes, 0);
    let (all, _) = poll(&mut driver, &peer).await;
    peer.without(1, 62..64);
    let (names, _) = poll(&mut driver, &peer).await;
    assert_eq!(names.len(), all.len() - 1);
    assert!(!names.contains(&"powerFactor".to_owned()));
    assert_eq!(count(&mut driver, &peer).await, 2);
    let mut again = at(&peer, &notes, 1_000);
    assert_eq!(count(&mut again, &peer).await, 2, "nothing is refused a second time");
}

#[tokio::test]
async fn a_unit_that_takes_short_requests_only_gets_the_longest_that_it_takes() {
    let peer = meter().await;
    peer.most(20);
    let mut driver = at(&peer, &Notes::default(), 0);
    let (all, _) = poll(&mut driver, &peer).await;
    assert_eq!(all.len(), 18);
    let (names, requests) = poll(&mut driver, &peer).await;
    assert_eq!(names, all);
    assert!(requests.iter().all(|seen| seen.count <= 20));
    // 0 to 17 and 42 to 75 are wanted, more than one of 20 apart.
    assert_eq!(requests.len(), 3, "{requests:?}");
}

/// A driver whose wall clock the test sets.
fn with_clock(peer: &Peer, notes: &Notes) -> (ModbusDriver, Arc<AtomicI64>) {
    let wall = Arc::new(AtomicI64::new(0));
    let shown = Arc::clone(&wall);
    let clock = Clock::new("boot", move || Moment { wall_ms: shown.load(Ordering::Relaxed), mono_ms: 1 });
    let driver = ModbusDriver::new("home", &peer.settings(METER), clock, Store::new(notes.clone())).unwrap();
    (driver, wall)
}

const HOUR: i64 = 3_600_000;

#[tokio::test]
async fn a_hole_is_looked_at_again_after_some_time_and_after_an_absence_and_its_end_is_remembered() {
    let peer = meter().await;
    let notes = Notes::default();
    let (mut driver, wall) = with_clock(&peer, &notes);
    peer.without(1, 62..64);
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 17);
    peer.input(1, 62, &[0x3F80, 0]);
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 17, "it was learned just now");
    wall.store(HOUR, Ordering::Relaxed);
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 18, "an update brought it");
    assert_eq!(poll(&mut at(&peer, &notes, HOUR), &peer).await.0.len(), 18, "also after a restart");

    peer.without(1, 62..64);
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 17);
    wall.store(2 * HOUR, Ordering::Relaxed);
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 17, "it is still missing, for two hours this time");
    wall.store(3 * HOUR + 1, Ordering::Relaxed);
    peer.input(1, 62, &[0x3F80, 0]);
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 17);
    driver.probe(&unit()).await.unwrap();
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 18, "it was away");
}

#[tokio::test]
async fn many_holes_are_found_over_some_polls_and_each_poll_brings_what_is_known_to_be_there() {
    let peer = meter().await;
    let mut driver = at(&peer, &Notes::default(), 0);
    // Every second value of the first block, and all of the last but one.
    for register in [0, 4, 8, 12, 16, 48, 52, 56, 60, 62, 70, 72] {
        peer.without(1, register..register + 2);
    }
    let mut names = Vec::new();
    for _ in 0..4 {
        names = poll(&mut driver, &peer).await.0;
        assert!(!names.is_empty());
    }
    assert_eq!(names.len(), 6, "{names:?}");
    let (again, requests) = poll(&mut driver, &peer).await;
    assert_eq!(again, names);
    assert!(requests.iter().all(|seen| seen.count == 2) && requests.len() == 6, "{requests:?}");
}

#[tokio::test]
async fn a_unit_without_its_profiles_first_values_is_found_and_read() {
    let peer = meter().await;
    peer.without(1, 0..8);
    let mut driver = at(&peer, &Notes::default(), 0);
    driver.probe(&unit()).await.unwrap();
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 14);
    assert_eq!(count(&mut driver, &peer).await, 1);
}

#[tokio::test]
async fn values_that_a_unit_fails_to_read_for_a_moment_are_back_after_a_minute() {
    let peer = meter().await;
    let (mut driver, wall) = with_clock(&peer, &Notes::default());
    peer.without(1, 44..48);
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 18);
    // The second request is refused, however it is cut; the first one is not.
    peer.moves(&[Move::Answer]);
    peer.moves(&[Move::Exception(4); 20]);
    let (names, _) = poll(&mut driver, &peer).await;
    assert_eq!(names.len(), 10);
    peer.forget_moves();
    wall.store(60_000, Ordering::Relaxed);
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 18);
}

#[tokio::test]
async fn a_unit_that_refuses_everything_teaches_nothing_and_is_not_searched_again_and_again() {
    let peer = Peer::start().await;
    let notes = Notes::default();
    let mut driver = at(&peer, &notes, 0);
    let fault = driver.read(&unit(), Wanted::Due).await.unwrap_err();
    assert!(matches!(fault, Fault::Answered(_)), "{fault}");
    assert!(peer.seen().len() < 30);
    driver.read(&unit(), Wanted::Due).await.unwrap_err();
    assert_eq!(peer.seen().len(), 1);
    assert!(notes.owed().is_empty());
    fill(&peer);
    assert_eq!(poll(&mut driver, &peer).await.0.len(), 18, "it woke up");
}

#[tokio::test]
async fn a_failure_that_passes_is_no_hole() {
    let peer = meter().await;
    let notes = Notes::default();
    let mut driver = at(&peer, &notes, 0);
    peer.moves(&[Move::Exception(4)]);
    let (names, requests) = poll(&mut driver, &peer).await;
    assert_eq!((names.len(), requests.len()), (18, 2));
    assert!(notes.owed().is_empty());
    // Busy is no hole either: the whole poll is for nothing.
    peer.moves(&[Move::Exception(6)]);
    assert!(driver.read(&unit(), Wanted::All).await.is_err());
    assert_eq!(count(&mut driver, &peer).await, 1);
}
