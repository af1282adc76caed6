use std::io::Write;

use super::*;

#[tokio::test]
async fn a_torn_end_of_the_pending_file_is_cut_and_reported() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.publish(vec![reading("roof", START, 1.0)]).await.unwrap();
    until("it is taken", || async { home.taken.lock().unwrap().len() == 1 }).await;
    drop(journal);
    let torn = [200, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7];
    std::fs::OpenOptions::new().append(true).open(home.pending()).unwrap().write_all(&torn).unwrap();
    let (journal, recovery) = home.open();
    assert_eq!((recovery.replayed, recovery.torn_bytes), (1, 11));
    journal.publish(vec![reading("roof", START + 1, 1.0)]).await.unwrap();
    until("it is taken", || async { home.taken.lock().unwrap().len() == 2 }).await;
    drop(journal);
    let (journal, recovery) = home.open();
    assert_eq!((recovery.replayed, recovery.torn_bytes), (1, 0));
    assert_eq!(numbers(&journal.reader().stored_after(0, 10).await.unwrap()), [1, 2]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_damaged_batch_is_skipped_and_counted() {
    let home = Home::new();
    let (journal, _) = home.open();
    for at in 0..3 {
        journal.publish(vec![reading("roof", START + at, 1.0)]).await.unwrap();
        journal.put_note("a", "b", Some(vec![0])).await.unwrap();
    }
    let flip = "UPDATE batch SET payload = zeroblob(length(payload)) WHERE first = 2";
    journal.sql(flip).await;
    let reader = journal.reader();
    assert_eq!(numbers(&reader.stored_after(0, 10).await.unwrap()), [1, 3]);
    let roof = DeviceId::new("roof").unwrap();
    assert_eq!(numbers(&reader.history(&roof, 0, i64::MAX, 10).await.unwrap()), [1, 3]);
    assert_eq!(reader.stats().await.unwrap().damaged, 1);
    journal.sql("UPDATE batch SET payload = x'00' WHERE first = 3").await;
    drop(journal);
    let (journal, recovery) = home.open();
    assert_eq!(recovery.damaged_batches, 2);
    assert_eq!(numbers(&recovery.latest), [1]);
    journal.publish_durable(vec![reading("roof", START + 9, 1.0)]).await.unwrap();
    assert_eq!(numbers(&journal.reader().stored_after(0, 10).await.unwrap()), [1, 4]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_and_a_second_gateway_are_refused_with_a_remedy() {
    let home = Home::new();
    let (journal, _) = home.open();
    let error = home.try_open().err().unwrap();
    assert!(matches!(&error, JournalError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("lock is in use by another gateway: stop that one"), "{error}");
    journal.close().await.unwrap();

    let db = rusqlite::Connection::open(home.database()).unwrap();
    db.pragma_update(None, "user_version", 3).unwrap();
    drop(db);
    let error = home.try_open().err().unwrap();
    assert!(matches!(&error, JournalError::Newer { found: 3, known: 2, .. }), "{error}");
    assert!(error.to_string().contains("install the newer version again"), "{error}");
}

#[tokio::test]
async fn a_broken_file_is_set_aside_and_the_gateway_goes_on_with_a_new_one() {
    let home = Home::new();
    home.open().0.close().await.unwrap();
    let broken = "this is no database, and it is longer than a header".repeat(100);
    for count in 1..=2 {
        std::fs::write(home.database(), &broken).unwrap();
        let (journal, _) = home.open();
        journal.close().await.unwrap();
        let aside = home.database().with_extension(format!("db.damaged-{count}"));
        assert_eq!(std::fs::read_to_string(aside).unwrap(), broken);
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let mut home = Home::new();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    home.settings.data_dir = file.join("data");
    let error = home.try_open().err().unwrap();
    assert!(error.to_string().contains("file/data: create it"), "{error}");
}

#[tokio::test]
async fn pending_readings_of_another_journal_are_set_aside() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.publish(vec![reading("roof", START, 1.0)]).await.unwrap();
    until("it is taken", || async { home.taken.lock().unwrap().len() == 1 }).await;
    drop(journal);
    let other = Home {
        settings: Settings { data_dir: home.path().join("other"), ..home.settings.clone() },
        ..Home::new()
    };
    let (journal, recovery) = other.open();
    assert_eq!((recovery.replayed, recovery.torn_bytes), (0, 0));
    assert!(home.settings.runtime_dir.join("pending.foreign").exists());
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_costs_no_reading_and_commands_are_told_what_to_do() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.publish_durable(vec![reading("roof", START, 1.0)]).await.unwrap();
    journal.sql("PRAGMA max_page_count = 1").await;
    let mut large = command("large");
    large.owner = "x".repeat(200_000);
    let error = journal.insert_command(large.clone()).await.unwrap_err();
    assert!(matches!(&error, JournalError::Full { .. }), "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(journal.heartbeat().await.unwrap().failing.is_some());
    let noisy = |at: i64| {
        let points = (0..200).map(|point| {
            let noise = (at * 7919 + point * 104_729) as f64;
            (PointId::from(format!("p{point}").as_str()), Value::Number(noise.sin()))
        });
        Reading { points: points.collect(), ..reading("roof", START + at, 1.0) }
    };
    for at in 1..40 {
        journal.publish(vec![noisy(at)]).await.unwrap();
    }
    let held = || async { journal.heartbeat().await.unwrap().held == 39 };
    until("they are held", held).await;
    assert!(journal.put_note("a", "b", Some(vec![7; 100_000])).await.is_err());
    assert_eq!(journal.heartbeat().await.unwrap().held, 39);
    assert_eq!(journal.reader().last_number().await.unwrap(), 1);

    journal.sql("PRAGMA max_page_count = 1073741823").await;
    until("it goes on by itself", || async { journal.reader().last_number().await.unwrap() == 40 }).await;
    assert!(journal.heartbeat().await.unwrap().failing.is_none());
    assert_eq!(journal.insert_command(large).await.unwrap().number, 1);
    assert_eq!(journal.reader().stored_after(39, 9).await.unwrap()[0].reading, noisy(39));
    journal.close().await.unwrap();
}

#[tokio::test]
async fn memory_is_bounded_while_the_disk_is_full_and_then_publishers_wait() {
    let home = Home::new();
    let (journal, _) = home.open();
    let mut seed = 1u64;
    let mut large = move |at: i64| {
        // Letters that do not compress to nothing.
        let text: String = (0..50_000)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + (seed >> 58) as u8)
            })
            .collect();
        Reading {
            points: vec![(PointId::from("text"), Value::from(text.as_str()))],
            ..reading("roof", START + at, 1.0)
        }
    };
    let all: Vec<Reading> = (0..1200).map(&mut large).collect();
    journal.sql("PRAGMA max_page_count = 1").await;
    journal.put_note("a", "b", Some(vec![7; 200_000])).await.unwrap_err();
    let publisher = {
        let journal = journal.clone();
        tokio::spawn(async move {
            for reading in all {
                journal.publish(vec![reading]).await.unwrap();
            }
        })
    };
    // 4 MiB are 84 of these; some more when they came together. The channel holds its part, and the
    // publisher the rest.
    let taken = || home.taken.lock().unwrap().len();
    until("no more are taken", || async { taken() >= 84 }).await;
    journal.put_note("a", "b", Some(vec![7; 200_000])).await.unwrap_err();
    let held = journal.heartbeat().await.unwrap().held;
    assert!(held < 84 + 140, "{held}");
    journal.put_note("a", "b", Some(vec![7; 200_000])).await.unwrap_err();
    assert_eq!(journal.heartbeat().await.unwrap().held, held);
    assert!(!publisher.is_finished());
    journal.sql("PRAGMA max_page_count = 1073741823").await;
    publisher.await.unwrap();
    journal.close().await.unwrap();
    let (journal, _) = home.open();
    assert_eq!(journal.reader().last_number().await.unwrap(), 1200);
    journal.close().await.unwrap();
}
