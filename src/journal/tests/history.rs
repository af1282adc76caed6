use super::*;
use crate::journal::{command_table, schema, tidy};

/// Publishes one reading each minute for an hour, in three groups, and moves the clock to its end.
async fn hour(home: &Home, journal: &Journal, start: i64) {
    for third in 0..3 {
        for minute in 0..20 {
            let at = start + (third * 20 + minute) * 60_000;
            let readings = vec![reading("roof", at, (at % 7) as f64), reading("meter", at, 5.0)];
            journal.publish(readings).await.unwrap();
        }
        journal.put_note("test", "commit", Some(vec![0])).await.unwrap();
    }
    home.advance(HOUR);
}

/// Three hours from the start of an hour, compacted as far as they are over.
async fn three_hours(home: &Home) -> (Journal, i64) {
    let first = START - START.rem_euclid(HOUR) + HOUR;
    home.advance(first - START);
    let (journal, _) = home.open();
    for at in 0..3 {
        hour(home, &journal, first + at * HOUR).await;
    }
    home.advance(-HOUR + 1000);
    journal.close().await.unwrap();
    let (journal, _) = home.open();
    let reader = journal.reader();
    until("closed hours are in chunks", || async {
        reader.hours(&DeviceId::new("roof").unwrap(), first, first + 2 * HOUR).await.unwrap().len() == 2
            && home.sql::<i64>("SELECT coalesce((SELECT v FROM meta WHERE k = 'chunked'), 0)") == 241
    })
    .await;
    (journal, first)
}

#[tokio::test]
async fn history_is_whole_across_chunks_and_batches() {
    let home = Home::new();
    let (journal, first) = three_hours(&home).await;
    let (reader, roof) = (journal.reader(), DeviceId::new("roof").unwrap());
    assert_eq!(home.sql::<i64>("SELECT count(*) FROM chunk"), 4);
    // Not delivered yet: the batches stay for the uplink.
    assert_eq!(home.sql::<i64>("SELECT count(*) FROM batch"), 9);
    let all = reader.history(&roof, 0, i64::MAX, 1000).await.unwrap();
    let times: Vec<_> = all.iter().map(|stored| stored.reading.measured_at.wall_ms).collect();
    assert_eq!(times, (0..180).map(|minute| first + minute * 60_000).collect::<Vec<_>>());
    assert_eq!(all[7].reading, reading("roof", times[7], (times[7] % 7) as f64));

    let newest = reader.history(&roof, 0, i64::MAX, 70).await.unwrap();
    assert_eq!(newest, all[110..]);
    let middle = reader.history(&roof, times[50], times[130], 1000).await.unwrap();
    assert_eq!(middle, all[50..=130]);

    let hours = reader.hours(&roof, first, first + 2 * HOUR).await.unwrap();
    assert_eq!(
        hours.iter().map(|row| (row.hour, row.n)).collect::<Vec<_>>(),
        [(first, 60), (first + HOUR, 60)]
    );
    let values: Vec<f64> = times[..60].iter().map(|at| (at % 7) as f64).collect();
    assert!((hours[0].avg - values.iter().sum::<f64>() / 60.0).abs() < 1e-9);
    assert_eq!((hours[0].min, hours[0].max), (0.0, 6.0));
    let stats = reader.stats().await.unwrap();
    assert_eq!((stats.readings, stats.oldest_ms, stats.last_number), (360, Some(first), 360));
    journal.close().await.unwrap();
}

