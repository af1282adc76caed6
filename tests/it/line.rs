//! Meters on one serial line with its real timing, read by the real program: 9600 baud, four that answer
//! and one that is dead.

use std::time::{Duration, Instant};

use simulator::{Fault, Line, LineSettings, RegisterMap, Scope, Units};

use crate::parts::{Gateway, house, until};

const METERS: u8 = 5;
const DEAD: u8 = 5;
const INTERVAL: Duration = Duration::from_secs(2);
/// How long the neighbours are watched in each state.
const WATCHED: Duration = Duration::from_secs(30);
/// What they may lose of their polls.
const KEPT: f64 = 0.95;

/// A meter whose values say which one it is.
fn meter(unit: u8) -> RegisterMap {
    let words = (0..40).flat_map(|n| {
        let bits = (f32::from(unit) * 100.0 + f32::from(n as u8)).to_bits();
        [(bits >> 16) as u16, bits as u16]
    });
    RegisterMap::new().input(0, &words.collect::<Vec<_>>())
}

fn line() -> Line {
    let units = (1..=METERS).fold(Units::default(), |units, unit| units.and(unit, meter(unit)));
    Line::start(LineSettings { baud: 9_600, units, ..LineSettings::default() }).unwrap()
}

fn sections(line: &Line) -> String {
    let device = |unit| {
        format!(
            "[modbus.line.device.m{unit}]\nprofile = \"eastron-sdm630\"\nunit = {unit}\nusage = \"load\"\n"
        )
    };
    let devices: String = (1..=METERS).map(device).collect();
    let seconds = INTERVAL.as_secs();
    format!(
        "[modbus.line]\naddress = \"rtu://{}?baud=9600\"\ninterval = \"{seconds}s\"\n{devices}",
        line.path()
    )
}

/// What each neighbour got of the polls that were due to it, while it was watched.
async fn watched(line: &Line, when: &str) {
    let count = || (1..DEAD).map(|unit| line.port().traffic(unit).answers).collect::<Vec<_>>();
    let (before, began) = (count(), Instant::now());
    tokio::time::sleep(WATCHED).await;
    let due = began.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
    for (unit, (before, after)) in (1..).zip(before.into_iter().zip(count())) {
        let polls = (after - before) as f64;
        // The window cuts the first and the last one.
        assert!(polls + 1.0 >= due * KEPT, "{when}: unit {unit} got {polls} of {due} polls");
        assert!(polls <= due + 1.0, "{when}: unit {unit} got {polls} of {due} polls");
    }
}

async fn availability(gateway: &Gateway, device: &str, wanted: &str) -> serde_json::Value {
    until(&format!("{device} is {wanted}"), || async {
        let device = gateway.get(&format!("/v1/devices/{device}")).await;
        (device["availability"] == wanted).then_some(device)
    })
    .await
}

#[tokio::test]
async fn four_meters_keep_their_period_while_a_fifth_on_the_line_is_dead() {
    let line = line();
    line.port().fault(Fault::Silence { executed: false }, Scope::ALL.unit(DEAD));
    let gateway = Gateway::start(house::GATEWAY, &sections(&line)).await;
    for unit in 1..DEAD {
        let points = gateway.points(&format!("m{unit}")).await;
        assert_eq!(points["activePower"], f64::from(unit) * 100.0 + 26.0);
    }
    let dead = availability(&gateway, "m5", "offline").await;
    let problem = dead["problem"].as_str().unwrap();
    assert!(problem.contains("Unit 5 at rtu://") && problem.contains("nothing came within"), "{problem}");
    watched(&line, "dead from the start").await;

    line.port().clear_faults();
    availability(&gateway, "m5", "online").await;
    line.port().fault(Fault::Silence { executed: false }, Scope::ALL.unit(DEAD));
    watched(&line, "while it dies").await;
    availability(&gateway, "m5", "offline").await;
    // Nobody else may speak on a line, and each frame has its silence before it.
    assert_eq!((line.collisions(), line.rushed()), (0, 0));
    for unit in 1..DEAD {
        let device = gateway.get(&format!("/v1/devices/m{unit}")).await;
        assert_eq!(
            (&device["availability"], &device["problem"]),
            (&"online".into(), &serde_json::Value::Null)
        );
    }
    line.port().clear_faults();
    availability(&gateway, "m5", "online").await;
    gateway.points("m5").await;
}

#[tokio::test]
async fn a_line_whose_adapter_is_pulled_out_comes_back_by_itself_with_all_its_meters() {
    let line = line();
    let gateway = Gateway::start(house::GATEWAY, &sections(&line)).await;
    for unit in 1..=METERS {
        gateway.points(&format!("m{unit}")).await;
    }
    line.unplug().await;
    for unit in 1..=METERS {
        until("the problem is the port", || async {
            let device = gateway.get(&format!("/v1/devices/m{unit}")).await;
            let problem = device["problem"].as_str().unwrap_or_default();
            (device["availability"] == "offline" && problem.contains("serial port cannot be opened"))
                .then_some(())
        })
        .await;
    }
    line.plug().unwrap();
    for unit in 1..=METERS {
        availability(&gateway, &format!("m{unit}"), "online").await;
    }
}
