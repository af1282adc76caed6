//! What becomes of a command.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_command_is_written_with_its_timer_proven_and_then_seen_while_the_rhythm_stays() {
    let home = Running::start().await;
    home.seconds(9).await;
    let outcome = home.run(|asked| asked.timer = Some(Duration::from_secs(60))).await;
    assert_eq!(outcome, done(1.0, true));
    home.seconds(1).await;
    assert_eq!(home.world.happened(), ["write set_power 1 timer Some(60)", "look", "read"]);
    home.seconds(88).await;
    assert_eq!(home.world.happened(), [""; 0]);
    home.seconds(2).await;
    assert_eq!(home.world.happened(), ["read"], "100 s after the first one");
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_toggle_is_kept_as_what_it_comes_to_before_anything_is_written() {
    let home = Running::start().await;
    let toggle = |asked: &mut Asked| {
        (asked.command, asked.parameters, asked.relative) = ("toggle".into(), Parameters::default(), true);
    };
    assert_eq!(home.run(toggle).await, done(1.0, true));
    home.seconds(1).await;
    let log = home.world.happened();
    assert_eq!(log, ["resolve toggle", "kept set_power 1", "write set_power 1 timer None", "look", "read"]);
    assert_eq!(home.run(toggle).await, done(0.0, true), "the next one turns it back");
    home.world.happened();

    home.world.set(|state| state.full = true);
    assert!(is_not_sent(&home.run(toggle).await));
    home.world.set(|state| (state.full, state.away) = (false, true));
    assert!(is_not_sent(&home.run(toggle).await));
    assert!(home.world.happened().iter().all(|line| !line.starts_with("write")));
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_toggle_that_was_not_resolved_before_a_crash_was_never_sent() {
    let home = Running::start().await;
    let outcome = home.run(|asked| (asked.relative, asked.purpose) = (true, Purpose::ReadBack)).await;
    assert!(is_not_sent(&outcome), "{outcome:?}");
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_wears_out_is_compared_before_it_is_written() {
    let home = Running::start().await;
    let spent = || Wear::Spent("24 writes today".to_owned());
    for (shown, wear, outcome, log) in [
        (1.0, Wear::Allowed, done(1.0, false), &["look"][..]),
        (1.0, spent(), done(1.0, false), &["look"]),
        (0.0, spent(), WriteOutcome::Rejected { reason: "24 writes today".to_owned() }, &["look"]),
        (0.0, Wear::Allowed, done(1.0, true), &["look", "write set_power 1 timer None", "look", "read"]),
    ] {
        home.world.set(|state| state.shown = shown);
        assert_eq!(home.run(|asked| asked.wear = wear).await, outcome);
        home.seconds(1).await;
        assert_eq!(home.world.happened(), log);
    }
    // What cannot be read cannot be compared.
    home.world.set(|state| state.looks = [ReadBack::Nothing, ReadBack::Nothing].into());
    assert!(matches!(home.run(|asked| asked.wear = spent()).await, WriteOutcome::Rejected { .. }));
    let outcome = home.run(|asked| asked.wear = Wear::Allowed).await;
    assert!(matches!(outcome, WriteOutcome::Done { written: true, .. }), "{outcome:?}");
    home.world.happened();
    home.world.set(|state| state.looks = [ReadBack::Failed(silent())].into());
    assert!(is_not_sent(&home.run(|asked| asked.wear = Wear::Allowed).await));
    assert_eq!(home.world.happened(), ["look", "probe"]);
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_wears_in_part_is_not_looked_at_first_and_told_when_it_wore_or_may_have() {
    let home = Running::start().await;
    let write = "write set_power 1 timer None";
    let spent = || Some("24 writes today".to_owned());
    for (reason, wears, breaks, log) in [
        (None, false, false, &[write, "look", "read"][..]),
        (None, true, false, &[write, "wears", "look", "read"]),
        (None, false, true, &[write, "wears"]),
        // It was not allowed to.
        (spent(), false, true, &[write]),
    ] {
        home.world.set(|state| (state.wears, state.breaks) = (wears, breaks));
        home.run(|asked| asked.wear = Wear::Partly(reason)).await;
        home.seconds(1).await;
        assert_eq!(home.world.happened(), log);
    }
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_setpoint_is_renewed_only_while_the_device_still_shows_it() {
    let home = Running::start().await;
    let renew = |asked: &mut Asked| {
        (asked.purpose, asked.timer) = (Purpose::Renew, Some(Duration::from_secs(120)));
    };
    home.world.set(|state| state.shown = 1.0);
    assert_eq!(home.run(renew).await, done(1.0, true));
    home.seconds(1).await;
    assert_eq!(home.world.happened(), ["look", "write set_power 1 timer Some(120)", "look", "read"]);

    home.world.set(|state| state.shown = 7.0);
    let dropped = WriteOutcome::Mismatch { requested: power(1.0), observed: power(7.0) };
    let start = Instant::now();
    assert_eq!(home.run(renew).await, dropped);
    assert_eq!(home.world.happened(), ["look", "look"]);
    assert!(start.elapsed() >= Duration::from_millis(500), "not two looks at the same old value");
    // An old value that a dongle answered once is no loss.
    home.world.set(|state| (state.shown, state.looks) = (1.0, [different(7.0)].into()));
    assert_eq!(home.run(renew).await, done(1.0, true));
    home.seconds(1).await;
    assert_eq!(home.world.happened(), ["look", "look", "write set_power 1 timer Some(120)", "look", "read"]);

    home.world.set(|state| state.looks = [ReadBack::Failed(silent())].into());
    assert!(is_not_sent(&home.run(renew).await));
    home.world.set(|state| state.looks = [ReadBack::Nothing, ReadBack::Nothing].into());
    let outcome = home.run(renew).await;
    assert!(matches!(outcome, WriteOutcome::Done { verified: false, written: true, .. }), "{outcome:?}");
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_takes_a_command_and_does_nothing_is_told_with_both_values() {
    let home = Running::start().await;
    home.world.set(|state| state.deaf = true);
    let start = Instant::now();
    let outcome = home.run(|_| {}).await;
    assert_eq!(outcome, WriteOutcome::Mismatch { requested: power(1.0), observed: power(0.0) });
    assert!(start.elapsed() >= Duration::from_secs(5), "old values may be shown for as long");
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn old_values_for_four_seconds_are_no_failure() {
    let home = Running::start().await;
    home.world.set(|state| state.looks = vec![different(0.0); 8].into());
    assert_eq!(home.run(|_| {}).await, done(1.0, true));
    assert_eq!(home.world.happened().iter().filter(|line| *line == "look").count(), 9);
    home.stop().await;
}
