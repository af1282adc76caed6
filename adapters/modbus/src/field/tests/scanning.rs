use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use adapter_api::Problem;
use simulator::{
    Device, Exception, Fault, Home, HomeSettings, RegisterMap, Scope, Server, Table, Units, UnknownUnit,
};

use crate::{
    Found, Report, Scan, ScanOptions, Settings,
    field::paste::paste,
    testing::{Move, Peer, soon},
};

/// A device that answers something for every register of both tables, and knows no names.
struct Anything;

impl Device for Anything {
    fn read(&mut self, _: Table, _: u16, count: u16) -> Result<Vec<u16>, Exception> {
        Ok(vec![7; usize::from(count)])
    }

    fn write(&mut self, _: u16, _: &[u16]) -> Result<(), Exception> {
        Err(Exception::IllegalAddress)
    }
}

async fn home(unknown_unit: UnknownUnit) -> Home {
    Home::start(HomeSettings { speed: 0.0, unknown_unit, ..HomeSettings::default() }).await.unwrap()
}

async fn server(units: Units) -> Server {
    Server::start((Ipv4Addr::LOCALHOST, 0).into(), units).await.unwrap()
}

fn options(units: &str, timeout_ms: u64) -> ScanOptions {
    let units = (!units.is_empty()).then(|| units.to_owned());
    let timeout = (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms));
    ScanOptions { units, timeout, ..ScanOptions::default() }
}

async fn scan(address: impl std::fmt::Display, options: ScanOptions) -> Result<Report, Problem> {
    let mut report = Report::default();
    let scan = Scan::new(&format!("tcp://{address}"), &options).unwrap();
    scan.run(&mut report, &mut |_| {}).await.map(|()| report)
}

fn units(report: &Report) -> Vec<(u8, Vec<u8>)> {
    report.found.iter().map(|found| (found.unit, found.same.clone())).collect()
}

#[tokio::test]
async fn the_hybrid_says_who_it_is_and_which_models_it_has() {
    let home = home(UnknownUnit::Exception).await;
    let report = soon(scan(home.hybrid_addr(), ScanOptions::default())).await.unwrap();
    assert!(report.complete);
    let [found] = report.found.as_slice() else { panic!("{report:?}") };
    assert_eq!((found.unit, found.profiles.as_slice()), (1, &["sunspec".to_owned()][..]));
    assert_eq!((found.identities[0].model.as_str(), found.serial()), ("Hybrid 6.0", "SIM-HYBRID-0001"));
    assert_eq!(found.identities[1].model, "Grid Meter", "what else is in the unit");
    for model in [1, 103, 120, 121, 123, 124, 160, 203] {
        assert!(found.models.contains(&model), "{model} of {:?}", found.models);
    }
    assert!(home.hybrid().writes().is_empty(), "a scan never writes");
}

#[tokio::test]
async fn a_meter_is_recognised_by_its_signature_and_its_tables_can_be_run() {
    let home = home(UnknownUnit::Exception).await;
    let report = soon(scan(home.meter_addr(), ScanOptions::default())).await.unwrap();
    let [found] = report.found.as_slice() else { panic!("{report:?}") };
    assert_eq!((found.unit, found.profiles.as_slice()), (1, &["eastron-sdm630".to_owned()][..]));
    assert_eq!(found.product(), "Eastron SDM630");
    let pastes = paste(&report, &BTreeMap::new());
    #[derive(serde::Deserialize)]
    struct File {
        modbus: BTreeMap<String, Settings>,
    }
    let file: File = toml::from_str(&pastes[0].text).unwrap();
    assert_eq!(file.modbus["eastron"].check(), []);
    assert_eq!(file.modbus["eastron"].address, format!("tcp://{}", home.meter_addr()));
}

