//! Other layouts of the hybrid's models, and layouts that change while it runs. All offsets are
//! written out here once more.

use std::collections::BTreeSet;

use super::{
    home::{models, text},
    wire::{Wire, until},
};
use crate::{BatteryMode, Home, HomeSettings, Layout, ServeSettings, SunSpecSettings, Wiring};

async fn start(layout: Layout, wiring: Wiring, start_hour: f64) -> (Home, Wire) {
    let sunspec = SunSpecSettings { layout, wiring, ..SunSpecSettings::default() };
    let settings = HomeSettings { speed: 0.0, start_hour, sunspec, ..HomeSettings::default() };
    let home = Home::start(settings).await.unwrap();
    let wire = Wire::to(home.hybrid_addr()).await;
    (home, wire)
}

/// Where a model begins: the `place`-th of this id.
async fn find(wire: &mut Wire, id: u16, place: usize) -> u16 {
    let (mut at, mut starts) = (40_002, Vec::new());
    for (model, length) in models(wire, 40_000).await {
        if model == id {
            starts.push(at);
        }
        at += 2 + length;
    }
    starts[place]
}

fn float(registers: &[u16], at: usize) -> f64 {
    f64::from(f32::from_bits(u32::from(registers[at]) << 16 | u32::from(registers[at + 1])))
}

#[tokio::test]
async fn floats_show_the_same_plant() {
    for (wiring, ac_id, meter_id) in [
        (Wiring::Single, 111, 211),
        (Wiring::Split, 112, 212),
        (Wiring::Three, 113, 213),
        (Wiring::Delta, 113, 214),
    ] {
        let (home, mut wire) = start(Layout::Float, wiring, 12.0).await;
        let ids: Vec<_> = models(&mut wire, 40_000).await;
        let chain = [(1, 66), (ac_id, 60), (120, 26), (121, 30), (123, 24), (124, 24), (160, 88)];
        assert_eq!(ids, [&chain[..], &[(1, 66), (meter_id, 124)]].concat());
        let now = home.now();
        let at = find(&mut wire, ac_id, 0).await;
        let ac = wire.read(3, at, 62).await.unwrap();
        assert_eq!((float(&ac, 22), float(&ac, 38)), (now.inverter, now.inverter));
        assert!((49.9..50.1).contains(&float(&ac, 24)) && float(&ac, 16) > 100.0);
        assert_eq!(float(&ac, 20).is_nan(), matches!(wiring, Wiring::Single | Wiring::Split));
        assert_eq!(ac[48], 4);
        let at = find(&mut wire, meter_id, 0).await;
        let meter = wire.read(3, at, 125).await.unwrap();
        assert_eq!(float(&meter, 28), now.grid);
        let phases: f64 =
            [30, 32, 34].map(|at| float(&meter, at)).iter().filter(|watts| !watts.is_nan()).sum();
        assert_eq!(phases, now.grid);
        assert_eq!(float(&meter, 12).is_nan(), wiring == Wiring::Delta);
        assert!((float(&meter, 60) - now.counters.exported_wh()).abs() < 2.0);
        assert!((float(&meter, 68) - now.counters.imported_wh()).abs() < 2.0);
    }
}

#[tokio::test]
async fn the_700_series_shows_the_same_plant() {
    let (home, mut wire) = start(Layout::Der, Wiring::Three, 12.0).await;
    let chain =
        [(1, 66), (701, 153), (702, 50), (703, 17), (704, 65), (713, 7), (714, 93), (1, 66), (203, 105)];
    assert_eq!(models(&mut wire, 40_000).await, chain);
    let now = home.now();
    let at = find(&mut wire, 701, 0).await;
    let first = wire.read(3, at, 113).await.unwrap();
    let factors = wire.read(3, at + 113, 10).await.unwrap();
    assert_eq!((first[10] as i16, factors[3]), (now.inverter as i16, 0));
    assert_eq!([41, 64, 87].map(|at| i64::from(first[at] as i16)).iter().sum::<i64>(), now.inverter as i64);
    assert!((49_900..50_100).contains(&(u32::from(first[17]) << 16 | u32::from(first[18]))));
    assert_eq!((factors[2] as i16, first[4], first[5]), (-3, 3, 1));
    let counter = first[19..23].iter().fold(0, |all, word| all << 16 | u64::from(*word));
    assert!((counter as f64 - now.counters.produced_wh()).abs() < 2.0);

    let at = find(&mut wire, 713, 0).await;
    let battery = wire.read(3, at, 9).await.unwrap();
    assert_eq!((battery[2], battery[3], battery[4], battery[8] as i16), (10_000, 5_000, 5_000, -2));
    let at = find(&mut wire, 714, 0).await;
    let dc = wire.read(3, at, 95).await.unwrap();
    assert_eq!((dc[4], dc[6] as i16), (3, (now.pv + now.battery) as i16));
    let port = |number: usize| &dc[20 + 25 * number..45 + 25 * number];
    assert_eq!([0, 1, 2].map(|number| port(number)[0]), [0, 0, 1]);
    assert_eq!(text(&port(2)[2..10]), "Battery");
    let watts = [0, 1, 2].map(|number| f64::from(port(number)[12] as i16));
    assert_eq!((watts[0] + watts[1], watts[2]), (now.pv, now.battery));
    assert!(now.battery < 0.0);
    let at = find(&mut wire, 702, 0).await;
    let ratings = wire.read(3, at, 52).await.unwrap();
    assert_eq!((ratings[2], ratings[26], ratings[34], ratings[45]), (6_000, 6_000, 5_000, 0));
}

