use adapter_api::{Purpose, Value};

use super::bench::{Bench, asked, profile};
use crate::testing::Move;

const HEAD: &str = "manufacturer = 'M'
models = ['X']
protocol = 'modbus'
device_type = 'solar_inverter'
energy_role = 'producer'
sources = []
[limits]
gap = 4
[points]
activePower = { register = 1, type = 'u16', unit = 'W' }
[parts.battery]
device_type = 'battery_pack'
energy_role = 'storage'
[parts.battery.points]
voltage = { register = 9, type = 'u16', scale = 0.1, unit = 'V' }
";

/// A mode, a signed power of two registers low word first, a timer; volatile.
const BATTERY: &str = "[setpoints.battery]
part = 'battery'
timer = { longest = '120s' }
[setpoints.battery.states]
auto.writes = [{ register = 20, value = 0 }]
hold.writes = [{ register = 20, value = 3 }]
idle.writes = [{ register = 20, value = 1 }, { register = 21, type = 'i32', order = 'little', value = 0 }, { register = 23, from = 'timer', together = true }]
charge.writes = [
    { register = 21, type = 'i32', order = 'little', from = 'power', scale = -10 },
    { register = 23, from = 'timer', together = true },
    { register = 20, value = 1, single = true },
    { register = 30, value = 1, trigger = true, blind = true },
]
discharge.writes = [
    { register = 21, type = 'i32', order = 'little', from = 'power', scale = 10 },
    { register = 23, from = 'timer', together = true },
    { register = 20, value = 1, single = true },
    { register = 30, value = 1, trigger = true, blind = true },
]
";

async fn bench(setpoints: &str, keys: &str) -> Bench {
    let mut bench = Bench::of(&profile(&format!("{HEAD}{setpoints}")), keys).await;
    bench.probe().await;
    bench.peer.seen();
    bench
}

fn of(
    device: &str,
    command: &str,
    parameters: &[(&str, Value)],
    timer: Option<u64>,
    purpose: Purpose,
) -> adapter_api::Job {
    asked("home/1".into(), device, command, parameters, timer, purpose)
}

fn mode(word: &str, power: Option<f64>, timer: Option<u64>) -> adapter_api::Job {
    let power = power.map(|power| ("power", Value::Number(power)));
    let parameters: Vec<_> = std::iter::once(("mode", Value::from(word))).chain(power).collect();
    of("it-battery", "set_battery_mode", &parameters, timer, Purpose::Execute)
}

fn plain(command: &str, name: &str, value: impl Into<Value>, timer: Option<u64>) -> adapter_api::Job {
    let device = if command == "set_reserve" { "it-battery" } else { "it" };
    of(device, command, &[(name, value.into())], timer, Purpose::Execute)
}

#[tokio::test]
async fn a_state_leaves_in_its_order_and_is_proven_by_what_the_registers_show() {
    let mut bench = bench(BATTERY, "").await;
    assert_eq!(bench.write(&mode("charge", Some(2000.0), Some(60))).await, "Sent");
    assert_eq!(
        bench.writes(),
        [(16, 21, vec![(-200_i16) as u16, 0xFFFF, 60]), (6, 20, vec![1]), (16, 30, vec![1])]
    );
    // The timer runs, and the trigger is over.
    bench.peer.holding(1, 23, &[31]);
    bench.peer.holding(1, 30, &[0]);
    let proof = bench.read_back(&mode("charge", Some(2000.0), Some(60))).await;
    assert!(
        proof.starts_with("Applied") && proof.contains("\"charge\"") && proof.contains("Number(2000.0)"),
        "{proof}"
    );
    let other = bench.read_back(&mode("discharge", Some(2000.0), Some(60))).await;
    assert!(
        other.starts_with("Different") && other.contains("\"charge\"") && other.contains("\"discharge\""),
        "{other}"
    );
    // A renewal writes all of it again.
    bench.peer.seen();
    assert_eq!(bench.write(&mode("charge", Some(2000.0), Some(60))).await, "Sent");
    assert_eq!(bench.writes().len(), 3);
    assert_eq!(bench.write(&mode("auto", None, None)).await, "Sent");
    assert_eq!(bench.writes(), [(16, 20, vec![0])]);
    assert!(bench.write(&mode("auto", None, None)).await.starts_with("Already"));
}

#[tokio::test]
async fn a_signed_power_names_the_state_and_rounding_is_forgiven() {
    let mut bench = bench(BATTERY, "").await;
    let power = |power: f64| {
        of("it-battery", "set_battery_power", &[("power", power.into())], Some(300), Purpose::Execute)
    };
    for (watts, raw) in [(-1239.0, -123), (1239.0, 123), (0.0, 0)] {
        assert_eq!(bench.write(&power(watts)).await, "Sent");
        let writes = bench.writes();
        let raws = writes.iter().find(|(_, register, _)| *register == 21).unwrap().2.clone();
        assert_eq!((raws[0] as i16, raws[2]), (raw, 120), "no longer than the device holds it");
        assert!(bench.read_back(&power(watts)).await.starts_with("Applied"), "{watts}");
    }
    bench.write(&power(1239.0)).await;
    bench.peer.holding(1, 21, &[124]);
    assert!(bench.read_back(&power(1239.0)).await.starts_with("Applied"), "one step beside a rounded value");
    assert!(bench.read_back(&power(1230.0)).await.starts_with("Different"), "nothing was rounded");
    bench.peer.holding(1, 21, &[50]);
    let clamped = bench.read_back(&power(1239.0)).await;
    assert!(clamped.contains("Number(1230.0)") && clamped.contains("Number(500.0)"), "{clamped}");
}

