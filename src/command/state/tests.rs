use adapter_api::Parameters;

use super::*;

const NOW: Moment = Moment { wall_ms: 1_000_000, mono_ms: 5_000 };
const MINUTE: Duration = Duration::from_secs(60);

fn request() -> Request {
    Request::new("roof", "refresh", Parameters::default(), "test:me")
}

fn started() -> CommandRow {
    start(&accept(request(), MINUTE, None, NOW).unwrap(), NOW)
}

fn not_applied(sent: bool) -> WriteOutcome {
    WriteOutcome::NotApplied { reason: "busy".into(), sent }
}

#[test]
fn expiry_counts_from_the_schedule_else_the_senders_clock_else_now() {
    let at = |scheduled_at, issued_at| {
        accept(Request { scheduled_at, issued_at, ..request() }, MINUTE, None, NOW).map(|row| row.expires_at)
    };
    assert_eq!(at(None, None).unwrap(), 1_060_000);
    assert_eq!(at(None, Some(990_000)).unwrap(), 1_050_000);
    assert_eq!(at(None, Some(9_000_000)).unwrap(), 1_060_000, "a clock ahead buys no time");
    assert_eq!(at(Some(2_000_000), Some(0)).unwrap(), 2_060_000);
    assert_eq!(at(None, Some(900_000)).unwrap_err().code, RefusalCode::Expired);
}

#[test]
fn what_was_certainly_not_applied_is_retried_until_the_retries_or_the_time_are_used() {
    let mut row = started();
    for _ in 0..3 {
        let Next::Again(again, delay) = settle(&row, not_applied(false), false, MINUTE, NOW) else {
            panic!("{row:?}")
        };
        assert!(delay >= RETRY.0);
        row = start(&again, NOW);
    }
    let Next::Ended(row) = settle(&row, not_applied(false), false, MINUTE, NOW) else { panic!() };
    assert_eq!((row.status, row.outcome), (CommandStatus::Failed, Some(Outcome::Unreachable)));
    let Next::Ended(row) = settle(&started(), not_applied(false), true, Duration::from_millis(1), NOW) else {
        panic!("a retry past the expiry")
    };
    assert_eq!(row.outcome, Some(Outcome::Unreachable));
}

#[test]
fn what_may_have_been_sent_is_repeated_only_when_that_is_harmless() {
    assert!(matches!(settle(&started(), not_applied(true), true, MINUTE, NOW), Next::Again(..)));
    assert!(matches!(settle(&started(), not_applied(true), false, MINUTE, NOW), Next::Ended(_)));
    let unknown = WriteOutcome::Unknown { reason: "no answer".into() };
    let Next::Ended(row) = settle(&started(), unknown, true, MINUTE, NOW) else { panic!() };
    assert_eq!((row.status, row.outcome), (CommandStatus::Failed, Some(Outcome::Unknown)));
}
