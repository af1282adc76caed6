//! Profiles of an installer's own: used, checked with file, line, key and remedy, and listed.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::parts::{house, maestro};

const METER: &str = "manufacturer = \"M\"\nmodels = [\"X1\"]\nprotocol = \"modbus\"\ndevice_type = \"energy_meter\"\n\
    energy_role = \"monitor\"\nsources = [\"book\"]\n[points]\nactivePower = { register = 4, type = \"i16\" }\n";

const HYBRID: &str = "manufacturer = \"M\"\nmodels = [\"H1\"]\nprotocol = \"modbus\"\ndevice_type = \"solar_inverter\"\n\
    energy_role = \"producer\"\nsources = [\"book\"]\n[points]\nactivePower = { register = 4, type = \"i16\" }\n\
    [parts.battery]\ndevice_type = \"battery_pack\"\nenergy_role = \"storage\"\n\
    [parts.battery.points]\nactivePower = { register = 5, type = \"i16\" }\n\
    [setpoints.battery]\npart = \"battery\"\n[setpoints.battery.states]\n\
    charge.writes = [{ register = 9, value = 1 }]\nauto.writes = [{ register = 9, value = 0 }]\n";

/// A configuration with profiles beside it, and one device with the profile `used`.
struct Home(TempDir);

impl Home {
    fn new(used: &str, profiles: &[(&str, &str)]) -> Self {
        let home = Self(TempDir::new().unwrap());
        fs::create_dir(home.0.path().join("profiles")).unwrap();
        let text = format!(
            "[gateway]\n{}\n[modbus.roof]\naddress = \"tcp://127.0.0.1:502\"\n\
             [modbus.roof.device.roof]\nprofile = \"{used}\"\n",
            house::GATEWAY
        );
        fs::write(home.0.path().join("maestro.toml"), text).unwrap();
        profiles.iter().for_each(|(name, text)| home.write(name, text));
        home
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(format!("profiles/{name}.toml")), text).unwrap();
    }

    /// What the program says on its two outputs, without the folder's name, and how it ends.
    fn says(&self, arguments: &[&str]) -> (i32, String, String) {
        let file = self.0.path().join("maestro.toml");
        let done = maestro().arg("--config").arg(file).args(arguments).output().unwrap();
        let folder = format!("{}/", self.0.path().display());
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&folder, "");
        (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
    }

    fn checked(&self) -> (i32, String) {
        let (code, said, _) = self.says(&["check"]);
        (code, said)
    }
}

#[test]
fn a_profile_of_ones_own_is_used() {
    let home = Home::new("my-meter", &[]);
    let (code, said) = home.checked();
    assert!(code == 78 && said.contains("there is no profile `my-meter`"), "{said}");
    home.write("my-meter", METER);
    let (code, said) = home.checked();
    assert!(code == 0 && said.contains("1 device") && !said.contains("warning"), "{said}");
    // A device that is switched off uses its profile as well.
    let file = home.0.path().join("maestro.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}enabled = false\n")).unwrap();
    let (code, said) = home.checked();
    assert!(code == 0 && !said.contains("no device uses it"), "{said}");
}

