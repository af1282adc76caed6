//! Who holds what, and how it is given back.

use adapter_api::Outcome;

use super::*;
use crate::command::{LeaseView, RefusalCode};

impl Bench {
    fn view(&self) -> LeaseView {
        let views = self.engine.ledger.views(self.now);
        views.into_iter().find(|view| view.group == "battery").expect("the battery was written")
    }

    fn holder(&self) -> Option<String> {
        self.view().holder.filter(|holder| holder.reverting.is_none()).map(|holder| holder.owner)
    }

    /// Holds the battery with `hold`, whose effect is seen at once.
    fn hold(&mut self, id: &str, owner: &str, seconds: u64) {
        self.accept(mode(id, owner, "hold", seconds));
        self.work();
        self.power(0.0);
        assert_eq!(self.result(id).outcome, Some(Outcome::Done));
    }
}

#[test]
fn the_holder_keeps_it_and_others_are_refused_with_the_reason() {
    let mut bench = Bench::new();
    bench.hold("a1", "mqtt:a", 60);
    let refusal = bench.refuse(mode("b1", "mqtt:b", "charge", 60));
    assert_eq!(refusal.code, RefusalCode::Held);
    assert!(refusal.message.contains("held by mqtt:a until 2027-"), "{}", refusal.message);
    bench.pass(40_000);
    // The timer's half time and this renewal.
    while bench.take().is_some_and(|taken| {
        bench.settle(taken, done());
        true
    }) {}
    bench.hold("a2", "mqtt:a", 60);
    bench.pass(40_000);
    assert_eq!(bench.holder().as_deref(), Some("mqtt:a"), "renewed");
    let view = bench.view();
    assert_eq!(view.writers.iter().map(|writer| &*writer.id).collect::<Vec<_>>(), ["a1", "a2"]);
    assert_eq!(view.refusals[0].owner, "mqtt:b");
    assert!(view.refusals[0].reason.contains("held by mqtt:a"));
}

#[test]
fn at_its_end_the_setpoint_is_given_back() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    bench.pass(60_001);
    assert_eq!(bench.holder(), None);
    let revert = bench.work();
    assert_eq!(
        (&*revert.asked.command, revert.asked.parameters.word("mode")),
        ("set_battery_mode", Some("auto"))
    );
    assert_eq!(revert.asked.timer, None);
    assert!(bench.view().holder.is_none());
    let row = bench.results.last().unwrap();
    assert_eq!((row.reverts.as_deref(), row.priority), (Some("a"), Priority::Critical));
    assert!(bench.lost.is_empty(), "it had its time");
    bench.accept(mode("b", "mqtt:b", "hold", 60));
}

#[test]
fn giving_back_is_tried_until_it_is_proven_and_never_expires() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    bench.online(false);
    bench.pass(3_600_000 * 24 * 30);
    assert_eq!(bench.engine.urgent_units(), [UnitId::from("roof/1")].into());
    bench.online(true);
    for outcome in [
        not_applied(true),
        WriteOutcome::Rejected { reason: "busy".into() },
        WriteOutcome::Unknown { reason: "silent".into() },
        WriteOutcome::Mismatch { requested: Parameters::default(), observed: Parameters::default() },
    ] {
        let taken = bench.taken();
        assert_eq!(taken.asked.parameters.word("mode"), Some("auto"));
        bench.settle(taken, outcome);
        bench.pass(700_000);
    }
    bench.work();
    assert!(bench.view().holder.is_none());
    assert!(bench.engine.urgent_units().is_empty());
}

#[test]
fn a_higher_priority_takes_over_and_the_holder_is_told() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    let urgent = Request { priority: Priority::High, ..mode("b", "mqtt:b", "hold", 10) };
    bench.accept(urgent);
    assert_eq!(bench.holder().as_deref(), Some("mqtt:a"), "not before it is done");
    bench.work();
    assert_eq!(bench.holder().as_deref(), Some("mqtt:b"));
    assert_eq!((&*bench.lost[0].owner, &*bench.lost[0].id), ("mqtt:a", "a"));
    assert!(bench.lost[0].reason.contains("mqtt:b took it with priority high"));
    bench.pass(10_001);
    bench.power(0.0);
    assert_eq!(bench.work().asked.parameters.word("mode"), Some("auto"), "the pending revert moved along");
}

