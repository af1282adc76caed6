use super::*;
use crate::testing::{Move, Seen, hybrid::*};

fn mode(word: &str) -> Job {
    job("roof-battery", "set_battery_mode", [("mode", word.into())])
}

fn charge(power: f64) -> Job {
    job("roof-battery", "set_battery_mode", [("mode", "charge".into()), ("power", power.into())])
}

fn writes(peer: &Peer) -> Vec<Seen> {
    peer.seen().into_iter().filter(|request| request.function == 16).collect()
}

fn sent(written: &Written) -> bool {
    matches!(written, Written::Sent { .. })
}

#[tokio::test]
async fn a_charge_reaches_the_registers_values_first_and_is_proven_by_a_fresh_read() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    assert!(sent(&driver.write(&charge(2000.0)).await));
    let writes: Vec<_> = writes(&peer).into_iter().map(|w| (w.start - STORAGE, w.words)).collect();
    assert_eq!(writes, [(12, vec![int(-4000), 10_000, 0, 120, 0, 1]), (5, vec![2])]);
    let ReadBack::Applied { observed } = driver.read_back(&charge(2000.0)).await else { panic!("applied") };
    assert_eq!((observed.word("mode"), observed.number("power")), (Some("charge"), Some(2000.0)));
    assert_eq!(observed.bool("grid_charging"), Some(true));
    let ReadBack::Different { requested, observed } = driver.read_back(&charge(1000.0)).await else {
        panic!()
    };
    assert_eq!((requested.number("power"), observed.number("power")), (Some(1000.0), Some(2000.0)));
}

#[tokio::test]
async fn the_grid_setting_that_a_charge_replaced_is_restored_even_by_another_process() {
    let (peer, notes) = (home().await, Notes::default());
    driver(&peer, ROOF, &notes).write(&charge(2000.0)).await;
    assert_eq!(peer.word(1, STORAGE + 17), 1);
    let mut restarted = driver(&peer, ROOF, &notes);
    // A device that confirms and keeps its value is asked again, until it is seen to be restored.
    peer.stubborn(STORAGE + 17);
    assert!(sent(&restarted.write(&mode("auto")).await));
    assert!(matches!(restarted.read_back(&mode("auto")).await, ReadBack::Different { .. }));
    assert!(!notes.owed().is_empty());
    peer.obedient();
    assert!(sent(&restarted.write(&mode("auto")).await));
    assert!(matches!(restarted.read_back(&mode("auto")).await, ReadBack::Applied { .. }));
    assert_eq!(
        (peer.word(1, STORAGE + 17), peer.word(1, STORAGE + 5), peer.word(1, STORAGE + 15)),
        (0, 0, 0)
    );
    assert!(notes.owed().is_empty());
    assert!(matches!(restarted.write(&mode("auto")).await, Written::Already { .. }));
    // An installer's own "allowed" is not touched.
    peer.holding(1, STORAGE + 17, &[1]);
    restarted.write(&charge(2000.0)).await;
    restarted.write(&mode("hold")).await;
    assert_eq!(peer.word(1, STORAGE + 17), 1);
}

#[tokio::test]
async fn what_is_so_already_is_not_written_and_a_running_timer_is() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    let already = driver.write(&mode("auto")).await;
    assert!(matches!(already, Written::Already { observed } if observed.word("mode") == Some("auto")));
    assert_eq!(writes(&peer), []);
    assert!(sent(&driver.write(&mode("hold")).await) && sent(&driver.write(&mode("hold")).await));
    assert_eq!(writes(&peer).len(), 4);
}

#[tokio::test]
async fn a_power_limit_is_one_write_of_five_registers() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    let limit = |name: &str, value: Value| job("roof", "set_power_limit", [(name, value)]);
    assert!(sent(&driver.write(&limit("power", 2000.0.into())).await));
    let seen = writes(&peer);
    assert_eq!(
        (seen.len(), seen[0].start, &seen[0].words[..]),
        (1, IMMEDIATE + 5, &[4000, 0, 120, 0, 1][..])
    );
    assert!(matches!(driver.read_back(&limit("percent", 40.0.into())).await, ReadBack::Applied { .. }));
    assert!(sent(&driver.write(&limit("power", 2000.0.into())).await), "its timer starts anew");
    assert!(sent(&driver.write(&limit("enabled", false.into())).await));
    assert_eq!((peer.word(1, IMMEDIATE + 5), peer.word(1, IMMEDIATE + 9)), (10_000, 0));
    assert!(matches!(driver.write(&limit("enabled", false.into())).await, Written::Already { .. }));
}

