//! One folder per quirk in `testdata`: `registers.txt` is what a device answers, `expected.txt` what
//! becomes of it. With `REGENERATE=1` in the environment the expectation is written instead of compared: read the
//! difference before it is committed.
//!
//! `registers.txt`: comment lines say which quirk it shows and where the fact comes from; then words
//! from an address on, `40000: 5375 6E53`. What is not listed answers exception 2. Beside it may lie
//! `moved.txt`, all that the device answers once it was read, and `commands.txt`: one command a line,
//! `home set_power_limit percent=40`, and `single writes` where the device refuses function 16.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use adapter_api::{DeviceInfo, ReadBack, Reading, Value, Written};

use super::tests::{Bench, command};
use crate::testing::Peer;

/// Two meters have tables, so that it shows what they change.
const DEVICES: &str = "[device.home]\nprofile = 'sunspec'\n[device.home-meter3]\nusage = 'pv'\n";

/// All of them: one that is lost or renamed is missed.
const FOLDERS: [&str; 21] = [
    "bank_beside",
    "base_0",
    "base_50000",
    "battery_only_802",
    "der_700",
    "der_701_alone",
    "fronius_float",
    "fronius_int",
    "kostal_single_writes",
    "long_160",
    "meter_only_213",
    "moved_map",
    "refused_model",
    "sf_missing",
    "short_end",
    "sma_no_end",
    "solaredge",
    "three_meters",
    "twice_same_model",
    "vendor_models",
    "zero_tail",
];

fn folders() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut folders: Vec<PathBuf> = all.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    // Those of the register profiles are looked at by their own test.
    folders.retain(|folder| !folder.ends_with("profiles"));
    folders.sort();
    let names: Vec<&str> =
        folders.iter().map(|folder| folder.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, FOLDERS);
    folders
}

fn file(case: &str, name: &str) -> Option<String> {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(case).join(name)).ok()
}

/// A device that answers as one of the dumps says.
pub(super) async fn dumped(case: &str) -> Peer {
    let dump = file(case, "registers.txt").unwrap_or_else(|| panic!("{case}: it has no registers"));
    assert!(dump.starts_with("# "), "{case}: say what it shows and where it is from");
    let peer = Peer::start().await;
    serve(&peer, &dump);
    peer
}

/// Lets the peer answer as the dump says.
fn serve(peer: &Peer, dump: &str) {
    let lines = dump.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let (address, words) = line.split_once(':').unwrap_or_else(|| panic!("no address: {line}"));
        let words: Vec<u16> =
            words.split_whitespace().map(|word| u16::from_str_radix(word, 16).unwrap()).collect();
        peer.holding(1, address.parse().unwrap(), &words);
    }
}

fn describe(device: &DeviceInfo) -> String {
    let mut text = format!("device {}: {} {}", device.id, device.device_type.as_str(), device.role.as_str());
    if let Some(usage) = device.usage {
        write!(text, " {}", usage.as_str()).unwrap();
    }
    writeln!(text, ", {} by {}, phases {}", device.model, device.manufacturer, device.phases).unwrap();
    let said = [
        ("serial", device.serial.clone()),
        ("firmware", device.firmware.clone()),
        ("max_power", device.max_power.map(|watts| watts.to_string())),
        ("capacity", device.capacity.map(|kwh| kwh.to_string())),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            writeln!(text, "  {name} {value}").unwrap();
        }
    }
    let commands: Vec<&str> = device.commands.iter().map(|command| &*command.name).collect();
    writeln!(text, "  commands {}", commands.join(" ")).unwrap();
    text
}

fn show(reading: &Reading) -> String {
    let mut text = format!("reading {}: {}\n", reading.device, reading.quality.as_str());
    for (name, value) in &reading.points {
        let value = match value {
            // Floats of the device show what they are, without the digits that they never had.
            Value::Number(number) => ((number * 1000.0).round() / 1000.0).to_string(),
            Value::Bool(on) => on.to_string(),
            Value::Text(text) => text.to_string(),
        };
        writeln!(text, "  {name} {value}").unwrap();
    }
    text
}

