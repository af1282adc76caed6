//! Whatever a device does with what it is told, and whatever is asked of it: the answer says so.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{BatteryMode, Fault, Scope, Table};

use crate::parts::{Gateway, Mosquitto, Peer, house, until_true};

/// Power of the DC modules StCha and StDisCha: the battery's.
const CHARGE_POWER: u16 = house::MODULES + 10 + 2 * 20 + 11;
const DISCHARGE_POWER: u16 = house::MODULES + 10 + 3 * 20 + 11;
const IN_RATE: u16 = house::STORAGE + 13;
const RESERVE: u16 = house::STORAGE + 7;
const LIMIT_PERCENT: u16 = house::LIMIT + 5;

async fn send(gateway: &Gateway, device: &str, id: &str, command: &str, parameters: Value) -> Value {
    let body = json!({"id": id, "command": command, "parameters": parameters});
    let (status, answer) = gateway.post(device, body).await;
    assert_eq!(status, 202, "{answer}");
    gateway.result(id).await
}

async fn refusal(gateway: &Gateway, device: &str, body: Value) -> (String, String) {
    let (status, refusal) = gateway.post(device, body.clone()).await;
    assert!((400..500).contains(&status), "{body}: {status} {refusal}");
    let text = |key: &str| refusal["error"][key].as_str().unwrap_or_default().to_owned();
    (text("code"), text("message"))
}

