//! `maestro scan` and `maestro probe`, as an installer uses them: against the simulated home, with
//! and without a configuration, and where things are not as they should be.

use std::{
    fs,
    net::SocketAddr,
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;
use simulator::{
    ConverterSettings, Device, Exception, Fault, Home, HomeSettings, Line, LineSettings, RegisterMap, Scope,
    Server, Table, Units, UnknownUnit,
};
use tempfile::TempDir;

use crate::parts::{Gateway, free_port, house, maestro, until_true};

/// A configuration file in a folder of its own.
struct Place(TempDir);

impl Place {
    fn new(sections: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let run = folder.path().join("run").display().to_string();
        let text = format!("[gateway]\n{}\nruntime_dir = \"{run}\"\n{sections}\n", house::GATEWAY);
        fs::write(folder.path().join("maestro.toml"), text).unwrap();
        Self(folder)
    }

    async fn maestro(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(maestro());
        command.arg("--config").arg(self.0.path().join("maestro.toml")).args(arguments);
        command.output().await.unwrap()
    }

    /// What a command printed as JSON, and whether it ended well.
    async fn json(&self, arguments: &[&str]) -> (Value, bool) {
        let output = self.maestro(&[arguments, &["--json"]].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr);
        let value = serde_json::from_slice(&output.stdout);
        (value.unwrap_or_else(|error| panic!("{error}: {said}")), output.status.success())
    }
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn tcp(address: SocketAddr) -> String {
    format!("tcp://{address}")
}

async fn server(units: Units) -> Server {
    Server::start("127.0.0.1:0".parse().unwrap(), units).await.unwrap()
}

/// The tables that a scan printed.
fn tables(stdout: &str) -> &str {
    &stdout[stdout.find("[modbus.").unwrap()..]
}

/// A point of what `probe` told.
fn named<'a>(told: &'a serde_json::Value, point: &str) -> &'a serde_json::Value {
    let mut points = told["points"].as_array().into_iter().flatten();
    points.find(|shown| shown["point"] == point).unwrap_or(&serde_json::Value::Null)
}

#[tokio::test]
async fn what_a_scan_of_the_home_prints_is_a_configuration_that_check_accepts() {
    let (home, empty) = (house::still_home(12.0).await, Place::new(""));
    let mut pasted = String::new();
    for (address, expected) in [
        (home.hybrid_addr(), ["Hybrid 6.0", "SIM-HYBRID-0001", "profile = \"sunspec\"", "# control = true"]),
        (home.meter_addr(), ["Eastron SDM630", "eastron-sdm630", "unit = 1", "# usage = "]),
    ] {
        let output = empty.maestro(&["scan", &tcp(address)]).await;
        let (stdout, stderr) = said(&output);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        for words in expected {
            assert!(stdout.contains(words), "{words} in {stdout}");
        }
        assert!(stderr.contains("Asking 247 unit ids") && stderr.contains("Ctrl-C"), "{stderr}");
        // Where the configuration looks for it.
        let folder = empty.0.path().join("maestro.d").display().to_string();
        assert!(stdout.contains(&format!("paste this into {folder}/")), "{stdout}");
        pasted.push_str(tables(&stdout));
    }
    let place = Place::new(&pasted);
    let check = place.maestro(&["check"]).await;
    let (stdout, _) = said(&check);
    assert!(check.status.success(), "{stdout}\nof:\n{pasted}");
    assert!(stdout.contains("2 devices") && stdout.contains("Nothing may be written"), "{stdout}");
    assert!(home.hybrid().writes().is_empty() && home.meter().writes().is_empty());
    // Once it is configured, the next scan says so.
    let (told, _) = place.json(&["scan", &tcp(home.hybrid_addr())]).await;
    assert_eq!(told["tables"][0]["configured"], true, "{told}");
    assert_eq!(
        (&told["tables"][0]["toml"], &told["found"][0]["configuredAs"]),
        (&"".into(), &"hybrid-6-0".into())
    );
    let again = place.maestro(&["scan", &tcp(home.hybrid_addr())]).await;
    assert!(said(&again).0.contains("of the configuration has all of"), "{}", said(&again).0);
}

