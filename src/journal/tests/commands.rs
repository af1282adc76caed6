use std::time::Duration;

use adapter_api::{
    Availability, Bounds, Capability, CapabilityInfo, CommandSpec, DeviceInfo, DeviceType, EnergyRole,
    Outcome, ParameterKind, ParameterSpec, Problem, Protocol, UnitId, Usage,
};

use super::*;
use crate::journal::{Change, DeviceRow, Reply, command_table, schema};

fn ended(mut row: CommandRow) -> CommandRow {
    row.status = CommandStatus::Completed;
    row.outcome = Some(Outcome::Done);
    row.completed_at = Some(START + 500);
    row.observed = Some(Parameters(BTreeMap::from([("power".into(), Value::Number(-1999.5))])));
    row.requested = Some(Parameters::default());
    row.error = Some(("mismatch".to_owned(), "it shows something else".to_owned()));
    row.verified = Some(true);
    row.written = Some(false);
    row
}

#[tokio::test]
async fn a_command_is_kept_whole_through_its_life() {
    let home = Home::new();
    let (journal, _) = home.open();
    let reader = journal.reader();
    let mut row = command("a");
    row.reply = Some(Reply { topic: "answers".to_owned(), correlation: Some(vec![0, 255]) });
    row.redelivery = Some("session:7:hash".to_owned());
    let row = journal.insert_command(row).await.unwrap();
    assert_eq!(reader.command_by_id("a").await.unwrap(), Some(row.clone()));
    let row = ended(row);
    journal.update_command(row.clone()).await.unwrap();
    assert_eq!(reader.command(row.number).await.unwrap(), Some(row.clone()));
    assert_eq!(reader.command_by_redelivery("session:7:hash", START).await.unwrap(), Some(row));
    assert_eq!(reader.command_by_redelivery("session:7:hash", START + 1).await.unwrap(), None);
    let unknown = CommandRow { number: 99, ..command("b") };
    assert!(matches!(journal.update_command(unknown).await, Err(JournalError::NoSuchCommand(99))));
    journal.close().await.unwrap();
}