#[test]
fn who_takes_over_without_a_lease_gets_the_remaining_time() {
    let mut bench = Bench::new();
    let held = Some(LeaseRequest { lasts: std::time::Duration::from_secs(60), revert: None });
    bench.accept(Request { lease: held, ..limit("a", 1000.0) });
    bench.work();
    bench.pass(20_000);
    let other = Request { owner: "mqtt:b".into(), ..limit("b", 2000.0) };
    assert_eq!(bench.refuse(other.clone()).code, RefusalCode::Held);
    bench.accept(Request { priority: Priority::High, id: Some("c".into()), ..other });
    let taken = bench.taken();
    assert_eq!(taken.asked.timer, Some(std::time::Duration::from_secs(40)));
    bench.settle(taken, done());
    assert_eq!(bench.lost.len(), 1);
    bench.pass(39_000);
    while bench.engine.ledger.to_rewrite(bench.now.mono_ms).len() == 1 {
        bench.work();
    }
    assert!(bench.take().is_none());
    bench.pass(1_001);
    assert_eq!(bench.work().asked.parameters.bool("enabled"), Some(false));
}

#[test]
fn a_command_that_never_reached_the_device_changes_nothing() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    bench.accept(Request { priority: Priority::High, ..mode("b", "mqtt:b", "hold", 600) });
    let taken = bench.taken();
    bench.settle(taken, WriteOutcome::Rejected { reason: "no".into() });
    assert_eq!(bench.holder().as_deref(), Some("mqtt:a"));
    assert!(bench.lost.is_empty());
    bench.accept(Request { priority: Priority::High, ..mode("c", "mqtt:c", "hold", 600) });
    let taken = bench.taken();
    bench.settle(taken, WriteOutcome::Unknown { reason: "silent".into() });
    assert_eq!(bench.holder().as_deref(), Some("mqtt:c"), "it may have been applied: it is given back later");
}

#[test]
fn after_a_crash_the_remaining_time_goes_on_and_after_a_reboot_it_is_over() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    bench.pass(30_000);
    bench.restart(None);
    assert_eq!(bench.holder().as_deref(), Some("mqtt:a"));
    assert_eq!(bench.refuse(mode("b", "mqtt:b", "hold", 1)).code, RefusalCode::Held);
    bench.pass(29_000);
    assert_eq!(bench.holder().as_deref(), Some("mqtt:a"));
    bench.restart(Some("boot-2"));
    assert_eq!(bench.work().asked.parameters.word("mode"), Some("auto"));
    assert!(bench.view().holder.is_none());
}

#[test]
fn a_revert_that_was_decided_before_a_crash_goes_on_and_happens_once() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    bench.online(false);
    bench.pass(61_000);
    bench.restart(None);
    bench.restart(Some("boot-3"));
    let reverts = bench.disk.commands.values().filter(|row| row.reverts.is_some()).count();
    assert_eq!(reverts, 1);
    bench.work();
    assert!(bench.view().holder.is_none());
    assert!(bench.take().is_none());
}

#[test]
fn a_holders_command_in_flight_at_a_crash_holds_from_its_proof_on() {
    let mut bench = Bench::new();
    bench.accept(mode("a", "mqtt:a", "hold", 60));
    bench.taken();
    bench.restart(None);
    let again = bench.taken();
    assert_eq!(again.asked.purpose, Purpose::ReadBack);
    bench.settle(again, done());
    assert_eq!(bench.holder().as_deref(), Some("mqtt:a"));
}

