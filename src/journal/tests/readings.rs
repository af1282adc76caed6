use super::*;

#[tokio::test]
async fn readings_wait_for_their_group_and_a_command_takes_them_along() {
    let home = Home::new();
    let (journal, recovery) = home.open();
    assert!(recovery.clean && recovery.latest.is_empty());
    journal.publish(vec![reading("roof", START, 1.0), reading("meter", START, 2.0)]).await.unwrap();
    until("both are taken", || async { home.taken.lock().unwrap().len() == 2 }).await;
    assert_eq!(journal.heartbeat().await.unwrap().held, 2);
    assert_eq!(journal.reader().last_number().await.unwrap(), 0);

    let inserted = journal.insert_command(command("a")).await.unwrap();
    assert_eq!(inserted.number, 1);
    let stored = journal.reader().stored_after(0, 10).await.unwrap();
    assert_eq!(numbers(&stored), [1, 2]);
    assert_eq!(stored[1].reading, reading("meter", START, 2.0));
    assert_eq!(journal.heartbeat().await.unwrap().held, 0);
    assert_eq!(home.sql::<i64>("SELECT count(*) FROM batch"), 1);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_switch_that_turns_is_committed_at_once() {
    let home = Home::new();
    let (journal, _) = home.open();
    let switch = |at: i64, on: bool| {
        let mut reading = reading("kettle", START + at, 1.0);
        reading.points.push(("switch".into(), on.into()));
        vec![reading]
    };
    journal.publish(switch(0, true)).await.unwrap();
    journal.publish(switch(1, true)).await.unwrap();
    until("both are taken", || async { home.taken.lock().unwrap().len() == 2 }).await;
    assert_eq!(journal.heartbeat().await.unwrap().held, 2, "nothing turned: they wait for their group");
    journal.publish(switch(2, false)).await.unwrap();
    let reader = journal.reader();
    until("all are committed", || async { reader.last_number().await.unwrap() == 3 }).await;
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_thousand_readings_are_committed_without_waiting() {
    let home = Home::new();
    let (journal, _) = home.open();
    for at in 0..10 {
        let readings = (0..100).map(|row| reading("roof", START + at * 1000 + row, 1.0)).collect();
        journal.publish(readings).await.unwrap();
    }
    let reader = journal.reader();
    until("1000 are committed", || async { reader.last_number().await.unwrap() == 1000 }).await;
    assert_eq!(numbers(&reader.stored_after(995, 3).await.unwrap()), [996, 997, 998]);
    assert!(reader.stored_after(1000, 3).await.unwrap().is_empty());
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_durable_publish_returns_after_its_commit() {
    let home = Home::new();
    let (journal, _) = home.open();
    let many = (0..512).map(|at| reading("roof", START + at, 1.0)).collect();
    journal.publish_durable(many).await.unwrap();
    assert_eq!(journal.reader().last_number().await.unwrap(), 512);
    journal.publish_durable(vec![reading("roof", START + 900, 1.0)]).await.unwrap();
    assert_eq!(journal.reader().last_number().await.unwrap(), 513);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_killed_gateway_loses_and_doubles_no_reading() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.publish_durable(vec![reading("roof", START, 1.0)]).await.unwrap();
    let committed = std::fs::read(home.pending()).unwrap();
    journal.publish(vec![reading("roof", START + 1, 2.0)]).await.unwrap();
    journal.publish(vec![reading("meter", START + 2, 3.0)]).await.unwrap();
    until("all are taken", || async { home.taken.lock().unwrap().len() == 3 }).await;
    drop(journal);

    let (journal, recovery) = home.open();
    assert_eq!((recovery.replayed, recovery.clean, recovery.torn_bytes), (2, false, 0));
    assert_eq!(numbers(&recovery.latest), [3, 2]);
    assert_eq!(numbers(&journal.reader().stored_after(0, 10).await.unwrap()), [1, 2, 3]);
    assert_eq!(std::fs::read(home.pending()).unwrap(), committed);
    journal.publish_durable(vec![reading("roof", START + 3, 4.0)]).await.unwrap();
    journal.close().await.unwrap();
    drop(journal);

    let (journal, recovery) = home.open();
    assert_eq!((recovery.replayed, recovery.clean), (0, true));
    assert_eq!(numbers(&recovery.latest), [3, 4]);
    assert_eq!(numbers(&journal.reader().stored_after(0, 10).await.unwrap()), [1, 2, 3, 4]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn what_is_committed_is_not_replayed_when_the_pending_file_was_not_emptied() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.publish(vec![reading("roof", START, 1.0), reading("roof", START + 1, 2.0)]).await.unwrap();
    until("both are taken", || async { home.taken.lock().unwrap().len() == 2 }).await;
    let full = std::fs::read(home.pending()).unwrap();
    journal.close().await.unwrap();
    std::fs::write(home.pending(), full).unwrap();
    let (journal, recovery) = home.open();
    assert_eq!(recovery.replayed, 0);
    assert_eq!(numbers(&journal.reader().stored_after(0, 10).await.unwrap()), [1, 2]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_closed_journal_takes_nothing_more() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.publish(vec![reading("roof", START, 1.0)]).await.unwrap();
    journal.close().await.unwrap();
    assert!(journal.publish(vec![reading("roof", START, 1.0)]).await.is_err());
    assert!(matches!(journal.heartbeat().await, Err(JournalError::Stopped)));
    let (journal, _) = home.open();
    assert_eq!(journal.reader().last_number().await.unwrap(), 1);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn identity_notes_and_cursors_outlive_a_restart() {
    let home = Home::new();
    let (journal, _) = home.open();
    let identity = (journal.installation(), journal.generation());
    assert_ne!(identity.0, [0; 16]);
    journal.put_note("modbus.roof", "holes", Some(vec![1, 2, 3])).await.unwrap();
    journal.put_note("modbus.roof", "old", Some(vec![4])).await.unwrap();
    journal.put_note("modbus.roof", "old", None).await.unwrap();
    journal.set_cursor("mongodb.measurements", 7).await.unwrap();
    journal.close().await.unwrap();
    let (journal, _) = home.open();
    let reader = journal.reader();
    assert_eq!((journal.installation(), journal.generation()), identity);
    assert_eq!(reader.note("modbus.roof", "holes").await.unwrap(), Some(vec![1, 2, 3]));
    assert_eq!(reader.note("modbus.roof", "old").await.unwrap(), None);
    assert_eq!(reader.cursor("mongodb.measurements").await.unwrap(), 7);
    assert_eq!(reader.cursor("other").await.unwrap(), 0);
    journal.close().await.unwrap();
}