#[tokio::test]
async fn every_unit_id_is_asked_and_units_behind_a_gateway_stay_apart() {
    let meter = || RegisterMap::new().holding(0, &[1, 2]);
    let server = server(Units::one(3, meter()).and(57, meter()).and(247, meter())).await;
    let mut steps = Vec::new();
    let mut report = Report::default();
    let scan = Scan::new(&format!("tcp://{}", server.addr()), &ScanOptions::default()).unwrap();
    let mut watch = |step: crate::Step<'_>| {
        steps.push((step.done, step.total, step.unit, step.found.map(|found| found.unit)));
    };
    soon(scan.run(&mut report, &mut watch)).await.unwrap();
    assert_eq!(units(&report), [(3, vec![]), (247, vec![]), (57, vec![])]);
    assert!(report.found.iter().all(|found| found.profiles.is_empty()), "no profile fits");
    assert_eq!(steps.len(), 247);
    assert!(steps.iter().all(|(done, total, ..)| done <= total));
    assert_eq!(steps.last().map(|step| (step.0, step.1)), Some((247, 247)));
    let told: Vec<_> = steps.iter().filter_map(|step| step.3).collect();
    assert_eq!(told, [3, 247, 57]);
}

#[tokio::test]
async fn a_device_that_answers_on_any_unit_id_is_one_and_the_rest_is_not_asked() {
    // By its serial number.
    let mut all = Units::default();
    let image = crate::testing::hybrid::home_map();
    for unit in 1..=247 {
        all = all.and(unit, RegisterMap::new().holding(40_000, &image));
    }
    let hybrid = server(all).await;
    let report = soon(scan(hybrid.addr(), ScanOptions::default())).await.unwrap();
    assert_eq!(units(&report), [(1, vec![2, 3, 71, 100, 126, 200, 240, 247])]);
    assert!(report.remarks.iter().any(|remark| remark.contains("answers on any unit id")), "{report:?}");
    assert_eq!((hybrid.port().served(57, 40_000), hybrid.port().served(2, 40_000) > 0), (0, true));
    // Because no home has all of the usual unit ids in use.
    let mut all = Units::default();
    for unit in 1..=247 {
        all = all.and(unit, Anything);
    }
    let dull = server(all).await;
    let report = soon(scan(dull.addr(), ScanOptions::default())).await.unwrap();
    assert_eq!(units(&report), [(1, vec![2, 3, 71, 100, 126, 200, 240, 247])]);
    assert_eq!(dull.port().served(57, 0), 0);
    // Whoever names unit ids gets them asked.
    let named = soon(scan(hybrid.addr(), options("55-58", 0))).await.unwrap();
    assert_eq!(units(&named), [(55, vec![56, 57, 58])]);
}

#[tokio::test]
async fn silence_costs_its_time_and_hides_no_neighbour() {
    let home = home(UnknownUnit::Silence).await;
    let report = soon(scan(home.meter_addr(), options("1-4", 40))).await.unwrap();
    assert_eq!(units(&report), [(1, vec![])]);
    let report = soon(scan(home.meter_addr(), options("2-4", 40))).await.unwrap();
    assert_eq!((report.found.len(), report.complete), (0, true));
}

#[tokio::test]
async fn any_exception_is_life_but_not_that_of_a_gateway_without_the_unit() {
    for (code, alive) in [(1, true), (2, true), (4, true), (6, true), (10, false), (11, false)] {
        let peer = Peer::start().await;
        peer.moves(&[Move::Exception(code)]);
        let report = soon(scan(peer.address, options("5", 500))).await.unwrap();
        assert_eq!(report.found.len(), usize::from(alive), "exception {code}");
    }
}

#[tokio::test]
async fn a_meter_that_is_silent_to_one_function_is_asked_with_the_other() {
    let peer = Peer::start().await;
    peer.moves(&[Move::Silent]);
    let report = soon(scan(peer.address, options("5", 100))).await.unwrap();
    assert_eq!(units(&report), [(5, vec![])]);
    let functions: Vec<_> = peer.seen().iter().take(2).map(|seen| seen.function).collect();
    assert_eq!(functions, [3, 4]);
}

#[tokio::test]
async fn an_answer_that_is_lost_once_does_not_hide_what_the_device_is() {
    let home = home(UnknownUnit::Exception).await;
    home.meter().fault(Fault::Silence { executed: false }, Scope::READS.covering(70).times(1));
    let report = soon(scan(home.meter_addr(), options("1", 100))).await.unwrap();
    assert_eq!(report.found[0].profiles, ["eastron-sdm630"]);
    home.hybrid().fault(Fault::Silence { executed: false }, Scope::READS.covering(40_002).times(1));
    let report = soon(scan(home.hybrid_addr(), options("1", 100))).await.unwrap();
    assert_eq!(report.found[0].profiles, ["sunspec"]);
}