#[tokio::test]
async fn what_the_device_cannot_or_may_not_do_is_refused_in_words_before_any_write() {
    let mut bench = bench(BATTERY, "charge_power = 3000\n").await;
    for (job, words) in [
        (mode("charge", Some(3001.0), Some(60)), "at most 3000 W"),
        (mode("discharge", None, Some(60)), "`discharge_power`"),
        (mode("charge", Some(5.0), Some(60)), "step of 10 W"),
        (mode("hold_charge", None, Some(60)), "no way to hold_charge"),
        (of("it", "set_battery_mode", &[("mode", "hold".into())], None, Purpose::Execute), "does not take"),
        (plain("set_power_limit", "power", 5.0, None), "does not take"),
    ] {
        let ended = bench.write(&job).await;
        assert!(ended.contains("Rejected") && ended.contains(words), "{ended}");
    }
    assert_eq!(bench.writes(), []);
    assert_eq!(bench.write(&mode("charge", None, Some(60))).await, "Sent", "as much as the key says");
    assert_eq!(bench.writes()[0].2[0] as i16, -300);
}

#[tokio::test]
async fn a_percentage_is_a_part_of_the_rating_and_a_current_of_the_power() {
    let of_rating = "[ratings]\ncharge = { register = 40, type = 'u16' }\n[setpoints.battery]\npart = 'battery'\n\
        [setpoints.battery.states]\nauto.writes = [{ register = 20, value = 0 }]\n\
        charge.writes = [{ register = 21, from = 'percent', of = 'charge', scale = 0.01 }, { register = 20, value = 1 }]\n\
        discharge.writes = [{ register = 22, from = 'percent', of = 'discharge' }, { register = 20, value = 2 }]\n";
    let mut bench = Bench::of(&profile(&format!("{HEAD}{of_rating}")), "discharge_power = 4000\n").await;
    bench.peer.holding(1, 40, &[6000]);
    bench.probe().await;
    bench.peer.seen();
    bench.write(&mode("charge", Some(2000.0), Some(60))).await;
    assert_eq!(bench.writes(), [(16, 21, vec![3333]), (16, 20, vec![1])]);
    bench.write(&mode("discharge", Some(1000.0), Some(60))).await;
    assert_eq!(bench.writes()[0], (16, 22, vec![25]), "the key where the device does not say");
    assert!(bench.write(&mode("charge", Some(6001.0), Some(60))).await.contains("at most 6000 W"));

    let of_voltage = "[setpoints.battery]\npart = 'battery'\n[setpoints.battery.states]\n\
        auto.writes = [{ register = 20, value = 0 }]\n\
        charge.writes = [{ register = 21, from = 'current', scale = 0.1, max = 500 }, { register = 20, value = 1 }]\n";
    let mut bench = Bench::of(&profile(&format!("{HEAD}{of_voltage}")), "").await;
    let charge = || mode("charge", Some(1000.0), Some(60));
    assert!(bench.write(&charge()).await.contains("voltage of its battery"));
    bench.peer.holding(1, 9, &[500]);
    bench.peer.seen();
    bench.write(&charge()).await;
    assert_eq!(bench.writes()[0], (16, 21, vec![200]), "20.0 A at 50.0 V");
    bench.peer.holding(1, 9, &[520]);
    assert!(bench.read_back(&charge()).await.starts_with("Applied"), "the voltage moves with the power");
    let too_much = bench.write(&mode("charge", Some(3000.0), Some(60))).await;
    assert!(too_much.contains("must come to") && too_much.contains("Rejected"), "{too_much}");
}

const LIMIT: &str = "[setpoints.power_limit]
percent = true
[setpoints.power_limit.states]
limit.writes = [{ register = 20, value = 0x0100, mask = 0x0100 }, { register = 21, from = 'percent', scale = 0.1 }]
off.writes = [{ register = 20, value = 0, mask = 0x0100 }, { register = 21, from = 'most', max = 1000, scale = 10 }]
";

