use super::*;

const DAY: PlantSettings = PlantSettings { speed: 288.0, start_hour: 0.0, seed: 7, soc: 50.0 };

fn told(plant: &mut Plant, at: Duration, change: impl FnOnce(&mut Controls)) -> PlantState {
    let mut controls = plant.controls().clone();
    change(&mut controls);
    plant.control(at, controls, Touched { storage: true, limit: true, set_point: true });
    plant.state()
}

fn noon(soc: f64) -> Plant {
    Plant::new(PlantSettings { speed: 1.0, start_hour: 12.0, seed: 1, soc })
}

#[test]
fn power_balances_at_every_instant_of_a_day() {
    let mut plant = Plant::new(DAY);
    let (mut most_sun, mut imports, mut exports, mut charges, mut discharges) = (0.0_f64, 0, 0, 0, 0);
    for tick in 0..3_000_u64 {
        plant.advance(Duration::from_millis(tick * 100));
        let now = plant.state();
        assert_eq!(now.grid, now.load - now.pv - now.battery);
        assert_eq!(now.inverter, now.pv + now.battery);
        assert!((300.0..=3000.0).contains(&now.load) && (0.0..=6000.0).contains(&now.pv));
        assert!((4.99..=100.0).contains(&now.soc), "{now:?}");
        most_sun = most_sun.max(now.pv_available);
        imports += u32::from(now.grid > 0.0);
        exports += u32::from(now.grid < 0.0);
        charges += u32::from(now.battery < 0.0);
        discharges += u32::from(now.battery > 0.0);
    }
    assert!(most_sun > 4_000.0);
    for (what, count) in
        [("import", imports), ("export", exports), ("charge", charges), ("discharge", discharges)]
    {
        assert!(count > 50, "{what} {count}");
    }
}

#[test]
fn counters_are_power_over_real_time_even_when_nobody_looked() {
    let mut looked = Plant::new(DAY);
    let (mut pv, mut imported, mut exported, mut charged) = (0.0, 0.0, 0.0, 0.0);
    let start = looked.state().counters;
    for tick in 1..=3_000_u64 {
        let now = looked.state();
        pv += now.pv * 0.1 / 3600.0;
        imported += now.grid.max(0.0) * 0.1 / 3600.0;
        exported += (-now.grid).max(0.0) * 0.1 / 3600.0;
        charged += (-now.battery).max(0.0) * 0.1 / 3600.0;
        looked.advance(Duration::from_millis(tick * 100));
    }
    let end = looked.state().counters;
    for (counted, summed) in [
        (end.pv_wh() - start.pv_wh(), pv),
        (end.imported_wh() - start.imported_wh(), imported),
        (end.exported_wh() - start.exported_wh(), exported),
        (end.charged_wh() - start.charged_wh(), charged),
    ] {
        assert!((counted - summed).abs() < 0.001 && summed > 1.0, "{counted} {summed}");
    }
    let mut alone = Plant::new(DAY);
    alone.advance(Duration::from_secs(300));
    assert_eq!(alone.state(), looked.state());
}

#[test]
fn another_seed_is_another_day_and_the_same_seed_the_same() {
    let at = |seed| {
        let mut plant = Plant::new(PlantSettings { seed, start_hour: 11.3, ..DAY });
        plant.advance(Duration::from_secs(3));
        plant.state()
    };
    assert_eq!(at(1), at(1));
    assert_ne!(at(1).load, at(2).load);
}

#[test]
fn hold_stops_discharge_and_block_stops_charge() {
    let mut night = Plant::new(PlantSettings { start_hour: 22.0, ..PlantSettings::default() });
    assert!(night.state().battery > 0.0);
    let held = told(&mut night, Duration::ZERO, |c| (c.storage.mode, c.storage.discharge_rate) = (2, 0));
    assert_eq!((held.battery, held.mode, held.grid), (0.0, BatteryMode::Hold, held.load));

    let mut noon = noon(50.0);
    assert!(noon.state().battery < 0.0);
    let blocked = told(&mut noon, Duration::ZERO, |c| (c.storage.mode, c.storage.charge_rate) = (1, 0));
    assert_eq!((blocked.battery, blocked.mode), (0.0, BatteryMode::BlockCharge));
    assert!(blocked.grid < 0.0);
}

