//! From the topic to the register and back: the real program, a real mosquitto, devices on sockets.
//!
//! `cargo bench --bench command_latency`. Everything runs on one machine and shares its cores. The
//! device's own time is the same exchange (read, write, read back) on a plain socket, and no part of it
//! is the gateway's.

// No test functions here, where the lints already allow it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod asker;
mod drain;
// What the tests use and this does not is used there.
#[allow(dead_code, unused_imports)]
#[path = "../../tests/it/parts/mod.rs"]
mod parts;

use std::time::{Duration, Instant};

use serde_json::json;
use simulator::Home;
use tokio::time::sleep;

use self::{
    asker::Asker,
    parts::{Gateway, Mosquitto, house, modbus::Tool},
};

/// Commands in a measurement.
const TIMES: usize = 500;
/// The first ones fill caches and are not counted.
const WARM: usize = 20;
/// Between two commands: nobody sends as fast as he can.
const PAUSE: Duration = Duration::from_millis(20);
/// Inverters; each home has a meter as well.
const POLLED_HOMES: usize = 25;
/// Without the second line mosquitto holds an answer back until the asker has acknowledged what came
/// before it, which takes 40 ms whatever the gateway does.
const BROKER: &str = "max_queued_messages 0\nset_tcp_nodelay true";
const PERCENT: u16 = house::LIMIT + 5;

fn main() {
    // `cargo test` asks for nothing but that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        println!("{:<70} {:>6} {:>9} {:>9} {:>9}", "", "times", "p50", "p99", "most");
        brokers_time().await;
        own_time().await;
        measure("idle", 1, "10s").await;
        measure("while 50 devices are polled each second", POLLED_HOMES, "1s").await;
        drain::measure().await;
    });
}

/// What the way through the broker costs, from an asker to a listener.
async fn brokers_time() {
    let broker = Mosquitto::start_with(BROKER).await;
    let mut asker = Asker::connect(broker.port).await;
    let mut all = Vec::new();
    for nth in 0..TIMES + WARM {
        sleep(PAUSE).await;
        let (asked, heard, _) = asker.ask(asker::ANSWERS, &json!({"nth": nth})).await;
        all.push(heard - asked);
    }
    row("the broker's own time: publish to delivery", &all);
}

/// What the same exchange costs without a gateway.
async fn own_time() {
    let home = house::still_home(12.0).await;
    let mut tool = Tool::connect(home.hybrid_addr()).await;
    let (mut written, mut whole) = (Vec::new(), Vec::new());
    for nth in 0..TIMES + WARM {
        sleep(PAUSE).await;
        let began = Instant::now();
        tool.read(house::LIMIT, 26).await;
        tool.write(PERCENT, &[1_000 + nth as u16, 0, 0, 0, 1]).await;
        written.push(began.elapsed());
        tool.read(house::LIMIT, 26).await;
        whole.push(began.elapsed());
    }
    row("the device's own time: read and write", &written);
    row("the device's own time: read, write and read back", &whole);
    home.stop().await;
}

async fn measure(when: &str, count: usize, interval: &str) {
    let broker = Mosquitto::start_with(BROKER).await;
    let mut homes = Vec::new();
    for _ in 0..count {
        homes.push(house::still_home(12.0).await);
    }
    let gateway = Gateway::start(house::GATEWAY, &configuration(&broker, &homes, interval)).await;
    for home in 0..count {
        gateway.points(&format!("h{home}")).await;
    }
    let mut asker = Asker::connect(broker.port).await;
    let (mut to_register, mut to_answer, mut after_write) = (Vec::new(), Vec::new(), Vec::new());
    for nth in 0..TIMES + WARM {
        sleep(PAUSE).await;
        let (home, raw) = (nth % count, 1_000 + nth as u16);
        let topic = format!("maestro/device/h{home}/set");
        let command =
            json!({"command": "set_power_limit", "parameters": {"percent": f64::from(raw) / 100.0}});
        let (asked, answered, answer) = asker.ask(&topic, &command).await;
        assert_eq!((&answer["status"], &answer["verified"]), (&json!("completed"), &json!(true)), "{answer}");
        let writes = homes[home].hybrid().accepted_writes();
        let write = writes.iter().rfind(|write| write.address == PERCENT && write.values[0] == raw).unwrap();
        to_register.push(write.at - asked);
        to_answer.push(answered - asked);
        after_write.push(answered - write.at);
    }
    row(&format!("{when}: publish to register write"), &to_register);
    row(&format!("{when}: publish to answer"), &to_answer);
    row(&format!("{when}: register write to answer"), &after_write);
}

/// Homes with an inverter each and, when there are several, a meter each.
fn configuration(broker: &Mosquitto, homes: &[Home], interval: &str) -> String {
    let timing = format!("interval = \"{interval}\"\ntimeout = \"1s\"");
    let keys = "write_points = true";
    let mut text =
        format!("[commands]\nrate_limit = 0\nwear_gap = \"0s\"\nwear_per_day = 100000\n{}", broker.section());
    for (number, home) in homes.iter().enumerate() {
        text += &house::hybrid(&format!("h{number}"), home.hybrid_addr(), &timing, keys);
        if homes.len() > 1 {
            text += &format!(
                "[modbus.m{number}]\naddress = \"tcp://{}\"\n{timing}\n[modbus.m{number}.device.m{number}]\n\
                 profile = \"eastron-sdm630\"\nunit = 1\nusage = \"load\"\n",
                home.meter_addr()
            );
        }
    }
    text
}

fn row(what: &str, all: &[Duration]) {
    let mut counted = all[WARM..].to_vec();
    counted.sort_unstable();
    let at = |part: f64| counted[((counted.len() - 1) as f64 * part).round() as usize];
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1_000.0);
    println!("{what:<70} {:>6} {:>9} {:>9} {:>9}", counted.len(), ms(at(0.5)), ms(at(0.99)), ms(at(1.0)));
}
