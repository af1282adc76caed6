//! What a unit was seen to be decides, whatever the hour of a start.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use adapter_api::Quality;

use super::*;
use crate::testing::hybrid::*;

const INVERTER: u16 = 40_069;
const NAMEPLATE: u16 = 40_121;
/// Where 160 begins in a map without 124.
const MPPT: u16 = STORAGE;

/// Two modules with their counters, Wh, and no battery; 12345.678 kWh on the AC side.
async fn plain(counted: [u32; 2]) -> Peer {
    let peer = Peer::start().await;
    let mut models = roof();
    models.truncate(6);
    models.push(mppt(&[("MPPT 1", 2000, counted[0]), ("MPPT 2", 1100, counted[1])]));
    peer.holding(1, 40_000, &map(&models, &[0xFFFF, 0]));
    peer
}

fn count(peer: &Peer, module: u16, wh: u32) {
    peer.holding(1, MPPT + 10 + 20 * module + 12, &[(wh >> 16) as u16, wh as u16]);
}

async fn readings(driver: &mut ModbusDriver) -> Vec<Reading> {
    driver.read(&unit(), Wanted::Due).await.unwrap()
}

async fn number(driver: &mut ModbusDriver, device: &str, point: &str) -> Option<f64> {
    let readings = readings(driver).await;
    let reading = readings.iter().find(|reading| reading.device.as_str() == device)?;
    reading.point(point).and_then(Value::number)
}

async fn produced(driver: &mut ModbusDriver) -> Option<f64> {
    number(driver, "roof", "energyProducedTotal").await
}

/// A driver whose clock is turned by the test, ms.
fn clocked(peer: &Peer, notes: &Notes) -> (ModbusDriver, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&time);
    let clock = Clock::new("boot", move || Moment { wall_ms: 1_000, mono_ms: now.load(Relaxed) });
    let store = Store::new(notes.clone());
    (ModbusDriver::new("home", &peer.settings(ROOF), clock, store).unwrap(), time)
}

const HOUR: u64 = 3_600_000;

#[tokio::test]
async fn a_module_that_sleeps_takes_the_counter_away_and_brings_it_back_as_it_was() {
    let peer = plain([5_000_000, 2_500_000]).await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    assert_eq!(produced(&mut driver).await, Some(7500.0));
    count(&peer, 1, 0);
    assert_eq!(produced(&mut driver).await, None);
    count(&peer, 1, 2_501_000);
    assert_eq!(produced(&mut driver).await, Some(7501.0));
}

#[tokio::test]
async fn the_charge_counter_of_a_battery_is_not_told_while_its_input_sleeps() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    assert_eq!(number(&mut driver, "roof-battery", "energyConsumedTotal").await, Some(900.0));
    let charge = STORAGE + 26 + 10 + 40 + 12;
    peer.holding(1, charge, &[0, 0]);
    assert_eq!(number(&mut driver, "roof-battery", "energyConsumedTotal").await, None);
    assert_eq!(number(&mut driver, "roof-battery", "energyProducedTotal").await, Some(800.0));
}

#[tokio::test]
async fn an_inverter_that_is_first_met_at_night_keeps_its_ac_counter_by_day_and_one_met_by_day_the_other() {
    for (first, told, later) in
        [([0, 0], Some(12345.678), Some(12345.678)), ([5_000_000, 2_500_000], Some(7500.0), None)]
    {
        let (peer, notes) = (plain(first).await, Notes::default());
        assert_eq!(produced(&mut driver(&peer, ROOF, &notes)).await, told);
        let other = if first == [0, 0] { [5_000_000, 2_500_000] } else { [0, 0] };
        count(&peer, 0, other[0]);
        count(&peer, 1, other[1]);
        assert_eq!(produced(&mut driver(&peer, ROOF, &notes)).await, later, "by another process");
        // Another device in its place starts anew.
        peer.holding(1, 40_002 + 50, &[0x5858]);
        let anew = if first == [0, 0] { 7500.0 } else { 12345.678 };
        assert_eq!(produced(&mut driver(&peer, ROOF, &notes)).await, Some(anew));
    }
}

#[tokio::test]
async fn what_counts_only_later_is_told_within_the_hour_and_without_a_leap() {
    let (peer, notes) = (plain([5_000_000, 0]).await, Notes::default());
    let (mut driver, time) = clocked(&peer, &notes);
    assert_eq!(produced(&mut driver).await, Some(5000.0));
    count(&peer, 1, 2_500_000);
    assert_eq!(produced(&mut driver).await, Some(5000.0));
    time.store(HOUR, Relaxed);
    assert_eq!(produced(&mut driver).await, Some(5000.0));
    count(&peer, 1, 2_502_000);
    assert_eq!(produced(&mut driver).await, Some(5002.0));
    assert_eq!(produced(&mut super::driver(&peer, ROOF, &notes)).await, Some(5002.0), "and it is noted");
}

#[tokio::test]
async fn a_battery_that_shows_nothing_at_night_is_still_there_for_the_next_process() {
    let (peer, notes) = (Peer::start().await, Notes::default());
    let mut models = roof();
    models.truncate(7);
    let peer_map = map(&models, &[0xFFFF, 0]);
    peer.holding(1, 40_000, &peer_map);
    let devices =
        |found: Vec<DeviceInfo>| found.into_iter().map(|one| one.id.to_string()).collect::<Vec<_>>();
    let by_day = driver(&peer, ROOF, &notes).probe(&unit()).await.unwrap();
    assert_eq!(devices(by_day), ["roof", "roof-battery"]);
    peer.holding(1, STORAGE + 2, &[0xFFFF; 24]);
    let at_night = driver(&peer, ROOF, &notes).probe(&unit()).await.unwrap();
    assert_eq!(devices(at_night), ["roof", "roof-battery"]);
    // Met at night, it is found when it shows itself.
    let (mut fresh, time) = clocked(&peer, &Notes::default());
    assert_eq!(devices(fresh.probe(&unit()).await.unwrap()), ["roof"]);
    peer.holding(1, 40_000, &peer_map);
    readings(&mut fresh).await;
    time.store(HOUR, Relaxed);
    let fault = fresh.read(&unit(), Wanted::Due).await.unwrap_err().to_string();
    assert!(fault.contains("did not show before"), "{fault}");
    assert_eq!(devices(fresh.probe(&unit()).await.unwrap()), ["roof", "roof-battery"]);
}

