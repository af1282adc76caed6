use super::*;

/// The tables of a test in short: the address, then `id key=value …` per line.
fn settings(text: &str) -> Settings {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut toml = format!("address = {:?}\n", lines.next().unwrap());
    for line in lines {
        let mut words = line.split_whitespace();
        toml += &format!("[device.{:?}]\n", words.next().unwrap());
        for (key, value) in words.map(|word| word.split_once('=').unwrap()) {
            toml += &match value.parse::<f64>() {
                Ok(_) => format!("{key} = {value}\n"),
                Err(_) => format!("{key} = {value:?}\n"),
            };
        }
    }
    toml::from_str(&toml).unwrap()
}

fn only(text: &str) -> Mistake {
    let mut mistakes = settings(text).check();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes.remove(0)
}

#[test]
fn a_good_connection_has_no_mistake() {
    let text = "tcp://192.168.1.50
        roof profile=sunspec unit=1 charge_power=3000 max_export=0
        roof-battery charge_power=2000
        grid-meter profile=eastron-sdm630 unit=2";
    assert_eq!(settings(text).check(), []);
}

#[test]
fn an_address_has_a_scheme_a_host_and_a_port_of_502_unless_said() {
    let good = |text: &str| text.parse::<Address>().unwrap();
    let tcp = |host: &str, port| Address::Tcp(Host { host: host.into(), port });
    assert_eq!(good("tcp://inverter.local"), tcp("inverter.local", 502));
    assert_eq!(good("tcp://10.0.0.7:1502"), tcp("10.0.0.7", 1502));
    assert_eq!(good("tcp://[fe80::1]:502"), tcp("fe80::1", 502));
    assert_eq!(good("tcp://[fe80::1]").to_string(), "tcp://[fe80::1]:502");
    for wrong in
        ["", "10.0.0.7", "tcp://", "tcp://x:0", "tcp://x:99999", "http://x", "tcp://x/y", "tcp://a b"]
    {
        assert!(wrong.parse::<Address>().unwrap_err().contains("tcp://host:port"), "{wrong}");
    }
}

#[test]
fn serial_lines_and_converters_are_addresses_too() {
    let good = |text: &str| text.parse::<Address>().unwrap();
    assert_eq!(good("rtu:///dev/ttyUSB0").to_string(), "rtu:///dev/ttyUSB0?baud=9600&parity=none&stop=1");
    let all = "rtu:///dev/serial/by-id/usb-x?baud=2400&parity=even&stop=2";
    assert_eq!(good(all).to_string(), all);
    assert_eq!(good("rtu+tcp://10.0.0.7:23").to_string(), "rtu+tcp://10.0.0.7:23");
    for (wrong, word) in [
        ("rtu://dev/ttyUSB0", "whole path"),
        ("rtu:///dev/ttyUSB0?baud=fast", "baud=9600"),
        ("rtu:///dev/ttyUSB0?parity=mark", "none, even, odd"),
        ("rtu:///dev/ttyUSB0?stop=3", "1 and 2"),
        ("rtu:///dev/ttyUSB0?speed=9600", "baud, parity, stop"),
        ("rtu+tcp://10.0.0.7", "needs host and port"),
    ] {
        let error = wrong.parse::<Address>().unwrap_err();
        assert!(error.contains(word), "{wrong}: {error}");
    }
}

#[test]
fn a_line_knows_how_long_bytes_take_and_how_long_it_is_silent_between_frames() {
    let Address::Rtu(slow) = "rtu:///dev/x".parse().unwrap() else { panic!("serial") };
    // 8 bytes of 10 bits at 9600.
    assert_eq!(slow.time_of(8).as_micros(), 8_333);
    assert_eq!(slow.silence().as_micros(), 3_645);
    let Address::Rtu(fast) = "rtu:///dev/x?baud=115200".parse().unwrap() else { panic!("serial") };
    assert_eq!(fast.silence().as_micros(), 1_750);
}

#[test]
fn a_wrong_address_is_named() {
    let mistake = only("192.168.1.50\n roof profile=sunspec");
    assert_eq!(mistake.key, "address");
}

#[test]
fn an_unknown_profile_names_the_close_ones() {
    let mistake = only("tcp://x\n meter profile=eastron-smd630");
    assert_eq!(mistake.key, "device.meter.profile");
    let close = mistake.message.split("did you mean ").nth(1).and_then(|rest| rest.split('?').next());
    assert!(close.is_some_and(|close| close.contains("eastron-sdm630")), "{}", mistake.message);
    let mistake = only("tcp://x\n meter profile=zzz");
    assert!(
        mistake.message.contains("known are") && mistake.message.contains("sunspec"),
        "{}",
        mistake.message
    );
}

#[test]
fn a_missing_profile_is_named_also_where_the_name_looks_like_a_part() {
    assert_eq!(only("tcp://x\n roof unit=3").key, "device.roof.profile");
    assert_eq!(only("tcp://x\n roof-battery").key, "device.roof-battery.profile");
}

