//! Commands on model 704, and on makers that take one register at a time.

use adapter_api::ParameterKind;

use super::*;
use crate::testing::{Move, Seen, der, der::DER, hybrid::int};

/// A storage inverter of the 700 series at 40000 on unit 1.
async fn storage() -> Peer {
    storage_of("Sunny", der::control()).await
}

async fn storage_of(maker: &str, control: Vec<u16>) -> Peer {
    let peer = Peer::start().await;
    peer.holding(1, 40_000, &der::home_map(maker, control));
    peer
}

fn limit(name: &str, value: impl Into<Value>) -> Job {
    job("roof", "set_power_limit", [(name, value.into())])
}

/// As a lease's end asks for it: without a timer.
fn restore(purpose: Purpose) -> Job {
    asked("roof", "set_power_limit", [("restore", true.into())], purpose, None)
}

fn mode(word: &str) -> Job {
    job("roof-battery", "set_battery_mode", [("mode", word.into())])
}

fn power(watts: f64) -> Job {
    job("roof-battery", "set_battery_power", [("power", watts.into())])
}

/// Function, place in model 704 and words of the writes so far; nothing else may be written.
fn writes(peer: &Peer) -> Vec<(u8, u16, Vec<u16>)> {
    let is_write = |request: &Seen| !matches!(request.function, 3 | 4);
    let written = peer.seen().into_iter().filter(is_write);
    written.map(|request| (request.function, request.start - DER, request.words)).collect()
}

fn sent(written: &Written) -> bool {
    matches!(written, Written::Sent { .. })
}

fn signed(watts: i32) -> [u16; 2] {
    [(watts as u32 >> 16) as u16, watts as u16]
}

#[tokio::test]
async fn a_limit_is_written_value_and_timer_first_and_proven_by_a_fresh_read() {
    let (peer, notes) = (storage().await, Notes::default());
    let mut driver = driver(&peer, ROOF, &notes);
    assert!(sent(&driver.write(&limit("power", 2000.0)).await));
    assert_eq!(writes(&peer), [(16, 15, vec![4000, 10_000, 0, 0, 120]), (16, 14, vec![1])]);
    let ReadBack::Applied { observed } = driver.read_back(&limit("percent", 40.0)).await else { panic!() };
    assert_eq!((observed.number("power"), observed.bool("enabled")), (Some(2000.0), Some(true)));
    // The device clamps it: both values are told.
    peer.holding(1, DER + 15, &[5000]);
    let ReadBack::Different { requested, observed } = driver.read_back(&limit("percent", 40.0)).await else {
        panic!()
    };
    assert_eq!((requested.number("percent"), observed.number("percent")), (Some(40.0), Some(50.0)));
    assert!(sent(&driver.write(&limit("percent", 50.0)).await), "its timer starts anew");
    assert!(sent(&driver.write(&limit("enabled", false)).await));
    assert_eq!([15, 18, 19, 14].map(|at| peer.word(1, DER + at)), [10_000, 0, 0, 0]);
    assert!(matches!(driver.write(&limit("enabled", false)).await, Written::Already { .. }));
}

#[tokio::test]
async fn the_limit_that_lasted_is_what_the_device_reverts_to_and_what_another_process_restores() {
    let (peer, notes) = (storage().await, Notes::default());
    peer.holding(1, DER + 14, &[1, 7000]);
    driver(&peer, ROOF, &notes).write(&limit("percent", 40.0)).await;
    assert_eq!([14, 15, 16, 17, 18, 19].map(|at| peer.word(1, DER + at)), [1, 4000, 7000, 1, 0, 120]);
    let noted = notes.0.lock().unwrap().get("der_power_limit/1").cloned();
    assert_eq!(noted, Some(vec![0x1B, 0x58, 0, 1]), "7000 and enabled");
    let mut restarted = driver(&peer, ROOF, &notes);
    restarted.write(&limit("percent", 30.0)).await;
    assert_eq!(peer.word(1, DER + 16), 7000, "the first value is the one to go back to");
    // A device that confirms and keeps its value is asked again, until it is seen to be restored.
    peer.stubborn(DER + 15);
    assert!(sent(&restarted.write(&restore(Purpose::Execute)).await));
    assert!(matches!(restarted.read_back(&restore(Purpose::Execute)).await, ReadBack::Different { .. }));
    assert!(!notes.owed().is_empty());
    peer.obedient();
    assert!(sent(&restarted.write(&restore(Purpose::Execute)).await));
    assert!(matches!(restarted.read_back(&restore(Purpose::Execute)).await, ReadBack::Applied { .. }));
    assert_eq!([14, 15, 18, 19].map(|at| peer.word(1, DER + at)), [1, 7000, 0, 0]);
    assert!(notes.owed().is_empty());
    // One that never saw the note finds that it was done.
    let mut third = driver(&peer, ROOF, &notes);
    assert!(matches!(third.read_back(&restore(Purpose::ReadBack)).await, ReadBack::Applied { .. }));
}