#[test]
fn a_negative_rate_forces_the_other_direction() {
    let mut night = Plant::new(PlantSettings { start_hour: 23.0, ..PlantSettings::default() });
    let charge = |c: &mut Controls| (c.storage.mode, c.storage.discharge_rate) = (2, -4_000);
    let charging = told(&mut night, Duration::ZERO, charge);
    assert_eq!((charging.battery, charging.mode), (-2_000.0, BatteryMode::Charge));
    assert_eq!(charging.inverter, -2_000.0);
    let sun_only = told(&mut night, Duration::ZERO, |c| c.storage.grid_charge = false);
    assert_eq!(sun_only.battery, 0.0);

    let mut noon = noon(50.0);
    let discharge = |c: &mut Controls| (c.storage.mode, c.storage.charge_rate) = (1, -5_000);
    let discharging = told(&mut noon, Duration::ZERO, discharge);
    assert_eq!((discharging.battery, discharging.mode), (2_500.0, BatteryMode::Discharge));
}

#[test]
fn a_full_battery_takes_nothing_and_an_empty_one_gives_nothing() {
    let force = |soc, mode: u16, charge_rate, discharge_rate| {
        let mut plant = noon(soc);
        told(&mut plant, Duration::ZERO, |c| {
            (c.storage.mode, c.storage.charge_rate, c.storage.discharge_rate) =
                (mode, charge_rate, discharge_rate);
        })
        .battery
    };
    assert_eq!(force(100.0, 2, 0, -10_000), 0.0);
    assert_eq!(force(5.0, 1, -10_000, 0), 0.0);
    assert_eq!(force(50.0, 1, -10_000, 0), 5_000.0);
}

#[test]
fn the_limit_holds_for_the_output_and_the_sun_beyond_it_charges() {
    let mut plant = noon(50.0);
    let limit = |c: &mut Controls| (c.limit.percent, c.limit.enabled) = (1_000, true);
    let limited = told(&mut plant, Duration::ZERO, limit);
    assert_eq!(limited.limit, Some(600.0));
    assert!(limited.inverter <= 600.0 && limited.battery < 0.0, "{limited:?}");
    let mut full = noon(100.0);
    let limited = told(&mut full, Duration::ZERO, limit);
    assert_eq!((limited.pv, limited.battery), (600.0, 0.0));
    assert!(limited.pv_available > 600.0);
}

#[test]
fn controls_revert_when_no_write_renews_them() {
    let mut plant = Plant::new(PlantSettings { start_hour: 22.0, ..PlantSettings::default() });
    told(&mut plant, Duration::ZERO, |c| {
        (c.storage.mode, c.storage.discharge_rate, c.storage.revert_s) = (2, -10_000, 3);
        (c.limit.percent, c.limit.enabled, c.limit.revert_s) = (1_000, true, 5);
    });
    plant.advance(Duration::from_millis(2_999));
    assert_eq!(plant.state().mode, BatteryMode::Charge);
    let controls = plant.controls().clone();
    plant.control(Duration::from_millis(2_999), controls, Touched { storage: true, ..Touched::default() });
    plant.advance(Duration::from_millis(4_999));
    assert_eq!((plant.state().mode, plant.state().limit), (BatteryMode::Charge, Some(600.0)));
    plant.advance(Duration::from_millis(5_000));
    assert_eq!((plant.state().mode, plant.state().limit), (BatteryMode::Charge, None));
    assert_eq!(plant.state().battery, -5_000.0);
    plant.advance(Duration::from_millis(5_999));
    let now = plant.state();
    assert_eq!((now.mode, now.battery), (BatteryMode::Auto, now.load));
}

