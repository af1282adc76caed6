//! Writes that move the inverter and its battery.

use super::wire::{Wire, until};
use crate::{BatteryMode, Home, HomeSettings, Table};

const LIMIT: u16 = 40_182;
const STORAGE: u16 = 40_208;

async fn at(hour: f64) -> (Home, Wire) {
    let settings = HomeSettings { speed: 0.0, start_hour: hour, ..HomeSettings::default() };
    let home = Home::start(settings).await.unwrap();
    let wire = Wire::to(home.hybrid_addr()).await;
    (home, wire)
}

#[tokio::test]
async fn each_mode_moves_the_battery_and_the_meter_sees_it() {
    let (home, mut wire) = at(22.0).await;
    assert!(home.now().battery > 0.0);
    // Hold, forced charge, automatic again.
    wire.write(STORAGE + 12, &[0]).await.unwrap();
    wire.write(STORAGE + 5, &[2]).await.unwrap();
    let now = home.now();
    assert_eq!((now.mode, now.battery, now.grid), (BatteryMode::Hold, 0.0, now.load));
    wire.write(STORAGE + 12, &[-4_000_i16 as u16, 10_000, 0, 0, 0, 1]).await.unwrap();
    let now = home.now();
    assert_eq!((now.mode, now.battery, now.grid), (BatteryMode::Charge, -2_000.0, now.load + 2_000.0));
    let meter = wire.read(3, 40_392 + 18, 1).await.unwrap()[0];
    assert_eq!(f64::from(meter as i16), now.grid);
    wire.write(STORAGE + 5, &[0]).await.unwrap();
    assert_eq!(home.now().mode, BatteryMode::Auto);

    let (home, mut wire) = at(12.0).await;
    wire.write(STORAGE + 13, &[0]).await.unwrap();
    wire.write(STORAGE + 5, &[1]).await.unwrap();
    assert_eq!((home.now().mode, home.now().battery), (BatteryMode::BlockCharge, 0.0));
    wire.write(STORAGE + 13, &[-2_000_i16 as u16]).await.unwrap();
    assert_eq!((home.now().mode, home.now().battery), (BatteryMode::Discharge, 1_000.0));
    let read_back = wire.read(3, STORAGE, 26).await.unwrap();
    assert_eq!((read_back[5], read_back[13] as i16, read_back[11]), (1, -2_000, 3));
}

#[tokio::test]
async fn the_power_limit_holds_only_while_it_is_enabled() {
    let (home, mut wire) = at(12.0).await;
    wire.write(LIMIT + 5, &[2_500]).await.unwrap();
    assert_eq!(home.now().limit, None);
    wire.write(LIMIT + 9, &[1]).await.unwrap();
    let now = home.now();
    assert!(now.limit == Some(1_500.0) && now.inverter <= 1_500.0);
    wire.write(LIMIT + 5, &[10_000, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(home.now().limit, None);
}

#[tokio::test]
async fn what_is_not_writable_is_refused_whole() {
    let (home, mut wire) = at(12.0).await;
    for (address, values, exception) in [
        (STORAGE + 8, &[1][..], 2),
        (LIMIT + 10, &[0], 2),
        (LIMIT, &[1], 2),
        (39_000, &[1], 2),
        (LIMIT + 5, &[10_001], 3),
        (LIMIT + 9, &[2], 3),
        (STORAGE + 5, &[4], 3),
        (STORAGE + 12, &[10_001], 3),
        (STORAGE + 12, &[0x8000], 3),
        // The first value alone would be fine.
        (LIMIT + 9, &[1, 1], 2),
        (LIMIT + 5, &[5_000, 0, 0, 0, 7], 3),
    ] {
        assert_eq!(wire.write(address, values).await, Err(exception), "{address}");
    }
    assert_eq!(home.hybrid().peek(1, Table::Holding, LIMIT + 5, 5), Ok(vec![10_000, 0, 0, 0, 0]));
    let writes = home.hybrid().writes();
    assert_eq!(writes.len(), 11);
    assert!(writes.iter().all(|write| !write.accepted));
}

#[tokio::test]
async fn both_revert_timers_run_in_real_time() {
    let (home, mut wire) = at(12.0).await;
    wire.write(LIMIT + 5, &[2_500, 0, 1, 0, 1]).await.unwrap();
    wire.write(STORAGE + 12, &[0, 10_000, 0, 1]).await.unwrap();
    wire.write(STORAGE + 5, &[2]).await.unwrap();
    assert_eq!((home.now().mode, home.now().limit), (BatteryMode::Hold, Some(1_500.0)));
    until("the revert", || home.now().mode == BatteryMode::Auto && home.now().limit.is_none()).await;
    let storage = wire.read(3, STORAGE, 26).await.unwrap();
    assert_eq!((storage[5], storage[12], storage[15]), (0, 10_000, 1));
}
