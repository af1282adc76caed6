use std::collections::BTreeMap;

use crate::{Found, Identity, Paste, Report, Settings, configured_at, field::paste::paste};

fn found(address: &str, unit: u8, maker: &str, model: &str, profiles: &[&str]) -> Found {
    let identity = Identity { manufacturer: maker.into(), model: model.into(), ..Identity::default() };
    let profiles = profiles.iter().map(|name| (*name).to_owned()).collect();
    Found { address: address.into(), unit, identities: vec![identity], profiles, ..Found::default() }
}

fn report(found: Vec<Found>) -> Report {
    Report { found, ..Report::default() }
}

#[derive(serde::Deserialize)]
struct File {
    modbus: BTreeMap<String, Settings>,
}

/// Everything pasted into one file, read as the configuration reads it.
fn read(pastes: &[Paste], before: &str) -> BTreeMap<String, Settings> {
    let text = pastes.iter().fold(before.to_owned(), |text, paste| text + "\n" + &paste.text);
    let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    for (name, settings) in &file.modbus {
        assert_eq!(settings.check(), [], "{name}:\n{text}");
    }
    file.modbus
}

#[test]
fn what_is_pasted_can_be_run_and_leaves_writing_off() {
    let serial = "rtu:///dev/ttyUSB0?baud=2400&parity=even&stop=1";
    let gen24 = found("tcp://10.0.0.7:502", 1, "Fronius", "Symo GEN24 10.0", &["sunspec"]);
    let meter = found("tcp://10.0.0.7:502", 200, "Fronius", "Smart Meter", &["sunspec"]);
    let found = vec![
        Found { models: vec![1, 103, 123, 124, 160], ..gen24 },
        Found { models: vec![1, 203], ..meter },
        found(serial, 1, "Eastron", "SDM630", &["eastron-sdm630"]),
        found(serial, 2, "Eastron", "SDM630", &["eastron-sdm630", "sunspec"]),
        found(serial, 3, "", "", &[]),
    ];
    let pastes = paste(&report(found), &BTreeMap::new());
    assert_eq!(pastes.iter().map(|paste| &paste.connection).collect::<Vec<_>>(), ["fronius", "eastron"]);
    let modbus = read(&pastes, "");
    assert_eq!(modbus["eastron"].address, serial);
    let ids = |name: &str| modbus[name].device.keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids("fronius"), ["smart-meter", "symo-gen24-10-0"]);
    assert_eq!(ids("eastron"), ["sdm630", "sdm630-2"]);
    let of = |name: &str| {
        let text = &pastes[0].text;
        text[text.find(name).unwrap()..].split("\n\n").next().unwrap()
    };
    assert!(of("device.symo").contains("# charge_power") && !of("device.symo").contains("usage"));
    assert!(of("device.smart").contains("# usage = ") && !of("device.smart").contains("control"), "a meter");
    let usage = |id: &str| modbus["eastron"].device[id].usage.map(|usage| usage.as_str());
    assert_eq!((usage("sdm630"), usage("sdm630-2")), (Some("load"), Some("load")), "a home has one grid");
    let roof = &modbus["fronius"].device["symo-gen24-10-0"];
    assert_eq!((roof.control, roof.unit), (None, Some(1)));
    assert_eq!(roof.name.as_deref(), Some("Fronius Symo GEN24 10.0"));
    assert!(pastes[0].text.contains("# control = true"), "{}", pastes[0].text);
    assert!(pastes[1].text.contains("# These profiles fit as well: sunspec"), "{}", pastes[1].text);
}

#[test]
fn whatever_a_device_says_of_itself_makes_good_names() {
    let odd = [
        ("A \"quoted\" \\ maker", "Line\nbreak = 1"),
        ("", ""),
        ("日本", "太陽"),
        ("Grid", "roof-battery"),
        ("Grid", "roof"),
        ("Grid", "a name that is much longer than any id may be, and then some"),
    ];
    let found =
        (1..).zip(odd).map(|(unit, (maker, model))| found("tcp://x:1", unit, maker, model, &["sunspec"]));
    let pastes = paste(&report(found.collect()), &BTreeMap::new());
    let ids: Vec<_> =
        read(&pastes, "").into_values().flat_map(|settings| settings.device.into_keys()).collect();
    assert_eq!(ids.len(), 6, "{ids:?}");
    assert!(ids.contains(&"roof-2".to_owned()), "`roof-battery` would be its part: {ids:?}");
}