/// Devices and readings as text, with a device that takes requests of up to `block` registers.
async fn shown(case: &str, block: u16) -> String {
    let peer = dumped(case).await;
    let mut bench = Bench::new(&peer, DEVICES, block);
    let mut text: String = bench.probe().await.unwrap().iter().map(describe).collect();
    let readings: String = bench.read().await.unwrap().iter().map(show).collect();
    let again: String = bench.read().await.unwrap().iter().map(show).collect();
    assert_eq!(readings, again, "{case}");
    // A string may be longer than what a device takes.
    assert!(peer.seen().iter().all(|request| request.count <= block.max(16)), "{case}");
    text.push_str(&readings);
    if let Some(dump) = file(case, "moved.txt") {
        peer.clear();
        serve(&peer, &dump);
        text.push_str("moved\n");
        text.extend(bench.read().await.unwrap().iter().map(show));
    }
    if let Some(commands) = file(case, "commands.txt") {
        for line in commands.lines().filter(|line| !line.starts_with('#')) {
            match line {
                "single writes" => peer.takes_single_writes(),
                line => text.push_str(&obey(&mut bench, &peer, line).await),
            }
        }
    }
    text
}

/// A command, what was written for it, and what it came to.
async fn obey(bench: &mut Bench, peer: &Peer, line: &str) -> String {
    let job = command(line);
    peer.seen();
    let written = match bench.write(&job).await {
        Written::Sent { .. } => "sent".to_owned(),
        other => format!("{other:?}"),
    };
    let mut text = format!("command {line}: {written}\n");
    for request in peer.seen().iter().filter(|request| !request.words.is_empty()) {
        writeln!(text, "  function {} writes {} {:?}", request.function, request.start, request.words)
            .unwrap();
    }
    let seen = match bench.read_back(&job).await {
        ReadBack::Applied { .. } => "applied".to_owned(),
        other => format!("{other:?}"),
    };
    writeln!(text, "  read back: {seen}").unwrap();
    text
}

#[tokio::test]
async fn every_folder_of_testdata_gives_what_it_expects_whatever_its_device_takes_in_one_request() {
    let mut wrong = Vec::new();
    for folder in folders() {
        let case = folder.file_name().unwrap().to_str().unwrap();
        let expected = folder.join("expected.txt");
        if std::env::var_os("REGENERATE").is_some() {
            std::fs::write(&expected, shown(case, 125).await).unwrap();
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        for block in [125, 100, 64, 50, 30, 12] {
            let got = shown(case, block).await;
            wrong.extend(difference(&wanted, &got).map(|lines| format!("{case}, block {block}\n{lines}")));
        }
    }
    assert!(wrong.is_empty(), "expected -, got +\n{}", wrong.join("\n"));
}

/// The lines that only one of the two has.
fn difference(wanted: &str, got: &str) -> Option<String> {
    let mut lines = String::new();
    let (mut old, mut new) = (wanted.lines().peekable(), got.lines().peekable());
    while old.peek().is_some() || new.peek().is_some() {
        match (old.peek().copied(), new.peek().copied()) {
            (Some(a), Some(b)) if a == b => {
                old.next();
                new.next();
            }
            (Some(a), b) if b.is_none() || !new.clone().any(|line| line == a) => {
                writeln!(lines, "- {a}").unwrap();
                old.next();
            }
            (_, Some(b)) => {
                writeln!(lines, "+ {b}").unwrap();
                new.next();
            }
            (_, None) => break,
        }
    }
    (wanted != got).then_some(lines)
}

#[test]
fn a_difference_shows_the_lines_of_one_side_alone() {
    assert_eq!(difference("a\nb\nc\n", "a\nB\nc\nd\n").unwrap(), "- b\n+ B\n+ d\n");
    assert_eq!((difference("a\n", "a\n"), difference("", "")), (None, None));
}
