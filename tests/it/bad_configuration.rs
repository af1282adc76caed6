//! Every wrong configuration ends with exit code 78 and names file, line, key and remedy.

use std::fs;

use tempfile::TempDir;

use crate::parts::{house, maestro};

const ROOF: &str =
    "[modbus.roof]\naddress = \"tcp://127.0.0.1:502\"\n[modbus.roof.device.roof]\nprofile = \"sunspec\"\n";

/// What `maestro run` and `maestro check` say, after the folder's name.
fn refused(text: &str) -> String {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("maestro.toml");
    fs::write(&file, text).unwrap();
    let run = maestro().arg("--config").arg(&file).arg("run").output().unwrap();
    assert_eq!(run.status.code(), Some(78), "{}", String::from_utf8_lossy(&run.stderr));
    let check = maestro().arg("--config").arg(&file).arg("check").output().unwrap();
    assert_eq!(check.status.code(), Some(78));
    let said = String::from_utf8(run.stderr).unwrap();
    let checked = String::from_utf8(check.stdout).unwrap();
    assert!(checked.starts_with(said.trim_end()), "run: {said}\ncheck: {checked}");
    said.replace(&format!("{}/", folder.path().display()), "")
}

fn with_gateway(text: &str) -> String {
    format!("[gateway]\n{}\n{text}", house::GATEWAY)
}

#[test]
fn each_mistake_names_its_file_line_key_and_remedy() {
    let duplicate = format!(
        "{ROOF}[modbus.attic]\naddress = \"tcp://127.0.0.1:503\"\n[modbus.attic.device.roof]\nprofile = \"sunspec\"\n"
    );
    let two_grids = "[modbus.a]\naddress = \"tcp://127.0.0.1:502\"\n[modbus.a.device.one]\nprofile = \"eastron-sdm630\"\nusage = \"grid\"\n\
        [modbus.b]\naddress = \"tcp://127.0.0.1:503\"\n[modbus.b.device.two]\nprofile = \"eastron-sdm630\"\nusage = \"grid\"\n";
    let cases = [
        (
            with_gateway("[journal]\ngruop = \"1s\"\n"),
            "maestro.toml:5: error: journal.gruop: unknown key; known here are group, retention, max_size",
        ),
        (with_gateway("[modbsu.roof]\n"), "error: modbsu: unknown section; known are gateway"),
        (
            with_gateway(&ROOF.replace("sunspec", "sunspek")),
            "maestro.toml:7: error: modbus.roof.device.roof.profile:",
        ),
        (with_gateway("[journal]\ngroup = 10\n"), "maestro.toml:5: error: journal.group: found"),
        (with_gateway("[journal]\ngroup = \"10 parsecs\"\n"), "is no duration"),
        (
            with_gateway(&duplicate),
            "error: modbus.roof.device.roof: the device id `roof` stands at modbus.attic.device.roof as well",
        ),
        (with_gateway(two_grids), "a home has one"),
        (
            with_gateway(&format!("{}{}", line("a", 1), line("b", 1))),
            "maestro.toml:12: error: modbus.b.address: `/dev/ttyUSB0` is held by [modbus.a] already",
        ),
        (
            with_gateway(&ROOF.replace("tcp://127.0.0.1:502", "rtu:///dev/ttyUSB0?speed=9600")),
            "`speed` is no option: allowed are baud, parity, stop",
        ),
        (ROOF.to_owned(), "error: gateway.id: it is missing; give this home a name of its own"),
        (
            with_gateway(
                "[mqtt_api]\nurl = \"mqtt://localhost\"\nusername = \"m\"\npassword_file = \"not-there\"\n",
            ),
            "maestro.toml:7: error: mqtt_api.password_file:",
        ),
        (with_gateway("[mqtt_api]\nurl = \"http://localhost\"\n"), "maestro.toml:5: error: mqtt_api.url:"),
        (with_gateway("[broker]\nlisten = \"0.0.0.0:1883\"\n"), "maestro.toml:5: error: broker.listen:"),
        (with_gateway("[mongodb]\nuri = \"localhost\"\n"), "maestro.toml:5: error: mongodb.uri:"),
        (with_gateway(&ROOF.replace("tcp://", "udp://")), "maestro.toml:5: error: modbus.roof.address:"),
        (with_gateway("[journal\n"), "maestro.toml:4: error:"),
        (
            with_gateway(ROOF).replace("user_id", "timezone = \"Mars/Base\"\nuser_id"),
            "maestro.toml:3: error: gateway.timezone: `Mars/Base` is no time zone",
        ),
    ];
    for (text, expected) in cases {
        let said = refused(&text);
        assert!(said.contains(expected), "expected: {expected}\nsaid: {said}\nfor:\n{text}");
    }
}