#[tokio::test]
async fn an_inverter_that_refuses_its_own_model_for_a_while_never_gives_its_name_to_its_meter() {
    let (peer, notes) = (home().await, Notes::default());
    let mut first = driver(&peer, ROOF, &notes);
    first.probe(&unit()).await.unwrap();
    peer.remove(1, INVERTER + 2, 5);
    let mut second = driver(&peer, ROOF, &notes);
    for driver in [&mut first, &mut second] {
        let fault = driver.read(&unit(), Wanted::Due).await.unwrap_err().to_string();
        assert!(fault.contains("showed before"), "{fault}");
        assert!(driver.probe(&unit()).await.is_err());
    }
    peer.holding(1, 40_000, &home_map());
    for driver in [&mut first, &mut second] {
        driver.probe(&unit()).await.unwrap();
        assert_eq!(number(driver, "roof", "inverterPower").await, Some(2950.0));
    }
}

#[tokio::test]
async fn a_meter_that_refuses_itself_does_not_give_its_name_to_the_next_one() {
    let (peer, notes) = (Peer::start().await, Notes::default());
    let models = [roof(), grid(), grid()].concat();
    peer.holding(1, 40_000, &map(&models, &[0xFFFF, 0]));
    driver(&peer, ROOF, &notes).probe(&unit()).await.unwrap();
    let grid_at = 40_002 + roof().concat().len() + grid()[..1].concat().len();
    peer.remove(1, grid_at as u16 + 2, 5);
    let fault = driver(&peer, ROOF, &notes).probe(&unit()).await.unwrap_err().to_string();
    assert!(fault.contains("showed before"), "{fault}");
}

#[tokio::test]
async fn what_was_left_out_is_searched_again_each_hour_and_when_the_unit_comes_back() {
    for returns in [false, true] {
        let (peer, notes) = (home().await, Notes::default());
        peer.remove(1, STORAGE + 2, 5);
        let (mut driver, time) = clocked(&peer, &notes);
        driver.probe(&unit()).await.unwrap();
        let level = "batteryLevel";
        assert_eq!(number(&mut driver, "roof-battery", level).await, None);
        peer.seen();
        time.store(HOUR - 1, Relaxed);
        readings(&mut driver).await;
        assert!(!peer.seen().iter().any(|request| request.start == 40_000));
        peer.holding(1, 40_000, &home_map());
        if !returns {
            time.store(HOUR, Relaxed);
            // It has more commands than it was known to take: that is told by a probe.
            assert!(driver.read(&unit(), Wanted::Due).await.is_err());
        }
        driver.probe(&unit()).await.unwrap();
        assert_eq!(number(&mut driver, "roof-battery", level).await, Some(63.5));
    }
}

#[tokio::test]
async fn a_unit_goes_on_when_the_search_for_what_was_left_out_fails() {
    let (peer, notes) = (home().await, Notes::default());
    peer.remove(1, STORAGE + 2, 5);
    let (mut driver, time) = clocked(&peer, &notes);
    driver.probe(&unit()).await.unwrap();
    time.store(HOUR, Relaxed);
    peer.moves(&[Move::Exception(6)]);
    assert_eq!(number(&mut driver, "roof", "inverterPower").await, Some(2950.0));
}

#[tokio::test]
async fn a_model_that_fails_with_exception_4_is_left_out_like_one_that_refuses() {
    for known in [false, true] {
        let peer = home().await;
        let mut driver = driver(&peer, ROOF, &Notes::default());
        if known {
            driver.probe(&unit()).await.unwrap();
        }
        peer.fails(STORAGE + 3);
        // Where it was known already, a probe tells first what the unit takes no longer.
        assert_eq!(driver.read(&unit(), Wanted::Due).await.is_err(), known);
        driver.probe(&unit()).await.unwrap();
        assert_eq!(number(&mut driver, "roof", "inverterPower").await, Some(2950.0));
    }
}

#[tokio::test]
async fn the_sun_and_the_battery_of_a_hybrid_are_not_doubted_by_ratings_that_are_not_theirs() {
    let peer = home().await;
    // 5000 W on the AC side and to charge; 9000 W to discharge.
    peer.holding(1, NAMEPLATE + 25, &[9000, 0]);
    let module = |n: u16| STORAGE + 26 + 10 + 20 * n + 11;
    peer.holding(1, module(0), &[9000]);
    let mut driver = driver(&peer, ROOF, &Notes::default());
    for (discharging, quality) in [(13_000, Quality::Good), (14_000, Quality::Poor)] {
        peer.holding(1, module(2), &[0]);
        peer.holding(1, module(3), &[discharging]);
        let readings = readings(&mut driver).await;
        assert_eq!(
            (readings[0].point("activePower").and_then(Value::number), readings[0].quality),
            (Some(10_100.0), Quality::Good)
        );
        assert_eq!((readings[1].device.as_str(), readings[1].quality), ("roof-battery", quality));
    }
}
