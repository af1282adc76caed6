//! What lasted before a command held it comes back, whoever died meanwhile.

use super::*;
use crate::testing::{Move, hybrid::*};

/// One that gives back, or sets outright.
fn outright<const N: usize>(device: &str, command: &str, parameters: [(&str, Value); N]) -> Job {
    asked(device, command, parameters, Purpose::Execute, None)
}

fn limit(name: &str, value: impl Into<Value>) -> Job {
    outright("roof", "set_power_limit", [(name, value.into())])
}

fn hold_limit(percent: f64) -> Job {
    job("roof", "set_power_limit", [("percent", percent.into())])
}

fn reserve(name: &str, value: impl Into<Value>) -> Job {
    outright("roof-battery", "set_reserve", [(name, value.into())])
}

fn hold_reserve(soc: f64) -> Job {
    job("roof-battery", "set_reserve", [("soc", soc.into())])
}

/// Writes it and sees it.
async fn does(driver: &mut ModbusDriver, job: Job) {
    let written = driver.write(&job).await;
    assert!(matches!(written, Written::Sent { .. } | Written::Already { .. }), "{written:?}");
    let seen = driver.read_back(&job).await;
    assert!(matches!(seen, ReadBack::Applied { .. }), "{seen:?}");
}

fn shown_limit(peer: &Peer) -> [u16; 3] {
    [5, 7, 9].map(|at| peer.word(1, IMMEDIATE + at))
}

fn noted(notes: &Notes) -> Vec<(String, Vec<u8>)> {
    notes.owed()
}

#[tokio::test]
async fn a_limit_that_lasted_comes_back_by_another_process_and_is_forgotten_when_it_is_seen() {
    let (peer, notes) = (home().await, Notes::default());
    peer.holding(1, IMMEDIATE + 5, &[7_000, 0, 0, 0, 1]);
    let mut first = driver(&peer, ROOF, &notes);
    does(&mut first, hold_limit(40.0)).await;
    does(&mut first, hold_limit(30.0)).await;
    assert_eq!(shown_limit(&peer), [3_000, 120, 1]);
    assert_eq!(noted(&notes), [("power_limit/1".to_owned(), vec![0x1B, 0x58, 0, 1])], "the first one");
    let mut second = driver(&peer, ROOF, &notes);
    peer.stubborn(IMMEDIATE + 5);
    second.write(&limit("restore", true)).await;
    let ReadBack::Different { requested, observed } = second.read_back(&limit("restore", true)).await else {
        panic!("it kept its value")
    };
    assert_eq!((requested.number("percent"), observed.number("percent")), (Some(70.0), Some(30.0)));
    assert_eq!(noted(&notes).len(), 1);
    peer.obedient();
    does(&mut second, limit("restore", true)).await;
    assert_eq!((shown_limit(&peer), noted(&notes)), ([7_000, 0, 1], vec![]));
    // It died after that, and before anybody was told.
    let restore = asked("roof", "set_power_limit", [("restore", true.into())], Purpose::ReadBack, None);
    assert!(matches!(driver(&peer, ROOF, &notes).read_back(&restore).await, ReadBack::Applied { .. }));
    does(&mut second, limit("restore", true)).await;
    assert_eq!(shown_limit(&peer), [10_000, 0, 0], "without a note it is lifted");
}

#[tokio::test]
async fn a_reserve_that_was_held_comes_back_and_without_a_note_nothing_is_written() {
    let (peer, notes) = (home().await, Notes::default());
    does(&mut driver(&peer, ROOF, &notes), hold_reserve(40.0)).await;
    assert_eq!(
        (peer.word(1, STORAGE + 7), noted(&notes)),
        (4_000, vec![("reserve/1".to_owned(), vec![1, 0xF4])])
    );
    let mut second = driver(&peer, ROOF, &notes);
    does(&mut second, hold_reserve(50.0)).await;
    does(&mut second, reserve("restore", true)).await;
    assert_eq!((peer.word(1, STORAGE + 7), noted(&notes)), (500, vec![]));
    does(&mut second, reserve("soc", 30.0)).await;
    let nothing = second.write(&reserve("restore", true)).await;
    assert!(matches!(nothing, Written::Already { .. }), "{nothing:?}");
    assert_eq!(peer.word(1, STORAGE + 7), 3_000);
}

