//! Serial lines with their real timing.

use std::time::Duration;

use adapter_api::profile::{Point, builtin};
use simulator::{ConverterSettings, Fault, Line, LineSettings, Parity, RegisterMap, Scope, Server, Units};

use crate::{
    Report, Scan, ScanOptions, Settings, Step, device_settings, field::paste::paste, probe, testing::soon,
};

/// What the SDM630's signature looks at: 50 Hz and 230 V.
fn meter() -> RegisterMap {
    let (volts, hertz) = ([0x4366, 0x0000], [0x4248, 0x0000]);
    let points = builtin()["eastron-sdm630"].points.values().map(|point: &Point| point.first().span().0);
    let zero = points.fold(RegisterMap::new(), |map, register| map.input(register, &[0, 0]));
    zero.input(0, &volts).input(42, &volts).input(70, &hertz)
}

fn line(baud: u32, parity: Parity) -> Line {
    let units = Units::one(1, meter()).and(5, meter());
    let latency = Duration::from_millis(5);
    Line::start(LineSettings { baud, parity, latency, units, ..LineSettings::default() }).unwrap()
}

#[tokio::test]
async fn the_speed_and_parity_that_answered_stand_in_the_tables() {
    let line = line(19_200, Parity::Even);
    let options = ScanOptions {
        units: Some("1,2,5".to_owned()),
        bauds: vec![115_200, 19_200],
        timeout: Some(Duration::from_millis(500)),
    };
    // A pseudo terminal carries any speed: it is deaf until the last one is tried.
    line.port().fault(Fault::Silence { executed: false }, Scope::ALL);
    let mut report = Report::default();
    let plan = Scan::new(&format!("rtu://{}?parity=even", line.path()), &options).unwrap();
    let mut watch = |step: Step<'_>| {
        if step.done == 3 {
            line.port().clear_faults();
        }
    };
    soon(plan.run(&mut report, &mut watch)).await.unwrap();
    let address = format!("rtu://{}?baud=19200&parity=even&stop=1", line.path());
    let found: Vec<_> = report
        .found
        .iter()
        .map(|found| (found.address.as_str(), found.unit, found.profiles.as_slice()))
        .collect();
    let profile = ["eastron-sdm630".to_owned()];
    assert_eq!(found, [(address.as_str(), 1, &profile[..]), (address.as_str(), 5, &profile[..])]);
    let pastes = paste(&report, &Default::default());
    #[derive(serde::Deserialize)]
    struct File {
        modbus: std::collections::BTreeMap<String, Settings>,
    }
    let file: File = toml::from_str(&pastes[0].text).unwrap();
    assert_eq!(
        (file.modbus["eastron"].address.as_str(), file.modbus["eastron"].check()),
        (address.as_str(), vec![])
    );
    assert_eq!(line.port().writes().len(), 0);
}

#[tokio::test]
async fn a_point_of_a_meter_on_a_line_shows_its_value() {
    let line = line(9_600, Parity::None);
    let settings = device_settings(&format!("rtu://{}", line.path()), "eastron-sdm630", 5).unwrap();
    let probed = soon(probe(&settings, "device")).await.unwrap().unwrap();
    let shown = probed.points.iter().find(|shown| shown.seen.point == "voltageL1").unwrap();
    assert_eq!((shown.seen.raw.as_slice(), shown.seen.value.as_deref()), (&[0x4366, 0][..], Some("230")));
}

#[tokio::test]
async fn a_line_that_is_held_is_not_scanned() {
    let line = line(9_600, Parity::None);
    let address = format!("rtu://{}?baud=9600&parity=none", line.path());
    let _held = tokio_serial::SerialStream::open(&tokio_serial::new(line.path(), 9_600)).unwrap();
    let mut report = Report::default();
    let scan = Scan::new(&address, &ScanOptions::default()).unwrap();
    let problem = soon(scan.run(&mut report, &mut |_| {})).await.unwrap_err().to_string();
    assert!(problem.contains("is held by"), "{problem}");
    let settings = device_settings(&address, "eastron-sdm630", 1).unwrap();
    let problem = soon(probe(&settings, "device")).await.unwrap().unwrap_err().to_string();
    assert!(problem.contains("is held by"), "{problem}");
}

