//! Units that do not take every request of their profile: what they take is found out once, and
//! remembered.

use adapter_api::{Clock, Moment, Wanted};

use super::*;
use crate::testing::Seen;

const METER: &str = "[device.m]\nprofile = 'eastron-sdm630'\n";

async fn meter() -> Peer {
    let peer = Peer::start().await;
    peer.input(1, 0, &[0x4366; 80]);
    peer
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

#[tokio::test]
async fn what_was_learned_is_looked_at_again_after_a_week_and_after_an_absence() {
    let peer = meter().await;
    let notes = Notes::default();
    let week = 8 * 24 * 3_600_000;
    peer.without(1, 62..64);
    poll(&mut at(&peer, &notes, 0), &peer).await;
    peer.input(1, 62, &[0x3F80, 0]);
    let mut later = at(&peer, &notes, week);
    let (names, requests) = poll(&mut later, &peer).await;
    assert_eq!((names.len(), requests.len()), (18, 1), "an update brought it");
    peer.without(1, 62..64);
    assert_eq!(poll(&mut later, &peer).await.0.len(), 17);
    peer.input(1, 62, &[0x3F80, 0]);
    later.probe(&unit()).await.unwrap();
    assert_eq!(poll(&mut later, &peer).await.0.len(), 17, "it was learned just now");
    let mut back = at(&peer, &notes, week + 2 * 3_600_000);
    assert_eq!(poll(&mut back, &peer).await.0.len(), 17);
    back.probe(&unit()).await.unwrap();
    assert_eq!(poll(&mut back, &peer).await.0.len(), 18);
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
    peer.input(1, 0, &[0x4366; 80]);
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