#[tokio::test]
async fn the_controls_of_704_move_the_plant_and_revert() {
    let (home, mut wire) = start(Layout::Der, Wiring::Three, 23.0).await;
    let der = find(&mut wire, 704, 0).await;
    // 2000 W of charging, for one second.
    let words = |watts: i32| [(watts >> 16) as u16, watts as u16];
    wire.write(der + 31, &[0, 1]).await.unwrap();
    wire.write(der + 23, &[1, words(-2_000)[0], words(-2_000)[1]]).await.unwrap();
    assert_eq!(home.now().mode, BatteryMode::Auto);
    wire.write(der + 22, &[1]).await.unwrap();
    let now = home.now();
    assert_eq!((now.mode, now.battery), (BatteryMode::Charge, -2_000.0));
    assert_eq!(wire.read(3, der + 22, 4).await.unwrap(), [1, 1, words(-2_000)[0], words(-2_000)[1]]);
    until("the set point reverts", || home.now().mode == BatteryMode::Auto).await;
    assert_eq!(wire.read(3, der + 22, 1).await.unwrap(), [0]);
    // In percent of the greatest output, and discharging.
    wire.write(der + 28, &[2_500]).await.unwrap();
    wire.write(der + 31, &[0, 900]).await.unwrap();
    wire.write(der + 22, &[1, 0]).await.unwrap();
    assert_eq!((home.now().mode, home.now().battery), (BatteryMode::Discharge, 1_500.0));
    let left = wire.read(3, der + 33, 2).await.unwrap();
    assert!(left[0] == 0 && (890..=900).contains(&left[1]), "{left:?}");
    // The limit holds for it too.
    wire.write(der + 14, &[1, 1_000, 10_000, 0, 0, 600]).await.unwrap();
    assert_eq!((home.now().limit, home.now().inverter), (Some(600.0), 600.0));
    wire.write(der + 14, &[0]).await.unwrap();
    wire.write(der + 22, &[0]).await.unwrap();
    assert_eq!((home.now().mode, home.now().limit), (BatteryMode::Auto, None));
}

#[tokio::test]
async fn what_704_cannot_do_is_refused_whole() {
    let (home, mut wire) = start(Layout::Der, Wiring::Three, 12.0).await;
    let (service, der) = (find(&mut wire, 703, 0).await, find(&mut wire, 704, 0).await);
    let before = wire.read(3, der, 67).await.unwrap();
    for (address, values, exception) in [
        (der + 14, &[2][..], 3),
        (der + 15, &[10_001], 3),
        (der + 24, &[0, 6_001], 3),
        (der + 28, &[10_001], 3),
        (der + 20, &[0, 5], 2),
        (der + 35, &[1], 2),
        (der + 22, &[1, 2], 3),
        (service + 3, &[1], 2),
    ] {
        assert_eq!(wire.write(address, values).await, Err(exception), "{}", address - der);
    }
    assert_eq!(wire.read(3, der, 67).await.unwrap(), before);
    wire.write(service + 2, &[0]).await.unwrap();
    assert_eq!(home.now().inverter, 0.0);
}

#[tokio::test]
async fn two_meters_stand_behind_one_inverter() {
    let (home, mut wire) = start(Layout::TwoMeters, Wiring::Three, 12.0).await;
    let chain = [(1, 66), (103, 50), (1, 66), (203, 105), (1, 66), (203, 105)];
    assert_eq!(models(&mut wire, 40_000).await, chain);
    for (place, name, watts) in [(0, "Grid Meter", home.now().grid), (1, "Load Meter", home.now().load)] {
        let meter = find(&mut wire, 203, place).await;
        let common = wire.read(3, meter - 68, 68).await.unwrap();
        assert_eq!(text(&common[18..34]), name);
        assert_eq!(f64::from(wire.read(3, meter + 18, 1).await.unwrap()[0] as i16), watts);
    }
}