#[tokio::test]
async fn a_limit_is_a_part_or_a_power_and_is_lifted_and_a_mask_leaves_the_other_bits() {
    let mut bench = bench(LIMIT, "max_power = 8000\n").await;
    bench.peer.holding(1, 20, &[0xA00A]);
    assert_eq!(bench.write(&plain("set_power_limit", "power", 2000.0, None)).await, "Sent");
    assert_eq!(bench.writes(), [(16, 20, vec![0xA10A]), (16, 21, vec![250])]);
    let proof = bench.read_back(&plain("set_power_limit", "percent", 25.0, None)).await;
    assert!(proof.starts_with("Applied") && proof.contains("Bool(true)"), "{proof}");
    assert!(bench.write(&plain("set_power_limit", "percent", 25.0, None)).await.starts_with("Already"));
    assert!(bench.write(&plain("set_power_limit", "enabled", true, None)).await.contains("say how far"));
    assert_eq!(bench.write(&plain("set_power_limit", "enabled", false, None)).await, "Sent");
    assert_eq!(bench.writes(), [(16, 20, vec![0xA00A]), (16, 21, vec![800])]);
    let off = bench.read_back(&plain("set_power_limit", "restore", true, None)).await;
    assert!(off.starts_with("Applied") && off.contains("Bool(false)"), "{off}");
    assert!(bench.write(&plain("set_power_limit", "power", 8001.0, None)).await.contains("0 to 8000 W"));
}

#[tokio::test]
async fn without_a_rating_a_remedy_is_named() {
    let mut bench = bench(LIMIT, "").await;
    let ended = bench.write(&plain("set_power_limit", "power", 2000.0, None)).await;
    assert!(ended.contains("Rejected") && ended.contains("`max_power`"), "{ended}");
}

#[tokio::test]
async fn an_export_limit_never_goes_beyond_what_the_configuration_allows() {
    let export = "[setpoints.export_limit]\n[setpoints.export_limit.states]\n\
        limit.writes = [{ register = 20, from = 'power' }]\noff.writes = [{ register = 20, value = 65535 }]\n";
    let mut bench = bench(export, "max_export = 4000\n").await;
    let limit = |name, value: Value| plain("set_export_limit", name, value, None);
    assert!(bench.write(&limit("power", 4001.0.into())).await.contains("0 to 4000 W"));
    assert!(bench.write(&limit("enabled", false.into())).await.contains("allows 4000 W"));
    assert_eq!(bench.write(&limit("restore", true.into())).await, "Sent");
    assert_eq!(bench.writes(), [(16, 20, vec![4000])]);
}

#[tokio::test]
async fn what_cannot_be_read_back_leaves_nothing_to_compare() {
    let blind = "[setpoints.battery]\npart = 'battery'\ntimer = { longest = '30s', fixed = true }\n\
        [setpoints.battery.states]\nauto.writes = [{ register = 20, value = 0, blind = true }]\n\
        hold.writes = [{ register = 20, value = 1, blind = true }]\n";
    let mut bench = bench(blind, "").await;
    bench.peer.remove(1, 20, 1);
    bench.peer.holding(1, 20, &[0]);
    assert_eq!(bench.write(&mode("hold", None, Some(30))).await, "Sent");
    assert_eq!(bench.peer.seen().len(), 1, "nothing was read");
    assert_eq!(bench.read_back(&mode("hold", None, Some(30))).await, "Nothing");
    assert!(bench.write(&mode("hold", None, None)).await.contains("falls back by itself after 30s"));
    assert_eq!(bench.write(&mode("auto", None, None)).await, "Sent");
}

#[tokio::test]
async fn a_register_that_the_device_does_not_show_is_named() {
    let mut bench = bench(BATTERY, "").await;
    bench.peer.remove(1, 20, 1);
    let ended = bench.write(&mode("hold", None, Some(60))).await;
    assert!(ended.contains("NotApplied") && ended.contains("registers 20, 21, 23"), "{ended}");
}

#[tokio::test]
async fn a_lost_or_refused_write_has_its_true_outcome() {
    for (moves, told) in [
        (&[Move::Answer, Move::Exception(3)][..], "Rejected"),
        (&[Move::Answer, Move::Exception(6)], "NotApplied"),
        (&[Move::Answer, Move::Answer, Move::Exception(3)], "Unknown"),
        (&[Move::Answer, Move::Silent], "Unknown"),
        (&[Move::Silent], "NotApplied"),
    ] {
        let mut bench = bench(BATTERY, "").await;
        bench.peer.moves(moves);
        let ended = bench.write(&mode("charge", Some(2000.0), Some(60))).await;
        assert!(ended.contains(told), "{moves:?}: {ended}");
    }
}

#[tokio::test]
async fn single_settings_are_written_by_hand_where_the_configuration_says_so() {
    let settings =
        "[settings.minSoc]\nregister = 50\nscale = 0.5\nmin = 5\nmax = 90\nunit = '%'\nsingle = true\n";
    let point = |value: f64| {
        of(
            "it",
            "write_point",
            &[("point", "minSoc".into()), ("value", value.into())],
            None,
            Purpose::Execute,
        )
    };
    let mut off = bench(settings, "").await;
    assert!(off.write(&point(20.0)).await.contains("does not take"));
    let mut on = bench(settings, "write_points = true\n").await;
    assert!(on.write(&point(91.0)).await.contains("5 to 90 %"));
    assert!(on.write(&point(20.3)).await.contains("steps of 0.5 %"));
    assert_eq!(on.write(&point(20.5)).await, "Sent");
    assert_eq!(on.writes(), [(6, 50, vec![41])]);
    assert!(on.read_back(&point(20.5)).await.contains("Number(20.5)"));
    assert!(on.write(&point(20.5)).await.starts_with("Already"));
}