#[tokio::test]
async fn a_set_point_drives_the_battery_both_ways_and_is_let_go_off_first() {
    let peer = storage().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    for (watts, word) in [(-2000, "charge"), (500, "discharge"), (0, "idle")] {
        let job = power(f64::from(watts));
        assert!(sent(&driver.write(&job).await), "{watts}");
        let [high, low] = signed(watts);
        assert_eq!(
            writes(&peer),
            [(16, 30, vec![0, 0, 120]), (16, 23, vec![1, high, low, 0, 0]), (16, 22, vec![1])]
        );
        let ReadBack::Applied { observed } = driver.read_back(&job).await else { panic!("{watts}") };
        assert_eq!((observed.word("mode"), observed.number("power")), (Some(word), Some(f64::from(watts))));
        let readings = driver.read(&unit(), Wanted::Due).await.unwrap();
        let battery = readings.iter().find(|reading| reading.device.as_str() == "roof-battery").unwrap();
        assert_eq!(battery.point("batteryMode").and_then(Value::text), Some(word));
        writes(&peer);
    }
    assert!(sent(&driver.write(&mode("charge")).await));
    peer.holding(1, DER + 24, &signed(-1500));
    let ReadBack::Different { requested, observed } = driver.read_back(&mode("charge")).await else {
        panic!()
    };
    assert_eq!(
        (requested.number("power"), observed.number("power")),
        (Some(3000.0), Some(1500.0)),
        "clamped"
    );
    writes(&peer);
    assert!(sent(&driver.write(&mode("auto")).await));
    assert_eq!(writes(&peer), [(16, 22, vec![0]), (16, 30, vec![0, 0, 0])]);
    assert!(matches!(driver.read_back(&mode("auto")).await, ReadBack::Applied { .. }));
    assert!(matches!(driver.write(&mode("auto")).await, Written::Already { .. }));
}

#[tokio::test]
async fn a_device_of_the_700_series_offers_what_it_can_be_told_and_refuses_the_rest_unwritten() {
    let peer = storage().await;
    let mut driver = driver(&peer, &format!("{ROOF}write_points = true\n"), &Notes::default());
    let devices = driver.probe(&unit()).await.unwrap();
    let names = |device: &DeviceInfo| device.commands.iter().map(|c| c.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&devices[0]), ["set_power_limit", "refresh"]);
    assert_eq!(names(&devices[1]), ["set_battery_mode", "set_battery_power", "refresh"]);
    let kind = |device: &DeviceInfo, command: &str, name: &str| {
        let spec = device.commands.iter().find(|spec| &*spec.name == command).unwrap();
        spec.parameters.iter().find(|parameter| &*parameter.name == name).unwrap().kind.clone()
    };
    let ParameterKind::Word(words) = kind(&devices[1], "set_battery_mode", "mode") else { panic!("words") };
    assert_eq!(words.iter().map(|word| &**word).collect::<Vec<_>>(), ["auto", "charge", "discharge"]);
    let range = |device, command| match kind(device, command, "power") {
        ParameterKind::Number { min, max, .. } => (min, max),
        _ => panic!("a number"),
    };
    assert_eq!(range(&devices[0], "set_power_limit"), (0.0, 5000.0));
    assert_eq!(range(&devices[1], "set_battery_power"), (-3000.0, 4500.0), "the key, and what 702 says");
    for (job, reason) in [
        (mode("hold"), "allowed are auto, charge, discharge"),
        (mode("hold_charge"), "allowed are auto, charge, discharge"),
        (power(-3001.0), "at most 3000 W"),
        (power(4501.0), "at most 4500 W"),
        (job("roof-battery", "set_reserve", [("soc", 20.0.into())]), "no controls"),
        (
            job("roof-battery", "write_point", [("point", "WChaMax".into()), ("value", 1.0.into())]),
            "no controls",
        ),
        (limit("power", 5001.0), "0 to 5000 W"),
    ] {
        let written = driver.write(&job).await;
        assert!(
            matches!(&written, Written::Ended(WriteOutcome::Rejected { reason: why }) if why.contains(reason)),
            "{written:?}"
        );
    }
    assert_eq!(writes(&peer), []);
}

