//! 10,000 commands that waited for devices that were away, and the order in which they go.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::{Fault, Scope, WriteSeen};

use crate::{
    configuration,
    parts::{Api, Gateway, Mosquitto, house, until},
};

const HOMES: usize = 10;
const ARRAYS: usize = 10;
const ARRAY: usize = 1_000;
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "critical"];
const RESERVE: u16 = house::STORAGE + 7;
/// A waiting command rises one class in this time.
const AGEING: Duration = Duration::from_secs(15);
/// How far the gateway's times may be from those that are seen from outside.
const UNSURE: Duration = Duration::from_secs(1);

/// When an array was sent and when that was answered; its commands were accepted between the two.
type Accepted = (Instant, Instant);

pub async fn measure() {
    let broker = Mosquitto::start().await;
    let mut homes = Vec::new();
    for _ in 0..HOMES {
        homes.push(house::still_home(1.0).await);
    }
    let gateway = Gateway::start(house::GATEWAY, &configuration(&broker, &homes, "1s")).await;
    for home in 0..HOMES {
        gateway.points(&format!("h{home}-battery")).await;
    }
    for home in &homes {
        home.hybrid().fault(Fault::RefuseConnections, Scope::ALL);
        home.hybrid().disconnect();
    }
    for home in 0..HOMES {
        let path = format!("/v1/devices/h{home}-battery");
        until("the device is offline", || async {
            (gateway.get(&path).await["availability"] == "offline").then_some(())
        })
        .await;
    }
    let api = gateway.api();
    let began = Instant::now();
    let mut accepted = Vec::new();
    for array in 0..ARRAYS {
        accepted.push(send(&api, array).await);
    }
    let submitted = began.elapsed();
    homes.iter().for_each(|home| home.hybrid().clear_faults());
    for array in 0..ARRAYS {
        let path = format!("/v1/batches/array-{array}");
        loop {
            let batch = gateway.get(&path).await;
            if batch["waiting"] == 0 {
                assert_eq!(batch["completed"], ARRAY, "{batch}");
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let (mut first, mut last, mut total) = (None, None, 0);
    for home in &homes {
        let writes = home.hybrid().accepted_writes();
        let writes: Vec<_> = writes.iter().filter(|write| write.address == RESERVE).collect();
        in_order(&writes, &accepted);
        total += writes.len();
        first = first.into_iter().chain(writes.first().map(|write| write.at)).min();
        last = last.into_iter().chain(writes.last().map(|write| write.at)).max();
    }
    assert_eq!(total, ARRAYS * ARRAY, "each of them once");
    let drained = last.unwrap() - first.unwrap();
    let rate = |time: Duration| total as f64 / time.as_secs_f64();
    println!(
        "{total} commands for {HOMES} devices that were away: accepted in {submitted:.1?} ({:.0}/s), executed and \
         verified in {drained:.1?} ({:.0}/s), by priority",
        rate(submitted),
        rate(drained)
    );
}

/// An array with one priority after the other. `write_point` has no setpoint, so none makes another
/// pointless; each value of a device is there once.
async fn send(api: &Api, array: usize) -> Accepted {
    let commands = (0..ARRAY).map(|place| {
        let nth = array * (ARRAY / HOMES) + place / HOMES;
        json!({"deviceId": format!("h{}-battery", place % HOMES), "command": "write_point",
            "parameters": {"point": "MinRsvPct", "value": value(nth) as f64 / 100.0},
            "priority": PRIORITIES[nth % PRIORITIES.len()], "expiresIn": 3600, "batchId": format!("array-{array}")})
    });
    let from = Instant::now();
    let (status, answer) = api.send(&Value::from_iter(commands)).await.unwrap();
    assert_eq!(status, 202, "{answer}");
    assert!(answer["commands"].as_array().unwrap().iter().all(|one| one["acceptedAt"].is_string()));
    (from, Instant::now())
}

/// The raw value of a device's nth command: far from what the device shows at first.
fn value(nth: usize) -> usize {
    1_000 + nth * 2
}

/// No command went before one that was above it by then.
fn in_order(writes: &[&WriteSeen], accepted: &[Accepted]) {
    let of = |write: &WriteSeen| {
        let nth = (usize::from(write.values[0]) - 1_000) / 2;
        (nth % PRIORITIES.len(), accepted[nth / (ARRAY / HOMES)])
    };
    let class = |base: usize, waited: Duration| base + (waited.as_secs_f64() / AGEING.as_secs_f64()) as usize;
    for pair in writes.windows(2) {
        let ((earlier, (sent, _)), (later, (_, answered))) = (of(pair[0]), of(pair[1]));
        // As they stood when the earlier one went: the most that it can have been, and the least.
        let now = pair[0].at;
        let most = class(earlier, now - sent + UNSURE);
        let least = class(later, (now - answered).saturating_sub(UNSURE)).min(PRIORITIES.len() - 1);
        assert!(most >= least, "class {earlier} went before class {later}");
    }
}
