use adapter_api::Outcome;

use super::*;
use crate::journal::{CommandFilter, CommandStats, command_filter, command_table, schema};

#[tokio::test]
async fn commands_are_found_by_every_part_of_a_filter() {
    let home = Home::new();
    let (journal, _) = home.open();
    for (id, batch, at) in [("a", None, 0), ("b", Some("batch"), 1), ("c", Some("batch"), 2)] {
        let row = CommandRow { batch_id: batch.map(str::to_owned), accepted_at: START + at, ..command(id) };
        journal.insert_command(row).await.unwrap();
    }
    let reader = journal.reader();
    let all = CommandFilter { limit: 10, ..CommandFilter::default() };
    let cases = [
        (all.clone(), "cba"),
        (CommandFilter { limit: 2, ..all.clone() }, "cb"),
        (CommandFilter { batch_id: Some("batch".to_owned()), ..all.clone() }, "cb"),
        (CommandFilter { since: Some(START + 2), ..all.clone() }, "c"),
        (CommandFilter { until: Some(START + 1), ..all.clone() }, "ba"),
        (CommandFilter { since: Some(START + 1), until: Some(START + 1), ..all.clone() }, "b"),
        (CommandFilter { command: Some("set_battery_power".to_owned()), ..all.clone() }, "cba"),
        (CommandFilter { command: Some("turn_on".to_owned()), ..all.clone() }, ""),
        (CommandFilter { outcome: Some(Outcome::Done), ..all.clone() }, ""),
        (CommandFilter { status: Some(CommandStatus::Completed), ..all.clone() }, ""),
        (CommandFilter { source: Some(CommandSource::Automation), ..all.clone() }, "cba"),
        (CommandFilter { owner: Some("nobody".to_owned()), ..all.clone() }, ""),
        (CommandFilter { correlation_id: Some("corr".to_owned()), ..all.clone() }, "cba"),
        (CommandFilter { device: DeviceId::new("other").ok(), ..all.clone() }, ""),
    ];
    for (filter, expected) in cases {
        let found = reader.commands(filter.clone()).await.unwrap();
        let ids: String = found.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    journal.close().await.unwrap();
}

#[tokio::test]
async fn commands_are_counted_by_who_asked_and_for_which_device() {
    let home = Home::new();
    let (journal, _) = home.open();
    let mut number = 0;
    let mut row = |source, device: &str, status, executed: Option<i64>, completed: Option<i64>| {
        number += 1;
        CommandRow {
            source,
            device: DeviceId::new(device).unwrap(),
            status,
            executed_at: executed.map(|at| START + at),
            completed_at: completed.map(|at| START + at),
            ..command(&number.to_string())
        }
    };
    let (auto, api) = (CommandSource::Automation, CommandSource::Api);
    let rows = [
        row(auto, "roof", CommandStatus::Completed, Some(100), Some(200)),
        row(auto, "roof", CommandStatus::Failed, None, Some(50)),
        // The clock was set back meanwhile.
        row(auto, "roof", CommandStatus::Completed, Some(100), Some(-9000)),
        row(auto, "roof", CommandStatus::Timeout, None, Some(60_000)),
        row(auto, "roof", CommandStatus::Executing, Some(100), None),
        row(auto, "car", CommandStatus::Cancelled, None, Some(5)),
        row(api, "roof", CommandStatus::Pending, None, None),
    ];
    for row in rows {
        journal.insert_command(row).await.unwrap();
    }
    let none = CommandStats {
        source: auto,
        device: DeviceId::new("roof").unwrap(),
        total: 1,
        completed: 0,
        failed: 0,
        timeout: 0,
        cancelled: 0,
        open: 0,
        mean_response_ms: None,
    };
    let roof = CommandStats {
        total: 5,
        completed: 2,
        failed: 1,
        timeout: 1,
        open: 1,
        mean_response_ms: Some(50.0),
        ..none.clone()
    };
    let car = CommandStats { device: DeviceId::new("car").unwrap(), cancelled: 1, ..none.clone() };
    let by_api = CommandStats { source: api, open: 1, ..none };
    let reader = journal.reader();
    assert_eq!(reader.command_stats(CommandFilter::default()).await.unwrap(), [by_api, car, roof.clone()]);
    let filter =
        CommandFilter { device: Some(roof.device.clone()), source: Some(auto), ..CommandFilter::default() };
    assert_eq!(reader.command_stats(filter).await.unwrap(), [roof]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_was_set_hides_no_command() {
    let home = Home::new();
    let (journal, _) = home.open();
    const DAY: i64 = 24 * HOUR;
    // It starts in the past each time until it is set, and was in the future once.
    let days = [3, 4, 5, -900, -899, 6, 7, -900, 8, 9, 4000, 9, 10, -900, 11];
    for (number, day) in days.iter().enumerate() {
        let row = CommandRow { accepted_at: START + day * DAY, ..command(&number.to_string()) };
        journal.insert_command(row).await.unwrap();
    }
    let reader = journal.reader();
    for since in days.iter().flat_map(|day| [-1, 0, 1].map(|more| START + day * DAY + more)) {
        let filter = CommandFilter { since: Some(since), limit: 99, ..CommandFilter::default() };
        let found = reader.commands(filter.clone()).await.unwrap();
        let found: Vec<u64> = found.iter().map(|row| row.number).collect();
        let fits = |number: &u64| START + days[*number as usize - 1] * DAY >= since;
        let expected: Vec<u64> = (1..=days.len() as u64).rev().filter(fits).collect();
        assert_eq!(found, expected, "{since}");
        let counted = reader.command_stats(filter).await.unwrap();
        assert_eq!(counted.iter().map(|stats| stats.total).sum::<u64>(), expected.len() as u64);
    }
    journal.close().await.unwrap();
}

#[test]
fn what_is_often_asked_for_is_found_by_an_index_and_nothing_is_sorted() {
    let home = Home::new();
    std::fs::create_dir_all(&home.settings.data_dir).unwrap();
    let db = schema::open(&home.database()).unwrap();
    let plan = |columns: &str, condition: &str, values: &[Box<dyn rusqlite::ToSql>]| {
        let mut statement =
            db.prepare(&format!("EXPLAIN QUERY PLAN SELECT {columns} FROM command {condition}")).unwrap();
        let values = values.iter().map(|value| &**value);
        let rows = statement
            .query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>("detail"))
            .unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    };
    let all = CommandFilter { limit: 50, ..CommandFilter::default() };
    let roof = CommandFilter { device: DeviceId::new("roof").ok(), ..all.clone() };
    let word = || Some("x".to_owned());
    let status = |status| CommandFilter { status: Some(status), ..all.clone() };
    const DEVICE: &str = "SEARCH command USING INDEX command_device (device=?";
    const OPEN: &str = "SCAN command USING INDEX command_status";
    // From the newest end, until there are enough.
    const WALK: &str = "SCAN command";
    const SINCE: &str = "SEARCH command USING INTEGER PRIMARY KEY (rowid>?)";
    let cases = [
        (all.clone(), WALK),
        (roof.clone(), DEVICE),
        (CommandFilter { since: Some(1), until: Some(2), ..roof }, DEVICE),
        (status(CommandStatus::Pending), OPEN),
        (status(CommandStatus::Executing), OPEN),
        (status(CommandStatus::Failed), WALK),
        (CommandFilter { owner: word(), ..all.clone() }, WALK),
        (
            CommandFilter { correlation_id: word(), ..all.clone() },
            "SEARCH command USING INDEX command_correlation",
        ),
        (CommandFilter { batch_id: word(), ..all.clone() }, "SEARCH command USING INDEX command_batch_id"),
        (CommandFilter { since: Some(1), ..all.clone() }, SINCE),
        (CommandFilter { until: Some(2), ..all.clone() }, WALK),
        (CommandFilter { since: Some(1), source: Some(CommandSource::Api), owner: word(), ..all }, SINCE),
    ];
    for (filter, expected) in cases {
        let (condition, values) = command_filter::newest(&db, &filter).unwrap();
        let plan = plan("*", &condition, &values);
        let fits = if expected == WALK { plan == expected } else { plan.starts_with(expected) };
        assert!(fits && !plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
    }
    assert_eq!(plan("*", command_table::STANDING, &[Box::new("pending")]), OPEN);
    let old = plan("number", command_table::OLD, &[Box::new(1), Box::new(2)]);
    let expected = "SEARCH command USING COVERING INDEX command_old (completed_at<?)";
    assert!(old.starts_with(expected) && !old.contains("TEMP B-TREE"), "{old}");
}