#[test]
fn a_set_point_is_met_by_the_battery_and_what_it_cannot_take_is_not_harvested() {
    let told = |plant: &mut Plant, watts: i32| {
        told(plant, Duration::ZERO, |c| (c.set_point.enabled, c.set_point.watts) = (true, watts))
    };
    let mut night = Plant::new(PlantSettings { start_hour: 23.0, ..PlantSettings::default() });
    let charging = told(&mut night, -2_000);
    assert_eq!(
        (charging.inverter, charging.battery, charging.mode),
        (-2_000.0, -2_000.0, BatteryMode::Charge)
    );
    assert_eq!(charging.grid, charging.load + 2_000.0);
    let giving = told(&mut night, 1_500);
    assert_eq!((giving.battery, giving.mode), (1_500.0, BatteryMode::Discharge));
    assert_eq!(told(&mut night, 6_000).battery, 5_000.0);
    let mut noon = noon(50.0);
    let idle = told(&mut noon, 0);
    assert_eq!((idle.inverter, idle.battery, idle.mode), (0.0, -idle.pv, BatteryMode::Hold));
    let charging = told(&mut noon, -1_000);
    assert_eq!((charging.inverter, charging.battery), (-1_000.0, -5_000.0));
    assert!(charging.pv < charging.pv_available);
    let half = told_percent(&mut noon, 5_000);
    assert_eq!(half.inverter, 3_000.0);
}

fn told_percent(plant: &mut Plant, percent: i16) -> PlantState {
    told(plant, Duration::ZERO, |c| (c.set_point.in_watts, c.set_point.percent) = (false, percent))
}

#[test]
fn a_set_point_and_a_limit_revert_to_what_they_were_told_and_only_once() {
    let mut plant = Plant::new(PlantSettings { start_hour: 22.0, ..PlantSettings::default() });
    told(&mut plant, Duration::ZERO, |c| {
        let told = &mut c.set_point;
        (told.enabled, told.watts, told.revert_s) = (true, -3_000, 2);
        (told.revert_enabled, told.revert_watts) = (true, -500);
        (c.limit.enabled, c.limit.percent, c.limit.revert_s) = (true, 1_000, 3);
        (c.limit.revert_enabled, c.limit.revert_percent) = (true, 9_000);
    });
    plant.advance(Duration::from_millis(1_200));
    assert_eq!(plant.reverts_in(), RevertsIn { limit_s: 2, set_point_s: 1 });
    plant.advance(Duration::from_secs(2));
    assert_eq!((plant.state().battery, plant.state().limit), (-500.0, Some(600.0)));
    plant.advance(Duration::from_secs(20));
    assert_eq!((plant.state().battery, plant.state().limit), (-500.0, Some(5_400.0)));
    assert_eq!(plant.reverts_in(), RevertsIn::default());
    let again = |c: &mut Controls| (c.set_point.watts, c.set_point.revert_enabled) = (2_000, false);
    assert_eq!(told(&mut plant, Duration::from_secs(20), again).battery, 2_000.0);
    plant.advance(Duration::from_secs(22));
    assert_eq!(plant.state().mode, BatteryMode::Auto);
}

#[test]
fn at_speed_zero_the_sun_stands_still_and_counters_go_on() {
    let mut plant = Plant::new(PlantSettings { speed: 0.0, ..PlantSettings::default() });
    let before = plant.state();
    plant.advance(Duration::from_secs(60));
    let after = plant.state();
    assert_eq!((before.pv, before.load, before.soc), (after.pv, after.load, after.soc));
    let counted = after.counters.pv_wh() - before.counters.pv_wh();
    assert!((counted - before.pv / 60.0).abs() < 0.001);
}

#[test]
fn a_speed_that_is_none_holds_the_sun_still() {
    for speed in [-5.0, f64::NAN, f64::INFINITY] {
        let mut plant = Plant::new(PlantSettings { speed, ..PlantSettings::default() });
        plant.advance(Duration::from_secs(1));
        assert_eq!((plant.state().hour, plant.state().soc), (12.0, 50.0));
    }
}