#[tokio::test]
async fn a_power_cut_between_two_writes_is_decided_by_a_fresh_read() {
    // After the two reads of a command: the writes that are taken, and what the next one meets.
    for (job, taken, undone) in
        [(limit("percent", 40.0), 1, 14), (power(-2000.0), 1, 24), (power(-2000.0), 2, 22)]
    {
        for (how, applied) in [(Move::Close, false), (Move::DoneSilent, taken == 2 || undone == 14)] {
            let peer = storage().await;
            let mut driver = driver(&peer, ROOF, &Notes::default());
            driver.probe(&unit()).await.unwrap();
            let mut moves = vec![Move::Answer; 2 + taken];
            moves.push(how);
            peer.moves(&moves);
            // The device closes, but has it done what it was last asked? Nobody knows.
            if how == Move::Close {
                peer.stubborn(DER + undone);
            }
            let written = driver.write(&job).await;
            assert!(
                matches!(&written, Written::Ended(WriteOutcome::Unknown { reason }) if reason.contains("earlier part")),
                "{written:?}"
            );
            peer.obedient();
            let seen = driver.read_back(&job).await;
            assert_eq!(matches!(seen, ReadBack::Applied { .. }), applied, "{how:?}: {seen:?}");
            assert_eq!(matches!(seen, ReadBack::Different { .. }), !applied, "{how:?}: {seen:?}");
            // It is written again as a whole, and proven.
            assert!(sent(&driver.write(&job).await));
            assert!(matches!(driver.read_back(&job).await, ReadBack::Applied { .. }));
        }
    }
}

#[tokio::test]
async fn the_connection_may_end_after_a_write_that_was_confirmed() {
    let peer = storage().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    driver.probe(&unit()).await.unwrap();
    peer.moves(&[Move::Answer, Move::Answer, Move::AnswerClose]);
    let written = driver.write(&limit("percent", 40.0)).await;
    assert!(
        sent(&written) || matches!(&written, Written::Ended(WriteOutcome::Unknown { .. })),
        "never said to be certainly not applied: {written:?}"
    );
    let done = peer.word(1, DER + 14) == 1;
    assert!(done || !sent(&written));
    let seen = driver.read_back(&limit("percent", 40.0)).await;
    assert_eq!(matches!(seen, ReadBack::Applied { .. }), done, "{seen:?}");
}

#[tokio::test]
async fn an_inverter_with_both_families_keeps_123_unless_it_is_not_implemented() {
    use crate::testing::hybrid::{IMMEDIATE, grid, map, roof};
    for (implemented, at) in [(true, IMMEDIATE), (false, DER)] {
        let peer = Peer::start().await;
        let mut models = [roof(), vec![der::capacity(), der::control()], grid()].concat();
        if !implemented {
            models[5][5] = 0xFFFF;
        }
        peer.holding(1, 40_000, &map(&models, &[0xFFFF, 0]));
        let mut driver = driver(&peer, ROOF, &Notes::default());
        let devices = driver.probe(&unit()).await.unwrap();
        let modes = devices[1].commands.iter().find(|spec| &*spec.name == "set_battery_mode").unwrap();
        let ParameterKind::Word(words) = &modes.parameters[0].kind else { panic!("words") };
        assert_eq!(words.len(), 5, "124 says more than a set point");
        assert!(sent(&driver.write(&limit("percent", 40.0)).await));
        let first = peer.seen().into_iter().find(|request| request.function == 16).unwrap();
        let expected = if implemented { IMMEDIATE + 5 } else { IMMEDIATE + 26 + 26 + 90 + 52 + 15 };
        assert_eq!(first.start, expected, "{at}");
        assert!(matches!(driver.read_back(&limit("percent", 40.0)).await, ReadBack::Applied { .. }));
    }
}