#[test]
fn each_mistake_names_file_line_key_and_what_to_write() {
    let cases = [
        (
            METER.replace("type = \"i16\"", "typ = \"i16\""),
            ":8: error: points.activePower.typ: unknown key `typ`; known here are register,",
        ),
        (
            METER.replace("\"i16\"", "\"i15\""),
            ":8: error: points.activePower.type: `i15` is not known here; allowed are u16, i16",
        ),
        (
            METER.replace("register = 4", "register = \"4\""),
            ":8: error: points.activePower.register: found string \"4\", but it must be a whole number from 0 to 65535",
        ),
        (METER.replace(", type = \"i16\"", ""), ":8: error: points.activePower: needs `type`: u16, i16"),
        (METER.replace("models = [\"X1\"]\n", ""), ": error: models: `models` is missing: write it"),
        (
            METER.replace("[points]", "extend = \"eastron-sdm630\"\n[points]"),
            ":7: error: extend: unknown key `extend`; known here are manufacturer,",
        ),
        (
            METER.replace("energy_meter", "energy_metre"),
            ":4: error: device_type: `energy_metre` is not a device type; allowed are smart_plug",
        ),
        (METER.replacen("manufacturer", "manufactur", 1), ":1: error: manufactur: unknown key `manufactur`"),
        (METER.replace("[points]", "[points"), ":7: error: "),
        (
            format!("{METER}[limits]\nforbidden = [{{ from = 4, to = 4 }}]\n"),
            ":8: error: points.activePower: lies in limits.forbidden: leave the point out",
        ),
        (format!("{METER}[limits]\nblock = 0\n"), ":10: error: limits.block: must be 1 to 125 registers"),
        (
            HYBRID.replace("auto.writes", "hold.writes"),
            ":14: error: setpoints.battery: needs the state `auto`: write a table `[setpoints.battery.states.auto]`",
        ),
        (
            HYBRID.replace("value = 1", "value = 1, from = \"power\""),
            ":17: error: setpoints.battery.states.charge.writes: the write of register 9 needs either `value` or `from`",
        ),
        (
            HYBRID.replace("part = \"battery\"", "part = \"grid\""),
            ":15: error: setpoints.battery.part: names a part that the profile does not have: add `[parts.grid]`",
        ),
        (
            HYBRID.replace("energy_role = \"storage\"\n", ""),
            ":9: error: parts.battery.energy_role: `energy_role` is missing",
        ),
        (
            "extends = \"eastron-sdm631\"\n".to_owned(),
            ":1: error: extends: there is no profile `eastron-sdm631` to extend: write the name of a shipped one",
        ),
        (
            "extends = \"mine\"\n".to_owned(),
            ":1: error: extends: there is no shipped profile `mine`, and a profile cannot extend itself",
        ),
        ("extends = 5\n".to_owned(), ":1: error: extends: must be the name of a profile, like extends ="),
        (
            "extends = \"eastron-sdm630\"\n[points]\nvoltage = { register = 42, kind = \"f32\" }\n"
                .to_owned(),
            ":3: error: points.voltage.kind: unknown key `kind`",
        ),
        (
            "# The meter's own point is the one that cannot be read.\nextends = \"eastron-sdm630\"\n\
             [limits]\nforbidden = [{ function = \"input\", from = 42, to = 43 }]\n"
                .to_owned(),
            ":2: error: points.voltage: lies in limits.forbidden",
        ),
    ];
    for (text, expected) in cases {
        let home = Home::new("sunspec", &[("mine", &text)]);
        let (code, said) = home.checked();
        let expected = format!("profiles/mine.toml{expected}");
        assert!(code == 78 && said.contains(&expected), "expected: {expected}\nsaid: {said}\nfor:\n{text}");
    }
}