#[tokio::test]
async fn models_can_move_and_change_while_it_runs() {
    let (home, mut wire) = start(Layout::Integer, Wiring::Three, 12.0).await;
    let at = find(&mut wire, 103, 0).await;
    home.move_models(10);
    assert_eq!(models(&mut wire, 40_000).await[..3], [(1, 66), (64_001, 8), (103, 50)]);
    assert_eq!(find(&mut wire, 103, 0).await, at + 10);
    let storage = find(&mut wire, 124, 0).await;
    wire.write(storage + 7, &[1_500]).await.unwrap();
    home.move_models(0);
    assert_eq!(find(&mut wire, 103, 0).await, at);
    assert_eq!(wire.read(3, storage - 10 + 7, 1).await, Ok(vec![1_500]));
    home.change_layout(Layout::Float);
    assert_eq!(models(&mut wire, 40_000).await[1], (113, 60));
    assert_eq!(find(&mut wire, 124, 0).await, storage);
}

#[tokio::test]
async fn a_battery_may_describe_itself() {
    let (home, mut wire) = start(Layout::Bank, Wiring::Three, 12.0).await;
    let chain = [(103, 50), (120, 26), (121, 30), (122, 44), (123, 24), (802, 62), (803, 90)];
    assert_eq!(models(&mut wire, 40_000).await, [&[(1, 66)], &chain[..], &[(1, 66), (203, 105)]].concat());
    let now = home.now();
    let at = find(&mut wire, 803, 0).await;
    let strings = wire.read(3, at, 92).await.unwrap();
    assert_eq!((strings[2], strings[26] as i16, strings[24] as i16), (2, -2, -2));
    let volts = f64::from(strings[15]) / 10.0;
    let watts = [28, 60].map(|at| f64::from(strings[at + 6] as i16) / 100.0 * volts).iter().sum::<f64>();
    assert!((watts - now.battery).abs() < 10.0, "{watts}");
    assert_eq!([28, 60].map(|at| strings[at + 4]), [5_000; 2]);
    let at = find(&mut wire, 802, 0).await;
    let bank = wire.read(3, at, 64).await.unwrap();
    assert_eq!((f64::from(bank[47] as i16), bank[11], bank[56] as i16), (now.battery, 5_000, -2));
    assert_eq!((bank[16], bank[22], bank[4], bank[3]), (4, 3, 5_000, 10_000));
    let volts = f64::from(bank[34]) / 10.0;
    assert!((f64::from(bank[44] as i16) / 100.0 * volts - now.battery).abs() < 5.0 && bank[6] == 0xFFFF);
    let at = find(&mut wire, 122, 0).await;
    let status = wire.read(3, at, 46).await.unwrap();
    assert_eq!((status[2], status[4], text(&status[37..41])), (7, 1, "RTC".to_owned()));
    let wh = status[5..9].iter().fold(0_u64, |wh, word| wh << 16 | u64::from(*word));
    assert!((wh as f64 - now.counters.produced_wh()).abs() < 2.0);
}

#[tokio::test]
async fn the_whole_700_series_is_walked_over() {
    let (_home, mut wire) = start(Layout::DerWhole, Wiring::Split, 12.0).await;
    let ids: Vec<u16> = models(&mut wire, 40_000).await.into_iter().map(|(id, _)| id).collect();
    let chain = [1, 701, 702, 703, 704, 705, 706, 707, 708, 709, 710, 711, 712, 713, 714, 715, 1, 202];
    assert_eq!(ids, chain);
    let at = find(&mut wire, 705, 0).await;
    assert_eq!(wire.read(3, at + 2, 2).await.unwrap(), [0xFFFF; 2]);
}

#[tokio::test]
async fn the_devices_of_the_catalog_have_every_model_that_is_known() {
    let mut found = BTreeSet::new();
    for what in crate::catalog() {
        let listen = "127.0.0.1:0".parse().unwrap();
        let running = crate::serve(&what.name, ServeSettings { listen, speed: 0.0, serial: false }).await;
        let running = running.unwrap();
        // The device of a profile is none of those that describe themselves in all ways.
        let addr = running.devices().first().map(|(_, addr)| *addr).filter(|_| running.product().is_none());
        if let Some(addr) = addr {
            let mut wire = Wire::to(addr).await;
            found.extend(models(&mut wire, 40_000).await.into_iter().map(|(id, _)| id));
        }
        running.stop().await;
    }
    let known =
        [1..=1, 101..=103, 111..=113, 120..=124, 160..=160, 201..=204, 211..=214, 701..=715, 802..=803];
    assert_eq!(found, known.into_iter().flatten().collect());
}
