//! What the devices of a home say about themselves and about one instant.

use super::wire::Wire;
use crate::{EndModel, Home, HomeSettings, ServeSettings, SunSpecSettings, Wiring};

/// The sun stands still, so that what is read can be compared with the plant.
fn still() -> HomeSettings {
    HomeSettings { speed: 0.0, ..HomeSettings::default() }
}

pub async fn models(wire: &mut Wire, base: u16) -> Vec<(u16, u16)> {
    assert_eq!(wire.read(3, base, 2).await.unwrap(), [0x5375, 0x6E53]);
    let (mut at, mut found) = (base + 2, Vec::new());
    while let Ok(id) = wire.read(3, at, 1).await {
        if id[0] == 0xFFFF {
            break;
        }
        let length = wire.read(3, at + 1, 1).await.unwrap()[0];
        found.push((id[0], length));
        at += 2 + length;
    }
    found
}

const AC: u16 = 40_070;
const STORAGE: u16 = 40_208;
const MODULES: u16 = 40_234;
const METER_COMMON: u16 = 40_324;
const METER: u16 = 40_392;

pub fn text(registers: &[u16]) -> String {
    let bytes = registers.iter().flat_map(|register| register.to_be_bytes());
    String::from_utf8(bytes.take_while(|byte| *byte != 0).collect()).unwrap()
}

fn double(registers: &[u16]) -> f64 {
    f64::from(u32::from(registers[0]) << 16 | u32::from(registers[1]))
}

#[tokio::test]
async fn the_chain_of_models_walks_to_its_end() {
    let home = Home::start(still()).await.unwrap();
    let mut wire = Wire::to(home.hybrid_addr()).await;
    let chain =
        [(1, 66), (103, 50), (120, 26), (121, 30), (123, 24), (124, 24), (160, 88), (1, 66), (203, 105)];
    assert_eq!(models(&mut wire, 40_000).await, chain);
    let end = 40_002 + chain.iter().map(|(_, length)| length + 2).sum::<u16>();
    assert_eq!(wire.read(3, end, 2).await, Ok(vec![0xFFFF, 0]));
    assert_eq!(wire.read(3, end + 1, 2).await, Err(2));
    assert_eq!(wire.read(3, 39_999, 1).await, Err(2));
    assert_eq!(wire.read(3, 0, 2).await, Err(2));
    assert_eq!(wire.read(4, 40_000, 2).await, Err(1));
    home.stop().await;
}

#[tokio::test]
async fn other_makers_habits_can_be_set() {
    let variants = [
        (0, Wiring::Single, 65, EndModel::WithoutLength, 101, 201),
        (50_000, Wiring::Split, 66, EndModel::Missing, 102, 202),
    ];
    for (base, wiring, common_length, end, inverter, meter) in variants {
        let sunspec = SunSpecSettings { base, wiring, common_length, end, ..SunSpecSettings::default() };
        let home = Home::start(HomeSettings { sunspec, ..still() }).await.unwrap();
        let mut wire = Wire::to(home.hybrid_addr()).await;
        let chain = models(&mut wire, base).await;
        assert_eq!(chain[0], (1, common_length));
        assert_eq!((chain[1].0, chain[8].0), (inverter, meter));
        let end_at = base + 2 + chain.iter().map(|(_, length)| length + 2).sum::<u16>();
        assert_eq!(wire.read(3, end_at, 1).await.is_ok(), end == EndModel::WithoutLength);
        assert_eq!(wire.read(3, end_at + 1, 1).await, Err(2));
        home.stop().await;
    }
    let sunspec = SunSpecSettings { grid_meter: false, ..SunSpecSettings::default() };
    let home = Home::start(HomeSettings { sunspec, ..still() }).await.unwrap();
    let mut wire = Wire::to(home.hybrid_addr()).await;
    assert_eq!(models(&mut wire, 40_000).await.len(), 7);
}

