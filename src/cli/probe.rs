//! `maestro probe <device>`: every point of a device once, raw and decoded, for comparing with its
//! display.

use std::{path::Path, process::ExitCode, time::Duration};

use adapter_api::Problem;
use adapter_modbus::{Probed, Settings, Shown, device_settings, probe};
use anyhow::{anyhow, bail};
use serde_json::json;

use super::{complain, field::Neighbour, say, say_json, shown::span, table::table};

/// Whoever waits longer is told for how long.
const LONG: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Arguments {
    /// A device of the configuration.
    #[arg(required_unless_present = "connection", conflicts_with = "connection")]
    device: Option<String>,
    /// Without configuration: the line, like tcp://host or rtu:///dev/ttyUSB0?baud=9600.
    #[arg(long, requires = "profile")]
    connection: Option<String>,
    /// Without configuration: the profile, like sunspec or eastron-sdm630.
    #[arg(long, requires = "connection")]
    profile: Option<String>,
    /// Without configuration: the unit id.
    #[arg(long, requires = "connection", default_value_t = 1)]
    unit: u8,
}

pub async fn run(
    arguments: &Arguments,
    config: &Path,
    socket: Option<&Path>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let neighbour = Neighbour::look(config, socket);
    let probed = match (&arguments.device, &arguments.connection, &arguments.profile) {
        (Some(device), ..) => configured(&neighbour, device, json).await?,
        (None, Some(address), Some(profile)) => {
            let settings = device_settings(address, profile, arguments.unit).map_err(|why| anyhow!(why))?;
            neighbour.bars(address)?;
            match patiently(&settings, "device", json).await {
                Some(probed) => probed.map_err(|problem| neighbour.explain(&problem, address))?,
                None => bail!("`{address}` cannot be probed"),
            }
        }
        (None, ..) => bail!("name a device, or --connection and --profile"),
    };
    if json {
        say_json(&told(arguments.device.as_deref(), &probed));
    } else {
        show(arguments.device.as_deref(), &probed);
    }
    Ok(ExitCode::SUCCESS)
}

async fn configured(neighbour: &Neighbour, device: &str, json: bool) -> anyhow::Result<Probed> {
    const WITHOUT: &str = "without it: `maestro probe --connection <address> --profile <name> --unit <id>`";
    if !neighbour.wrong.is_empty() {
        neighbour.wrong.iter().for_each(|finding| complain(&finding.to_string()));
        bail!("the configuration cannot be used; mend it, or do {WITHOUT}");
    }
    for settings in neighbour.modbus.values() {
        // A part is read with its device.
        let has = |id: &String| {
            device.strip_prefix(id.as_str()).is_some_and(|part| part.is_empty() || part.starts_with('-'))
        };
        if settings.device.keys().any(has) {
            neighbour.bars(&settings.address)?;
        }
        if let Some(probed) = patiently(settings, device, json).await {
            return probed.map_err(|problem| neighbour.explain(&problem, &settings.address));
        }
    }
    let ids: Vec<_> =
        neighbour.modbus.values().flat_map(|settings| settings.device.keys()).cloned().collect();
    let known = if ids.is_empty() { "no Modbus device at all".to_owned() } else { ids.join(", ") };
    bail!("the configuration has no Modbus device `{device}`, but {known}; {WITHOUT}")
}

/// Probes, and says how long that may take when it takes long.
async fn patiently(settings: &Settings, device: &str, json: bool) -> Option<Result<Probed, Problem>> {
    let mut probing = std::pin::pin!(probe(settings, device));
    tokio::select! {
        probed = &mut probing => return probed,
        () = tokio::time::sleep(LONG) => {}
    }
    if !json {
        complain(&announced(Probed::longest(settings, device)));
    }
    probing.await
}

fn announced(longest: Option<Duration>) -> String {
    let longest = longest.map_or(String::new(), |longest| {
        format!(", up to {} in all", span(i64::try_from(longest.as_secs()).unwrap_or(i64::MAX)))
    });
    format!("The device answers slowly, or not always: this takes a while{longest}. Ctrl-C ends it.")
}

fn show(device: Option<&str>, probed: &Probed) {
    let who = device.map_or(String::new(), |device| format!("{device}: "));
    say(&format!("{who}unit {} at {}, profile {}", probed.unit, probed.address, probed.profile));
    // One device has no parts to tell apart.
    let first = probed.points.first().map(|shown| &shown.seen.part);
    let parts = probed.points.iter().any(|shown| Some(&shown.seen.part) != first);
    let rows: Vec<_> = probed.points.iter().map(|shown| row(shown, parts)).collect();
    let head = ["PART", "POINT", "FUNCTION", "REGISTER", "RAW", "VALUE", "UNIT"];
    say(&table(&head[usize::from(!parts)..], &rows));
}

fn row(shown: &Shown, parts: bool) -> Vec<String> {
    let seen = &shown.seen;
    let value = match (&shown.refused, &seen.value) {
        (Some(why), _) => why.clone(),
        (None, Some(value)) => value.clone(),
        (None, None) if seen.raw.is_empty() => "no such register".to_owned(),
        (None, None) => "not available".to_owned(),
    };
    let row = vec![
        seen.part.clone(),
        seen.point.clone(),
        seen.function.to_string(),
        seen.register.to_string(),
        hex(&seen.raw).join(" "),
        value,
        seen.unit.clone(),
    ];
    row.into_iter().skip(usize::from(!parts)).collect()
}

fn hex(words: &[u16]) -> Vec<String> {
    words.iter().map(|word| format!("0x{word:04X}")).collect()
}

fn told(device: Option<&str>, probed: &Probed) -> serde_json::Value {
    let points: Vec<_> = probed
        .points
        .iter()
        .map(|Shown { seen, refused }| {
            json!({
                "part": seen.part,
                "point": seen.point,
                "function": seen.function,
                "register": seen.register,
                "raw": hex(&seen.raw),
                "value": seen.value,
                "unit": seen.unit,
                "refused": refused,
            })
        })
        .collect();
    json!({
        "device": device,
        "address": probed.address,
        "unit": probed.unit,
        "profile": probed.profile,
        "points": points,
    })
}

#[cfg(test)]
mod tests {
    use adapter_modbus::Seen;

    use super::*;

    fn shown(raw: &[u16], value: Option<&str>, refused: Option<&str>) -> Shown {
        Shown {
            seen: Seen {
                part: "roof".into(),
                point: "voltage".into(),
                function: 4,
                register: 0,
                raw: raw.to_vec(),
                value: value.map(str::to_owned),
                unit: "V".into(),
            },
            refused: refused.map(str::to_owned),
        }
    }

    #[test]
    fn a_probe_that_takes_long_says_how_long_at_most() {
        assert!(announced(Some(Duration::from_secs(70))).contains("up to 1 min 10 s"));
        assert!(announced(None).contains("takes a while. Ctrl-C"));
    }

    #[test]
    fn a_value_a_missing_value_and_a_missing_register_are_told_apart() {
        let row = |shown: Shown| row(&shown, false).join("|");
        assert_eq!(row(shown(&[0x4366, 0x4CCD], Some("230.3"), None)), "voltage|4|0|0x4366 0x4CCD|230.3|V");
        assert_eq!(row(shown(&[0x7FC0, 0], None, None)), "voltage|4|0|0x7FC0 0x0000|not available|V");
        assert_eq!(row(shown(&[], None, None)), "voltage|4|0||no such register|V");
        assert_eq!(row(shown(&[], None, Some("busy (exception 6)"))), "voltage|4|0||busy (exception 6)|V");
    }
}
