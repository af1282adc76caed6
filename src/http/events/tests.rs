use adapter_api::{CommandSource, CommandStatus, DeviceId, Outcome, Parameters, Priority};
use axum::body::to_bytes;

use super::*;
use crate::{command::LeaseLost, journal::BatchRow};

fn row(id: &str, status: CommandStatus, outcome: Option<Outcome>) -> Arc<CommandRow> {
    let change = Change { at: 1_000, status, by: "gateway".into(), reason: String::new() };
    let changes = match status {
        CommandStatus::Pending => 1,
        CommandStatus::Executing => 2,
        _ => 3,
    };
    Arc::new(CommandRow {
        number: 1,
        id: id.into(),
        device: DeviceId::new("roof").unwrap(),
        command: "refresh".into(),
        parameters: Parameters::default(),
        priority: Priority::Normal,
        source: CommandSource::Api,
        owner: "http:local".into(),
        status,
        outcome,
        correlation_id: None,
        batch_id: None,
        issued_at: None,
        accepted_at: 1_000,
        scheduled_at: None,
        expires_at: 61_000,
        executed_at: None,
        completed_at: None,
        attempts: 1,
        max_retries: 3,
        verified: None,
        written: None,
        requested: None,
        observed: None,
        error: Some(("x".into(), "two\nlines".into())),
        superseded_by: None,
        lease: None,
        effect: None,
        reverts: None,
        reply: None,
        redelivery: None,
        told: true,
        events: vec![change; changes],
    })
}

fn lost(id: &str) -> Notice {
    Notice::LeaseLost(Arc::new(LeaseLost {
        at: 1_000,
        device: DeviceId::new("roof").unwrap(),
        group: "g".into(),
        owner: "http:local".into(),
        id: id.into(),
        command: "set_power_limit".into(),
        reason: "taken over".into(),
        reply: None,
    }))
}

#[test]
fn each_stream_has_its_own_events() {
    let progress = |id| Notice::Progress(row(id, CommandStatus::Executing, None));
    let of = |total| Notice::Batch(Arc::new(BatchRow { total, ..BatchRow::default() }));
    let batch = of(2);
    let one = Scope::Command("a".into());
    assert!(one.has(&progress("a")) && one.has(&lost("a")));
    assert!(!one.has(&progress("b")) && !one.has(&batch));
    let roof = Scope::Device("roof".into());
    assert!(roof.has(&progress("a")) && roof.has(&lost("b")) && !roof.has(&batch));
    assert!(!Scope::Device("house".into()).has(&progress("a")));
    assert!(Scope::All.has(&progress("a")) && Scope::All.has(&batch));
    assert!(!Scope::All.has(&of(0)));
}

#[test]
fn a_command_that_is_tried_again_and_again_stays_news() {
    let mut row = CommandRow::clone(&row("a", CommandStatus::Pending, None));
    let mut known = Vec::new();
    for at in 0..100 {
        let older = row.clone();
        let status = CommandStatus::Executing;
        row.events.push(Change { at, status, by: "gateway".into(), reason: String::new() });
        // As many as the journal keeps.
        if row.events.len() > 32 {
            row.events.remove(4);
        }
        assert!(is_news(&row, &known), "{at}");
        known.clone_from(&row.events);
        assert!(!is_news(&row, &known) && !is_news(&older, &known), "{at}");
    }
}

#[test]
fn events_are_named_after_what_happened() {
    let name = |notice| told(&notice).0;
    assert_eq!(name(Notice::Progress(row("a", CommandStatus::Pending, None))), "accepted");
    assert_eq!(name(Notice::Progress(row("a", CommandStatus::Executing, None))), "executing");
    assert_eq!(name(Notice::Result(row("a", CommandStatus::Completed, Some(Outcome::Done)))), "result");
    assert_eq!(name(lost("a")), "lease_lost");
    assert_eq!(name(Notice::Batch(Arc::new(BatchRow::default()))), "batch");
}

#[tokio::test]
async fn an_event_is_one_line_of_json_whatever_is_in_it() {
    let notice = Notice::Result(row("a", CommandStatus::Failed, Some(Outcome::Rejected)));
    let events = [Ok::<_, Infallible>(event(&told(&notice)))];
    let body = Sse::new(futures_util::stream::iter(events)).into_response().into_body();
    let text = String::from_utf8(to_bytes(body, 10_000).await.unwrap().to_vec()).unwrap();
    let [name, data, "", ""] = text.split('\n').collect::<Vec<_>>()[..] else { panic!("{text:?}") };
    assert_eq!(name, "event: result");
    let json: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&json["id"], &json["error"]["message"]), (&json!("a"), &json!("two\nlines")));
}
