//! Acceptance, superseding, cancelling, wear, rate: one rule at a time.

use adapter_api::{Outcome, Wear};

use super::*;
use crate::command::RefusalCode;

#[test]
fn a_command_that_can_start_is_accepted_and_made_executing_in_one_commit() {
    let mut bench = Bench::new();
    bench.quick = false;
    bench.ask(limit("a", 1.0));
    assert_eq!(bench.sent.len(), 1, "one flush before the wire");
    bench.commit_all();
    assert_eq!(bench.disk.id("a").status, CommandStatus::Executing);
    let taken = bench.taken();
    assert_eq!(taken.asked.purpose, Purpose::Execute);
    assert!(bench.sent.is_empty(), "the adapter waits for no other commit");
    assert_eq!(
        bench.progress.iter().map(|row| row.status.as_str()).collect::<Vec<_>>(),
        ["pending", "executing"]
    );
}

#[test]
fn a_command_that_has_to_wait_is_pending_on_disk_until_an_adapter_takes_it() {
    let mut bench = Bench::new();
    bench.online(false);
    bench.accept(limit("offline", 1.0));
    assert_eq!(bench.disk.id("offline").status, CommandStatus::Pending);
    bench.online(true);
    bench.accept(request("behind", "roof", "once", Parameters::default()));
    assert_eq!(bench.disk.id("behind").status, CommandStatus::Pending, "another one goes first");
    bench.quick = false;
    bench.tokens += 1;
    bench.engine.take("modbus.roof", bench.tokens, bench.now);
    bench.perform();
    assert!(bench.hands.is_empty(), "not before `executing` is durable");
    bench.commit_all();
    assert_eq!(bench.hands.len(), 1);
    assert_eq!(bench.disk.id("offline").status, CommandStatus::Executing);
}

#[test]
fn what_was_started_and_never_sent_gives_way_to_a_higher_priority() {
    let mut bench = Bench::new();
    bench.accept(request("low", "roof", "once", Parameters::default()));
    let urgent = Request { priority: Priority::Critical, ..limit("urgent", 5.0) };
    bench.accept(urgent);
    assert_eq!(bench.taken().asked.command.as_ref(), "set_limit");
    assert_eq!(bench.engine.find("low").unwrap().status, CommandStatus::Pending);
}

#[test]
fn a_newer_command_supersedes_what_waits_of_equal_or_lower_priority_in_its_group() {
    let mut bench = Bench::new();
    bench.online(false);
    let with = |id: &str, priority| Request { priority, ..limit(id, 1.0) };
    bench.accept(with("high", Priority::High));
    bench.accept(with("low", Priority::Low));
    bench.accept(request("other", "roof", "once", Parameters::default()));
    bench.accept(with("new", Priority::Normal));
    let low = bench.result("low");
    assert_eq!((low.outcome, low.status), (Some(Outcome::Superseded), CommandStatus::Cancelled));
    assert_eq!(low.superseded_by.as_deref(), Some("new"));
    assert_eq!(bench.results.len(), 1, "the higher one and another setpoint stay");
    assert_eq!(bench.disk.id("low").outcome, Some(Outcome::Superseded), "in the same commit");
}

#[test]
fn superseding_reaches_what_waits_between_retries_but_not_what_flies_or_is_asked_for_later() {
    let mut bench = Bench::new();
    bench.accept(limit("retried", 1.0));
    let later = Request { scheduled_at: Some(bench.now.wall_ms + 60_000), ..limit("later", 9.0) };
    bench.accept(later);
    let taken = bench.taken();
    bench.accept(limit("flies-by", 2.0));
    assert!(bench.results.is_empty(), "what flies is not touched");
    bench.settle(taken, not_applied(false));
    bench.accept(limit("new", 3.0));
    assert_eq!(bench.result("retried").outcome, Some(Outcome::Superseded));
    assert_eq!(bench.result("flies-by").outcome, Some(Outcome::Superseded));
    bench.work();
    assert_eq!(bench.result("new").outcome, Some(Outcome::Done));
    bench.online(false);
    bench.accept(Request { expires_in: Some(std::time::Duration::from_secs(600)), ..limit("older", 4.0) });
    bench.pass(60_000);
    assert_eq!(bench.result("older").superseded_by.as_deref(), Some("later"), "now it is the newest");
    bench.online(true);
    assert_eq!(bench.work().asked.parameters.number("power"), Some(9.0));
}

