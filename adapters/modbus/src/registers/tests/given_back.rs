//! What leaves together comes back together, in the order that takes nothing away too early, and what must be so
//! first.

use adapter_api::{Driver, Purpose, Value, Wear, Written};

use super::bench::{Bench, asked, profile};

const HEAD: &str = "manufacturer = 'M'
models = ['X']
protocol = 'modbus'
device_type = 'solar_inverter'
energy_role = 'producer'
sources = []
[points]
activePower = { register = 1, type = 'u16', unit = 'W' }
[parts.battery]
device_type = 'battery_pack'
energy_role = 'storage'
present = { register = 90, type = 'u16', equals = 1 }
[parts.battery.points]
batteryLevel = { register = 9, type = 'u16', unit = '%' }
";

async fn bench(setpoints: &str, keys: &str) -> Bench {
    let mut bench = Bench::of(&profile(&format!("{HEAD}{setpoints}")), keys).await;
    bench.peer.holding(1, 90, &[1]);
    bench.probe().await;
    bench.peer.seen();
    bench
}

fn mode(word: &str) -> adapter_api::Job {
    let timer = (word != "auto").then_some(60);
    let mode = [("mode", Value::from(word))];
    asked("home/1".into(), "it-battery", "set_battery_mode", &mode, timer, Purpose::Execute)
}

fn limit(name: &str, value: impl Into<Value>) -> adapter_api::Job {
    asked("home/1".into(), "it", "set_export_limit", &[(name, value.into())], None, Purpose::Execute)
}

const SLOT: &str = "[setpoints.battery]
part = 'battery'
persistent = true
[setpoints.battery.states]
auto = {}
hold.writes = [{ register = 36, value = 0, single = true }]
charge.writes = [
    { register = 38, value = 0xA000 },
    { register = 39, value = 0x173B, together = true },
]
";

#[tokio::test]
async fn what_leaves_in_one_request_comes_back_in_one() {
    let mut bench = bench(SLOT, "").await;
    bench.peer.holding(1, 38, &[0, 0x173B]);
    assert_eq!(bench.write(&mode("charge")).await, "Sent");
    assert_eq!(bench.writes(), [(16, 38, vec![0xA000, 0x173B])]);
    bench.restart();
    assert_eq!(bench.write(&mode("auto")).await, "Sent");
    assert_eq!(bench.writes(), [(16, 38, vec![0, 0x173B])]);
    assert!(bench.read_back(&mode("auto")).await.starts_with("Applied"));
    assert_eq!(bench.notes.owed(), []);
    // Also where a note of a part of it was left.
    let noted = bench.notes.0.clone();
    bench.write(&mode("charge")).await;
    let key = noted.lock().unwrap().keys().find(|key| key.starts_with("setpoint/")).unwrap().clone();
    noted.lock().unwrap().insert(key, vec![0, 39, 0, 7]);
    bench.restart();
    bench.peer.seen();
    bench.write(&mode("auto")).await;
    assert_eq!(bench.writes(), [(16, 38, vec![0xA000, 7])], "the rest as it is shown");
}

const REMOTE: &str = "[setpoints.battery]
part = 'battery'
[setpoints.battery.states]
auto.writes = [{ register = 20, value = 0 }]
hold.writes = [{ register = 20, value = 1 }]
charge.writes = [
    { register = 30, value = 1, mask = 0x0001, persistent = true },
    { register = 20, value = 2 },
]
discharge.writes = [
    { register = 30, value = 0x0100, mask = 0x0100, persistent = true },
    { register = 20, value = 3 },
]
[[setpoints.battery.requires]]
check = { register = 70, type = 'u16', equals = 1 }
otherwise = 'switch remote control on in the menu'
[[setpoints.battery.requires]]
check = { register = 71, text = 'AB' }
states = ['discharge']
otherwise = 'no firmware for that'
";

#[tokio::test]
async fn remote_control_is_ended_before_its_enable_is_given_back_and_else_afterwards() {
    let mut bench = bench(REMOTE, "").await;
    bench.peer.holding(1, 70, &[1]);
    bench.write(&mode("charge")).await;
    assert_eq!(bench.writes(), [(16, 30, vec![1]), (16, 20, vec![2])]);
    bench.write(&mode("hold")).await;
    assert_eq!(bench.writes(), [(16, 30, vec![0]), (16, 20, vec![1])]);
    bench.write(&mode("charge")).await;
    bench.peer.seen();
    bench.write(&mode("auto")).await;
    assert_eq!(bench.writes(), [(16, 20, vec![0]), (16, 30, vec![0])]);
}

#[tokio::test]
async fn all_bits_of_a_register_that_states_changed_are_given_back() {
    let mut bench = bench(REMOTE, "").await;
    bench.peer.holding(1, 70, &[1, 0x4142]);
    bench.write(&mode("charge")).await;
    // Somebody's bit beside those of the setpoint stays.
    bench.peer.holding(1, 30, &[0x0101 | 0x8000]);
    bench.peer.seen();
    bench.write(&mode("auto")).await;
    assert_eq!(bench.writes(), [(16, 20, vec![0]), (16, 30, vec![0x8000])]);
    assert!(bench.read_back(&mode("auto")).await.starts_with("Applied"));
}