/// A serial line with so many meters, read each second.
fn line(name: &str, meters: u8) -> String {
    let meter = |unit| {
        format!(
            "[modbus.{name}.device.{name}{unit}]\nprofile = \"eastron-sdm630\"\nunit = {unit}\nusage = \"load\"\n"
        )
    };
    let meters: String = (1..=meters).map(meter).collect();
    format!("[modbus.{name}]\naddress = \"rtu:///dev/ttyUSB0\"\ninterval = \"1s\"\n{meters}")
}

#[test]
fn a_line_that_cannot_keep_its_interval_is_a_warning_with_one_that_it_can_keep() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("maestro.toml");
    fs::write(&file, with_gateway(&line("line", 10))).unwrap();
    let check = maestro().arg("--config").arg(&file).arg("check").output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success(), "{said}");
    let wanted = "maestro.toml:6: warning: modbus.line.interval: 10 units need 182 % of the time";
    assert!(said.contains(wanted) && said.contains("interval = \"2100ms\""), "{said}");
}

#[test]
fn meters_that_would_all_measure_the_grid_are_a_warning() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("maestro.toml");
    let meters = line("line", 3).replace("usage = \"load\"\n", "");
    fs::write(&file, with_gateway(&meters)).unwrap();
    let check = maestro().arg("--config").arg(&file).arg("check").output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success(), "{said}");
    assert_eq!(said.matches("measures the grid unless it says otherwise").count(), 2, "{said}");
    assert!(said.contains("modbus.line.device.line3.usage"), "{said}");
}

#[test]
fn a_device_that_nobody_says_the_strength_of_is_a_warning() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("maestro.toml");
    let roof = format!("{}control = true\n", ROOF.replace("sunspec", "growatt-sph"));
    fs::write(&file, with_gateway(&roof)).unwrap();
    let check = maestro().arg("--config").arg(&file).arg("check").output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success(), "{said}");
    let wanted =
        "maestro.toml:6: warning: modbus.roof.device.roof.max_power: the profile `growatt-sph` does not read";
    assert!(said.contains(wanted) && said.contains("`charge_power`, `discharge_power` (W)"), "{said}");
}

#[test]
fn a_missing_file_says_so() {
    let run = maestro().args(["--config", "/nowhere/maestro.toml", "run"]).output().unwrap();
    assert_eq!(run.status.code(), Some(78));
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(said.contains("/nowhere/maestro.toml") && said.contains("cannot be read"), "{said}");
}

#[test]
fn the_shipped_example_is_good_and_says_what_may_be_written() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/maestro.toml");
    let without_id = maestro().args(["--config", example, "check"]).output().unwrap();
    assert_eq!(without_id.status.code(), Some(78), "it has no id that two homes could share");
    // Its secrets are files of the installed system; each is given directly here.
    let text = fs::read_to_string(example).unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("maestro.toml");
    fs::write(&file, text).unwrap();
    let check = maestro()
        .arg("--config")
        .arg(&file)
        .arg("check")
        .env("MAESTRO_GATEWAY__ID", "12345")
        .output()
        .unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success(), "{said}");
    assert!(
        said.contains("gateway `12345`") && said.contains("May be written (control = true): roof"),
        "{said}"
    );
}

#[test]
fn drop_in_files_add_up_and_the_later_one_wins() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("maestro.toml");
    fs::write(&file, format!("{}{}", with_gateway("[journal]\ngroup = \"10s\"\n"), ROOF)).unwrap();
    fs::create_dir(folder.path().join("maestro.d")).unwrap();
    fs::write(folder.path().join("maestro.d/10-meter.toml"), "[modbus.panel]\naddress = \"tcp://127.0.0.1:503\"\n[modbus.panel.device.house]\nprofile = \"eastron-sdm630\"\nusage = \"load\"\n").unwrap();
    fs::write(
        folder.path().join("maestro.d/20-wrong.toml"),
        "# the second line is wrong\n[journal]\ngroup = 5\n",
    )
    .unwrap();
    let check = maestro().arg("--config").arg(&file).arg("check").output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(said.contains("maestro.d/20-wrong.toml:3: error: journal.group"), "{said}");
    fs::remove_file(folder.path().join("maestro.d/20-wrong.toml")).unwrap();
    let check = maestro().arg("--config").arg(&file).arg("check").output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(said.contains("gateway `home-1`, 2 devices"), "{said}");
}

#[test]
fn secrets_never_appear_in_what_check_says() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("maestro.toml");
    let text = with_gateway(
        "[mongodb]\nuri = \"mongodb://anna:hunter2@localhost\"\n[mqtt_api]\nurl = \"mqtt://localhost\"\nusername = \"m\"\npassword = \"hunter2\"\n",
    );
    fs::write(&file, format!("{text}{ROOF}")).unwrap();
    for arguments in [&["check"][..], &["check", "--json"]] {
        let check = maestro().arg("--config").arg(&file).args(arguments).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
        let said = [check.stdout, check.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains("hunter2"));
    }
}