#[test]
fn when_the_newer_one_cannot_be_kept_the_older_one_waits_on() {
    let mut bench = Bench::new();
    bench.online(false);
    bench.accept(limit("old", 1.0));
    bench.quick = false;
    let token = bench.ask(limit("new", 2.0));
    bench.commit_one(false);
    bench.perform();
    assert_eq!(bench.answers[&token].as_ref().unwrap_err().code, RefusalCode::NotKept);
    bench.quick = true;
    bench.online(true);
    assert_eq!(bench.work().asked.parameters.number("power"), Some(1.0));
}

#[test]
fn what_waits_can_be_taken_back_and_what_flies_is_not_tried_again() {
    let mut bench = Bench::new();
    assert!(bench.cancel("nobody").is_none());
    bench.accept(limit("waits", 1.0));
    assert!(matches!(bench.cancel("waits"), Some(Ok(Cancelled::Now(_)))));
    assert_eq!(bench.result("waits").outcome, Some(Outcome::Cancelled));
    assert!(bench.result("waits").error.as_ref().unwrap().1.contains("cli:me"));
    assert!(bench.take().is_none());
    bench.accept(limit("flies", 2.0));
    let taken = bench.taken();
    assert!(matches!(bench.cancel("flies"), Some(Ok(Cancelled::TooLate(_)))));
    bench.settle(taken, not_applied(false));
    assert_eq!(bench.result("flies").outcome, Some(Outcome::Cancelled));
    bench.accept(limit("done", 3.0));
    let taken = bench.taken();
    bench.cancel("done");
    bench.settle(taken, done());
    assert_eq!(bench.result("done").outcome, Some(Outcome::Done), "the truth");
}

#[test]
fn a_toggle_is_resolved_durably_and_a_retry_keeps_its_target() {
    let mut bench = Bench::new();
    let toggle = |id: &str| request(id, "plug", "toggle", Parameters::default());
    bench.accept(toggle("one"));
    bench.accept(toggle("two"));
    assert!(bench.results.is_empty(), "a toggle supersedes nothing and is not superseded");
    bench.accept(request("on", "plug", "turn_on", Parameters::default()));
    assert!(bench.results.is_empty());
    let taken = bench.taken();
    assert!(taken.asked.relative);
    let step = crate::journal::Step { command: "turn_off".into(), parameters: Parameters::default() };
    bench.engine.resolve(taken.asked.number, &step, 999, bench.now);
    bench.perform();
    assert_eq!(bench.disk.id("one").requested.unwrap().word("command"), Some("turn_off"));
    bench.restart(None);
    let again = bench.taken();
    assert_eq!((again.asked.purpose, &*again.asked.command), (Purpose::ReadBack, "turn_off"));
    bench.settle(again, done());
    assert_eq!(bench.result("one").outcome, Some(Outcome::Done));
}

#[test]
fn a_toggle_that_was_not_resolved_before_a_crash_was_not_sent_and_starts_again() {
    let mut bench = Bench::new();
    bench.accept(request("t", "plug", "toggle", Parameters::default()));
    bench.taken();
    bench.restart(None);
    let again = bench.taken();
    assert!(again.asked.relative && again.asked.purpose == Purpose::Execute);
}

#[test]
fn what_wears_out_may_be_written_again_after_its_gap_and_the_record_outlives_a_restart() {
    let mut bench = Bench::new();
    let reserve = |id: &str, soc: f64| request(id, "roof-battery", "set_reserve", given("soc", soc));
    bench.accept(reserve("first", 10.0));
    let taken = bench.taken();
    assert_eq!(taken.asked.wear, Wear::Allowed);
    bench.settle(taken, done());
    bench.restart(None);
    bench.accept(reserve("soon", 20.0));
    let taken = bench.taken();
    let Wear::Spent(reason) = &taken.asked.wear else { panic!("{:?}", taken.asked.wear) };
    assert!(reason.contains("the next change is taken at 2027-"), "{reason}");
    let reason = reason.clone();
    bench.settle(taken, WriteOutcome::Rejected { reason });
    assert_eq!(bench.result("soon").outcome, Some(Outcome::Rejected));
    bench.pass(300_000);
    bench.accept(reserve("later", 20.0));
    assert_eq!(bench.taken().asked.wear, Wear::Allowed);
}

/// Takes the next command, behind whatever is written again; it works, and the driver tells whether something of
/// it wore.
fn worked(bench: &mut Bench, wore: bool) -> Wear {
    loop {
        let taken = bench.taken();
        let (wear, is_command) = (taken.asked.wear.clone(), taken.what != What::Upkeep(battery()));
        bench.settle_worn(taken, done(), wore && is_command);
        if is_command {
            return wear;
        }
        assert_eq!(wear, Wear::Partly(None));
    }
}

