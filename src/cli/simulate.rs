//! `maestro simulate <what>`: the other end of the wire, for training and tests.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use adapter_api::profile::Profile;
use anyhow::Context;
use simulator::{Running, ServeError, ServeSettings, Turn};

use super::{run::Signals, say, table::table};

#[derive(clap::Args)]
pub struct Arguments {
    /// What to serve: a home, a line, a SunSpec device, or a profile's name; without it, or with an unknown word, lists
    /// them all.
    what: Option<String>,
    /// Serve the device of this profile, which need not be installed.
    #[arg(long, value_name = "PATH", conflicts_with = "what")]
    profile_file: Option<PathBuf>,
    /// Where; a home takes this port and the next, a serial line makes its own path.
    #[arg(long, default_value = "127.0.0.1:5020")]
    listen: SocketAddr,
    /// On a pseudo terminal instead of TCP, as fast as the profile says.
    #[arg(long)]
    serial: bool,
    /// How much faster than life the day goes by; counters stay true to real time.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// What goes wrong, as often as one likes, like `delay=2s` or `busy@10` (each tenth request); an unknown word lists
    /// them all.
    #[arg(long = "fault", value_name = "NAME[=VALUE][@N]")]
    faults: Vec<Turn>,
}

pub async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let settings =
        ServeSettings { listen: arguments.listen, speed: arguments.speed, serial: arguments.serial };
    let running = match (&arguments.profile_file, &arguments.what) {
        (Some(path), _) => {
            let shown = path.display();
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
            let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let profile = Profile::parse(&name, &text).with_context(|| format!("{shown} is no profile"))?;
            simulator::serve_profile(profile, settings).await?
        }
        (None, None) => {
            say(&listed());
            return Ok(ExitCode::SUCCESS);
        }
        (None, Some(what)) => match simulator::serve(what, settings).await {
            Err(ServeError::Unknown { what }) => {
                anyhow::bail!("there is no `{what}` to simulate; there are\n{}", listed())
            }
            served => served?,
        },
    };
    for &turn in &arguments.faults {
        if !running.turn(turn) {
            anyhow::bail!("moved, bounce and reset-counters belong to the device of a profile: name one");
        }
    }
    announce(&running, &settings);
    say("Ctrl-C ends it.");
    signals.end().await;
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn listed() -> String {
    let rows = simulator::catalog().into_iter().map(|what| vec![what.name, what.text]);
    table(&["NAME", "WHAT IT IS"], &rows.collect::<Vec<_>>())
}

/// What answers where, and for the device of a profile what a configuration would say.
fn announce(running: &Running, settings: &ServeSettings) {
    for (device, address) in running.devices() {
        say(&format!("{device} answers Modbus TCP at {address}"));
    }
    let line = running.line().map(|line| {
        let speed = line.speed();
        let parity = match speed.parity {
            simulator::Parity::None => "none",
            simulator::Parity::Even => "even",
            simulator::Parity::Odd => "odd",
        };
        format!("rtu://{}?baud={}&parity={parity}&stop={}", line.path(), speed.baud, speed.stop)
    });
    let Some(product) = running.product() else {
        let Some(line) = line else { return };
        if settings.serial {
            return say(&format!("it answers as unit 1 at {line}"));
        }
        say(&format!("four eastron-sdm630 answer as units 1 to 4 at {line}"));
        return say("Unit 5 is on the line too and dead.");
    };
    let address = line.unwrap_or_else(|| format!("tcp://{}", product.addr()));
    let (profile, unit) = (running.profile().unwrap_or_default(), product.unit());
    say(&format!("It is unit {unit} at {address}. A configuration that reads it:"));
    say(&format!(
        "\n[modbus.sim]\naddress = \"{address}\"\n[modbus.sim.device.sim]\nprofile = \"{profile}\"\nunit = {unit}\n"
    ));
    for group in ["battery", "power_limit", "export_limit", "reserve"] {
        if let Some((state, _)) = product.told(group) {
            say(&format!("{group} can be set; now it is {state}"));
        }
    }
}