#[tokio::test]
async fn what_must_be_so_first_is_looked_at_before_a_write_and_giving_back_is_never_refused() {
    let mut bench = bench(REMOTE, "").await;
    let ended = bench.write(&mode("charge")).await;
    assert!(ended.contains("Rejected") && ended.contains("switch remote control on"), "{ended}");
    bench.peer.holding(1, 70, &[1]);
    assert_eq!(bench.write(&mode("charge")).await, "Sent");
    assert!(bench.write(&mode("discharge")).await.contains("no firmware"));
    bench.peer.holding(1, 70, &[0]);
    assert!(
        bench.read_back(&mode("charge")).await.starts_with("Applied"),
        "a proof looks at what became of it"
    );
    let mode_of = [("mode", Value::from("charge"))];
    let renewed =
        asked("home/1".into(), "it-battery", "set_battery_mode", &mode_of, Some(60), Purpose::Renew);
    assert!(bench.write(&renewed).await.contains("Rejected"));
    bench.peer.remove(1, 70, 2);
    assert_eq!(bench.write(&mode("auto")).await, "Sent");
}

#[tokio::test]
async fn what_wears_is_told_and_kept_from_a_command_that_may_not_wear_it() {
    let mut bench = bench(REMOTE, "").await;
    bench.peer.holding(1, 70, &[1]);
    let of = |word: &str, wear: Wear| {
        let timer = (word != "auto").then_some(60);
        let mode = [("mode", Value::from(word))];
        super::bench::worn("home/1".into(), "it-battery", "set_battery_mode", &mode, timer, wear)
    };
    let spent = || Wear::Partly(Some("often enough".to_owned()));
    let ended = bench.write(&of("charge", spent())).await;
    assert!(ended.contains("Rejected") && ended.contains("often enough"), "{ended}");
    assert_eq!((bench.writes(), bench.notes.owed()), (vec![], vec![]));
    assert_eq!(bench.write(&of("hold", spent())).await, "Sent", "nothing of it wears");
    let mut wore = async |job| match bench.driver.write(&job).await {
        Written::Sent { wore, .. } => wore,
        other => panic!("{other:?}"),
    };
    assert!(wore(of("charge", Wear::Partly(None))).await);
    assert!(!wore(of("charge", Wear::Partly(None))).await, "it is so already");
    assert!(!wore(of("auto", Wear::None)).await, "a revert is never refused, nor counted");
}

const EXPORT: &str = "[setpoints.export_limit]
persistent = true
[setpoints.export_limit.states]
limit.writes = [{ register = 50, from = 'power' }]
off = {}
";

#[tokio::test]
async fn what_is_restored_never_goes_beyond_what_the_configuration_allows() {
    for (before, after) in [(3000, 3000), (9000, 4000)] {
        let mut bench = bench(EXPORT, "max_export = 4000\n").await;
        bench.peer.holding(1, 50, &[before]);
        let held = [("power", Value::Number(1000.0))];
        let held = asked("home/1".into(), "it", "set_export_limit", &held, Some(60), Purpose::Execute);
        assert_eq!(bench.write(&held).await, "Sent");
        assert_eq!(bench.write(&limit("restore", true)).await, "Sent");
        assert_eq!(bench.peer.word(1, 50), after);
        assert!(bench.read_back(&limit("restore", true)).await.starts_with("Applied"));
        assert_eq!(bench.notes.owed(), []);
    }
}

#[tokio::test]
async fn a_part_that_comes_while_its_unit_answers_is_found_and_takes_what_is_owed_at_once() {
    let mut bench = bench(REMOTE, "").await;
    bench.peer.holding(1, 90, &[0]);
    *bench.time.lock().unwrap() += 3_600_001;
    assert_eq!(bench.probe().await.len(), 1);
    assert!(bench.write(&mode("auto")).await.contains("is not there"));
    bench.read().await;
    bench.peer.holding(1, 90, &[1]);
    *bench.time.lock().unwrap() += 120_001;
    let unit = bench.unit_id();
    let fault = bench.driver.read(&unit, adapter_api::Wanted::Due).await.unwrap_err();
    assert!(fault.to_string().contains("did not show before"), "{fault}");
    assert!(bench.write(&mode("auto")).await.starts_with("Already"));
    assert_eq!(bench.probe().await.len(), 2);
    assert!(bench.read().await.contains_key("it-battery"));
}

#[tokio::test]
async fn a_unit_that_refuses_to_be_set_up_is_read_all_the_same() {
    let mut bench =
        Bench::of(&profile(&format!("setup = [{{ register = 60, value = 1 }}]\n{HEAD}")), "").await;
    bench.peer.holding(1, 90, &[1]);
    bench.peer.moves(&[
        crate::testing::Move::Answer,
        crate::testing::Move::Answer,
        crate::testing::Move::Exception(2),
    ]);
    assert_eq!(bench.probe().await.len(), 2);
    assert_eq!(bench.peer.word(1, 60), 0);
    bench.probe().await;
    assert_eq!(bench.peer.word(1, 60), 1);
}