#[tokio::test]
async fn a_scan_as_json_is_one_object_and_nothing_on_stderr() {
    let (home, empty) = (house::still_home(12.0).await, Place::new(""));
    let output = empty.maestro(&["scan", &tcp(home.hybrid_addr()), "--json"]).await;
    let (stdout, stderr) = said(&output);
    assert_eq!(stderr, "");
    let told: Value = serde_json::from_str(&stdout).unwrap();
    let found = &told["found"][0];
    assert_eq!((told["complete"].as_bool(), found["unit"].as_u64()), (Some(true), Some(1)));
    assert_eq!(found["identities"][0]["serialNumber"], "SIM-HYBRID-0001");
    assert!(found["sunspecModels"].as_array().unwrap().contains(&124.into()), "{found}");
    assert_eq!(found["profiles"][0], "sunspec");
    assert!(told["tables"][0]["toml"].as_str().unwrap().starts_with("[modbus."), "{told}");
}

#[tokio::test]
async fn a_unit_that_no_profile_fits_and_a_device_on_any_unit_id_are_told() {
    let empty = Place::new("");
    let plain = server(Units::one(7, RegisterMap::new().holding(0, &[1, 2]))).await;
    let output = empty.maestro(&["scan", &tcp(plain.addr()), "--units", "5-9"]).await;
    let (stdout, _) = said(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout.contains("answers, no known profile") && !stdout.contains("[modbus."), "{stdout}");
    let next = format!("maestro probe --connection '{}' --profile <name> --unit 7", tcp(plain.addr()));
    assert!(stdout.contains(&next) && stdout.contains("/profiles/<name>.toml"), "{stdout}");
    let all = (1..=247)
        .fold(Units::default(), |units, unit| units.and(unit, RegisterMap::new().holding(0, &[1, 2])));
    let any = server(all).await;
    let (told, good) = empty.json(&["scan", &tcp(any.addr())]).await;
    assert!(good);
    assert_eq!(told["found"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["found"][0]["sameOnUnits"].as_array().unwrap().len(), 8);
    assert!(told["remarks"][0].as_str().unwrap().contains("answers on any unit id"), "{told}");
}

#[tokio::test]
async fn nothing_found_is_exit_code_1_with_words() {
    let empty = Place::new("");
    let home = Home::start(HomeSettings { unknown_unit: UnknownUnit::Silence, ..HomeSettings::default() });
    let home = home.await.unwrap();
    let silent = tcp(home.hybrid_addr());
    let output = empty.maestro(&["scan", &silent, "--units", "5-6", "--timeout", "50ms"]).await;
    assert_eq!(output.status.code(), Some(1));
    for words in ["Nothing answered at", "A and B", "120 ohms", "factory as unit 1", "--units"] {
        assert!(said(&output).0.contains(words), "{words}: {}", said(&output).0);
    }
    let refused = tcp(([127, 0, 0, 1], free_port()).into());
    for (arguments, words) in [
        (vec!["scan", refused.as_str()], "Modbus TCP is switched on"),
        (vec!["scan", "tcp://[fe80::1%nowhere]"], "The host `fe80::1%nowhere` is not known"),
        (vec!["scan", "rtu:///dev/ttyNONE7"], "ls /dev/serial/by-id"),
        (vec!["scan", "192.168.1.50"], "write tcp://host:port"),
        (vec!["scan", "tcp://x", "--units", "0"], "like 1-20,247"),
        (vec!["scan", "tcp://x", "--baud", "9600"], "no serial line"),
    ] {
        let output = empty.maestro(&arguments).await;
        let (_, stderr) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
}

/// Tells that it was asked.
struct Bell(Arc<AtomicBool>);

impl Device for Bell {
    fn read(&mut self, _: Table, _: u16, _: u16) -> Result<Vec<u16>, Exception> {
        self.0.store(true, Ordering::SeqCst);
        Err(Exception::IllegalAddress)
    }

    fn write(&mut self, _: u16, _: &[u16]) -> Result<(), Exception> {
        Err(Exception::IllegalAddress)
    }
}

#[tokio::test]
async fn ctrl_c_prints_what_was_found_so_far() {
    let asked = Arc::new(AtomicBool::new(false));
    let units = Units::one(1, RegisterMap::new().holding(0, &[1, 2])).and(2, Bell(asked.clone()));
    let server = server(units).await;
    server.port().fault(Fault::Silence { executed: true }, Scope::ALL.unit(2));
    let mut scan = tokio::process::Command::from(maestro());
    scan.args(["--config", "/nowhere/maestro.toml", "scan", &tcp(server.addr()), "--timeout", "1h"]);
    let scan = scan.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    until_true("the second unit is asked", || asked.load(Ordering::SeqCst)).await;
    let id = scan.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let (stdout, stderr) = said(&scan.wait_with_output().await.unwrap());
    assert!(stdout.contains("answers, no known profile"), "{stdout}{stderr}");
    assert!(stdout.contains("ended early: there may be more"), "{stdout}{stderr}");
}

#[tokio::test]
async fn a_probe_shows_registers_and_values() {
    let home = house::still_home(12.0).await;
    let place = Place::new(&house::sections(&home));
    let output = place.maestro(&["probe", "house"]).await;
    let (stdout, stderr) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let raw = home.meter().peek(1, Table::Input, 0, 2).unwrap();
    let volts = f32::from_bits(u32::from(raw[0]) << 16 | u32::from(raw[1]));
    let line = stdout.lines().find(|line| line.starts_with("voltageL1 ")).unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(cells[1..3], ["4", "0"]);
    assert_eq!(cells[3..5], [format!("0x{:04X}", raw[0]), format!("0x{:04X}", raw[1])]);
    assert!((cells[5].parse::<f32>().unwrap() - volts).abs() < 1e-3 && cells[6] == "V", "{line}");
    let (told, good) = place.json(&["probe", "roof-battery"]).await;
    assert!(good && told["points"].as_array().unwrap().len() > 100, "all of the unit's models");
    // And without any configuration.
    let address = tcp(home.meter_addr());
    let nowhere =
        ["--config", "/nowhere/x.toml", "probe", "--connection", &address, "--profile", "eastron-sdm630"];
    let output = place.maestro(&[&nowhere[2..], &["--json"]].concat()).await;
    assert!(said(&output).0.contains("\"voltageL1\""), "{:?}", said(&output));
}

#[tokio::test]
async fn a_probe_that_cannot_be_says_why_and_what_to_do() {
    let home = house::still_home(12.0).await;
    let place = Place::new(&house::sections(&home));
    let failed = async |place: &Place, arguments: &[&str]| {
        let output = place.maestro(arguments).await;
        assert_eq!(output.status.code(), Some(1), "{:?}", said(&output));
        said(&output).1
    };
    let unknown = failed(&place, &["probe", "cellar"]).await;
    assert!(unknown.contains("but house, roof") || unknown.contains("but roof, house"), "{unknown}");
    assert!(unknown.contains("--connection"), "{unknown}");
    home.meter().fault(Fault::Silence { executed: false }, Scope::ALL);
    let silent = failed(&place, &["probe", "house"]).await;
    assert!(silent.contains("no answer") && silent.contains("Check the unit id"), "{silent}");
    let wrong = Place::new("[modbus.x]\naddress = \"tcp://x\"\n[modbus.x.device.x]\nprofile = \"sunspek\"\n");
    let broken = failed(&wrong, &["probe", "x"]).await;
    assert!(broken.contains("did you mean sunspec") && broken.contains("--connection"), "{broken}");
    let profile = failed(&place, &["probe", "--connection", "tcp://x", "--profile", "sunspek"]).await;
    assert!(profile.contains("did you mean sunspec"), "{profile}");
}

#[tokio::test]
async fn a_running_gateway_that_holds_the_only_connection_is_named() {
    let home = house::still_home(12.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("house").await;
    home.meter().fault(Fault::OneClient, Scope::ALL);
    let config = gateway.folder.path().join("maestro.toml").display().to_string();
    for arguments in [vec!["probe", "house"], vec!["scan", &tcp(home.meter_addr()), "--units", "1"]] {
        let mut command = tokio::process::Command::from(maestro());
        let output = command.args(["--config", &config]).args(&arguments).output().await.unwrap();
        let (stdout, stderr) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
        let said = stdout + &stderr;
        assert!(said.contains("The gateway is running") && said.contains("modbus.panel"), "{said}");
        assert!(said.contains("systemctl stop maestro"), "{said}");
    }
}

#[tokio::test]
async fn a_line_behind_a_converter_is_not_asked_while_the_gateway_uses_it() {
    let home = house::still_home(12.0).await;
    let image = home.meter().peek(1, Table::Input, 0, 400).unwrap();
    let units = Units::one(1, RegisterMap::new().input(0, &image));
    let any = "127.0.0.1:0".parse().unwrap();
    let converter = Server::start_rtu(any, units, ConverterSettings::default()).await.unwrap();
    let address = format!("rtu+tcp://{}", converter.addr());
    let tables = format!(
        "[modbus.bus]\naddress = \"{address}\"\n[modbus.bus.device.house]\nprofile = \"eastron-sdm630\"\n"
    );
    let gateway = Gateway::start(house::GATEWAY, &tables).await;
    gateway.points("house").await;
    let config = gateway.folder.path().join("maestro.toml").display().to_string();
    let without = ["probe", "--connection", &address, "--profile", "eastron-sdm630"];
    let (before, plain) = (converter.port().connections(), tcp(converter.addr()));
    for arguments in [&["scan", &address][..], &["scan", &plain], &["probe", "house"], &without] {
        let mut command = tokio::process::Command::from(maestro());
        let output = command.args(["--config", &config]).args(arguments).output().await.unwrap();
        let (stdout, stderr) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stdout}{stderr}");
        assert!(stderr.contains("two clients of one line") && stderr.contains("modbus.bus"), "{stderr}");
        assert!(stderr.contains("systemctl stop maestro"), "{stderr}");
    }
    assert_eq!(converter.port().connections(), before, "nobody else was on the line");
    // The configuration alone keeps nobody off.
    let (told, good) = Place::new(&tables).json(&["probe", "house"]).await;
    assert!(good, "{told}");
    assert!(named(&told, "voltageL1")["raw"][0].is_string(), "{told}");
}

#[tokio::test]
async fn a_configured_speed_at_which_nothing_answers_is_told_with_the_one_that_does() {
    let home = house::still_home(12.0).await;
    let image = home.meter().peek(1, Table::Input, 0, 400).unwrap();
    let units = Units::one(7, RegisterMap::new().input(0, &image));
    let line = Line::start(LineSettings { baud: 115_200, units, ..LineSettings::default() }).unwrap();
    let configured = format!("rtu://{}?baud=9600", line.path());
    let place = Place::new(&format!(
        "[modbus.bus]\naddress = \"{configured}\"\n[modbus.bus.device.house]\nprofile = \"eastron-sdm630\"\nunit = 7\n"
    ));
    let address = format!("rtu://{}?baud=115200&parity=none", line.path());
    let output = place.maestro(&["scan", &address, "--units", "7"]).await;
    let (stdout, stderr) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(stdout.contains(&format!("set address = \"{address}&stop=1\"")), "{stdout}");
    assert!(!stdout.contains("has all of"), "{stdout}");
}

#[tokio::test]
async fn a_serial_line_is_scanned_and_probed_unless_the_gateway_holds_it() {
    let home = house::still_home(12.0).await;
    let image = home.meter().peek(1, Table::Input, 0, 80).unwrap();
    let units = Units::one(7, RegisterMap::new().input(0, &image));
    let line = Line::start(LineSettings { baud: 115_200, units, ..LineSettings::default() }).unwrap();
    let address = format!("rtu://{}?baud=115200&parity=none", line.path());
    let empty = Place::new("");
    let output = empty.maestro(&["scan", &address, "--units", "6-8", "--timeout", "200ms"]).await;
    let (stdout, stderr) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    let tables = tables(&stdout).to_owned();
    assert!(tables.contains("baud=115200&parity=none&stop=1\"") && tables.contains("unit = 7"), "{tables}");
    let place = Place::new(&tables);
    let (told, good) = place.json(&["probe", "sdm630"]).await;
    assert!(good, "{told}");
    assert!(named(&told, "voltageL1")["raw"][0].is_string(), "{told}");
    assert_eq!(named(&told, "voltageL1")["raw"][0], format!("0x{:04X}", image[0]));
    // The same with the gateway on it.
    let gateway = Gateway::start(house::GATEWAY, &tables).await;
    gateway.points("sdm630").await;
    for arguments in [vec!["scan", address.as_str()], vec!["probe", "sdm630"]] {
        let output = place.maestro(&arguments).await;
        let (stdout, stderr) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
        assert!(stderr.contains("is held by the gateway"), "{stderr}");
        assert!(stderr.contains("systemctl stop maestro"), "{stderr}");
    }
}