#[test]
fn unit_0_and_one_unit_for_two_devices_are_mistakes() {
    assert_eq!(only("tcp://x\n roof profile=sunspec unit=0").key, "device.roof.unit");
    let mistake = only("tcp://x\n a profile=sunspec\n b profile=eastron-sdm630 unit=1");
    assert_eq!(mistake.key, "device.b.unit");
    assert!(mistake.message.contains("`a`"), "{}", mistake.message);
}

#[test]
fn powers_and_intervals_must_be_above_zero() {
    assert_eq!(only("tcp://x\n roof profile=sunspec charge_power=0").key, "device.roof.charge_power");
    assert_eq!(only("tcp://x\n roof profile=sunspec charge_power=nan").key, "device.roof.charge_power");
    assert_eq!(only("tcp://x\n roof profile=sunspec max_export=-1").key, "device.roof.max_export");
    assert_eq!(only("tcp://x\n roof profile=sunspec interval=0s").key, "device.roof.interval");
    let mut zero = settings("tcp://x\n roof profile=sunspec");
    zero.interval = nothing();
    assert_eq!(zero.check()[0].key, "interval");
}

#[test]
fn keys_that_would_do_nothing_or_cannot_work_are_mistakes() {
    assert_eq!(only("tcp://x\n roof profile=sunspec block=8").key, "device.roof.block");
    assert_eq!(only("tcp://x\n roof profile=sunspec block=126").key, "device.roof.block");
    assert_eq!(only("tcp://x\n m profile=eastron-sdm630 block=1").key, "device.m.block");
    assert_eq!(only("tcp://x\n m profile=eastron-sdm630 timeout=0s").key, "device.m.timeout");
    assert_eq!(only("tcp://x\n roof profile=sunspec\n roof-grid gap=1").key, "device.roof-grid.gap");
    let other = "tcp://x\n m profile=eastron-sdm630 device_type=smart_plug usage=load";
    assert_eq!(only(other).key, "device.m.usage");
    let mut settings = settings("tcp://x\n roof profile=sunspec");
    settings.keep_alive = Span(std::time::Duration::from_millis(500));
    assert_eq!(settings.check()[0].key, "keep_alive");
}

#[test]
fn a_part_takes_no_interval_and_no_other_device_takes_its_name() {
    assert_eq!(
        only("tcp://x\n roof profile=sunspec\n roof-grid interval=1s").key,
        "device.roof-grid.interval"
    );
    let mistake = only("tcp://x\n roof profile=sunspec\n roof-grid profile=eastron-sdm630 unit=2");
    assert_eq!(mistake.key, "device.roof-grid");
    let mistake = only("tcp://x\n meter profile=eastron-sdm630\n meter-grid name=x");
    assert_eq!(mistake.key, "device.meter-grid.profile");
}

#[test]
fn a_second_and_a_third_meter_are_parts_with_keys_of_their_own() {
    let text = "tcp://x
        roof profile=sunspec usage=load
        roof-meter2 usage=pv
        roof-grid name=Grid";
    assert_eq!(settings(text).check(), []);
    let unit = crate::units::resolve("it", &settings(text)).remove(0);
    let usages = unit.meters.each_ref().map(|part| part.keys.usage.map(|usage| usage.as_str()));
    assert_eq!(usages, [Some("load"), Some("pv"), None]);
    let mistake = only("tcp://x\n roof profile=sunspec\n roof-meter3 profile=eastron-sdm630 unit=2");
    assert_eq!(mistake.key, "device.roof-meter3");
}

#[test]
fn a_connection_without_devices_and_ids_with_blanks_are_mistakes() {
    assert_eq!(only("tcp://x").key, "device");
    let mut blank = settings("tcp://x\n roof profile=sunspec");
    let table = blank.device.remove("roof").unwrap();
    blank.device.insert("my roof".into(), table);
    assert_eq!(blank.check()[0].key, "device.my roof");
}

#[test]
fn defaults_are_those_of_the_page_and_an_unknown_key_is_an_error() {
    let settings = settings("tcp://x\n roof profile=sunspec");
    assert_eq!((settings.interval, settings.timeout, settings.idle_close), (interval(), None, None));
    let wrong = toml::from_str::<Settings>("address = 'tcp://x'\n[device.roof]\nprofil = 'sunspec'");
    assert!(wrong.unwrap_err().to_string().contains("profil"));
}

#[test]
fn points_can_be_written_only_where_the_profile_lists_them() {
    let parse = |profile: &str| -> Vec<Mistake> {
        let table = format!("address = 'tcp://x'\n[device.it]\nprofile = '{profile}'\nwrite_points = true\n");
        toml::from_str::<Settings>(&table).unwrap().check()
    };
    assert_eq!(parse("sunspec"), []);
    let mistakes = parse("eastron-sdm630");
    assert_eq!((mistakes.len(), mistakes[0].key.as_str()), (1, "device.it.write_points"));
    assert!(mistakes[0].message.contains("remove `write_points`"), "{mistakes:?}");
}