#[test]
fn what_was_in_flight_when_the_machine_went_down_holds_nothing_any_more() {
    let mut bench = Bench::new();
    bench.accept(mode("a", "mqtt:a", "hold", 600));
    bench.taken();
    bench.restart(Some("boot-2"));
    let again = bench.taken();
    bench.settle(again, done());
    bench.power(0.0);
    assert_eq!(bench.result("a").outcome, Some(Outcome::Done));
    assert_eq!(bench.work().asked.parameters.word("mode"), Some("auto"));
    assert!(bench.view().holder.is_none());
}

#[test]
fn a_stop_gives_everything_back_and_executes_nothing_else() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 600);
    bench.accept(limit("waits", 1.0));
    bench.engine.close(Scope::All, "the gateway stops", bench.now);
    bench.perform();
    assert_eq!(bench.refuse(limit("late", 1.0)).code, RefusalCode::Stopping);
    assert!(!bench.engine.is_given_back());
    assert_eq!(bench.work().asked.parameters.word("mode"), Some("auto"));
    assert!(bench.engine.is_given_back());
    assert!(bench.take().is_none(), "what waits is for the next start");
    assert_eq!(bench.lost[0].reason, "the gateway stops");
    bench.restart(None);
    assert_eq!(bench.work().asked.parameters.number("power"), Some(1.0));
}

#[test]
fn a_lease_that_begins_while_the_gateway_stops_is_given_back_as_well() {
    let mut bench = Bench::new();
    bench.accept(mode("a", "mqtt:a", "hold", 600));
    let taken = bench.taken();
    bench.engine.close(Scope::Adapters(["modbus.roof".to_owned()].into()), "reload", bench.now);
    assert!(!bench.engine.is_given_back());
    bench.settle(taken, done());
    assert!(!bench.engine.is_given_back());
    bench.work();
    assert!(bench.engine.is_given_back());
    bench.engine.reopen(bench.now);
    bench.accept(mode("b", "mqtt:b", "hold", 600));
}

#[test]
fn the_safe_command_of_the_holder_gives_back_and_anothers_is_refused() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 600);
    let auto = |id: &str, owner: &str| Request { lease: None, ..mode(id, owner, "auto", 0) };
    assert_eq!(bench.refuse(auto("b", "mqtt:b")).code, RefusalCode::Held);
    bench.accept(auto("c", "mqtt:a"));
    assert_eq!(bench.work().asked.timer, None);
    assert!(bench.view().holder.is_none());
    bench.accept(mode("d", "mqtt:b", "hold", 60));
}

#[test]
fn what_is_held_is_written_again_at_half_of_the_devices_timer() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 600);
    assert!(bench.take().is_none());
    bench.pass(60_000);
    let taken = bench.taken();
    assert_eq!(taken.asked.purpose, Purpose::Renew);
    assert_eq!(taken.asked.timer, Some(std::time::Duration::from_secs(120)));
    bench.accept(limit("other", 1.0));
    assert!(bench.take().is_none(), "one in flight per unit");
    bench.settle(taken, done());
    bench.work();
    assert_eq!(bench.disk.commands.len(), 2, "writing again is no command");
}

#[test]
fn a_device_whose_timer_is_short_is_written_as_often_as_that_needs() {
    let ten = std::time::Duration::from_secs(10);
    let mut bench = Bench::new();
    bench.devices[1].info.commands[0].timer_most = Some(ten);
    bench.online(true);
    bench.accept(mode("a", "mqtt:a", "hold", 600));
    let taken = bench.taken();
    assert_eq!(taken.asked.timer, Some(ten));
    bench.settle(taken, done());
    bench.power(0.0);
    for _ in 0..3 {
        bench.pass(4_900);
        assert!(bench.take().is_none(), "not before half of it");
        bench.pass(100);
        let taken = bench.taken();
        assert_eq!((taken.asked.purpose, taken.asked.timer), (Purpose::Renew, Some(ten)));
        bench.settle(taken, done());
    }
    // One that found no way is tried again before the device gives up.
    bench.pass(5_000);
    let taken = bench.taken();
    bench.settle(taken, not_applied(false));
    bench.pass(1_900);
    assert!(bench.take().is_none());
    bench.pass(100);
    bench.work();
    // A crash forgets nothing of it.
    bench.restart(None);
    assert_eq!(bench.work().asked.timer, Some(ten), "at once, for nobody wrote it meanwhile");
    bench.pass(5_000);
    assert_eq!(bench.work().asked.timer, Some(ten));
    bench.pass(600_000);
    assert_eq!(bench.work().asked.parameters.word("mode"), Some("auto"));
}