#[tokio::test]
async fn what_the_device_cannot_or_may_not_do_is_rejected_before_any_write() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    for (job, words) in [
        (charge(3001.0), "at most 3000 W"),
        (mode("discharge"), "`discharge_power`"),
        (job("roof", "set_power_limit", [("power", 5001.0.into())]), "0 to 5000 W"),
        (job("roof", "set_battery_mode", [("mode", "hold".into())]), "does not take"),
        (job("roof-grid", "set_power_limit", [("percent", 1.0.into())]), "does not take"),
    ] {
        let written = driver.write(&job).await;
        assert!(
            matches!(&written, Written::Ended(WriteOutcome::Rejected { reason }) if reason.contains(words)),
            "{written:?}"
        );
    }
    assert_eq!(writes(&peer), []);
}

#[tokio::test]
async fn a_signed_power_moves_the_battery_both_ways_and_holds_it_at_zero() {
    let (peer, notes) = (home().await, Notes::default());
    let mut driver = driver(&peer, ROOF, &notes);
    let power = |watts: f64| job("roof-battery", "set_battery_power", [("power", watts.into())]);
    for (watts, word, rates, grid) in [
        (-2000.0, "charge", [int(-4000), 10_000], 1),
        (500.0, "discharge", [10_000, int(-1000)], 0),
        (0.0, "idle", [0, 0], 0),
    ] {
        assert!(sent(&driver.write(&power(watts)).await), "{watts}");
        assert_eq!([peer.word(1, STORAGE + 12), peer.word(1, STORAGE + 13)], rates);
        assert_eq!(peer.word(1, STORAGE + 17), grid, "{watts}");
        let ReadBack::Applied { observed } = driver.read_back(&power(watts)).await else { panic!("{watts}") };
        assert_eq!((observed.word("mode"), observed.number("power")), (Some(word), Some(watts)));
        assert!(matches!(driver.read_back(&power(watts + 100.0)).await, ReadBack::Different { .. }));
    }
    assert!(notes.owed().is_empty());
}

#[tokio::test]
async fn a_reserve_is_written_once_and_proven_raw() {
    let peer = home().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    let reserve = |soc: f64| job("roof-battery", "set_reserve", [("soc", soc.into())]);
    assert!(
        matches!(driver.read_back(&reserve(20.0)).await, ReadBack::Different { observed, .. } if observed.number("soc") == Some(5.0))
    );
    assert!(sent(&driver.write(&reserve(20.0)).await));
    let seen: Vec<_> = writes(&peer).into_iter().map(|w| (w.start - STORAGE, w.words)).collect();
    assert_eq!(seen, [(7, vec![2000])]);
    assert!(matches!(driver.read_back(&reserve(20.0)).await, ReadBack::Applied { .. }));
    assert!(matches!(driver.write(&reserve(20.0)).await, Written::Already { .. }));
}

#[tokio::test]
async fn points_are_written_only_where_the_configuration_says_so() {
    let peer = home().await;
    let point =
        || job("roof-battery", "write_point", [("point", "WChaMax".into()), ("value", 2500.0.into())]);
    let takes = |devices: &[DeviceInfo]| devices[1].commands.iter().any(|c| &*c.name == "write_point");
    let mut off = driver(&peer, ROOF, &Notes::default());
    assert!(!takes(&off.probe(&unit()).await.unwrap()));
    assert!(matches!(off.write(&point()).await, Written::Ended(WriteOutcome::Rejected { .. })));
    let mut on = driver(&peer, &format!("{ROOF}write_points = true\n"), &Notes::default());
    assert!(takes(&on.probe(&unit()).await.unwrap()));
    assert!(sent(&on.write(&point()).await));
    assert_eq!(peer.word(1, STORAGE + 2), 2500);
    let ReadBack::Applied { observed } = on.read_back(&point()).await else { panic!("applied") };
    assert_eq!(observed.number("WChaMax"), Some(2500.0));
}