#[test]
fn a_connection_that_is_configured_gets_only_what_it_does_not_have() {
    let before = "[modbus.panel]\naddress = 'rtu:///dev/ttyS7?baud=9600'\n\
        [modbus.panel.device.sdm630]\nprofile = 'eastron-sdm630'\nunit = 1\n";
    let configured = toml::from_str::<File>(before).unwrap().modbus;
    let line = "rtu:///dev/ttyS7?baud=9600&parity=none&stop=1";
    let meter = |unit| found(line, unit, "Eastron", "SDM630", &["eastron-sdm630"]);
    let pastes = paste(&report(vec![meter(1), meter(2)]), &configured);
    assert_eq!((pastes.len(), pastes[0].configured), (1, true));
    assert_eq!(pastes[0].known, [(1, "sdm630".to_owned())]);
    let modbus = read(&pastes, before);
    assert_eq!(modbus["panel"].device["sdm630-2"].unit, Some(2));
    let nothing = paste(&report(vec![meter(1)]), &configured);
    assert_eq!(nothing[0].text, "");
    let other =
        paste(&report(vec![found("tcp://x:502", 1, "Eastron", "SDM630", &["eastron-sdm630"])]), &configured);
    assert_eq!((other[0].configured, other[0].connection.as_str()), (false, "eastron"));
    assert!(other[0].text.contains("device.sdm630-2]"), "ids are unique in the gateway");
    assert_eq!(configured_at("tcp://x", &configured), None);
}

const SLOW: &str = "rtu:///dev/ttyS7?baud=9600&parity=none&stop=1";
const EVEN: &str = "rtu:///dev/ttyS7?baud=9600&parity=even&stop=1";
const FAST: &str = "rtu:///dev/ttyS7?baud=19200&parity=none&stop=1";

fn meter(line: &str, unit: u8) -> Found {
    found(line, unit, "Eastron", "SDM630", &["eastron-sdm630"])
}

#[test]
fn a_port_gets_the_setting_under_which_most_answered_and_the_others_are_told_what_to_do() {
    let all = vec![meter(SLOW, 1), meter(FAST, 1), meter(FAST, 2), meter(SLOW, 7)];
    let all = [all, vec![meter(FAST, 3), found(EVEN, 9, "", "", &[])]].concat();
    let pastes = paste(&report(all), &BTreeMap::new());
    let modbus = read(&pastes, "");
    let settings = modbus.values().next().unwrap();
    assert_eq!((modbus.len(), settings.address.as_str(), settings.device.len()), (1, FAST, 3));
    let [first, seventh, ninth] = pastes[0].remarks.as_slice() else { panic!("{pastes:?}") };
    assert!(first.contains("Unit 1") && first.contains("another unit id, for 1 is taken"), "{first}");
    assert!(seventh.contains("Unit 7 (Eastron SDM630) answers at 9600 baud, no parity"), "{seventh}");
    assert!(seventh.contains("at 19200 baud, no parity: set the same in its menu"), "{seventh}");
    assert!(ninth.contains("Unit 9 (unknown) answers at 9600 baud, even parity"), "{ninth}");
}