#[test]
fn timeout_block_and_gap_are_the_devices_own_else_the_connections_else_the_profiles() {
    use std::time::Duration;
    let unit = |of_device: &str, of_connection: Option<u64>| {
        let mut settings = settings(&format!("tcp://x\n meter profile=eastron-sdm630 {of_device}"));
        settings.timeout = of_connection.map(|ms| Span(Duration::from_millis(ms)));
        assert_eq!(settings.check(), []);
        let unit = crate::units::resolve("it", &settings).remove(0);
        (unit.pace.timeout.as_millis(), unit.block, unit.gap)
    };
    let limits = &adapter_api::profile::known()["eastron-sdm630"].limits;
    let (timeout, block, gap) = (limits.timeout.0.as_millis(), limits.block, limits.gap);
    assert!(timeout != 700 && timeout != 900 && block != 10 && gap != 3 && gap != 0);
    assert_eq!(unit("", None), (timeout, block, gap));
    assert_eq!(unit("", Some(900)), (900, block, gap));
    assert_eq!(unit("timeout=700ms", Some(900)), (700, block, gap));
    assert_eq!(unit("block=10", None), (timeout, 10, gap));
    assert_eq!(unit("gap=3", Some(900)), (900, block, 3));
    assert_eq!(unit("timeout=700ms block=10 gap=0", None), (700, 10, 0));
}

#[test]
fn spacing_is_the_longer_one_of_the_connections_and_the_profiles() {
    use std::time::Duration;
    let spacing = |ms| {
        let mut settings = settings("tcp://x\n meter profile=eastron-sdm630");
        settings.spacing = Span(Duration::from_millis(ms));
        crate::units::resolve("it", &settings).remove(0).pace.spacing
    };
    let own = adapter_api::profile::known()["eastron-sdm630"].limits.spacing.0;
    assert!(own > Duration::from_millis(1) && own < Duration::from_millis(500));
    assert_eq!((spacing(1), spacing(500)), (own, Duration::from_millis(500)));
}

#[test]
fn a_part_has_no_timeout_block_and_gap_of_its_own() {
    for (name, value) in [("timeout", "1s"), ("block", "50"), ("gap", "5")] {
        let mistake = only(&format!("tcp://x\n roof profile=sunspec\n roof-battery {name}={value}"));
        assert_eq!(mistake.key, format!("device.roof-battery.{name}"));
        assert!(mistake.message.contains(&format!("set `device.roof.{name}`")), "{}", mistake.message);
    }
}

#[test]
fn a_block_fits_into_a_request_and_holds_the_longest_value_of_the_profile() {
    for (wrong, word) in [("0", "1 to 125"), ("126", "1 to 125"), ("1", "a value of 2 registers")] {
        let mistakes = settings(&format!("tcp://x\n meter profile=eastron-sdm630 block={wrong}")).check();
        assert!(!mistakes.is_empty() && mistakes.iter().all(|mistake| mistake.key == "device.meter.block"));
        assert!(mistakes[0].message.contains(word), "{mistakes:?}");
    }
    for good in ["2", "125"] {
        assert_eq!(
            settings(&format!("tcp://x\n meter profile=eastron-sdm630 block={good}")).check(),
            [],
            "{good}"
        );
    }
    assert_eq!(only("tcp://x\n meter profile=eastron-sdm630 timeout=0s").key, "device.meter.timeout");
}

#[test]
fn a_register_device_has_the_parts_of_its_profile_and_the_unit_of_it() {
    use adapter_api::profile::{Profile, install};
    let text = "manufacturer = 'M'\nmodels = []\nprotocol = 'modbus'\ndevice_type = 'solar_inverter'\n\
                energy_role = 'producer'\nsources = []\nunit = 247\n[limits]\none_client = true\n\
                pause_after_connect = '1s'\nidle_close = '30s'\n[points]\n\
                activePower = { register = 1, type = 'u16' }\n[parts.battery]\ndevice_type = 'battery_pack'\n\
                energy_role = 'storage'\n";
    install([("parted".to_owned(), Profile::parse("parted", text).unwrap())].into());
    assert_eq!(settings("tcp://x\n it profile=parted\n it-battery name=B").check(), []);
    let mistake = only("tcp://x\n it profile=parted\n it-grid name=G");
    assert_eq!(mistake.key, "device.it-grid.profile");
    assert!(mistake.message.contains("`it-battery`"), "{}", mistake.message);
    let reserved = only("tcp://x\n it profile=parted\n it-battery profile=sunspec");
    assert_eq!(reserved.key, "device.it-battery");
    assert_eq!(settings("tcp://x\n it profile=parted\n other profile=sunspec").check(), []);
    assert_eq!(only("tcp://x\n it profile=parted\n other profile=sunspec unit=247").key, "device.other.unit");
    assert_eq!(settings("tcp://x\n it profile=parted").holds(), Some(("x:502".into(), true)));
}
