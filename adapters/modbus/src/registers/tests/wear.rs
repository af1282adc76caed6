//! Registers that wear out: written only where they show something else, noted before, brought back.

use adapter_api::{Job, Purpose, Value};

use super::bench::{Bench, asked, profile};
use crate::testing::Move;

const PROFILE: &str = "manufacturer = 'M'
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
[settings.reserve]
register = 40
min = 0
max = 100
[setpoints.battery]
part = 'battery'
[setpoints.battery.states]
auto.writes = [{ register = 20, value = 0 }]
hold.writes = [{ register = 20, value = 1 }]
charge.writes = [
    { register = 30, from = 'soc', otherwise = 100, persistent = true },
    { register = 31, from = 'power', persistent = true },
    { register = 20, value = 2 },
]
[setpoints.reserve]
part = 'battery'
persistent = true
states.soc.writes = [{ register = 40, from = 'soc' }]
[setpoints.export_limit]
persistent = true
[setpoints.export_limit.states]
limit.writes = [{ register = 50, from = 'power' }, { register = 51, value = 1 }]
off = {}
";

async fn bench() -> Bench {
    let mut bench = Bench::of(&profile(PROFILE), "write_points = true\n").await;
    bench.peer.holding(1, 30, &[80, 700]);
    bench.peer.holding(1, 40, &[15]);
    bench.peer.holding(1, 50, &[9000, 1]);
    bench.probe().await;
    bench.peer.seen();
    bench
}

fn mode(word: &str, power: Option<f64>) -> Job {
    let power = power.map(|power| ("power", Value::Number(power)));
    let parameters: Vec<_> = std::iter::once(("mode", Value::from(word))).chain(power).collect();
    let timer = (word != "auto").then_some(60);
    asked("home/1".into(), "it-battery", "set_battery_mode", &parameters, timer, Purpose::Execute)
}

fn one(command: &str, name: &str, value: impl Into<Value>, timer: Option<u64>) -> Job {
    let device = if command == "set_reserve" { "it-battery" } else { "it" };
    asked("home/1".into(), device, command, &[(name, value.into())], timer, Purpose::Execute)
}

#[tokio::test]
async fn what_a_charge_changed_is_noted_first_and_brought_back_by_another_process() {
    let mut bench = bench().await;
    assert_eq!(bench.write(&mode("charge", Some(2000.0))).await, "Sent");
    assert_eq!(bench.writes(), [(16, 30, vec![100]), (16, 31, vec![2000]), (16, 20, vec![2])]);
    assert_eq!(bench.notes.0.lock().unwrap().len(), 1);
    bench.write(&mode("charge", Some(2000.0))).await;
    assert_eq!(bench.writes(), [(16, 20, vec![2])], "what wears is written once");
    bench.write(&mode("charge", Some(1500.0))).await;
    assert_eq!(bench.writes(), [(16, 31, vec![1500]), (16, 20, vec![2])]);
    bench.restart();
    assert_eq!(bench.write(&mode("hold", None)).await, "Sent");
    assert_eq!(bench.writes(), [(16, 30, vec![80]), (16, 31, vec![700]), (16, 20, vec![1])]);
    assert_eq!(bench.write(&mode("auto", None)).await, "Sent");
    assert_eq!(bench.writes(), [(16, 20, vec![0])]);
    assert!(bench.read_back(&mode("auto", None)).await.starts_with("Applied"));
    assert!(bench.notes.0.lock().unwrap().is_empty());
    assert!(bench.write(&mode("auto", None)).await.starts_with("Already"));
}

