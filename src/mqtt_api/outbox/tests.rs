use std::time::Duration;

use adapter_api::{CommandSource, CommandStatus, DeviceId, Outcome, Parameters, Priority};

use super::{lane::ROOM, *};
use crate::{journal::Reply, mqtt_api::message::BatchEnd};

fn row(number: u64, reply: bool) -> CommandRow {
    CommandRow {
        number,
        id: format!("id-{number}"),
        device: DeviceId::new("roof").unwrap(),
        command: "refresh".into(),
        parameters: Parameters::default(),
        priority: Priority::Normal,
        source: CommandSource::Automation,
        owner: "mqtt:me".into(),
        status: CommandStatus::Completed,
        outcome: Some(Outcome::Done),
        correlation_id: None,
        batch_id: None,
        issued_at: None,
        accepted_at: 1_000,
        scheduled_at: None,
        expires_at: 61_000,
        executed_at: Some(1_000),
        completed_at: Some(1_000 + Duration::from_millis(5).as_millis() as i64),
        attempts: 1,
        max_retries: 3,
        verified: Some(true),
        written: Some(true),
        requested: None,
        observed: None,
        error: None,
        superseded_by: None,
        lease: None,
        effect: None,
        reverts: None,
        reply: reply.then(|| Reply { topic: "me/answers".into(), correlation: Some(vec![1, 2]) }),
        redelivery: None,
        told: false,
        events: vec![],
    }
}

fn sent(outbox: &mut Outbox) -> Vec<(String, Ticket)> {
    let topics = Topics::new("maestro");
    std::iter::from_fn(|| outbox.next(&topics))
        .map(|(message, ticket)| (message.topic().into(), ticket))
        .collect()
}

fn taken(outbox: &mut Outbox, number: u64) -> bool {
    outbox.results.taken(&number)
}

/// How many results are to be read now.
fn reads(outbox: &mut Outbox) -> Option<usize> {
    outbox.results.read()
}

#[test]
fn a_result_is_told_when_the_broker_has_all_of_its_messages() {
    let mut outbox = Outbox::default();
    outbox.add(Arc::new(row(7, true)));
    let messages = sent(&mut outbox);
    let topics: Vec<_> = messages.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(topics, ["me/answers", "maestro/device/roof/result", "maestro/result"]);
    assert!(messages.iter().all(|(_, ticket)| *ticket == Ticket::Result(7)));
    assert_eq!([taken(&mut outbox, 7), taken(&mut outbox, 7), taken(&mut outbox, 7)], [false, false, true]);
    assert!(outbox.is_idle());
}

#[test]
fn what_was_on_the_way_when_the_connection_ended_is_read_from_the_journal_again() {
    let mut outbox = Outbox::default();
    outbox.add(Arc::new(row(7, false)));
    assert_eq!(sent(&mut outbox).len(), 2);
    assert!(!taken(&mut outbox, 7));
    outbox.lost();
    assert!(reads(&mut outbox).is_some());
    outbox.results.found(vec![row(7, false)], true);
    assert_eq!(sent(&mut outbox).len(), 2);
    assert!(!taken(&mut outbox, 7) && taken(&mut outbox, 7));
}

#[test]
fn what_is_told_but_not_written_down_yet_is_not_sent_again() {
    let mut outbox = Outbox::default();
    outbox.add(Arc::new(row(7, false)));
    sent(&mut outbox);
    assert!(!taken(&mut outbox, 7) && taken(&mut outbox, 7));
    for _ in 0..2 {
        outbox.look();
        assert!(reads(&mut outbox).is_some());
        outbox.results.found(vec![row(7, false)], true);
        assert!(sent(&mut outbox).is_empty());
    }
    // Written down: forgotten here.
    outbox.look();
    assert_eq!(reads(&mut outbox), Some(ROOM + 1));
    outbox.results.found(vec![], true);
    outbox.look();
    assert_eq!(reads(&mut outbox), Some(ROOM));
}

#[test]
fn a_backlog_goes_out_in_batches_and_none_is_forgotten() {
    let mut outbox = Outbox::default();
    let mut journal: Vec<_> = (1..=500).map(|number| row(number, false)).collect();
    for row in &journal {
        outbox.add(Arc::new(row.clone()));
    }
    let mut told = Vec::new();
    for _ in 0..500 {
        for (_, ticket) in sent(&mut outbox) {
            if let Ticket::Result(number) = ticket
                && taken(&mut outbox, number)
            {
                told.push(number);
            }
        }
        if let Some(limit) = reads(&mut outbox) {
            journal.retain(|row| !told.contains(&row.number));
            let rows: Vec<_> = journal.iter().take(limit).cloned().collect();
            let all = rows.len() < limit;
            outbox.results.found(rows, all);
        }
    }
    assert_eq!(told, (1..=500).collect::<Vec<_>>());
    assert!(outbox.is_idle());
}

#[test]
fn a_result_of_another_door_is_published_and_not_followed() {
    let mut outbox = Outbox::default();
    outbox.add(Arc::new(CommandRow { told: true, ..row(7, false) }));
    assert!(sent(&mut outbox).iter().all(|(_, ticket)| *ticket == Ticket::Plain));
    assert!(outbox.is_idle());
}