fn battery() -> (DeviceId, String) {
    (DeviceId::new("roof-battery").unwrap(), "battery".to_owned())
}

#[test]
fn a_mode_back_and_forth_waits_for_the_gap_once_some_of_what_was_written_wore() {
    let mut bench = Bench::new();
    bench.accept(mode("hold", "mqtt:a", "hold", 3600));
    assert_eq!(worked(&mut bench, true), Wear::Partly(None));
    bench.restart(None);
    bench.accept(mode("auto", "mqtt:a", "auto", 3600));
    let Wear::Partly(Some(reason)) = worked(&mut bench, false) else { panic!("it is not refused") };
    assert!(reason.contains("set_battery_mode") && reason.contains("is taken at 2027-"), "{reason}");
    bench.pass(300_000);
    for turn in 1..24 {
        let word = if turn % 2 == 0 { "hold" } else { "auto" };
        bench.accept(mode(&format!("{turn}"), "mqtt:a", word, 3600));
        assert_eq!(worked(&mut bench, true), Wear::Partly(None), "{turn}");
        bench.pass(300_000);
    }
    bench.accept(mode("more", "mqtt:a", "hold", 3600));
    assert!(matches!(worked(&mut bench, false), Wear::Partly(Some(_))), "24 a day");
}

#[test]
fn what_wears_nothing_may_be_set_each_minute() {
    let mut bench = Bench::new();
    for minute in 0..100 {
        let power = given("power", 1000.0 + f64::from(minute));
        bench.accept(request(&format!("{minute}"), "roof-battery", "set_battery_power", power));
        assert_eq!(worked(&mut bench, false), Wear::Partly(None), "{minute}");
        bench.pass(60_000);
    }
}

#[test]
fn what_is_given_back_or_written_again_is_free_and_counts_if_some_of_it_wore() {
    let mut bench = Bench::new();
    bench.accept(mode("hold", "mqtt:a", "hold", 400));
    worked(&mut bench, true);
    bench.pass(60_000);
    let again = bench.taken();
    assert_eq!((&again.what, &again.asked.wear), (&What::Upkeep(battery()), &Wear::Partly(None)));
    bench.settle_worn(again, done(), true);
    bench.pass(250_000);
    // The first write is long enough ago, and what was written again is not.
    bench.accept(mode("soon", "mqtt:a", "hold", 100));
    assert!(matches!(worked(&mut bench, false), Wear::Partly(Some(_))));
    bench.pass(100_000);
    let revert = bench.taken();
    assert_eq!(
        (revert.asked.parameters.word("mode"), &revert.asked.wear),
        (Some("auto"), &Wear::Partly(None))
    );
    bench.settle_worn(revert, done(), true);
    bench.pass(240_000);
    bench.accept(mode("later", "mqtt:a", "hold", 100));
    assert!(matches!(worked(&mut bench, false), Wear::Partly(Some(_))), "the revert counted");
}

#[test]
fn what_wore_counts_also_when_its_adapter_fell_over_it() {
    let mut bench = Bench::new();
    bench.accept(mode("hold", "mqtt:a", "hold", 3600));
    let taken = bench.taken();
    bench.engine.settled(taken.what, None, true, bench.now);
    bench.perform();
    bench.restart(None);
    worked(&mut bench, false);
    bench.accept(mode("auto", "mqtt:a", "auto", 3600));
    assert!(matches!(worked(&mut bench, false), Wear::Partly(Some(_))));
}

#[test]
fn too_many_commands_of_one_owner_are_refused_with_the_time_of_the_next() {
    let mut bench = Bench::new();
    bench.engine =
        Engine::start(Settings { rate_limit: 2, ..settings() }, "boot-1", Known::default(), bench.now);
    bench.online(true);
    bench.accept(limit("1", 1.0));
    bench.accept(limit("2", 2.0));
    let refusal = bench.refuse(limit("3", 3.0));
    assert_eq!(refusal.code, RefusalCode::RateLimited);
    assert!(refusal.message.contains("the next one is taken at 2027-"), "{}", refusal.message);
    bench.accept(Request { owner: "mqtt:other".into(), ..limit("4", 4.0) });
    bench.pass(60_000);
    bench.accept(limit("5", 5.0));
}