#[test]
fn what_the_device_dropped_is_set_again_once() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 600);
    let dropped =
        || WriteOutcome::Mismatch { requested: Parameters::default(), observed: Parameters::default() };
    bench.pass(60_000);
    let taken = bench.taken();
    bench.settle(taken, dropped());
    let again = bench.taken();
    assert_eq!(again.asked.purpose, Purpose::Execute);
    bench.settle(again, done());
    assert_eq!(bench.view().holder.unwrap().dropped, 1);
    bench.pass(60_000);
    let taken = bench.taken();
    bench.settle(taken, dropped());
    assert!(bench.lost[0].reason.contains("dropped it again"));
    assert_eq!(bench.work().asked.parameters.word("mode"), Some("auto"));
}

#[test]
fn a_state_of_charge_ends_the_lease() {
    let mut bench = Bench::new();
    let mut charge = mode("a", "mqtt:a", "charge", 6_000);
    charge.parameters.0.insert("until_soc".into(), Value::Number(80.0));
    bench.accept(charge);
    bench.work();
    bench.power(-1900.0);
    assert_eq!(bench.result("a").effect, Some(true));
    bench.reading("batteryLevel", 79.0);
    assert!(bench.take().is_none());
    bench.reading("batteryLevel", 80.0);
    assert_eq!(bench.work().asked.parameters.word("mode"), Some("auto"));
}

#[test]
fn a_battery_that_does_not_follow_is_told_after_its_time() {
    let mut bench = Bench::new();
    bench.accept(mode("a", "mqtt:a", "charge", 600));
    bench.work();
    assert!(bench.results.is_empty(), "the result waits for the effect");
    assert_eq!(bench.holder().as_deref(), Some("mqtt:a"), "the lease does not");
    bench.pass(10_000);
    bench.power(0.0);
    bench.pass(20_000);
    assert_eq!((bench.result("a").outcome, bench.result("a").effect), (Some(Outcome::Done), Some(false)));
    bench.accept(mode("b", "mqtt:a", "charge", 600));
    bench.work();
    bench.pass(30_000);
    assert_eq!(bench.result("b").effect, None, "no reading came, so nobody knows");
}

#[test]
fn a_crash_while_the_effect_is_watched_loses_neither_lease_nor_result() {
    let mut bench = Bench::new();
    bench.accept(mode("a", "mqtt:a", "charge", 60));
    bench.work();
    bench.pass(5_000);
    bench.restart(None);
    let again = bench.taken();
    assert_eq!(again.asked.purpose, Purpose::ReadBack);
    bench.settle(again, done());
    bench.power(-2000.0);
    assert_eq!(bench.result("a").effect, Some(true));
    bench.pass(55_000);
    assert_eq!(bench.holder(), None, "its time went on");
}

#[test]
fn a_due_command_that_finds_the_setpoint_held_is_refused_then() {
    let mut bench = Bench::new();
    let at = Some(bench.now.wall_ms + 30_000);
    bench.accept(Request { scheduled_at: at, ..mode("later", "mqtt:b", "hold", 60) });
    bench.hold("a", "mqtt:a", 60);
    bench.pass(30_000);
    assert_eq!(bench.result("later").error.as_ref().unwrap().0, "held");
}

