use adapter_api::{Moment, Parameters};

use super::*;
use crate::command::{Request, state};

fn entry(number: u64, device: &str, priority: Priority, since: u64) -> Entry {
    let request = Request { priority, ..Request::new(device, "refresh", Parameters::default(), "t:t") };
    let now = Moment { wall_ms: 1_000, mono_ms: 0 };
    let hour = std::time::Duration::from_secs(3600);
    let row = CommandRow { number, ..state::accept(request, hour, None, now).unwrap() };
    let (purpose, phase) = (Purpose::Execute, Phase::Waiting);
    let (due, deadline, doubt_until, started) = (0, 3_600_000, 0, 0);
    let (marked, cancelled_by) = (false, None);
    Entry {
        row: Arc::new(row),
        purpose,
        phase,
        since,
        due,
        deadline,
        doubt_until,
        marked,
        cancelled_by,
        started,
        other_boot: false,
        by_wall: false,
    }
}

fn unit(device: &DeviceId) -> Option<UnitId> {
    Some(if device.as_str() == "meter" { "roof/2".into() } else { "roof/1".into() })
}

fn queue(entries: Vec<Entry>) -> Queue {
    let mut queue = Queue::default();
    entries.into_iter().for_each(|entry| queue.insert(entry));
    queue
}

fn take(queue: &mut Queue, now: u64) -> Option<u64> {
    queue.advance(now);
    let (number, unit) = queue.next(unit)?;
    queue.change(number, |entry| entry.phase = Phase::Flying(unit));
    Some(number)
}

fn order(queue: &mut Queue, now: u64) -> Vec<u64> {
    std::iter::from_fn(|| take(queue, now).inspect(|number| drop(queue.remove(*number)))).collect()
}

#[test]
fn priority_goes_first_then_age() {
    let mut queue = queue(vec![
        entry(1, "roof", Priority::Low, 0),
        entry(2, "roof", Priority::Normal, 0),
        entry(3, "roof", Priority::Critical, 0),
        entry(4, "roof", Priority::Normal, 0),
    ]);
    assert_eq!(order(&mut queue, 0), [3, 2, 4, 1]);
}

#[test]
fn a_waiting_command_rises_and_never_starves() {
    let mut queue =
        queue(vec![entry(1, "roof", Priority::Low, 0), entry(2, "roof", Priority::Critical, 45_000)]);
    assert_eq!(order(&mut queue, 45_000), [1, 2]);
}

#[test]
fn one_is_in_flight_per_unit_and_units_do_not_wait_for_each_other() {
    let mut queue = queue(vec![
        entry(1, "roof", Priority::Normal, 0),
        entry(2, "roof-battery", Priority::Critical, 0),
        entry(3, "meter", Priority::Low, 0),
    ]);
    assert_eq!(take(&mut queue, 0), Some(2));
    assert_eq!(take(&mut queue, 0), Some(3), "the battery's unit is busy, the meter's is not");
    assert_eq!(take(&mut queue, 0), None);
    queue.remove(2);
    assert_eq!(take(&mut queue, 0), Some(1));
}

#[test]
fn nobody_takes_what_has_no_unit_or_comes_later() {
    let mut held = queue(vec![entry(1, "roof", Priority::Normal, 0)]);
    assert!(held.next(|_| None).is_none());
    assert_eq!(held.overdue(3_600_000), [1]);
    held.change(1, |entry| entry.due = 9);
    assert_eq!(take(&mut held, 8), None);
    assert_eq!(held.next_change(), Some(9));
    assert_eq!(held.advance(9), [1]);
    assert_eq!(take(&mut held, 9), Some(1));
}

#[test]
fn what_is_in_doubt_waits_for_its_device_past_its_expiry_and_goes_first() {
    let mut doubt = entry(1, "roof", Priority::Low, 0);
    (doubt.purpose, doubt.deadline, doubt.doubt_until) = (Purpose::ReadBack, 10, 1_000);
    let mut queue = queue(vec![doubt, entry(2, "roof", Priority::Critical, 0)]);
    assert!(queue.overdue(999).is_empty());
    assert_eq!(take(&mut queue, 999), Some(1));
    // Not applied: it would be sent again, but its time is over.
    queue.change(1, |entry| (entry.phase, entry.purpose) = (Phase::Waiting, Purpose::Execute));
    assert_eq!(queue.overdue(999), [1]);
}