#[test]
fn bounds_and_ranges_are_refused_at_admission_for_the_command_and_its_revert() {
    let mut bench = Bench::new();
    let mut strong = mode("x", "mqtt:a", "charge", 60);
    strong.parameters.0.insert("power".into(), Value::Number(4500.0));
    assert_eq!(bench.refuse(strong).code, RefusalCode::OutOfBounds);
    let mut revert = mode("y", "mqtt:a", "hold", 60);
    let mut parameters = given("mode", "charge");
    parameters.0.insert("power".into(), Value::Number(4500.0));
    let step = crate::journal::Step { command: "set_battery_mode".into(), parameters };
    revert.lease.as_mut().unwrap().revert = Some(step);
    assert!(bench.refuse(revert).message.starts_with("lease.revert: 4500 W is beyond"));
}

#[test]
fn switching_control_off_ends_what_waits() {
    let mut bench = Bench::new();
    bench.online(false);
    bench.accept(limit("a", 1.0));
    bench.devices[0].info.control = false;
    bench.online(false);
    assert_eq!(bench.result("a").error.as_ref().unwrap().0, "control_disabled");
}

#[test]
fn an_older_command_that_waits_between_retries_never_overwrites_a_newer_one() {
    let mut bench = Bench::new();
    bench.accept(limit("older", 1.0));
    let older = bench.taken();
    bench.accept(limit("newer", 2.0));
    bench.settle(older, not_applied(true));
    assert_eq!(bench.result("older").superseded_by.as_deref(), Some("newer"));
    bench.work();
    // The newer one is done, and the older one comes back from a crash.
    bench.accept(limit("flies", 3.0));
    bench.taken();
    bench.online(false);
    bench.restart(None);
    bench.accept(limit("last", 4.0));
    let in_doubt = bench.taken();
    assert_eq!(in_doubt.asked.purpose, Purpose::ReadBack);
    bench.settle(in_doubt, not_applied(true));
    assert_eq!(bench.result("flies").superseded_by.as_deref(), Some("last"));
    assert_eq!(bench.work().asked.parameters.number("power"), Some(4.0));
}

#[test]
fn a_more_urgent_older_command_is_not_superseded_by_what_was_executed_meanwhile() {
    let mut bench = Bench::new();
    bench.accept(Request { priority: Priority::High, ..limit("urgent", 1.0) });
    let taken = bench.taken();
    bench.settle(taken, not_applied(false));
    bench.accept(limit("newer", 2.0));
    bench.work();
    bench.pass(2_000);
    assert_eq!(bench.work().asked.parameters.number("power"), Some(1.0));
    assert_eq!(bench.result("urgent").outcome, Some(Outcome::Done));
}

fn high(id: &str, power: f64) -> Request {
    Request { priority: Priority::High, ..limit(id, power) }
}

#[test]
fn what_waits_for_the_disk_to_start_is_superseded_as_what_waits_for_its_turn() {
    let mut bench = Bench::new();
    bench.online(false);
    bench.accept(high("old", 1.0));
    bench.online(true);
    bench.quick = false;
    bench.tokens += 1;
    bench.engine.take("modbus.roof", bench.tokens, bench.now);
    bench.perform();
    bench.commit_one(false);
    bench.quick = true;
    bench.perform();
    bench.accept(high("newer", 2.0));
    assert_eq!(bench.result("old").superseded_by.as_deref(), Some("newer"), "not a second later");
}

#[test]
fn a_less_urgent_command_makes_no_more_urgent_one_forgotten() {
    let mut bench = Bench::new();
    bench.accept(high("old", 1.0));
    // Its adapter falls over it, and over the looking: others go on meanwhile.
    for _ in 0..2 {
        let taken = bench.taken();
        bench.engine.settled(taken.what, None, false, bench.now);
        bench.perform();
    }
    bench.accept(high("newer", 2.0));
    assert_eq!(bench.work().asked.parameters.number("power"), Some(2.0));
    bench.accept(limit("low", 3.0));
    assert_eq!(bench.work().asked.parameters.number("power"), Some(3.0));
    bench.restart(None);
    let looks = bench.taken();
    assert_eq!(looks.asked.purpose, Purpose::ReadBack);
    bench.settle(looks, not_applied(true));
    assert_eq!(bench.result("old").superseded_by.as_deref(), Some("newer"));
}