#[tokio::test]
async fn a_map_is_found_behind_a_base_where_its_device_is_silent() {
    let image = crate::testing::hybrid::home_map();
    for at in [0, 50_000] {
        let hybrid =
            server(Units::one(1, RegisterMap::new().holding(at, &image).holding(0, &image[..2]))).await;
        hybrid.port().fault(Fault::Silence { executed: false }, Scope::READS.covering(40_000));
        let report = soon(scan(hybrid.addr(), options("1", 100))).await.unwrap();
        let [found] = report.found.as_slice() else { panic!("{report:?}") };
        assert_eq!((found.serial(), &found.profiles[0]), ("SN-1", &"sunspec".to_owned()), "at {at}");
    }
}

#[tokio::test]
async fn garbled_answers_are_no_device_and_said_once() {
    let peer = Peer::start().await;
    peer.moves(&[Move::OtherUnit; 6]);
    let report = soon(scan(peer.address, options("5-7", 200))).await.unwrap();
    assert_eq!((report.found.len(), report.remarks.len()), (0, 1), "{report:?}");
    assert!(report.remarks[0].contains("not to the question"), "{report:?}");
}

#[tokio::test]
async fn a_line_that_cannot_be_opened_says_what_to_do() {
    let gone = server(Units::default()).await;
    let address = gone.addr();
    gone.stop().await;
    let problem = soon(scan(address, options("1", 200))).await.unwrap_err().to_string();
    assert!(problem.contains("refused") && problem.contains("Modbus TCP is switched on"), "{problem}");
    let problem = soon(scan("no-such-host.invalid", options("1", 200))).await.unwrap_err().to_string();
    assert!(problem.contains("`no-such-host.invalid` is not known"), "{problem}");
}

#[tokio::test]
async fn what_was_found_stays_when_the_line_is_lost_and_when_the_scan_is_ended() {
    let meter = server(Units::one(1, RegisterMap::new().holding(0, &[1, 2]))).await;
    let address = meter.addr();
    let mut report = Report::default();
    let scan = Scan::new(&format!("tcp://{address}"), &options("1-3", 200)).unwrap();
    let mut watch = |step: crate::Step<'_>| {
        if step.unit == 1 {
            meter.port().fault(Fault::RefuseConnections, Scope::ALL);
            meter.port().disconnect();
        }
    };
    soon(scan.run(&mut report, &mut watch)).await.unwrap();
    assert_eq!(units(&report), [(1, vec![])]);
    assert!(report.remarks[0].contains("lost before unit 2"), "{report:?}");
    // Ended from outside in the middle of a silent unit.
    let meter = server(Units::one(1, RegisterMap::new().holding(0, &[1, 2]))).await;
    let address = meter.addr();
    meter.port().fault(Fault::Silence { executed: false }, Scope::ALL.unit(2));
    let (told, mut heard) = tokio::sync::mpsc::channel(8);
    let mut report = Report::default();
    let mut watch = |step: crate::Step<'_>| told.try_send(step.unit).unwrap();
    let patient = Scan::new(&format!("tcp://{address}"), &options("1-3", 60_000)).unwrap();
    tokio::select! {
        _ = patient.run(&mut report, &mut watch) => panic!("unit 2 never answers"),
        unit = soon(heard.recv()) => assert_eq!(unit, Some(1)),
    }
    assert_eq!((units(&report), report.complete), (vec![(1, vec![])], false));
}

#[tokio::test]
async fn a_whole_scan_reads_and_does_nothing_else() {
    let peer = Peer::start().await;
    peer.holding(1, 40_000, &crate::testing::hybrid::home_map());
    let report = soon(scan(peer.address, options("1-3", 500))).await.unwrap();
    assert_eq!(report.found.iter().map(Found::serial).next(), Some("SN-1"));
    assert!(peer.seen().iter().all(|seen| matches!(seen.function, 3 | 4)));
}