#[test]
fn a_meter_that_answers_at_both_parities_is_one() {
    let pastes = paste(&report(vec![meter(SLOW, 1), meter(EVEN, 1)]), &BTreeMap::new());
    let modbus = read(&pastes, "");
    assert_eq!((modbus["eastron"].address.as_str(), modbus["eastron"].device.len()), (SLOW, 1));
    assert!(pastes[0].remarks.is_empty(), "{pastes:?}");
    // As it is configured where that is good enough.
    let before =
        format!("[modbus.panel]\naddress = '{EVEN}'\n[modbus.panel.device.m]\nprofile = 'eastron-sdm630'\n");
    let configured = toml::from_str::<File>(&before).unwrap().modbus;
    let pastes = paste(&report(vec![meter(SLOW, 1), meter(EVEN, 1)]), &configured);
    assert_eq!((pastes[0].readdress.as_deref(), pastes[0].whole, pastes[0].text.as_str()), (None, true, ""));
}

#[test]
fn a_configured_address_that_is_not_the_one_that_answered_is_told() {
    let before = "[modbus.panel]\naddress = 'rtu:///dev/ttyS7?baud=9600&stop=2'\n\
        [modbus.panel.device.m]\nprofile = 'eastron-sdm630'\n\
        [modbus.bus]\naddress = 'rtu+tcp://h:502'\n\
        [modbus.bus.device.n]\nprofile = 'eastron-sdm630'\n";
    let configured = toml::from_str::<File>(before).unwrap().modbus;
    let at = |address: &str| paste(&report(vec![meter(address, 1)]), &configured).remove(0);
    assert_eq!(at(FAST).readdress.as_deref(), Some(FAST));
    assert_eq!((at(FAST).known, at(FAST).text.as_str()), (vec![(1, "m".to_owned())], ""));
    assert_eq!(at(SLOW).readdress, None, "stop bits were not tried");
    // The same end, spoken to in two ways.
    assert_eq!(configured_at("tcp://h", &configured), Some("bus"));
    assert_eq!(configured_at("tcp://h:503", &configured), None);
    assert_eq!(at("tcp://h:502").readdress.as_deref(), Some("tcp://h:502"));
    assert_eq!(at("rtu+tcp://h:502").readdress, None);
}

#[test]
fn from_the_second_meter_on_the_tables_say_that_it_measures_something_else() {
    let usages = |report: &Report, before: &str| {
        let configured =
            if before.is_empty() { BTreeMap::new() } else { toml::from_str::<File>(before).unwrap().modbus };
        let modbus = read(&paste(report, &configured), before);
        let devices = modbus.into_values().flat_map(|settings| settings.device);
        devices.map(|(id, device)| (id, device.usage.map(|usage| usage.as_str()))).collect::<Vec<_>>()
    };
    let three = report(vec![meter(SLOW, 1), meter(SLOW, 2), meter(SLOW, 3)]);
    let load = Some("load");
    let named = |usages: [Option<&'static str>; 3]| {
        ["sdm630", "sdm630-2", "sdm630-3"].map(str::to_owned).into_iter().zip(usages).collect::<Vec<_>>()
    };
    assert_eq!(usages(&three, ""), named([None, load, load]));
    // An inverter's own meter is the grid's, and so is one that is configured.
    let hybrid = found("tcp://h:502", 1, "Fronius", "Hybrid", &["sunspec"]);
    let hybrid = Found { models: vec![1, 103, 203], ..hybrid };
    let both = report(vec![hybrid, meter(SLOW, 1)]);
    assert_eq!(usages(&both, ""), [("sdm630".to_owned(), load), ("hybrid".to_owned(), None)]);
    let before = "[modbus.a]\naddress = 'tcp://a'\n[modbus.a.device.m]\nprofile = 'eastron-sdm630'\n";
    let one = report(vec![meter(SLOW, 1)]);
    assert_eq!(usages(&one, before), [("m".to_owned(), None), ("sdm630".to_owned(), load)]);
    let pv = format!("{before}usage = 'pv'\n");
    assert_eq!(usages(&one, &pv), [("m".to_owned(), Some("pv")), ("sdm630".to_owned(), None)]);
    let before = "[modbus.a]\naddress = 'tcp://h'\n[modbus.a.device.roof]\nprofile = 'sunspec'\n";
    assert_eq!(usages(&both, before), [("roof".to_owned(), None), ("sdm630".to_owned(), load)]);
}