#[tokio::test]
async fn every_model_shows_the_plant_of_one_instant() {
    let home = Home::start(still()).await.unwrap();
    let mut wire = Wire::to(home.hybrid_addr()).await;
    let before = home.now();

    let common = wire.read(3, 40_002, 68).await.unwrap();
    assert_eq!(text(&common[2..18]), "Maestro");
    assert_eq!(text(&common[18..34]), "Hybrid 6.0");
    assert_eq!(text(&common[50..66]), "SIM-HYBRID-0001");

    let ac = wire.read(3, AC, 52).await.unwrap();
    assert_eq!((ac[14] as i16, ac[15]), (before.inverter as i16, 0));
    assert_eq!((ac[6] as i16, ac[13] as i16, ac[27], ac[28]), (-2, -1, 0xFFFF, 0x8000));
    assert!((2_250..2_350).contains(&ac[10]) && (4_990..5_010).contains(&ac[16]));
    assert_eq!(ac[38], 4);

    let battery = wire.read(3, STORAGE, 26).await.unwrap();
    assert_eq!((battery[0], battery[2], battery[5]), (124, 5_000, 0));
    assert_eq!((battery[8], battery[22] as i16, battery[11]), (5_000, -2, 4));

    let modules = wire.read(3, MODULES, 90).await.unwrap();
    assert_eq!((modules[0], modules[8], modules[4] as i16), (160, 4, -1));
    let module = |number: usize| &modules[10 + 20 * number..30 + 20 * number];
    let names: Vec<_> = (0..4).map(|number| text(&module(number)[1..9])).collect();
    assert_eq!(names, ["String 1", "String 2", "StCha", "StDisCha"]);
    let watts = |number: usize| f64::from(module(number)[11]) / 10.0;
    assert_eq!(watts(0) + watts(1), before.pv);
    assert_eq!((watts(2), watts(3)), (-before.battery, 0.0));
    let counted = |number: usize| double(&module(number)[12..14]);
    assert!((counted(0) + counted(1) - before.counters.pv_wh()).abs() < 10.0);

    let meter = wire.read(3, METER_COMMON, 68 + 107).await;
    assert_eq!(meter, Err(3));
    let common = wire.read(3, METER_COMMON, 68).await.unwrap();
    assert_eq!((common[0], text(&common[18..34]).as_str()), (1, "Grid Meter"));
    let meter = wire.read(3, METER, 107).await.unwrap();
    let signed = |at: usize| f64::from(meter[at] as i16);
    assert_eq!((meter[0], signed(18)), (203, before.grid));
    assert_eq!(signed(19) + signed(20) + signed(21), before.grid);
    let after = home.now().counters;
    for (at, least, most) in [
        (38, before.counters.exported_wh(), after.exported_wh()),
        (46, before.counters.imported_wh(), after.imported_wh()),
    ] {
        assert!((least.floor()..=most).contains(&double(&meter[at..at + 2])));
    }
    home.stop().await;
}

#[tokio::test]
async fn the_load_meter_shows_the_loads_and_answers_zero_where_nothing_is() {
    let home = Home::start(still()).await.unwrap();
    let mut wire = Wire::to(home.meter_addr()).await;
    let block = wire.read(4, 0, 80).await.unwrap();
    let float = |at: usize| f32::from_bits(u32::from(block[at]) << 16 | u32::from(block[at + 1]));
    assert_eq!(f64::from(float(52)), home.now().load);
    assert_eq!(float(36), 0.0);
    assert_eq!(wire.read(4, 399, 2).await, Ok(vec![0, 0]));
    assert_eq!(wire.read(4, 400, 2).await, Err(2));
    assert_eq!(wire.read(3, 0, 2).await, Err(2));
    assert_eq!(wire.write(0, &[1]).await, Err(2));
    home.stop().await;
}

#[tokio::test]
async fn the_catalog_is_served_and_names_itself() {
    let free = |speed| ServeSettings { listen: "127.0.0.1:0".parse().unwrap(), speed, serial: false };
    for (what, devices) in [("home", 2), ("hybrid", 1), ("eastron-sdm630", 1)] {
        assert!(crate::catalog().iter().any(|known| known.name == what));
        let running = crate::serve(what, free(288.0)).await.unwrap();
        assert_eq!(running.devices().len(), devices);
        for (name, addr) in running.devices() {
            Wire::to(addr).await;
            assert!(running.port(name).is_some());
        }
        running.stop().await;
    }
    let running = crate::serve("line", free(288.0)).await.unwrap();
    let line = running.line().unwrap();
    let mut client = super::serial::open(line.path());
    for unit in 1..=4 {
        let volts = client.read(unit, 4, 0, 2).await;
        assert!((0x4360..0x4370).contains(&volts[0]), "{volts:x?}");
    }
    client.send(&super::serial::reading(5, 4, 0, 2)).await;
    client.silent(super::serial::SILENCE).await;
    assert_eq!(running.port("line").unwrap().arrivals(5).len(), 1);
    running.stop().await;
    let error = crate::serve("toaster", free(1.0)).await.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("toaster")
            && error.contains("`maestro simulate` without a name lists all")
            && error.contains("home, line, hybrid")
            && error.contains("eastron-sdm630"),
        "{error}"
    );
    let taken = crate::serve("hybrid", free(1.0)).await.unwrap();
    let addr = taken.devices()[0].1;
    let error = crate::serve("hybrid", ServeSettings { listen: addr, ..free(1.0) })
        .await
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains(&addr.to_string()), "{error}");
}

#[tokio::test]
async fn twenty_homes_live_in_one_process_and_each_has_its_own_record() {
    let mut homes = Vec::new();
    for _ in 0..20 {
        homes.push(Home::start(HomeSettings { speed: 0.0, ..HomeSettings::default() }).await.unwrap());
    }
    for (place, home) in (0_u16..).zip(&homes) {
        let mut wire = Wire::to(home.hybrid_addr()).await;
        wire.write(40_208 + 7, &[1_000 + place]).await.unwrap();
    }
    for (place, home) in (0_u16..).zip(homes) {
        let told: Vec<_> = home.hybrid().accepted_writes().into_iter().map(|write| write.values).collect();
        assert_eq!(told, [[1_000 + place]]);
        home.stop().await;
    }
}