/// A hybrid of a maker that takes function 6 alone, with 123 and 124.
async fn single() -> Peer {
    let peer = Peer::start().await;
    let mut models = [hybrid::roof(), hybrid::grid()].concat();
    models[0] = hybrid::common("KOSTAL", "PLENTICORE plus", "SN-1", 65);
    models[5][6] = 0xFFFF;
    peer.holding(1, 40_000, &hybrid::map(&models, &[0xFFFF, 0]));
    peer.takes_single_writes();
    peer
}

#[tokio::test]
async fn a_maker_that_takes_function_6_alone_gets_one_register_at_a_time_and_the_enable_last() {
    use crate::testing::hybrid::{IMMEDIATE, STORAGE};
    let peer = single().await;
    let mut driver = driver(&peer, ROOF, &Notes::default());
    let alone = |from: u16| -> Vec<(u16, u16)> {
        let written: Vec<_> = peer.seen().into_iter().filter(|request| request.function != 3).collect();
        assert!(written.iter().all(|request| request.function == 6), "{written:?}");
        written.into_iter().map(|request| (request.start - from, request.words[0])).collect()
    };
    assert!(sent(&driver.write(&limit("percent", 40.0)).await));
    assert_eq!(alone(IMMEDIATE), [(5, 4000), (7, 120), (8, 0), (9, 1)], "6 is not implemented");
    assert!(matches!(driver.read_back(&limit("percent", 40.0)).await, ReadBack::Applied { .. }));
    assert!(sent(&driver.write(&power(-2000.0)).await));
    let charge = [(12, int(-4000)), (13, 10_000), (14, 0), (15, 120), (16, 0), (17, 1), (5, 2)];
    assert_eq!(alone(STORAGE), charge);
    assert!(matches!(driver.read_back(&power(-2000.0)).await, ReadBack::Applied { .. }));
}

#[tokio::test]
async fn a_register_that_fails_after_the_first_leaves_a_single_write_in_doubt() {
    for (at, outcome) in [(0, "rejected"), (1, "unknown"), (3, "unknown")] {
        let peer = single().await;
        let notes = Notes::default();
        let mut driver = driver(&peer, ROOF, &notes);
        driver.probe(&unit()).await.unwrap();
        // Two reads come first.
        let mut moves = vec![Move::Answer; 2 + at];
        moves.push(Move::Exception(2));
        peer.moves(&moves);
        let told = match driver.write(&limit("percent", 40.0)).await {
            Written::Ended(WriteOutcome::Rejected { .. }) => "rejected",
            Written::Ended(WriteOutcome::Unknown { .. }) => "unknown",
            _ => "something else",
        };
        assert_eq!(told, outcome, "{at}");
        assert_eq!(notes.owed().is_empty(), outcome == "rejected", "what may be owed stays noted");
        assert!(matches!(driver.read_back(&limit("percent", 40.0)).await, ReadBack::Different { .. }));
    }
}

#[tokio::test]
async fn a_set_point_is_never_torn_by_writing_one_register_at_a_time() {
    let peer = storage_of("KOSTAL", der::control()).await;
    peer.takes_single_writes();
    let mut driver = driver(&peer, ROOF, &Notes::default());
    assert!(sent(&driver.write(&power(-2000.0)).await));
    let alone = [(28, int(-4000)), (29, 0), (30, 0), (31, 0), (32, 120), (22, 1)];
    assert_eq!(writes(&peer), alone.map(|(at, word)| (6, at, vec![word])));
    assert!(matches!(driver.read_back(&power(-2000.0)).await, ReadBack::Applied { .. }));
    assert!(sent(&driver.write(&limit("percent", 40.0)).await));
    let alone = [(15, 4000), (16, 10_000), (17, 0), (18, 0), (19, 120), (14, 1)];
    assert_eq!(writes(&peer), alone.map(|(at, word)| (6, at, vec![word])));
    assert!(matches!(driver.read_back(&limit("percent", 40.0)).await, ReadBack::Applied { .. }));
}
