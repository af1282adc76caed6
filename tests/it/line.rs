//! Meters on serial lines with their real timing, read by the real program: 9600 baud, on each line four
//! that answer and one that does not.

use std::time::{Duration, Instant};

use simulator::{Fault, Line, LineSettings, RegisterMap, Scope, Server, Units};

use crate::parts::{Gateway, house, until};

const METERS: u8 = 5;
const DEAD: u8 = 5;
const INTERVAL: Duration = Duration::from_secs(2);
/// How long a unit is waited for.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long the neighbours are watched in each state: fifty turns.
const WATCHED: Duration = Duration::from_secs(100);
/// What they get of their polls at least.
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

/// The meters of a line, each by the line's name and its unit id.
fn sections(name: &str, line: &Line) -> String {
    let device = |unit| {
        format!(
            "[modbus.{name}.device.{name}{unit}]\nprofile = \"eastron-sdm630\"\nunit = {unit}\nusage = \"load\"\n"
        )
    };
    let devices: String = (1..=METERS).map(device).collect();
    let (interval, timeout, path) = (INTERVAL.as_secs(), TIMEOUT.as_secs(), line.path());
    format!(
        "[modbus.{name}]\naddress = \"rtu://{path}?baud=9600\"\ninterval = \"{interval}s\"\n\
         timeout = \"{timeout}s\"\n{devices}"
    )
}

/// Watches the neighbours: each gets the polls that are due to it, and none waits longer for one than the
/// silence of the dead unit explains.
async fn watched(line: &Line, when: &str) {
    let began = Instant::now();
    tokio::time::sleep(WATCHED).await;
    let ended = Instant::now();
    let due = (ended - began).as_secs_f64() / INTERVAL.as_secs_f64();
    for unit in 1..DEAD {
        let arrivals = line.port().arrivals(unit);
        let polls: Vec<_> = arrivals.into_iter().filter(|at| (began..ended).contains(at)).collect();
        let count = polls.len() as f64;
        assert!(count >= due * KEPT, "{when}: unit {unit} got {count} of {due} polls");
        assert!(count <= due + 2.0, "{when}: unit {unit} got {count} of {due} polls");
        let edges: Vec<_> = [began].into_iter().chain(polls).chain([ended]).collect();
        let longest = edges.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(longest <= INTERVAL * 2 + TIMEOUT, "{when}: unit {unit} waited {longest:?}");
    }
}

async fn availability(gateway: &Gateway, device: &str, wanted: &str) -> serde_json::Value {
    until(&format!("{device} is {wanted}"), || async {
        let device = gateway.get(&format!("/v1/devices/{device}")).await;
        // The words follow the state.
        (device["availability"] == wanted && device["problem"].is_null() == (wanted == "online"))
            .then_some(device)
    })
    .await
}

fn silent() -> (Fault, Scope) {
    (Fault::Silence { executed: false }, Scope::ALL.unit(DEAD))
}

#[tokio::test]
async fn four_meters_keep_their_period_while_a_fifth_on_the_line_is_dead_dies_or_comes_back() {
    let lines = ["dead", "dying", "back"].map(|name| (name, line()));
    let [(_, dead), (_, dying), (_, back)] = &lines;
    let (fault, scope) = silent();
    dead.port().fault(fault, scope);
    let sections: String = lines.iter().map(|(name, line)| sections(name, line)).collect();
    let gateway = Gateway::start(house::GATEWAY, &sections).await;
    for (name, _) in &lines {
        for unit in 1..=METERS {
            if (*name, unit) != ("dead", DEAD) {
                let points = gateway.points(&format!("{name}{unit}")).await;
                assert_eq!(points["activePower"], f64::from(unit) * 100.0 + 26.0);
            }
        }
    }
    let told = availability(&gateway, "dead5", "offline").await;
    let problem = told["problem"].as_str().unwrap();
    assert!(problem.contains("Unit 5 at rtu://") && problem.contains("nothing came within"), "{problem}");

    for line in [dying, back] {
        let (fault, scope) = silent();
        line.port().fault(fault, scope);
    }
    tokio::join!(
        watched(dead, "dead from the start"),
        watched(dying, "while it dies"),
        watched(back, "while it dies and comes back"),
        availability(&gateway, "dying5", "offline"),
        async {
            availability(&gateway, "back5", "offline").await;
            back.port().clear_faults();
            availability(&gateway, "back5", "online").await;
            gateway.points("back5").await;
        },
    );
    for (name, line) in &lines {
        // Nobody else may speak on a line, and each frame has its silence before it.
        assert_eq!((line.collisions(), line.rushed()), (0, 0), "{name}");
        for unit in 1..DEAD {
            let device = gateway.get(&format!("/v1/devices/{name}{unit}")).await;
            assert_eq!(
                (&device["availability"], &device["problem"]),
                (&"online".into(), &serde_json::Value::Null)
            );
        }
    }
}

#[tokio::test]
async fn a_line_whose_adapter_is_pulled_out_comes_back_by_itself_with_all_its_meters() {
    let line = line();
    // A program that is started while the cable is in would hold the other end of the terminal, too.
    line.unplug().await;
    let gateway = Gateway::start(house::GATEWAY, &sections("m", &line)).await;
    away(&gateway).await;
    line.plug().unwrap();
    for unit in 1..=METERS {
        gateway.points(&format!("m{unit}")).await;
    }
    line.unplug().await;
    away(&gateway).await;
    line.plug().unwrap();
    for unit in 1..=METERS {
        availability(&gateway, &format!("m{unit}"), "online").await;
    }
}

/// All meters are told to be away because of the port.
async fn away(gateway: &Gateway) {
    for unit in 1..=METERS {
        until("the problem is the port", || async {
            let device = gateway.get(&format!("/v1/devices/m{unit}")).await;
            let problem = device["problem"].as_str().unwrap_or_default();
            (device["availability"] == "offline" && problem.contains("serial port cannot be opened"))
                .then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_profile_of_the_installers_own_is_read_and_what_its_device_does_not_have_is_left_out() {
    let map = RegisterMap::new().holding(10, &[0, 215]).holding(40, &[7]);
    let server = Server::start("127.0.0.1:0".parse().unwrap(), Units::one(1, map)).await.unwrap();
    let profile = "manufacturer = \"M\"\nmodels = [\"own\"]\nprotocol = \"modbus\"\ndevice_type = \"energy_meter\"\n\
        energy_role = \"monitor\"\nsources = []\n[points]\nactivePower = { register = 10, type = \"i32\", unit = \"W\" }\n\
        temperature = { register = 20, type = \"i16\" }\nowned = { register = 40, type = \"u16\", scale = 0.1, class = \"slow\" }\n";
    let sections = format!(
        "[modbus.own]\naddress = \"tcp://{}\"\ninterval = \"200ms\"\n[modbus.own.device.own]\nprofile = \"my-meter\"\nusage = \"load\"\n",
        server.addr()
    );
    let files = [("profiles/my-meter.toml".to_owned(), profile.to_owned())];
    let mut gateway = Gateway::start_with_files(house::GATEWAY, &sections, &files);
    gateway.wait_ready().await;
    let points = gateway.points("own").await;
    assert_eq!((&points["activePower"], &points["owned"]), (&215.into(), &0.7.into()), "{points}");
    assert_eq!(points.get("temperature"), None);
    // Read five times a second and once a minute; what is not there is asked for once.
    let served = |register| server.port().served(1, register);
    until("some polls", || std::future::ready((served(11) > 10).then_some(()))).await;
    assert_eq!(served(40), 1);
    assert!(gateway.points("own").await["owned"] == 0.7, "what is read seldom is still shown");
}