#[tokio::test]
async fn every_change_of_a_command_has_a_growing_revision() {
    let home = Home::new();
    let (journal, _) = home.open();
    let reader = journal.reader();
    let first = journal.insert_command(command("a")).await.unwrap();
    let second = journal.insert_command(command("b")).await.unwrap();
    journal.update_command(ended(first.clone())).await.unwrap();
    let changed = reader.commands_changed_after(0, 10).await.unwrap();
    let ids = |changed: &[(u64, CommandRow)]| {
        changed.iter().map(|(rev, row)| (*rev, row.id.clone())).collect::<Vec<_>>()
    };
    assert_eq!(ids(&changed), [(2, "b".to_owned()), (3, "a".to_owned())]);
    journal.close().await.unwrap();
    let (journal, _) = home.open();
    journal.update_command(ended(second)).await.unwrap();
    let changed = journal.reader().commands_changed_after(3, 10).await.unwrap();
    assert_eq!(ids(&changed), [(4, "b".to_owned())]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn results_stay_untold_until_the_broker_has_them() {
    let home = Home::new();
    let (journal, _) = home.open();
    let waiting = journal.insert_command(command("waiting")).await.unwrap();
    let first = journal.insert_command(ended(command("first"))).await.unwrap();
    let second = journal.insert_command(ended(command("second"))).await.unwrap();
    let untold = journal.reader().untold(10).await.unwrap();
    assert_eq!(untold, [first.clone(), second.clone()]);
    journal.command_told(first.number).await.unwrap();
    // Lazy: the next commit takes it along.
    journal.update_command(waiting).await.unwrap();
    assert_eq!(journal.reader().untold(10).await.unwrap(), [second]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn what_may_not_go_does_not_keep_what_came_after_it() {
    let home = Home::new();
    let (journal, _) = home.open();
    let row =
        |number: usize, told| Change::Insert(CommandRow { told, ..ended(command(&number.to_string())) });
    // The broker never took the first ones: it is not in the configuration any more.
    let most = command_table::PRUNED_MAX;
    let untold = (0..=most).map(|number| row(number, false));
    let told = (0..most + 3).map(|number| row(number, true));
    journal.commit(untold.chain(told).collect()).await.unwrap();
    journal.close().await.unwrap();
    let db = schema::open(&home.database()).unwrap();
    let prune = |before| command_table::prune(&db, before, 9_999, false).unwrap();
    let before = START + 501;
    assert_eq!(prune(before - 1), 0, "none is old enough");
    assert_eq!([prune(before), prune(before), prune(before)], [most, 3, 0]);
    assert_eq!(home.sql::<i64>("SELECT count(*) FROM command WHERE told = 0"), most as i64 + 1);
}

#[tokio::test]
async fn numbers_and_revisions_go_on_when_all_commands_are_gone() {
    let home = Home::new();
    let (journal, _) = home.open();
    let rows = ["a", "b"].map(|id| Change::Insert(CommandRow { told: true, ..ended(command(id)) }));
    assert_eq!(journal.commit(rows.into()).await.unwrap(), [1, 2]);
    journal.close().await.unwrap();
    let db = schema::open(&home.database()).unwrap();
    assert_eq!(command_table::prune(&db, i64::MAX, 2, false).unwrap(), 2);
    let (journal, _) = home.open();
    assert_eq!(journal.insert_command(command("c")).await.unwrap().number, 3);
    let changed = journal.reader().commands_changed_after(0, 10).await.unwrap();
    assert_eq!(changed.iter().map(|(rev, row)| (*rev, row.number)).collect::<Vec<_>>(), [(3, 3)]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn to_accept_a_command_writes_few_pages() {
    const COMMANDS: u64 = 40;
    let home = Home::new();
    let (journal, _) = home.open();
    let from_broker = |number: u64| CommandRow {
        reply: Some(Reply { topic: "answers".to_owned(), correlation: None }),
        redelivery: Some(format!("session:{number}:hash")),
        ..command(&format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    };
    let old = (0..500).map(|number| Change::Insert(from_broker(number)));
    journal.commit(old.collect()).await.unwrap();
    journal.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
    for number in 500..500 + COMMANDS {
        journal.insert_command(from_broker(number)).await.unwrap();
    }
    let wal = home.settings.data_dir.join("journal.db-wal");
    // A page in the log is its bytes and a header of 24.
    let pages = std::fs::metadata(wal).unwrap().len() / (4096 + 24);
    // One for the table and one for each of the seven indexes that hold it, and room for pages that are
    // new: not enough for one more index.
    assert!((8 * COMMANDS..=19 * COMMANDS / 2).contains(&pages), "{pages} for {COMMANDS} commands");
    journal.close().await.unwrap();
}

#[tokio::test]
async fn commands_that_were_not_ended_are_found_at_start() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.insert_command(command("waiting")).await.unwrap();
    let executing = CommandRow { status: CommandStatus::Executing, ..command("executing") };
    journal.insert_command(executing).await.unwrap();
    journal.insert_command(ended(command("ended"))).await.unwrap();
    drop(journal);
    let (journal, recovery) = home.open();
    let ids = |rows: &[CommandRow]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&recovery.in_flight), ["executing"]);
    assert_eq!(ids(&recovery.waiting), ["waiting"]);
    journal.close().await.unwrap();
}

fn device() -> DeviceRow {
    let number = ParameterKind::Number { min: 0.0, max: f64::INFINITY, step: 0.1, unit: "W".into() };
    let parameter = |name: &str, kind| ParameterSpec { name: name.into(), kind, required: true };
    DeviceRow {
        info: DeviceInfo {
            id: DeviceId::new("roof").unwrap(),
            unit: UnitId::from("roof/1"),
            name: "Dach".to_owned(),
            device_type: DeviceType::SolarInverter,
            protocol: Protocol::Sunspec,
            role: EnergyRole::Producer,
            usage: Some(Usage::Pv),
            profile: "sunspec".to_owned(),
            manufacturer: "Maker".to_owned(),
            model: "X 5".to_owned(),
            serial: Some("123".to_owned()),
            firmware: None,
            max_power: Some(5000.0),
            capacity: None,
            phases: 3,
            room: None,
            location: Some("roof".to_owned()),
            capabilities: vec![CapabilityInfo {
                kind: Capability::PowerControl,
                commands: vec!["set_power_limit".into()],
                range: Some((0.0, 5000.0, 1.0)),
            }],
            commands: vec![CommandSpec {
                name: "set_power_limit".into(),
                parameters: vec![
                    parameter("power", number),
                    parameter("enabled", ParameterKind::Bool),
                    parameter("mode", ParameterKind::Word(vec!["auto".into(), "hold".into()])),
                ],
                exactly_one: vec!["power".into(), "enabled".into()],
                group: Some("limit".into()),
                idempotent: true,
                harmless: false,
                capability: Capability::PowerControl,
                verify_for: Duration::from_millis(5500),
                persistent: true,
                wears: true,
                leased: true,
                safe: Some(Parameters(BTreeMap::from([("enabled".into(), false.into())]))),
                relative: true,
                local: true,
                timer_most: Some(Duration::from_secs(30)),
            }],
            control: true,
            interval: Duration::from_secs(5),
            bounds: Bounds { export: Some(4200.5), ..Bounds::default() },
        },
        adapter: "modbus.roof".to_owned(),
        availability: Some(Availability::Offline),
        problem: Some(Problem::new("it does not answer", "check the cable")),
        seen_at: Some(START),
    }
}

#[tokio::test]
async fn devices_are_known_after_a_restart() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.save_device(DeviceRow { problem: None, ..device() }).await.unwrap();
    journal.save_device(device()).await.unwrap();
    assert_eq!(journal.reader().devices().await.unwrap(), [device()]);
    drop(journal);
    let (journal, recovery) = home.open();
    assert_eq!(recovery.devices, [device()]);
    journal.close().await.unwrap();
}