#[tokio::test]
async fn a_port_stays_open_over_units_that_are_silent() {
    let line = line(115_200, Parity::None);
    let address = format!("rtu://{}?baud=115200&parity=none", line.path());
    let timeout = Some(Duration::from_millis(50));
    let options = ScanOptions { units: Some("7-9".to_owned()), timeout, ..ScanOptions::default() };
    let mut open = Vec::new();
    let mut watch = |_: Step<'_>| {
        // Only one may have it.
        open.push(tokio_serial::SerialStream::open(&tokio_serial::new(line.path(), 9_600)).is_err());
    };
    let mut report = Report::default();
    soon(Scan::new(&address, &options).unwrap().run(&mut report, &mut watch)).await.unwrap();
    assert_eq!((open, report.found.len()), (vec![true; 3], 0));
}

#[tokio::test]
async fn a_refusal_after_a_silence_is_a_sign_of_life() {
    let units = Units::one(5, RegisterMap::new().input(100, &[1]));
    let line = Line::start(LineSettings { baud: 115_200, units, ..LineSettings::default() }).unwrap();
    line.port().fault(Fault::Silence { executed: false }, Scope::next(1));
    let timeout = Some(Duration::from_millis(500));
    let options = ScanOptions { units: Some("5".to_owned()), timeout, ..ScanOptions::default() };
    let address = format!("rtu://{}?baud=115200&parity=none", line.path());
    let mut report = Report::default();
    soon(Scan::new(&address, &options).unwrap().run(&mut report, &mut |_| {})).await.unwrap();
    assert_eq!((report.found.len(), report.remarks.len()), (1, 0), "{report:?}");
}

#[tokio::test]
async fn a_cable_that_is_pulled_ends_the_scan_with_words_and_keeps_what_was_found() {
    let line = line(115_200, Parity::None);
    let address = format!("rtu://{}?baud=115200&parity=none", line.path());
    let options = ScanOptions { units: Some("1,10-30".to_owned()), ..ScanOptions::default() };
    let scan = Scan::new(&address, &options).unwrap();
    let (told, mut heard) = tokio::sync::mpsc::channel(64);
    let mut report = Report::default();
    let mut watch = |step: Step<'_>| told.try_send(step.unit).unwrap();
    let pull = async {
        assert_eq!(heard.recv().await, Some(1));
        line.unplug().await;
    };
    let (ended, ()) = soon(async { tokio::join!(scan.run(&mut report, &mut watch), pull) }).await;
    assert_eq!((ended, report.found.len(), report.complete), (Ok(()), 1, false));
    assert!(report.remarks.last().unwrap().contains("The line was lost before unit"), "{report:?}");
    let ended = soon(scan.run(&mut Report::default(), &mut |_| {})).await;
    assert!(ended.unwrap_err().to_string().contains("There is no serial port"));
}

#[tokio::test]
async fn units_behind_a_converter_are_asked_as_on_a_line() {
    let units = Units::one(3, meter()).and(200, meter());
    let any = "127.0.0.1:0".parse().unwrap();
    let converter = Server::start_rtu(any, units, ConverterSettings::default()).await.unwrap();
    let options = ScanOptions { timeout: Some(Duration::from_millis(500)), ..ScanOptions::default() };
    let options = ScanOptions { units: Some("1-3,200".to_owned()), ..options };
    let address = format!("rtu+tcp://{}", converter.addr());
    let mut report = Report::default();
    soon(Scan::new(&address, &options).unwrap().run(&mut report, &mut |_| {})).await.unwrap();
    let found: Vec<_> = report.found.iter().map(|found| (found.unit, found.profiles.len())).collect();
    assert_eq!(found, [(3, 1), (200, 1)]);
}
