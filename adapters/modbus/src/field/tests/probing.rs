use adapter_api::Problem;
use simulator::{Fault, Home, HomeSettings, RegisterMap, Scope, Server, Units};

use crate::{
    Probed, Settings, Shown, device_settings, probe,
    testing::{Move, Peer, hybrid, soon},
};

async fn look(settings: &Settings, device: &str) -> Result<Probed, Problem> {
    soon(probe(settings, device)).await.unwrap()
}

fn point<'a>(probed: &'a Probed, name: &str) -> &'a Shown {
    probed.points.iter().find(|shown| shown.seen.point == name).unwrap()
}

#[tokio::test]
async fn every_point_shows_its_registers_and_what_they_mean() {
    let home = Home::start(HomeSettings { speed: 0.0, ..HomeSettings::default() }).await.unwrap();
    let settings = device_settings(&format!("tcp://{}", home.meter_addr()), "eastron-sdm630", 1).unwrap();
    let probed = look(&settings, "device").await.unwrap();
    // Eighteen values, and its serial number, which the simulated one has.
    assert_eq!((probed.unit, probed.points.len()), (1, 19));
    let shown = &point(&probed, "voltageL1").seen;
    assert_eq!((shown.function, shown.register, shown.unit.as_str()), (4, 0, "V"));
    let raw = home.meter().peek(1, simulator::Table::Input, 0, 2).unwrap();
    assert_eq!(shown.raw, raw);
    let volts = f32::from_bits(u32::from(raw[0]) << 16 | u32::from(raw[1]));
    let value: f32 = shown.value.as_ref().unwrap().parse().unwrap();
    assert!((value - volts).abs() < 1e-4 && volts > 200.0, "{shown:?}");
    let places: Vec<_> =
        probed.points.iter().map(|shown| (shown.seen.function, shown.seen.register)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[tokio::test]
async fn a_hole_shows_as_one_and_hides_nothing_else() {
    let peer = Peer::start().await;
    let volts = [0x4366, 0x4CCD];
    peer.input(1, 0, &[volts, volts, volts].concat());
    peer.input(1, 70, &[0x4248, 0]);
    let settings = device_settings(&peer.place().to_string(), "eastron-sdm630", 1).unwrap();
    let probed = look(&settings, "device").await.unwrap();
    assert_eq!(point(&probed, "voltageL3").seen.value.as_deref(), Some("230.3"));
    assert_eq!(point(&probed, "frequency").seen.value.as_deref(), Some("50"));
    let hole = point(&probed, "activePower");
    assert_eq!(hole.refused.as_deref(), Some("no such register (exception 2)"));
    assert_eq!((hole.seen.raw.len(), &hole.seen.value), (0, &None));
}

#[tokio::test]
async fn a_silence_is_not_asked_after_point_by_point_and_two_end_the_questions() {
    let peer = Peer::start().await;
    peer.input(1, 0, &[0; 400]);
    // Its serial number is asked for first.
    peer.holding(1, 64_512, &[0, 7]);
    let refused = |probed: &Probed| {
        let told = probed.points.iter().map(|shown| shown.refused.clone().unwrap_or_default());
        told.collect::<Vec<_>>()
    };
    // Both questions after the first values are lost.
    let meter = "[device.device]\nprofile = 'eastron-sdm630'\n";
    let settings = peer.settings(&format!("{meter}block = 10\n"));
    let whole = refused(&look(&settings, "device").await.unwrap());
    let blocks = peer.seen().len();
    assert!(blocks > 3 && whole.iter().all(String::is_empty), "{blocks} {whole:?}");
    peer.moves(&[Move::Answer, Move::Silent, Move::Silent]);
    let told = refused(&look(&settings, "device").await.unwrap());
    assert_eq!(peer.seen().len(), blocks + 1, "asked once more, and not apart");
    let silent = told.iter().filter(|words| words.contains("no answer: nothing came")).count();
    assert!(silent > 1 && told.last().unwrap().is_empty(), "{told:?}");
    // And when the next one is silent as well, nobody answers any more.
    peer.moves(&[Move::Answer, Move::Silent, Move::Silent, Move::Silent, Move::Silent]);
    let told = refused(&look(&settings, "device").await.unwrap());
    assert_eq!((peer.seen().len(), told[0].as_str()), (5, ""));
    assert!(told.last().unwrap().contains("no answer: not asked after two silences"), "{told:?}");
}

#[test]
fn how_long_a_probe_takes_at_most_counts_every_point_twice() {
    let settings = device_settings("tcp://x", "eastron-sdm630", 1).unwrap();
    let timeout = adapter_api::profile::builtin()["eastron-sdm630"].limits.timeout.0;
    let longest = Probed::longest(&settings, "device").unwrap();
    assert!((timeout * 2 * 19..timeout * 2 * 23).contains(&longest), "{longest:?}");
    let sunspec = device_settings("tcp://x", "sunspec", 1).unwrap();
    assert_eq!((Probed::longest(&sunspec, "device"), Probed::longest(&settings, "x")), (None, None));
}

#[tokio::test]
async fn a_value_that_the_device_does_not_have_is_no_hole() {
    let peer = Peer::start().await;
    peer.input(1, 0, &[0; 80]);
    peer.input(1, 0, &[0x7FC0, 0]);
    let settings = device_settings(&peer.place().to_string(), "eastron-sdm630", 1).unwrap();
    let probed = look(&settings, "device").await.unwrap();
    let shown = point(&probed, "voltageL1");
    assert_eq!((&shown.seen.raw, &shown.seen.value, &shown.refused), (&vec![0x7FC0, 0], &None, &None));
}

#[tokio::test]
async fn a_unit_that_does_not_answer_is_an_error_with_a_remedy() {
    let peer = Peer::start().await;
    let settings = device_settings(&peer.place().to_string(), "eastron-sdm630", 1).unwrap();
    for (moves, words) in [
        (&[Move::Exception(11)][..], "Check its power, its RS-485 wiring"),
        (&[Move::Close; 2], "no other program holds the device"),
    ] {
        peer.moves(moves);
        let problem = look(&settings, "device").await.unwrap_err().to_string();
        assert!(problem.contains(words), "{problem}");
    }
    let server =
        Server::start("127.0.0.1:0".parse().unwrap(), Units::one(1, RegisterMap::new())).await.unwrap();
    server.port().fault(Fault::RefuseConnections, Scope::ALL);
    let settings = device_settings(&format!("tcp://{}", server.addr()), "eastron-sdm630", 1).unwrap();
    server.stop().await;
    let problem = look(&settings, "device").await.unwrap_err().to_string();
    assert!(problem.contains("no connection"), "{problem}");
}

#[tokio::test]
async fn a_sunspec_device_shows_the_points_of_all_its_models() {
    let peer = Peer::start().await;
    peer.holding(1, 40_000, &hybrid::home_map());
    let settings = device_settings(&peer.place().to_string(), "sunspec", 1).unwrap();
    let probed = look(&settings, "device").await.unwrap();
    let of = |part: &str, point: &str| {
        let shown = probed.points.iter().find(|shown| shown.seen.part == part && shown.seen.point == point);
        let seen = &shown.unwrap().seen;
        (seen.register, seen.raw.clone(), seen.value.clone())
    };
    assert_eq!(of("103", "W"), (40_083, vec![2950], Some("2950".to_owned())));
    assert_eq!(of("124", "ChaState").2.as_deref(), Some("63.5"), "the scale factor counts");
    assert_eq!(of("203", "Hz").2.as_deref(), Some("50"), "the meter in the same unit");
    let meter = device_settings(&peer.place().to_string(), "sunspec", 2).unwrap();
    let problem = look(&meter, "device").await.unwrap_err().to_string();
    assert!(problem.contains("not as a SunSpec device"), "{problem}");
}

#[tokio::test]
async fn a_part_is_read_with_its_unit_and_a_device_that_is_switched_off_as_well() {
    let peer = Peer::start().await;
    peer.holding(1, 40_000, &hybrid::home_map());
    let settings = peer.settings("[device.roof]\nprofile = 'sunspec'\nenabled = false\n[device.m]\nprofile = 'eastron-sdm630'\nunit = 2");
    for device in ["roof", "roof-battery"] {
        assert_eq!(look(&settings, device).await.unwrap().unit, 1);
    }
    assert!(probe(&settings, "cellar").await.is_none());
    assert!(probe(&settings, "m-battery").await.is_none(), "a meter has no parts");
}

#[test]
fn a_unit_without_configuration_is_checked_like_one_with_it() {
    assert!(device_settings("10.0.0.7", "sunspec", 1).unwrap_err().contains("write tcp://host:port"));
    assert!(device_settings("tcp://x", "sunspek", 1).unwrap_err().contains("did you mean sunspec"));
    assert!(device_settings("tcp://x", "sunspec", 0).unwrap_err().contains("unit 0"));
}

#[tokio::test]
async fn a_part_is_probed_with_its_unit_and_its_points_bear_its_name() {
    let peer = Peer::start().await;
    let profile = adapter_api::profile::builtin()["growatt-sph"].clone();
    let part = profile.all_points().filter(|(part, ..)| *part == "battery").count();
    let settings = peer.settings("[device.device]\nprofile = 'growatt-sph'\n");
    peer.input(profile.unit, 0, &[3; 2_000]);
    peer.holding(profile.unit, 0, &[3; 2_000]);
    let [whole, battery] =
        [look(&settings, "device").await.unwrap(), look(&settings, "device-battery").await.unwrap()];
    assert_eq!(whole.points.len(), battery.points.len(), "a unit is one");
    let of_part = battery.points.iter().filter(|shown| shown.seen.part == "device-battery").count();
    assert!(part > 0 && of_part >= part, "{of_part} of {part}");
    assert!(probe(&settings, "device-roof").await.is_none());
}