#[test]
fn a_dead_device_does_not_keep_others_from_being_given_back() {
    let mut bench = Bench::new();
    bench.devices.push(DeviceRow {
        adapter: "modbus.attic".into(),
        info: DeviceInfo {
            id: DeviceId::new("attic-battery").unwrap(),
            unit: "attic/1".into(),
            ..bench.devices[1].info.clone()
        },
        ..bench.devices[1].clone()
    });
    bench.online(true);
    bench.accept(Request { device: "attic-battery".into(), ..mode("attic", "mqtt:a", "hold", 600) });
    bench.tokens += 1;
    bench.engine.take("modbus.attic", bench.tokens, bench.now);
    bench.perform();
    let taken = bench.hands.pop().unwrap();
    bench.settle(taken, done());
    bench.hold("a", "mqtt:a", 600);
    let device = |row: &DeviceRow| Device {
        info: Arc::new(row.info.clone()),
        adapter: row.adapter.clone(),
        online: row.adapter == "modbus.roof",
        problem: None,
    };
    bench.engine.devices_changed(bench.devices.iter().map(device).collect(), bench.now);
    bench.engine.close(Scope::All, "the gateway stops", bench.now);
    bench.perform();
    let revert = bench.work();
    assert_eq!(revert.asked.device.as_str(), "roof-battery");
    assert!(!bench.engine.is_given_back(), "the dead one is not");
}

#[test]
fn a_release_without_proof_releases_nothing() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    bench.accept(Request { lease: None, ..mode("b", "mqtt:a", "auto", 0) });
    let taken = bench.taken();
    bench.settle(taken, WriteOutcome::Unknown { reason: "silent".into() });
    assert_eq!(bench.holder().as_deref(), Some("mqtt:a"));
    bench.pass(60_001);
    assert_eq!(bench.work().asked.parameters.word("mode"), Some("auto"));
}

#[test]
fn a_command_without_a_lease_and_without_proof_replaces_no_revert() {
    let mut bench = Bench::new();
    let held = Some(LeaseRequest { lasts: std::time::Duration::from_secs(60), revert: None });
    bench.accept(Request { lease: held, ..limit("a", 1000.0) });
    bench.work();
    bench.pass(60_001);
    let revert = bench.taken();
    bench.settle(revert, not_applied(true));
    bench.accept(Request { owner: "mqtt:b".into(), ..limit("b", 2000.0) });
    let taken = bench.taken();
    bench.settle(taken, WriteOutcome::Unknown { reason: "silent".into() });
    bench.pass(10_000);
    assert_eq!(bench.work().asked.parameters.bool("enabled"), Some(false));
}

#[test]
fn a_revert_that_lost_its_reason_is_not_executed() {
    let mut bench = Bench::new();
    let mut charge = mode("a", "mqtt:a", "charge", 600);
    charge.parameters.0.insert("until_soc".into(), Value::Number(80.0));
    bench.accept(charge);
    bench.work();
    bench.power(-1900.0);
    // The holder's next command flies while the battery is full enough.
    bench.accept(mode("b", "mqtt:a", "hold", 600));
    let next = bench.taken();
    bench.quick = false;
    bench.reading("batteryLevel", 81.0);
    bench.settle(next, done());
    bench.commit_all();
    bench.quick = true;
    bench.power(0.0);
    assert!(bench.take().is_none(), "it would undo the newer command");
    assert_eq!(bench.holder().as_deref(), Some("mqtt:a"));
    let revert = bench.results.iter().find(|row| row.reverts.is_some()).unwrap();
    assert_eq!(revert.outcome, Some(Outcome::Superseded));
}

#[test]
fn a_renewal_on_its_way_to_the_disk_keeps_the_lease() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    bench.pass(59_990);
    bench.quick = false;
    bench.ask(mode("b", "mqtt:a", "hold", 60));
    bench.pass(100);
    bench.commit_all();
    bench.quick = true;
    let renewal = bench.taken();
    assert_eq!(renewal.asked.parameters.word("mode"), Some("hold"));
    assert!(bench.disk.commands.values().all(|row| row.reverts.is_none()));
}

