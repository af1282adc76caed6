//! `maestro simulate <what>`: the other end of the wire, for training and tests. Knows the installer's own profiles as
//! well; a configuration with mistakes is said and hinders nothing.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use adapter_api::profile::{self, Profile};
use anyhow::Context;
use simulator::{Running, ServeSettings, Turn};

use super::{complain, run::Signals, say, table::table};
use crate::config::own_profiles;

#[derive(clap::Args)]
pub struct Arguments {
    /// What to serve: a home, a line, a SunSpec device, or the name of a profile, shipped or yours; without it, lists them
    /// all.
    what: Option<String>,
    /// Serve the device of this profile, which need not be installed; it may extend a file beside it.
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

pub async fn run(arguments: &Arguments, config: &Path) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let settings =
        ServeSettings { listen: arguments.listen, speed: arguments.speed, serial: arguments.serial };
    let running = match (&arguments.profile_file, &arguments.what) {
        (Some(path), _) => simulator::serve_profile(read(path)?, settings).await?,
        (None, what) => {
            let (own, wrong) = own_profiles(config);
            wrong.iter().for_each(|finding| complain(&finding.to_string()));
            profile::install(own.profiles());
            let Some(what) = what else {
                say(&listed());
                return Ok(ExitCode::SUCCESS);
            };
            simulator::serve(what, settings).await?
        }
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

/// The profile of a file. What it extends lies beside it, or is compiled in.
fn read(path: &Path) -> anyhow::Result<Profile> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let beside = |base: &str, shipped: bool| {
        let file = path.with_file_name(format!("{base}.toml"));
        if shipped { None } else { fs::read_to_string(file).ok() }
    };
    let of = |base: &str, shipped: bool| {
        beside(base, shipped).or_else(|| profile::shipped(base).map(str::to_owned))
    };
    Profile::parse_with(&name, &text, &of).with_context(|| format!("{shown} is no profile"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_of_a_file_extends_what_lies_beside_it_or_is_compiled_in() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        file("base.toml", "extends = \"eastron-sdm630\"\nmanufacturer = \"Mine\"\n");
        let path = file("meter.toml", "extends = \"base\"\nphases = 1\n");
        let profile = read(&path).unwrap();
        assert_eq!(
            (profile.name.as_str(), profile.manufacturer.as_str(), profile.phases),
            ("meter", "Mine", 1)
        );
        // One of the same name extends the one that is compiled in.
        let path = file("eastron-sdm630.toml", "extends = \"eastron-sdm630\"\nmanufacturer = \"Other\"\n");
        assert_eq!(read(&path).unwrap().manufacturer, "Other");
        let path = file("lost.toml", "extends = \"nowhere\"\n");
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("lost.toml is no profile") && error.contains("nowhere"), "{error}");
    }
}