fn summary(id: &str) -> BatchRow {
    let reply = Some(Reply { topic: "me/answers".into(), correlation: Some(vec![7]) });
    BatchRow { id: id.into(), total: 2, completed: 2, reply, at: 1_000, ..BatchRow::default() }
}

fn end(at: i64) -> BatchEnd {
    BatchEnd { id: "b".into(), at }
}

#[test]
fn the_summary_of_a_batch_is_told_when_the_broker_has_both_of_its_messages() {
    let mut outbox = Outbox::default();
    outbox.add_batch(Arc::new(summary("b")));
    let messages = sent(&mut outbox);
    let topics: Vec<_> = messages.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(topics, ["me/answers", "maestro/result"]);
    assert!(messages.iter().all(|(_, ticket)| *ticket == Ticket::Batch(end(1_000))));
    let key = end(1_000);
    assert_eq!([outbox.batches.taken(&key), outbox.batches.taken(&key)], [false, true]);
    assert!(outbox.is_idle());
    // The journal has not written it down yet.
    outbox.look();
    assert_eq!(outbox.read(), Some(Ask::Results(ROOM)));
    outbox.results.found(vec![], true);
    assert_eq!(outbox.read(), Some(Ask::Batches(ROOM + 1)));
    outbox.batches.found(vec![summary("b")], true);
    assert!(sent(&mut outbox).is_empty());
}

#[test]
fn a_summary_that_was_on_the_way_when_the_connection_ended_is_sent_again_after_the_results() {
    let mut outbox = Outbox::default();
    outbox.add_batch(Arc::new(summary("b")));
    sent(&mut outbox);
    outbox.lost();
    assert_eq!(outbox.read(), Some(Ask::Results(ROOM)));
    assert_eq!(outbox.read(), Some(Ask::Batches(ROOM)));
    outbox.batches.found(vec![summary("b")], true);
    assert!(sent(&mut outbox).is_empty(), "its results are being read");
    outbox.results.found(vec![row(7, false)], true);
    let topics: Vec<_> = sent(&mut outbox).into_iter().map(|(topic, _)| topic).collect();
    assert_eq!(topics, ["maestro/device/roof/result", "maestro/result", "me/answers", "maestro/result"]);
}

#[test]
fn the_summary_of_another_doors_batch_is_published_and_not_followed() {
    let mut outbox = Outbox::default();
    outbox.add_batch(Arc::new(BatchRow { told: true, reply: None, ..summary("b") }));
    assert_eq!(sent(&mut outbox), [("maestro/result".to_owned(), Ticket::Plain)]);
    assert!(outbox.is_idle());
}

#[test]
fn a_batch_whose_id_is_used_again_gets_a_summary_each_time() {
    let second = || BatchRow { at: 2_000, ..summary("b") };
    // The first was told, and the journal may not have written that down yet.
    let mut outbox = Outbox::default();
    outbox.add_batch(Arc::new(summary("b")));
    sent(&mut outbox);
    assert_eq!([1_000, 1_000].map(|at| outbox.batches.taken(&end(at))), [false, true]);
    outbox.add_batch(Arc::new(second()));
    assert!(sent(&mut outbox).iter().all(|(_, ticket)| *ticket == Ticket::Batch(end(2_000))));
    assert_eq!([2_000, 2_000].map(|at| outbox.batches.taken(&end(at))), [false, true]);

    // The first is still on its way: its acknowledgement says nothing about the second.
    let mut outbox = Outbox::default();
    outbox.add_batch(Arc::new(summary("b")));
    assert_eq!(sent(&mut outbox).len(), 2);
    outbox.add_batch(Arc::new(second()));
    assert_eq!(sent(&mut outbox).len(), 2);
    assert_eq!([1_000, 1_000].map(|at| outbox.batches.taken(&end(at))), [false, true]);
    assert!(!outbox.is_idle());
    // The connection ends: the second is sent again.
    outbox.lost();
    assert_eq!(outbox.read(), Some(Ask::Results(ROOM)));
    outbox.results.found(vec![], true);
    assert_eq!(outbox.read(), Some(Ask::Batches(ROOM + 1)));
    outbox.batches.found(vec![second()], true);
    assert_eq!(sent(&mut outbox).len(), 2);
}

#[test]
fn a_batch_of_commands_that_all_came_before_needs_no_summary() {
    let mut outbox = Outbox::default();
    let nothing = BatchRow { total: 0, completed: 0, ..summary("b") };
    outbox.add_batch(Arc::new(nothing.clone()));
    outbox.add_batch(Arc::new(BatchRow { told: true, at: 3_000, ..nothing.clone() }));
    outbox.add_batch(Arc::new(BatchRow { at: 2_000, ..summary("b") }));
    let topics: Vec<_> = sent(&mut outbox).into_iter().map(|(topic, _)| topic).collect();
    assert_eq!(topics, ["me/answers", "maestro/result"], "only the one that has something to say");
    assert_eq!((outbox.batches.needless(), outbox.batches.needless()), (Some(end(1_000)), None));
    // The journal has not written it down yet.
    outbox.look();
    outbox.read();
    outbox.results.found(vec![], true);
    outbox.read();
    outbox.batches.found(vec![nothing], true);
    assert!(sent(&mut outbox).is_empty());
}
