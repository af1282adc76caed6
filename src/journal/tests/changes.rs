use super::*;
use crate::journal::{Change, LeaseTerms, Step, command_table, schema};

fn note(key: &str, value: Option<&[u8]>) -> Change {
    Change::Note { space: "test", key: key.to_owned(), value: value.map(<[u8]>::to_vec) }
}

#[tokio::test]
async fn changes_are_written_together_and_each_has_its_number() {
    let home = Home::new();
    let (journal, _) = home.open();
    let reader = journal.reader();
    let first = journal.commit(vec![Change::Insert(command("a"))]).await.unwrap();
    let lease = LeaseTerms {
        lasts_ms: 60_000,
        revert: Step { command: "set_battery_mode".to_owned(), parameters: command("a").parameters },
    };
    let ended = CommandRow {
        number: first[0],
        status: CommandStatus::Completed,
        lease: Some(lease),
        effect: Some(false),
        reverts: Some("z".to_owned()),
        ..command("a")
    };
    let changes = vec![
        Change::Insert(command("b")),
        Change::Update(ended.clone()),
        Change::Update(CommandRow { number: 99, ..command("unknown") }),
        note("x", Some(b"1")),
        note("y", Some(b"2")),
        note("x", None),
    ];
    // What the journal does not have keeps nothing else from being written.
    assert_eq!(journal.commit(changes).await.unwrap(), [2, 1, 0, 0, 0, 0]);
    assert_eq!(reader.command(1).await.unwrap(), Some(ended));
    assert_eq!(reader.command_by_id("b").await.unwrap().unwrap().number, 2);
    assert_eq!(reader.notes("test").await.unwrap(), [("y".to_owned(), b"2".to_vec())]);
    assert_eq!(reader.notes("other").await.unwrap(), []);
    assert_eq!(journal.commit(Vec::new()).await.unwrap(), [0; 0]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn what_is_handed_over_is_written_in_that_order_whoever_waits() {
    let home = Home::new();
    let (journal, _) = home.open();
    let mut receipts = Vec::new();
    for turn in 0..600_u32 {
        receipts.push(journal.hand_over(vec![note("x", Some(&turn.to_be_bytes()))]).await.unwrap());
    }
    let last = receipts.pop().unwrap();
    // Nobody waits for the others.
    drop(receipts);
    assert_eq!(last.await.unwrap(), [0]);
    let kept = journal.reader().note("test", "x").await.unwrap();
    assert_eq!(kept.as_deref(), Some(&599_u32.to_be_bytes()[..]));
    let receipt = journal.hand_over(vec![Change::Insert(command("a"))]).await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(receipt.await.unwrap(), [1]);
    assert!(matches!(journal.commit(Vec::new()).await, Err(JournalError::Stopped)));
}

#[tokio::test]
async fn an_error_leaves_nothing_of_the_changes() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.sql("CREATE TRIGGER full BEFORE INSERT ON note BEGIN SELECT RAISE(FAIL, 'no room'); END").await;
    let changes = vec![Change::Insert(command("a")), note("x", Some(b"1"))];
    assert!(matches!(journal.commit(changes).await, Err(JournalError::Io { .. })));
    assert_eq!(journal.reader().command_by_id("a").await.unwrap(), None);
    journal.sql("DROP TRIGGER full").await;
    let numbers = journal.commit(vec![Change::Insert(command("b"))]).await.unwrap();
    assert_eq!(numbers, [1]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn who_asked_stays_as_it_was() {
    let home = Home::new();
    let (journal, _) = home.open();
    let asked = journal.insert_command(command("a")).await.unwrap();
    let other = CommandRow {
        owner: "other".to_owned(),
        command: "turn_on".to_owned(),
        accepted_at: 0,
        ..asked.clone()
    };
    journal.update_command(other).await.unwrap();
    let kept = journal.reader().command_by_id("a").await.unwrap().unwrap();
    assert_eq!(kept, CommandRow { command: "turn_on".to_owned(), ..asked });
    journal.close().await.unwrap();
}

#[tokio::test]
async fn old_commands_stay_until_mongodb_has_their_last_change() {
    let home = Home::new();
    let (journal, _) = home.open();
    for id in ["a", "b"] {
        let row = CommandRow {
            status: CommandStatus::Completed,
            completed_at: Some(START),
            told: true,
            ..command(id)
        };
        journal.insert_command(row).await.unwrap();
    }
    journal.set_cursor("mongodb.commands", 1).await.unwrap();
    journal.close().await.unwrap();
    let db = schema::open(&home.database()).unwrap();
    assert_eq!(command_table::prune(&db, START + 1, 2, true).unwrap(), 1);
    assert_eq!(command_table::prune(&db, START + 1, 2, true).unwrap(), 0);
    assert_eq!(home.sql::<String>("SELECT id FROM command"), "b");
    assert_eq!(command_table::prune(&db, START + 1, 2, false).unwrap(), 1, "no uplink, nothing to wait for");
}