#[test]
fn an_unproven_revert_is_tried_again_and_believed_at_last() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    bench.pass(60_001);
    for left in (0..3).rev() {
        let revert = bench.taken();
        let unverified =
            WriteOutcome::Done { observed: Parameters::default(), verified: false, written: true };
        bench.settle(revert, unverified);
        assert_eq!(bench.view().holder.is_some(), left > 0);
        bench.pass(700_000);
    }
}

#[test]
fn a_revert_of_a_device_that_is_no_longer_configured_can_be_ended_by_a_person() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    bench.pass(60_001);
    let id = bench.disk.commands.values().find(|row| row.reverts.is_some()).unwrap().id.clone();
    assert_eq!(bench.cancel(&id).unwrap().unwrap_err().code, RefusalCode::Held);
    bench.devices.remove(1);
    bench.online(true);
    assert!(matches!(bench.cancel(&id), Some(Ok(Cancelled::Now(_)))));
    assert!(bench.view().holder.is_none());
}

#[test]
fn a_full_disk_does_not_keep_a_setpoint_from_being_given_back() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 60);
    bench.quick = false;
    bench.pass(60_001);
    assert!(bench.take().is_none(), "the disk gets its chance");
    bench.pass(2_000);
    let now = bench.taken();
    assert_eq!((now.asked.parameters.word("mode"), now.asked.timer), (Some("auto"), None));
    bench.settle(now, done());
    bench.pass(60_000);
    assert!(bench.take().is_none());
    assert!(bench.view().holder.unwrap().reverting.is_some(), "it is not on disk");
    bench.commit_all();
    bench.quick = true;
    bench.work();
    assert!(bench.view().holder.is_none());
    assert_eq!(bench.results.last().unwrap().outcome, Some(Outcome::Done));
}

#[test]
fn a_command_that_flew_before_the_revert_was_decided_does_not_end_it() {
    let mut bench = Bench::new();
    let held = Some(LeaseRequest { lasts: std::time::Duration::from_secs(60), revert: None });
    bench.accept(Request { lease: held, ..limit("a", 1000.0) });
    bench.work();
    // The holder's own command without a lease falls out of an adapter that panics.
    bench.accept(limit("b", 2000.0));
    let taken = bench.taken();
    bench.online(false);
    bench.engine.settled(taken.what, None, false, bench.now);
    bench.pass(60_001);
    bench.online(true);
    let in_doubt = bench.taken();
    assert_eq!(in_doubt.asked.purpose, Purpose::ReadBack);
    bench.settle(in_doubt, done());
    assert_eq!(bench.work().asked.parameters.bool("enabled"), Some(false), "it is given back all the same");
}

#[test]
fn an_ended_lease_does_not_begin_anew_when_its_command_is_read_back_after_a_crash() {
    let mut bench = Bench::new();
    bench.accept(mode("a", "mqtt:a", "charge", 60));
    bench.work();
    bench.now.wall_ms += 61_000;
    bench.now.mono_ms += 61_000;
    bench.restart(None);
    let in_doubt = bench.taken();
    bench.settle(in_doubt, done());
    assert_eq!(bench.holder(), None);
    assert_eq!(bench.work().asked.parameters.word("mode"), Some("auto"));
    assert!(bench.view().holder.is_none());
}

#[test]
fn what_is_due_wakes_adapters_although_another_turn_came_first() {
    let mut bench = Bench::new();
    bench.hold("a", "mqtt:a", 600);
    bench.engine.actions();
    bench.now.mono_ms += 60_000;
    // Not the timer: somebody asks for something that is refused.
    bench.engine.admit(mode("b", "mqtt:b", "hold", 1), bench.devices.get(1), Vec::new, 999, bench.now);
    assert!(bench.engine.actions().iter().any(|action| matches!(action, Action::Wake(_))));
}