#[tokio::test]
async fn what_is_set_outright_is_what_lasts_and_nothing_is_owed_any_more() {
    let (peer, notes) = (home().await, Notes::default());
    let on = format!("{ROOF}write_points = true\n");
    let mut driver = driver(&peer, &on, &notes);
    let point = [("point", "MinRsvPct".into()), ("value", 25.0.into())];
    for (held, last) in [
        (hold_limit(40.0), limit("percent", 60.0)),
        (hold_limit(40.0), limit("percent", 40.0)),
        (hold_limit(40.0), limit("enabled", false)),
        (hold_reserve(40.0), reserve("soc", 30.0)),
        (hold_reserve(40.0), reserve("soc", 40.0)),
        (hold_reserve(50.0), outright("roof-battery", "write_point", point.clone())),
    ] {
        does(&mut driver, held).await;
        assert_eq!(noted(&notes).len(), 1, "{last:?}");
        does(&mut driver, last).await;
        assert_eq!(noted(&notes), []);
    }
}

#[tokio::test]
async fn nothing_is_noted_for_a_change_that_was_refused_and_all_is_for_one_in_doubt() {
    for (how, kept) in [(Move::Exception(3), 0), (Move::Exception(6), 0), (Move::Silent, 1)] {
        let (peer, notes) = (home().await, Notes::default());
        let mut driver = driver(&peer, ROOF, &notes);
        driver.probe(&unit()).await.unwrap();
        peer.moves(&[Move::Answer, Move::Answer, how]);
        assert!(matches!(driver.write(&hold_limit(40.0)).await, Written::Ended(_)));
        assert_eq!(noted(&notes).len(), kept, "{how:?}");
    }
}

#[tokio::test]
async fn to_restore_is_said_with_true_only() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    for job in [limit("restore", false), reserve("restore", false)] {
        let written = driver.write(&job).await;
        assert!(
            matches!(&written, Written::Ended(WriteOutcome::Rejected { reason }) if reason.contains("only be true")),
            "{written:?}"
        );
    }
}

#[test]
fn the_safe_commands_restore() {
    let commands = &adapter_api::profile::builtin()["sunspec"].commands;
    for (name, persistent) in [("set_power_limit", false), ("set_reserve", true)] {
        let spec = commands[name].spec(name, |_, _| None);
        assert_eq!(spec.safe, Some(Parameters([("restore".into(), true.into())].into())));
        assert!(spec.exactly_one.iter().any(|name| &**name == "restore") && spec.persistent == persistent);
    }
}

#[tokio::test]
async fn what_somebody_sets_after_a_command_that_was_not_applied_is_what_a_later_lease_goes_back_to() {
    for (how, restarts) in [(Move::Silent, false), (Move::Silent, true), (Move::DoneSilent, false)] {
        let (peer, notes) = (home().await, Notes::default());
        peer.holding(1, IMMEDIATE + 5, &[7_000, 0, 0, 0, 1]);
        let mut driver = super::driver(&peer, ROOF, &notes);
        driver.probe(&unit()).await.unwrap();
        peer.moves(&[Move::Answer, Move::Answer, how]);
        driver.write(&hold_limit(40.0)).await;
        let seen = driver.read_back(&hold_limit(40.0)).await;
        assert_eq!(matches!(seen, ReadBack::Different { .. }), how == Move::Silent);
        if restarts {
            driver = super::driver(&peer, ROOF, &notes);
        }
        // An installer, without a timer.
        peer.holding(1, IMMEDIATE + 5, &[6_000, 0, 0, 0, 1]);
        does(&mut driver, hold_limit(30.0)).await;
        does(&mut driver, limit("restore", true)).await;
        // What was applied is owed, whatever came in between.
        let last = if how == Move::Silent { 6_000 } else { 7_000 };
        assert_eq!((shown_limit(&peer), noted(&notes)), ([last, 0, 1], vec![]), "{how:?}");
    }
}

