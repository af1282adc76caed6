//! What polling costs: the real program, devices with 40 points each on sockets, read each second.
//!
//! `cargo bench --bench modbus_poll`. The devices run in this process; rates, requests and bytes are counted
//! by them, processor time and memory are those of the gateway's process, from `/proc`. The machine is
//! shared by all of it. The optimum is what no client can go below: one request for the 80 registers of a
//! device, 12 bytes out and 169 back.

// No test functions here, where the lints already allow it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

// What the tests use and this does not is used there.
#[allow(dead_code, unused_imports)]
#[path = "../../tests/it/parts/mod.rs"]
mod parts;
mod process;

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use simulator::Many;
use tokio::time::sleep;

use self::{
    parts::{Gateway, Kind, Mongod, house},
    process::Process,
};

const POINTS: u16 = 40;
const COUNTS: [u16; 4] = [10, 50, 200, 1_000];
const WARM: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(30);
/// Bytes of the request and the answer that bring 80 registers.
const LEAST_BYTES: f64 = 12.0 + 9.0 + 160.0;
const PROFILE: &str = "forty-points";

fn main() {
    // `cargo test` asks for nothing but that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        println!(
            "{:<34} {:>9} {:>9} {:>9} {:>9} {:>7} {:>8} {:>12} {:>11}",
            "devices x 40 points x 1 s",
            "readings",
            "requests",
            "bytes",
            "optimum",
            "CPU",
            "memory",
            "CPU/device",
            "memory/dev."
        );
        println!(
            "{:<34} {:>9} {:>9} {:>9} {:>9} {:>7} {:>8} {:>12} {:>11}",
            "", "of due", "/100 pts", "/point", "bytes", "1 core", "MB", "us/s", "kB"
        );
        for count in COUNTS {
            measure(count, Where::OwnPorts, false).await;
        }
        measure(200, Where::OnePort, false).await;
        measure(200, Where::OwnPorts, true).await;
    });
}

/// Where the devices answer.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    OwnPorts,
    /// As units behind one gateway.
    OnePort,
}

async fn measure(count: u16, place: Where, stored_in_mongodb: bool) {
    let many = match place {
        Where::OwnPorts => Many::start(count).await.unwrap(),
        Where::OnePort => Many::start_units(u8::try_from(count).unwrap()).await.unwrap(),
    };
    let mongod = if stored_in_mongodb { Some(Mongod::start(Kind::ReplicaSet).await) } else { None };
    let mut sections = String::new();
    if let Some(mongod) = &mongod {
        writeln!(sections, "[mongodb]\nuri = {:?}", mongod.uri()).unwrap();
    }
    for (number, address) in many.addrs().iter().enumerate() {
        writeln!(sections, "[modbus.c{number}]\naddress = \"tcp://{address}\"\ninterval = \"1s\"").unwrap();
        let devices = if place == Where::OnePort { 0..usize::from(count) } else { number..number + 1 };
        for device in devices {
            let unit = if place == Where::OnePort { device + 1 } else { 1 };
            write!(
                sections,
                "[modbus.c{number}.device.d{device}]\nprofile = \"{PROFILE}\"\nunit = {unit}\nusage = \"load\"\n"
            )
            .unwrap();
        }
    }
    let files = [(format!("profiles/{PROFILE}.toml"), profile())];
    let mut gateway = Gateway::start_with_files(house::GATEWAY, &sections, &files);
    gateway.wait_ready().await;
    gateway.points(&format!("d{}", count - 1)).await;
    let process = Process(gateway.pid());
    sleep(WARM).await;

    let (began, traffic, used) = (Instant::now(), many.traffic(), process.cpu());
    sleep(MEASURED).await;
    let (seconds, now, spent) = (began.elapsed().as_secs_f64(), many.traffic(), process.cpu() - used);
    let memory = process.memory();
    let polls = (now.answers - traffic.answers) as f64;
    let requests = (now.requests - traffic.requests) as f64;
    let bytes = (now.received + now.sent - traffic.received - traffic.sent) as f64;
    let points = polls * f64::from(POINTS);
    let cpu = spent.as_secs_f64() / seconds;
    println!(
        "{:<34} {:>8.1}% {:>9.2} {:>9.3} {:>9.3} {:>6.2}% {:>8.1} {:>12.0} {:>11.0}",
        format!(
            "{count}{}{}",
            if place == Where::OnePort { " behind one port" } else { "" },
            if stored_in_mongodb { ", stored in MongoDB" } else { "" }
        ),
        polls / (f64::from(count) * seconds) * 100.0,
        requests / points * 100.0,
        bytes / points,
        LEAST_BYTES / f64::from(POINTS),
        cpu * 100.0,
        memory / 1e6,
        cpu / f64::from(count) * 1e6,
        memory / f64::from(count) / 1e3,
    );
    gateway.stop().await;
    many.stop().await;
}

/// 40 floats side by side, as meters have them.
fn profile() -> String {
    let mut text = "manufacturer = \"Bench\"\nmodels = [\"40 points\"]\nprotocol = \"modbus\"\n\
         device_type = \"energy_meter\"\nenergy_role = \"monitor\"\nusage = \"load\"\nsources = []\n[points]\n"
        .to_owned();
    for point in 0..POINTS {
        let name = if point == 0 { "activePower".to_owned() } else { format!("value{point}") };
        writeln!(text, "{name} = {{ register = {}, function = \"input\", type = \"f32\" }}", point * 2)
            .unwrap();
    }
    text
}