#[tokio::test]
async fn a_device_that_says_yes_and_does_nothing_a_slow_one_and_one_that_clamps_are_told_as_such() {
    let home = house::still_home(1.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof-battery").await;
    let power = |watts: i32| json!({"power": watts});

    home.hybrid().fault(Fault::EchoOnly, Scope::WRITES);
    let result = send(&gateway, "roof-battery", "nothing", "set_battery_power", power(-2000)).await;
    home.hybrid().clear_faults();
    assert_eq!((&result["status"], &result["outcome"]), (&json!("failed"), &json!("mismatch")), "{result}");
    assert_eq!(result["requested"]["power"], -2000, "{result}");
    assert_eq!(result["observed"]["mode"], "auto", "{result}");
    assert_eq!(home.now().mode, BatteryMode::Auto);

    home.hybrid().fault(Fault::Stale(Duration::from_secs(4)), Scope::WRITES);
    let result = send(&gateway, "roof-battery", "slow", "set_battery_power", power(-1500)).await;
    home.hybrid().clear_faults();
    assert_eq!((&result["status"], &result["verified"]), (&json!("completed"), &json!(true)), "{result}");
    assert_eq!(result["observed"]["power"], -1500, "{result}");
    assert!(result["duration"].as_u64().unwrap() >= 3_900, "old values prove nothing: {result}");

    // 1000 W are 20.00 % of its 5000 W.
    home.hybrid().fault(Fault::Clamp { register: IN_RATE, most: 2_000 }, Scope::WRITES);
    let result = send(&gateway, "roof-battery", "clamped", "set_battery_power", power(2500)).await;
    home.hybrid().clear_faults();
    assert_eq!((&result["status"], &result["outcome"]), (&json!("failed"), &json!("mismatch")), "{result}");
    assert_eq!((&result["requested"]["power"], &result["observed"]["power"]), (&json!(2500), &json!(1000)));
    assert!((home.now().battery - 1000.0).abs() < 1.0, "it is true: {}", home.now().battery);

    let result = send(&gateway, "roof-battery", "honest", "set_battery_power", power(2000)).await;
    assert_eq!((&result["status"], &result["verified"]), (&json!("completed"), &json!(true)), "{result}");
    assert_eq!(result["effect"], true, "{result}");
    assert!((home.now().battery - 2000.0).abs() < 1.0);
}

#[tokio::test]
async fn a_battery_whose_registers_lie_is_found_out_by_its_power() {
    let home = house::still_home(1.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof-battery").await;
    home.hybrid().pin(1, CHARGE_POWER, &[0]);
    home.hybrid().pin(1, DISCHARGE_POWER, &[0]);
    let result = send(&gateway, "roof-battery", "lie", "set_battery_power", json!({"power": -2000})).await;
    assert_eq!((&result["status"], &result["verified"]), (&json!("completed"), &json!(true)), "{result}");
    assert_eq!(result["effect"], false, "{result}");
    home.hybrid().unpin_all();
    let auto = send(&gateway, "roof-battery", "auto", "set_battery_mode", json!({"mode": "auto"})).await;
    assert_eq!((&auto["status"], &auto["effect"]), (&json!("completed"), &Value::Null), "{auto}");
}

#[tokio::test]
async fn a_newer_limit_wins_over_one_that_flies_unanswered() {
    let home = house::still_home(12.0).await;
    let gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof").await;
    let limit = |id: &str, percent: u32| json!({"id": id, "command": "set_power_limit", "parameters": {"percent": percent}});
    // Its first write never arrives, and nobody says so.
    home.hybrid().fault(Fault::Silence { executed: false }, Scope::WRITES.times(1));
    let (status, answer) = gateway.post("roof", limit("older", 40)).await;
    assert_eq!(status, 202, "{answer}");
    until_true("the older one flies", || !home.hybrid().writes().is_empty()).await;
    let (status, answer) = gateway.post("roof", limit("newer", 60)).await;
    assert_eq!(status, 202, "{answer}");
    let (older, newer) = (gateway.result("older").await, gateway.result("newer").await);
    assert_eq!((&newer["status"], &newer["verified"]), (&json!("completed"), &json!(true)), "{newer}");
    assert!(["superseded", "unreachable"].map(Value::from).contains(&older["outcome"]), "{older}");
    let percents: Vec<u16> = home
        .hybrid()
        .writes()
        .iter()
        .filter_map(|write| write.values.get(usize::from(LIMIT_PERCENT.checked_sub(write.address)?)).copied())
        .collect();
    let (lost, last) = (percents[0], percents[percents.len() - 1]);
    assert_ne!(lost, last);
    let first_newer = percents.iter().position(|percent| *percent != lost).unwrap();
    assert!(percents[first_newer..].iter().all(|percent| *percent == last), "{percents:?}");
    assert_eq!(home.hybrid().peek(1, Table::Holding, LIMIT_PERCENT, 1), Ok(vec![last]));
    assert!(home.now().limit.is_some_and(|watts| (watts - 3600.0).abs() < 1.0), "{:?}", home.now().limit);
}

#[tokio::test]
async fn what_wears_out_is_not_written_when_it_is_so_already_and_not_too_often() {
    let home = house::still_home(1.0).await;
    let mut gateway = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    gateway.points("roof-battery").await;
    let reserve = |soc: u32| json!({"soc": soc});
    let shown = || home.hybrid().peek(1, Table::Holding, RESERVE, 1).unwrap()[0];
    let first = send(&gateway, "roof-battery", "first", "set_reserve", reserve(20)).await;
    assert_eq!((&first["status"], &first["written"]), (&json!("completed"), &json!(true)), "{first}");
    assert_eq!(shown(), 2_000);
    let writes = home.hybrid().writes().len();
    let same = send(&gateway, "roof-battery", "same", "set_reserve", reserve(20)).await;
    assert_eq!((&same["status"], &same["written"]), (&json!("completed"), &json!(false)), "{same}");
    assert_eq!(same["verified"], true, "by a fresh read: {same}");
    // A restart forgets nothing.
    gateway.kill();
    gateway.start_again().await;
    gateway.points("roof-battery").await;
    let soon = send(&gateway, "roof-battery", "soon", "set_reserve", reserve(30)).await;
    assert_eq!((&soon["status"], &soon["outcome"]), (&json!("failed"), &json!("rejected")), "{soon}");
    let words = soon["error"]["message"].as_str().unwrap();
    // Five minutes after the first one.
    let at = first["completedAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let next = at + jiff::SignedDuration::from_mins(5);
    let said = words
        .split([' ', ',', ';'])
        .find_map(|word| word.trim_end_matches('.').parse::<jiff::Timestamp>().ok());
    let said = said.unwrap_or_else(|| panic!("it does not say when: {words}"));
    assert!((said.as_millisecond() - next.as_millisecond()).abs() < 5_000, "{words}, {next}");
    assert_eq!((shown(), home.hybrid().writes().len()), (2_000, writes), "nothing was written");
    let back = send(&gateway, "roof-battery", "back", "set_reserve", reserve(20)).await;
    assert_eq!((&back["status"], &back["written"]), (&json!("completed"), &json!(false)), "{back}");
}

#[tokio::test]
async fn so_many_writes_of_what_wears_out_are_a_days_worth() {
    let home = house::still_home(1.0).await;
    let sections = format!("[commands]\nwear_gap = \"0s\"\nwear_per_day = 2\n{}", house::sections(&home));
    let gateway = Gateway::start(house::GATEWAY, &sections).await;
    gateway.points("roof-battery").await;
    for (id, soc, status) in [("one", 20, "completed"), ("two", 30, "completed"), ("three", 40, "failed")] {
        let result = send(&gateway, "roof-battery", id, "set_reserve", json!({"soc": soc})).await;
        assert_eq!(result["status"], status, "{result}");
    }
    assert_eq!(home.hybrid().writes().len(), 2);
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_with_the_key_and_what_it_allows() {
    let home = house::still_home(1.0).await;
    let sections = format!(
        "[journal]\ngroup = \"1s\"\n{}max_export = 1000\nmax_import = 2000\n[modbus.roof.device.roof-grid]\ncontrol = false\n",
        house::roof(home.hybrid_addr(), true)
    );
    let gateway = Gateway::start(house::GATEWAY, &sections).await;
    gateway.points("roof-battery").await;
    let battery = |command: &str, parameters: Value| json!({"command": command, "parameters": parameters});
    for (device, body, code, words) in [
        ("roof", battery("set_power_limit", json!({"percent": 101})), "invalid_parameter", "0 to 100 %"),
        ("roof", battery("set_power_limit", json!({})), "invalid_parameter", "exactly one of"),
        (
            "roof-battery",
            battery("set_battery_power", json!({"power": -2001})),
            "out_of_bounds",
            "max_import",
        ),
        ("roof-battery", battery("set_battery_power", json!({"power": 1001})), "out_of_bounds", "max_export"),
        ("roof-battery", battery("set_battery_power", json!({"power": 3001})), "invalid_parameter", "3000 W"),
        (
            "roof-battery",
            battery("set_battery_mode", json!({"mode": "charge", "power": 2500})),
            "out_of_bounds",
            "2000",
        ),
        // Without a power it would be the key's, which is beyond what may be fed in.
        (
            "roof-battery",
            battery("set_battery_mode", json!({"mode": "discharge"})),
            "out_of_bounds",
            "max_export",
        ),
        ("roof-battery", battery("set_reserve", json!({"soc": 101})), "invalid_parameter", "0 to 100 %"),
        ("roof-battery", battery("set_reserve", json!({})), "invalid_parameter", "exactly one of"),
        ("roof-battery", battery("set_battery_power", json!({"power": "much"})), "invalid_parameter", "much"),
        (
            "roof-grid",
            battery("set_power_limit", json!({"percent": 1})),
            "unknown_command",
            "it takes refresh",
        ),
    ] {
        let (said, message) = refusal(&gateway, device, body.clone()).await;
        assert!(said == code && message.contains(words), "{body}: {said} {message}");
    }
    let list = gateway.get("/v1/commands").await;
    assert_eq!(list["commands"], json!([]), "nothing was queued");
    assert!(home.hybrid().writes().is_empty());
    let allowed =
        send(&gateway, "roof-battery", "allowed", "set_battery_power", json!({"power": 1000})).await;
    assert_eq!(allowed["status"], "completed", "{allowed}");
}

#[tokio::test]
async fn who_sends_too_often_is_told_when_the_next_one_is_taken() {
    let home = house::still_home(1.0).await;
    let sections = format!("[commands]\nrate_limit = 3\n{}", house::sections(&home));
    let gateway = Gateway::start(house::GATEWAY, &sections).await;
    gateway.points("roof").await;
    let limit = |owner: &str, percent: u32| json!({"command": "set_power_limit", "parameters": {"percent": percent}, "owner": owner});
    let began = jiff::Timestamp::now();
    for percent in [50, 60, 70] {
        let (status, answer) = gateway.post("roof", limit("a", percent)).await;
        assert_eq!(status, 202, "{answer}");
    }
    let (code, message) = refusal(&gateway, "roof", limit("a", 80)).await;
    assert_eq!(code, "rate_limited", "{message}");
    let said = message
        .split([' ', ',', ';'])
        .find_map(|word| word.trim_end_matches('.').parse::<jiff::Timestamp>().ok());
    let said = said.unwrap_or_else(|| panic!("it does not say when: {message}"));
    assert!(said > began && said <= jiff::Timestamp::now() + jiff::SignedDuration::from_mins(1), "{message}");
    for (device, owner) in [("roof", "b"), ("roof-battery", "a")] {
        let body =
            if device == "roof" { limit(owner, 80) } else { json!({"command": "refresh", "owner": owner}) };
        let (status, answer) = gateway.post(device, body).await;
        assert_eq!(status, 202, "another owner, another device: {answer}");
    }
}

#[tokio::test]
async fn single_points_are_written_from_the_socket_alone_where_it_is_switched_on_and_only_listed_ones() {
    let point = |name: &str, value: u32| json!({"command": "write_point", "parameters": {"point": name, "value": value}});
    let home = house::still_home(1.0).await;
    let off = Gateway::start(house::GATEWAY, &house::sections(&home)).await;
    off.points("roof-battery").await;
    let (code, message) = refusal(&off, "roof-battery", point("MinRsvPct", 20)).await;
    assert_eq!(code, "unknown_command", "{message}");
    drop(off);

    let broker = Mosquitto::start().await;
    let roof = house::roof(home.hybrid_addr(), true);
    let on = format!("[journal]\ngroup = \"1s\"\n{}{roof}write_points = true\n", broker.section());
    let gateway = Gateway::start(house::GATEWAY, &on).await;
    gateway.points("roof-battery").await;
    let peer = Peer::connect(broker.port, &["maestro/#", "me/answers"]).await;
    peer.wait("the gateway is there", "maestro/status", |value| value == "online").await;
    peer.ask("maestro/device/roof-battery/set", &point("MinRsvPct", 20).to_string(), "me/answers", b"1")
        .await;
    let (_, answer) = peer.wait("the refusal", "me/answers", |_| true).await;
    assert_eq!(answer["error"]["code"], "socket_only", "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("maestro send"), "{answer}");
    for name in ["Conn", "WMaxLimPct", "OutPFSet"] {
        let (code, message) = refusal(&gateway, "roof-battery", point(name, 1)).await;
        assert!(code == "invalid_parameter" && message.contains("MinRsvPct"), "{name}: {code} {message}");
    }
    assert!(home.hybrid().writes().is_empty());
    let sent = gateway.cli(&["send", "roof-battery", "write_point", "point=MinRsvPct", "value=20"]).await;
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stdout));
    assert_eq!(home.hybrid().peek(1, Table::Holding, RESERVE, 1), Ok(vec![2_000]));
    assert_eq!(home.hybrid().writes().len(), 1);
}