#[tokio::test]
async fn a_slow_device_that_shows_the_old_value_first_and_one_that_falls_silent_keep_the_note() {
    for silent in [false, true] {
        let (peer, notes) = (home().await, Notes::default());
        // It has no timer, so that nothing but the note tells whose value it is.
        peer.holding(1, IMMEDIATE + 5, &[7_000, 0, 0xFFFF, 0, 1]);
        let mut driver = driver(&peer, ROOF, &notes);
        peer.stubborn(IMMEDIATE + 5);
        driver.write(&hold_limit(40.0)).await;
        assert!(matches!(driver.read_back(&hold_limit(40.0)).await, ReadBack::Different { .. }));
        peer.holding(1, IMMEDIATE + 5, &[4_000]);
        peer.obedient();
        if silent {
            peer.moves(&[Move::Silent]);
            assert!(matches!(driver.read_back(&hold_limit(40.0)).await, ReadBack::Failed(_)));
        } else {
            assert!(matches!(driver.read_back(&hold_limit(40.0)).await, ReadBack::Applied { .. }));
        }
        does(&mut driver, hold_limit(30.0)).await;
        does(&mut driver, limit("restore", true)).await;
        assert_eq!((shown_limit(&peer), noted(&notes)), ([7_000, 0xFFFF, 1], vec![]), "{silent}");
    }
}

#[tokio::test]
async fn a_command_that_follows_one_that_was_not_applied_is_in_doubt_as_the_first_one_was() {
    let (peer, notes) = (home().await, Notes::default());
    peer.holding(1, IMMEDIATE + 5, &[7_000, 0, 0xFFFF, 0, 1]);
    let mut driver = driver(&peer, ROOF, &notes);
    peer.stubborn(IMMEDIATE + 5);
    driver.write(&hold_limit(40.0)).await;
    driver.read_back(&hold_limit(40.0)).await;
    peer.obedient();
    // Done, and nobody looked before the process died.
    driver.write(&hold_limit(35.0)).await;
    let mut second = super::driver(&peer, ROOF, &notes);
    does(&mut second, hold_limit(30.0)).await;
    does(&mut second, limit("restore", true)).await;
    assert_eq!((shown_limit(&peer)[0], noted(&notes)), (7_000, vec![]));
}

#[tokio::test]
async fn the_same_holds_for_a_reserve_and_for_charging_from_the_grid() {
    let (peer, notes) = (home().await, Notes::default());
    let mut driver = driver(&peer, ROOF, &notes);
    peer.stubborn(STORAGE + 7);
    driver.write(&hold_reserve(40.0)).await;
    driver.read_back(&hold_reserve(40.0)).await;
    peer.obedient();
    peer.holding(1, STORAGE + 7, &[2_500]);
    does(&mut driver, hold_reserve(30.0)).await;
    does(&mut driver, reserve("restore", true)).await;
    assert_eq!((peer.word(1, STORAGE + 7), noted(&notes)), (2_500, vec![]));

    let charge =
        || job("roof-battery", "set_battery_mode", [("mode", "charge".into()), ("power", 2000.0.into())]);
    let auto = || outright("roof-battery", "set_battery_mode", [("mode", "auto".into())]);
    peer.stubborn(STORAGE + 17);
    peer.stubborn(STORAGE + 5);
    driver.write(&charge()).await;
    assert!(matches!(driver.read_back(&charge()).await, ReadBack::Different { .. }));
    assert_eq!(noted(&notes).len(), 1);
    peer.obedient();
    // The installer allows it.
    peer.holding(1, STORAGE + 17, &[1]);
    does(&mut driver, charge()).await;
    does(&mut driver, auto()).await;
    assert_eq!((peer.word(1, STORAGE + 17), noted(&notes)), (1, vec![]));
}