/// A driver that knows its unit, so that the next requests are those of a command: one fresh read for a
/// battery, two for a limit, and then the writes.
async fn known(peer: &Peer) -> ModbusDriver {
    let mut driver = driver(peer, ROOF, &Notes::default());
    driver.probe(&unit()).await.unwrap();
    peer.seen();
    driver
}

#[tokio::test]
async fn each_way_to_fail_a_write_has_its_true_outcome() {
    let limit = || job("roof", "set_power_limit", [("percent", 40.0.into())]);
    for (how, outcome) in [
        (Move::Exception(1), "rejected"),
        (Move::Exception(2), "rejected"),
        (Move::Exception(3), "rejected"),
        (Move::Exception(4), "unknown"),
        (Move::Exception(6), "not applied"),
        (Move::Exception(11), "not applied"),
        (Move::Silent, "unknown"),
        (Move::Close, "unknown"),
        (Move::EchoAddress, "unknown"),
    ] {
        let peer = home().await;
        let mut driver = known(&peer).await;
        peer.moves(&[Move::Answer, Move::Answer, how]);
        let written = driver.write(&limit()).await;
        let told = match &written {
            Written::Ended(WriteOutcome::Rejected { .. }) => "rejected",
            Written::Ended(WriteOutcome::NotApplied { sent: false, .. }) => "not applied",
            Written::Ended(WriteOutcome::Unknown { .. }) => "unknown",
            _ => "something else",
        };
        assert_eq!(told, outcome, "{how:?} gave {written:?}");
        // And the link works again.
        assert!(!matches!(driver.read_back(&limit()).await, ReadBack::Failed(_)));
    }
}

#[tokio::test]
async fn a_device_that_fails_before_any_write_was_not_changed() {
    let peer = home().await;
    let mut driver = known(&peer).await;
    for how in [Move::Silent, Move::Exception(6), Move::Short] {
        peer.moves(&[how]);
        let written = driver.write(&mode("hold")).await;
        assert!(
            matches!(&written, Written::Ended(WriteOutcome::NotApplied { sent: false, .. })),
            "{written:?}"
        );
    }
    assert_eq!(writes(&peer), []);
}

#[tokio::test]
async fn a_device_that_refuses_the_second_of_two_writes_leaves_the_command_in_doubt() {
    for code in [1, 2, 3, 6] {
        let peer = home().await;
        let mut driver = known(&peer).await;
        peer.moves(&[Move::Answer, Move::Answer, Move::Exception(code)]);
        let written = driver.write(&mode("hold")).await;
        assert!(
            matches!(&written, Written::Ended(WriteOutcome::Unknown { reason }) if reason.contains("earlier part")),
            "{code}: {written:?}"
        );
        assert_eq!(peer.word(1, STORAGE + 15), 120, "the timer is set already");
        assert!(matches!(driver.read_back(&mode("hold")).await, ReadBack::Different { .. }));
    }
}

#[tokio::test]
async fn a_write_whose_confirmation_was_lost_is_found_by_a_process_that_never_wrote_it() {
    let peer = home().await;
    let limit = || job("roof", "set_power_limit", [("percent", 40.0.into())]);
    let mut first = known(&peer).await;
    peer.moves(&[Move::Answer, Move::Answer, Move::DoneSilent]);
    assert!(matches!(first.write(&limit()).await, Written::Ended(WriteOutcome::Unknown { .. })));
    let mut second = driver(&peer, ROOF, &Notes::default());
    assert!(matches!(second.read_back(&limit()).await, ReadBack::Applied { .. }));
}

#[tokio::test]
async fn a_device_that_confirms_and_keeps_its_value_is_seen() {
    let peer = home().await;
    let mut driver = known(&peer).await;
    peer.stubborn(STORAGE + 5);
    assert!(sent(&driver.write(&mode("hold")).await));
    let ReadBack::Different { requested, observed } = driver.read_back(&mode("hold")).await else { panic!() };
    assert_eq!((requested.word("mode"), observed.word("mode")), (Some("hold"), Some("auto")));
}