#[test]
fn commands_that_are_accepted_at_the_same_time_supersede_each_other_too() {
    let mut bench = Bench::new();
    bench.online(false);
    bench.quick = false;
    for number in 0..5 {
        bench.ask(limit(&format!("c{number}"), f64::from(number)));
    }
    bench.commit_all();
    bench.quick = true;
    bench.online(true);
    let superseded = bench.results.iter().filter(|row| row.outcome == Some(Outcome::Superseded)).count();
    assert_eq!(superseded, 4);
    assert_eq!(bench.work().asked.parameters.number("power"), Some(4.0));
}

#[test]
fn a_cancelled_command_that_could_not_start_is_not_tried_again() {
    let mut bench = Bench::new();
    bench.online(false);
    bench.accept(limit("a", 1.0));
    bench.online(true);
    bench.quick = false;
    bench.tokens += 1;
    bench.engine.take("modbus.roof", bench.tokens, bench.now);
    bench.perform();
    assert!(matches!(bench.cancel("a"), Some(Ok(Cancelled::TooLate(_)))));
    bench.commit_one(false);
    bench.perform();
    bench.commit_all();
    assert_eq!(bench.result("a").outcome, Some(Outcome::Cancelled));
}

#[test]
fn an_adapter_that_falls_while_it_looks_does_not_do_so_for_ever() {
    let mut bench = Bench::new();
    bench.accept(limit("a", 1.0));
    let mut falls = 0;
    for _ in 0..1_000 {
        if let Some(taken) = bench.take() {
            bench.engine.settled(taken.what, None, false, bench.now);
            bench.perform();
            falls += 1;
        }
        bench.pass(1_000);
    }
    assert_eq!(bench.result("a").outcome, Some(Outcome::Unknown));
    assert!(falls < 200, "{falls}");
}

#[test]
fn a_scheduled_command_follows_a_clock_that_is_set() {
    let mut bench = Bench::new();
    let hour = 3_600_000;
    let request = Request { scheduled_at: Some(bench.now.wall_ms + hour), ..limit("later", 1.0) };
    bench.accept(request);
    // The clock was an hour behind, and somebody says so.
    bench.now.wall_ms += hour + 1_000;
    bench.pass(10);
    assert_eq!(bench.work().asked.parameters.number("power"), Some(1.0));
}

#[test]
fn every_attempt_that_may_have_written_wears() {
    let mut bench = Bench::new();
    bench.accept(request("r", "roof-battery", "set_reserve", given("soc", 10.0)));
    let taken = bench.taken();
    bench.settle(taken, not_applied(true));
    bench.pass(2_000);
    assert!(matches!(bench.taken().asked.wear, Wear::Spent(_)), "the first attempt may have written");
}

#[test]
fn narrower_bounds_end_what_waits_beyond_them() {
    let mut bench = Bench::new();
    bench.online(false);
    bench.accept(mode("strong", "mqtt:a", "charge", 60));
    bench.devices[1].info.bounds.charge = Some(1000.0);
    bench.online(false);
    assert_eq!(bench.result("strong").error.as_ref().unwrap().0, "out_of_bounds");
}

#[test]
fn ten_thousand_commands_for_one_second_are_settled_at_once() {
    let mut bench = Bench::new();
    bench.online(false);
    for number in 0..10_000 {
        let at = Some(bench.now.wall_ms + 60_000);
        bench.accept(Request { scheduled_at: at, ..limit(&format!("c{number}"), 1.0) });
    }
    bench.pass(60_000);
    assert_eq!(bench.results.len(), 9_999);
}

#[test]
fn a_clock_that_goes_back_supersedes_nobody() {
    let mut bench = Bench::new();
    let at = Some(bench.now.wall_ms + 60_000);
    bench.accept(Request { scheduled_at: at, ..limit("schedule", 1.0) });
    bench.pass(60_000);
    bench.work();
    bench.now.wall_ms -= 1_200_000;
    bench.pass(10);
    bench.pass(1_000);
    bench.accept(limit("now", 2.0));
    assert_eq!(bench.work().asked.parameters.number("power"), Some(2.0));
    assert_eq!(bench.result("now").outcome, Some(Outcome::Done));
}

#[test]
fn a_toggle_between_retries_of_another_supersedes_it_not() {
    let mut bench = Bench::new();
    bench.accept(request("on", "plug", "turn_on", Parameters::default()));
    let on = bench.taken();
    bench.settle(on, not_applied(false));
    bench.accept(request("t", "plug", "toggle", Parameters::default()));
    bench.work();
    bench.pass(2_000);
    assert_eq!(&*bench.work().asked.command, "turn_on");
    assert_eq!(bench.result("on").outcome, Some(Outcome::Done));
}