#[test]
fn all_mistakes_of_all_files_are_said_at_once() {
    let home = Home::new(
        "sunspec",
        &[
            ("a", &METER.replace("i16", "i15")),
            ("b", &METER.replace("register", "registre")),
            ("c", "extends = \"a\"\n[limits]\nblock = 20\n"),
            ("good", METER),
        ],
    );
    let file = home.0.path().join("maestro.toml");
    let text =
        fs::read_to_string(&file).unwrap().replace("[modbus.roof]", "[journal]\ngruop = 1\n[modbus.roof]");
    fs::write(&file, text).unwrap();
    let (code, said) = home.checked();
    assert_eq!(code, 78);
    for expected in [
        "error: journal.gruop: unknown key",
        "profiles/a.toml:8: error: points.activePower.type",
        "profiles/b.toml:8: error: points.activePower.registre: unknown key",
        "profiles/c.toml:1: error: points.activePower.type: it extends a profile that cannot be used: mend that one first",
    ] {
        assert!(said.contains(expected), "expected: {expected}\nsaid: {said}");
    }
    assert!(!said.contains("good.toml"), "{said}");
    let (_, told, _) = home.says(&["check", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let at =
        told["findings"].as_array().unwrap().iter().find(|it| it["key"] == "points.activePower.registre");
    assert_eq!(at.unwrap()["line"], 8);
}

#[test]
fn single_keys_of_a_shipped_profile_are_changed_by_extending_it() {
    let slower = "extends = \"eastron-sdm630\"\n[limits]\ntimeout = \"3s\"\n";
    let home = Home::new("eastron-sdm630", &[("eastron-sdm630", slower)]);
    let (code, said) = home.checked();
    assert!(code == 0 && !said.contains("warning"), "{said}");
    let (code, told, _) = home.says(&["profiles", "eastron-sdm630"]);
    assert!(code == 0 && told.contains("yours, in place of the shipped one"), "{told}");
    assert!(told.contains("at most 80 registers") && told.contains("may take 3s"), "{told}");
    // Two steps: another profile of the folder is extended, which is used by that alone.
    let home = Home::new("two", &[("one", slower), ("two", "extends = \"one\"\n[limits]\nblock = 70\n")]);
    let (code, said) = home.checked();
    assert!(code == 0 && !said.contains("warning"), "{said}");
    let (_, told, _) = home.says(&["profiles", "two"]);
    assert!(told.contains("at most 70 registers") && told.contains("may take 3s"), "{told}");
}

#[test]
fn what_is_doubtful_in_a_good_profile_is_a_warning() {
    let home = Home::new(
        "sunspec",
        &[("eastron-sdm630", METER), ("unsaid", &METER.replace("sources = [\"book\"]\n", ""))],
    );
    let (code, said) = home.checked();
    assert_eq!(code, 0, "{said}");
    for expected in [
        "profiles/eastron-sdm630.toml: warning: replaces the shipped profile `eastron-sdm630`: updates of it no longer reach this gateway; use `extends = \"eastron-sdm630\"`",
        "profiles/eastron-sdm630.toml: warning: no device uses it",
        "profiles/unsaid.toml: warning: sources: there are none",
    ] {
        assert!(said.contains(expected), "expected: {expected}\nsaid: {said}");
    }
}

#[test]
fn profiles_are_listed_with_what_they_read_and_take_and_without_a_configuration() {
    let home = Home::new("sunspec", &[("my-hybrid", HYBRID)]);
    let (code, list, _) = home.says(&["profiles"]);
    assert_eq!(code, 0);
    let line = list.lines().find(|line| line.starts_with("my-hybrid (yours)")).unwrap();
    for words in ["M H1", "inverter, battery", "keeps the value"] {
        assert!(line.contains(words), "{words} in: {line}");
    }
    let (_, told, _) = home.says(&["profiles", "my-hybrid", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["takes"][0]["commands"], serde_json::json!(["set_battery_mode"]));
    assert_eq!(
        told["takes"][0]["whenTheGatewayDies"],
        "keeps the last value, and what a restart of the device does is unknown"
    );
    assert_eq!(
        told["parameters"]["set_battery_mode"],
        serde_json::json!(["mode=auto|charge", "until_soc=0…100 %"])
    );
    let (code, _, complained) = home.says(&["profiles", "none"]);
    assert!(code != 0 && complained.contains("there is no profile `none`; known are"), "{complained}");

    // A broken one does not hide the others.
    home.write("broken", "models = 5\n");
    let (code, list, complained) = home.says(&["profiles"]);
    assert!(code == 78 && complained.contains("profiles/broken.toml:1: error: models"), "{complained}");
    assert!(list.contains("my-hybrid (yours)") && list.contains("eastron-sdm630"), "{list}");

    let bare = maestro().args(["--config", "/nowhere/maestro.toml", "profiles"]).output().unwrap();
    assert!(bare.status.success() && String::from_utf8_lossy(&bare.stdout).contains("eastron-sdm630"));
}