#[tokio::test]
async fn a_device_that_keeps_its_value_owes_it_until_it_is_seen_back() {
    let mut bench = bench().await;
    bench.write(&mode("charge", Some(2000.0))).await;
    bench.peer.stubborn(31);
    assert_eq!(bench.write(&mode("auto", None)).await, "Sent");
    let proof = bench.read_back(&mode("auto", None)).await;
    assert!(proof.starts_with("Different") && proof.contains("register_31"), "{proof}");
    assert!(!bench.notes.0.lock().unwrap().is_empty());
    bench.peer.obedient();
    bench.write(&mode("auto", None)).await;
    assert!(bench.read_back(&mode("auto", None)).await.starts_with("Applied"));
    assert!(bench.notes.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_write_that_certainly_changed_nothing_leaves_no_note() {
    let mut bench = bench().await;
    bench.peer.moves(&[Move::Answer, Move::Answer, Move::Answer]);
    bench.peer.seen();
    let reads = {
        bench.read_back(&mode("charge", Some(2000.0))).await;
        bench.peer.seen().len()
    };
    bench.peer.forget_moves();
    let mut moves = vec![Move::Answer; reads];
    moves.push(Move::Exception(6));
    bench.peer.moves(&moves);
    assert!(bench.write(&mode("charge", Some(2000.0))).await.contains("NotApplied"));
    assert!(bench.notes.0.lock().unwrap().is_empty());
    moves.pop();
    moves.push(Move::Silent);
    bench.peer.moves(&moves);
    assert!(bench.write(&mode("charge", Some(2000.0))).await.contains("Unknown"));
    assert!(!bench.notes.0.lock().unwrap().is_empty(), "it may have been changed");
}

#[tokio::test]
async fn a_reserve_that_is_held_goes_back_and_one_that_is_set_lasts() {
    let mut bench = bench().await;
    let reserve = |soc: f64, timer| one("set_reserve", "soc", soc, timer);
    let restore = || one("set_reserve", "restore", true, None);
    assert!(bench.write(&restore()).await.starts_with("Already"), "nothing is owed");
    bench.write(&reserve(30.0, Some(60))).await;
    bench.write(&reserve(40.0, Some(60))).await;
    bench.peer.seen();
    assert!(bench.write(&reserve(40.0, Some(60))).await.starts_with("Already"), "it wears");
    assert_eq!(bench.write(&restore()).await, "Sent");
    assert_eq!(bench.writes(), [(16, 40, vec![15])], "the first one is the one to go back to");
    assert!(bench.read_back(&restore()).await.contains("Number(15.0)"));
    bench.write(&reserve(30.0, Some(60))).await;
    bench.write(&reserve(50.0, None)).await;
    assert!(bench.read_back(&reserve(50.0, None)).await.starts_with("Applied"));
    assert!(bench.write(&restore()).await.starts_with("Already"));
    assert_eq!(bench.peer.word(1, 40), 50);
}

#[tokio::test]
async fn what_somebody_else_set_while_nothing_was_owed_is_what_lasts() {
    let mut bench = bench().await;
    let reserve = |soc: f64| one("set_reserve", "soc", soc, Some(60));
    bench.peer.stubborn(40);
    bench.write(&reserve(30.0)).await;
    assert!(bench.read_back(&reserve(30.0)).await.starts_with("Different"));
    bench.peer.obedient();
    bench.peer.holding(1, 40, &[22]);
    bench.write(&reserve(30.0)).await;
    bench.write(&one("set_reserve", "restore", true, None)).await;
    assert_eq!(bench.peer.word(1, 40), 22);
}

#[tokio::test]
async fn a_value_by_hand_is_not_undone() {
    let mut bench = bench().await;
    bench.write(&one("set_reserve", "soc", 30.0, Some(60))).await;
    let parameters = [("point", Value::from("reserve")), ("value", Value::Number(12.0))];
    let by_hand = || asked("home/1".into(), "it", "write_point", &parameters, None, Purpose::Execute);
    assert_eq!(bench.write(&by_hand()).await, "Sent");
    assert!(bench.read_back(&by_hand()).await.starts_with("Applied"));
    assert!(bench.write(&one("set_reserve", "restore", true, None)).await.starts_with("Already"));
    assert_eq!(bench.peer.word(1, 40), 12);
}

#[tokio::test]
async fn a_limit_that_wears_is_restored_and_what_was_not_changed_is_left_alone() {
    let mut bench = bench().await;
    let limit = |name, value: Value, timer| one("set_export_limit", name, value, timer);
    assert!(bench.write(&limit("enabled", false.into(), None)).await.contains("cannot be told"));
    assert_eq!(bench.write(&limit("power", 3000.0.into(), Some(60))).await, "Sent");
    assert_eq!(bench.writes(), [(16, 50, vec![3000])], "the other one is so already");
    bench.peer.holding(1, 51, &[0]);
    assert_eq!(bench.write(&limit("restore", true.into(), None)).await, "Sent");
    assert_eq!(bench.writes(), [(16, 50, vec![9000])], "somebody else's business");
    let proof = bench.read_back(&limit("restore", true.into(), None)).await;
    assert!(proof.starts_with("Applied"), "{proof}");
    assert!(bench.write(&limit("restore", true.into(), None)).await.starts_with("Already"));
}