#[tokio::test]
async fn delivered_batches_go_and_numbers_go_on() {
    let home = Home::new();
    let (journal, _) = three_hours(&home).await;
    journal.set_cursor("mongodb.measurements", 130).await.unwrap();
    journal.close().await.unwrap();
    let (journal, _) = home.open();
    let batches = || home.sql::<i64>("SELECT count(*) FROM batch");
    until("delivered batches of closed hours are deleted", || async { batches() == 6 }).await;
    assert_eq!(journal.reader().stored_after(130, 1).await.unwrap()[0].number, 131);
    let roof = DeviceId::new("roof").unwrap();
    assert_eq!(journal.reader().history(&roof, 0, i64::MAX, 1000).await.unwrap().len(), 180);
    journal.close().await.unwrap();

    // Even when no batch and no chunk is left.
    let db = schema::open(&home.database()).unwrap();
    let rules = tidy::Rules { retention_ms: 0, max_size: u64::MAX, uplink: false };
    let mut db = db;
    while tidy::prune(&mut db, rules, START + 100 * HOUR).unwrap().again {}
    drop(db);
    assert_eq!((batches(), home.sql::<i64>("SELECT count(*) FROM chunk")), (0, 0));
    let (journal, recovery) = home.open();
    assert_eq!(numbers(&recovery.latest), [360, 359]);
    journal.publish_durable(vec![reading("roof", START, 1.0)]).await.unwrap();
    assert_eq!(journal.reader().last_number().await.unwrap(), 361);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn without_an_uplink_batches_go_when_they_are_in_chunks() {
    let home = Home::new();
    let (journal, _) = three_hours(&home).await;
    journal.close().await.unwrap();
    let mut db = schema::open(&home.database()).unwrap();
    assert!(!tidy::forget_delivered(&mut db, true).unwrap());
    assert_eq!(home.sql::<i64>("SELECT count(*) FROM batch"), 9);
    assert!(!tidy::forget_delivered(&mut db, false).unwrap());
    assert_eq!(home.sql::<i64>("SELECT min(first) FROM batch"), 241);
}

#[tokio::test]
async fn old_readings_are_pruned_and_undelivered_ones_are_counted() {
    let home = Home::new();
    let (journal, first) = three_hours(&home).await;
    journal.set_cursor("mongodb.measurements", 50).await.unwrap();
    journal.close().await.unwrap();
    let mut db = schema::open(&home.database()).unwrap();
    let rules = tidy::Rules { retention_ms: HOUR, max_size: u64::MAX, uplink: true };
    let mut undelivered = 0;
    loop {
        let pruned = tidy::prune(&mut db, rules, first + 2 * HOUR).unwrap();
        undelivered += pruned.undelivered;
        if !pruned.again {
            break;
        }
    }
    drop(db);
    assert_eq!(undelivered, 70);
    let (journal, _) = home.open();
    let stats = journal.reader().stats().await.unwrap();
    assert_eq!((stats.dropped_undelivered, stats.oldest_ms), (70, Some(first + HOUR)));
    assert_eq!(stats.readings, 240);
    let roof = DeviceId::new("roof").unwrap();
    assert_eq!(journal.reader().hours(&roof, 0, first).await.unwrap(), []);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn the_oldest_readings_go_when_there_is_too_much() {
    let home = Home::new();
    let (journal, first) = three_hours(&home).await;
    journal.close().await.unwrap();
    let mut db = schema::open(&home.database()).unwrap();
    let rules = tidy::Rules { retention_ms: i64::MAX, max_size: 0, uplink: false };
    let pruned = tidy::prune(&mut db, rules, first).unwrap();
    assert!(pruned.again);
    assert_eq!(home.sql::<i64>("SELECT min(hour) FROM chunk"), first / HOUR + 1);
}

#[tokio::test]
async fn a_late_reading_of_a_closed_hour_is_neither_lost_nor_doubled() {
    let home = Home::new();
    let (journal, first) = three_hours(&home).await;
    let roof = DeviceId::new("roof").unwrap();
    journal.publish_durable(vec![reading("roof", first + 30_000, 100.0)]).await.unwrap();
    home.advance(HOUR);
    journal.close().await.unwrap();
    let (journal, _) = home.open();
    let reader = journal.reader();
    until("the late one is in a chunk", || async {
        reader.hours(&roof, first, first).await.unwrap()[0].n == 61
            && home.sql::<i64>("SELECT v FROM meta WHERE k = 'chunked'") == 362
    })
    .await;
    assert_eq!(reader.hours(&roof, first, first).await.unwrap()[0].max, 100.0);
    let found = reader.history(&roof, first, first + HOUR - 1, 1000).await.unwrap();
    assert_eq!(found.len(), 61);
    assert_eq!(found[1].number, 361);
    assert_eq!(reader.history(&roof, 0, i64::MAX, 1000).await.unwrap().len(), 181);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn old_commands_go_when_they_are_told_and_revisions_go_on() {
    let home = Home::new();
    let (journal, _) = home.open();
    let old = CommandRow {
        status: CommandStatus::Completed,
        completed_at: Some(START - 40 * 24 * HOUR),
        told: true,
        ..command("old")
    };
    journal.insert_command(command("new")).await.unwrap();
    journal.insert_command(CommandRow { told: false, ..old.clone() }).await.unwrap();
    journal.insert_command(old).await.unwrap();
    journal.close().await.unwrap();
    let db = schema::open(&home.database()).unwrap();
    assert_eq!(command_table::prune(&db, START, 3, false).unwrap(), 1);
    drop(db);
    let (journal, _) = home.open();
    let next = journal.insert_command(command("next")).await.unwrap();
    assert_eq!(next.number, 4);
    assert_eq!(journal.reader().commands_changed_after(3, 9).await.unwrap(), [(4, next)]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn no_batch_spans_two_hours() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.publish(vec![reading("roof", START, 1.0)]).await.unwrap();
    until("it is taken", || async { home.taken.lock().unwrap().len() == 1 }).await;
    home.advance(HOUR);
    journal.publish(vec![reading("roof", START + HOUR, 1.0)]).await.unwrap();
    until("the first is committed", || async { journal.reader().last_number().await.unwrap() == 1 }).await;
    journal.close().await.unwrap();
    assert_eq!(home.sql::<i64>("SELECT count(*) FROM batch"), 2);
}
