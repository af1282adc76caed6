use super::*;
use crate::journal::{BatchRow, Change, Reply, command_batch, schema};

fn of_batch(id: &str, status: CommandStatus) -> CommandRow {
    CommandRow { batch_id: Some("b".to_owned()), status, ..command(id) }
}

fn begin(reply: Option<&str>, tell: bool) -> Change {
    let reply = reply.map(|topic| Reply { topic: topic.to_owned(), correlation: Some(vec![0, 255]) });
    Change::BatchBegin { id: "b".to_owned(), reply, tell }
}

fn complete(refused: u64, expired: u64) -> Change {
    Change::BatchComplete { id: "b".to_owned(), refused, expired }
}

async fn batch(journal: &Journal) -> BatchRow {
    journal.reader().batch("b").await.unwrap().unwrap()
}

async fn untold(journal: &Journal) -> Vec<String> {
    journal.reader().untold_batches(10).await.unwrap().into_iter().map(|batch| batch.id).collect()
}

#[tokio::test]
async fn a_batch_is_summed_up_when_all_of_it_was_taken_in_and_has_ended() {
    let home = Home::new();
    let (journal, _) = home.open();
    let all = [
        ("1", CommandStatus::Completed),
        ("2", CommandStatus::Failed),
        ("3", CommandStatus::Timeout),
        ("4", CommandStatus::Cancelled),
        ("5", CommandStatus::Executing),
    ];
    let inserts = all.map(|(id, status)| Change::Insert(of_batch(id, status)));
    let changes = [begin(Some("answers"), true)].into_iter().chain(inserts).collect();
    let numbers = journal.commit(changes).await.unwrap();
    let begun = batch(&journal).await;
    assert_eq!((begun.total, begun.waiting), (5, 2), "one that executes, and more may come");
    journal.commit(vec![complete(2, 1)]).await.unwrap();
    assert_eq!(batch(&journal).await.waiting, 1);
    assert_eq!(untold(&journal).await, [""; 0]);
    let last = CommandRow { number: numbers[5], ..of_batch("5", CommandStatus::Completed) };
    journal.commit(vec![Change::Update(last)]).await.unwrap();
    let ended = BatchRow {
        id: "b".to_owned(),
        total: 8,
        completed: 2,
        failed: 3,
        timeout: 2,
        cancelled: 1,
        waiting: 0,
        reply: Some(Reply { topic: "answers".to_owned(), correlation: Some(vec![0, 255]) }),
        told: false,
        at: START,
    };
    assert_eq!(journal.reader().untold_batches(10).await.unwrap(), std::slice::from_ref(&ended));
    journal.batch_told("b", batch(&journal).await.at).await.unwrap();
    journal.commit(Vec::new()).await.unwrap();
    assert_eq!(batch(&journal).await, BatchRow { told: true, ..ended });
    assert_eq!(untold(&journal).await, [""; 0]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn what_comes_later_to_a_batch_is_told_anew_to_the_one_who_asked_first() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.commit(vec![begin(Some("first"), true), complete(1, 0)]).await.unwrap();
    // A second one whom no broker tells takes nothing from the first.
    journal.commit(vec![begin(None, false)]).await.unwrap();
    let again = batch(&journal).await;
    assert_eq!((again.failed, again.waiting, again.told), (1, 1, false));
    assert_eq!(again.reply.unwrap().topic, "first");
    // The first summary arrives at the broker meanwhile; the second one is still due.
    journal.batch_told("b", START).await.unwrap();
    journal.commit(vec![complete(0, 3)]).await.unwrap();
    assert_eq!(untold(&journal).await, ["b"]);
    journal.batch_told("b", batch(&journal).await.at).await.unwrap();
    journal.commit(vec![]).await.unwrap();
    journal.commit(vec![begin(Some("second"), true), complete(0, 3)]).await.unwrap();
    let last = batch(&journal).await;
    assert_eq!((last.failed, last.timeout, last.told), (0, 3, false));
    assert_eq!(last.reply.unwrap().topic, "second");
    journal.close().await.unwrap();
}

#[tokio::test]
async fn an_acknowledgement_that_comes_after_the_next_end_of_a_batch_is_for_the_one_before() {
    let home = Home::new();
    home.advance(1_000);
    let (journal, _) = home.open();
    journal.commit(vec![begin(None, true), complete(1, 0)]).await.unwrap();
    let first = batch(&journal).await;
    // The clock was set back.
    home.advance(-1_000);
    journal.commit(vec![begin(None, true), complete(2, 0)]).await.unwrap();
    let second = batch(&journal).await;
    assert!(second.at > first.at, "{second:?}");
    for (end, due) in [(&first, &["b"][..]), (&second, &[])] {
        journal.batch_told("b", end.at).await.unwrap();
        journal.commit(Vec::new()).await.unwrap();
        assert_eq!(untold(&journal).await, due);
    }
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_only_commands_know_is_counted_and_never_told() {
    let home = Home::new();
    let (journal, _) = home.open();
    assert_eq!(journal.reader().batch("b").await.unwrap(), None);
    journal.commit(vec![Change::Insert(of_batch("1", CommandStatus::Completed))]).await.unwrap();
    let row = BatchRow { id: "b".to_owned(), total: 1, completed: 1, told: true, ..BatchRow::default() };
    assert_eq!(batch(&journal).await, row);
    assert_eq!(untold(&journal).await, [""; 0]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_batch_that_a_crash_cut_off_is_summed_up_after_the_start() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal
        .commit(vec![begin(None, true), Change::Insert(of_batch("1", CommandStatus::Completed))])
        .await
        .unwrap();
    assert_eq!(untold(&journal).await, [""; 0]);
    drop(journal);
    let (journal, _) = home.open();
    assert_eq!(untold(&journal).await, ["b"]);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_batch_goes_after_its_commands_and_these_not_before_it_is_told() {
    let home = Home::new();
    let (journal, _) = home.open();
    let row = CommandRow { completed_at: Some(START), told: true, ..of_batch("1", CommandStatus::Completed) };
    journal.commit(vec![begin(None, true), Change::Insert(row), complete(0, 0)]).await.unwrap();
    journal.close().await.unwrap();
    let db = schema::open(&home.database()).unwrap();
    let prune = || {
        let commands = crate::journal::command_table::prune(&db, START + 1, 1, false).unwrap();
        (commands, command_batch::prune(&db, START + 1).unwrap())
    };
    assert_eq!(prune(), (0, 0));
    command_batch::told(&db, "b", START).unwrap();
    assert_eq!(command_batch::prune(&db, START + 1).unwrap(), 0, "a command of it is still there");
    assert_eq!(prune(), (1, 1));
}
