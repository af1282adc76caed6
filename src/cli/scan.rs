//! `maestro scan <address>`: which devices answer on a line, and the tables to configure them.

use std::{path::Path, process::ExitCode, time::Duration};

use adapter_api::Span;
use adapter_modbus::{Found, Paste, Report, Scan, ScanOptions, Step, paste};
use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::{complain, field::Neighbour, run::Signals, say, say_json, shown::span, table::table};

/// Whoever waits longer is told for how long.
const LONG: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Arguments {
    /// tcp://host, rtu:///dev/ttyUSB0 or rtu+tcp://host:port.
    address: String,
    /// Unit ids to ask, like 1-20,247; the usual ones and then all others unless said.
    #[arg(long)]
    units: Option<String>,
    /// Speeds of a serial line to try, separated by commas; the common ones unless said.
    #[arg(long, value_delimiter = ',')]
    baud: Vec<u32>,
    /// How long each unit may take to answer, like 500ms. Unless said: up to 1 s for the usual unit
    /// ids, and for the others twice as long as the slowest answer so far.
    #[arg(long)]
    timeout: Option<Span>,
}

pub async fn run(
    arguments: &Arguments,
    config: &Path,
    socket: Option<&Path>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let options = ScanOptions {
        units: arguments.units.clone(),
        bauds: arguments.baud.clone(),
        timeout: arguments.timeout.map(|span| span.0),
    };
    let scan = Scan::new(&arguments.address, &options).map_err(|why| anyhow!(why))?;
    let mut signals = Signals::listen()?;
    let neighbour = Neighbour::look(config, socket);
    if !json && scan.longest() > LONG {
        complain(&announced(&scan, &arguments.address));
    }
    let bar = bar(json);
    let mut report = Report::default();
    let mut watch = |step: Step<'_>| advance(&bar, &step);
    let ended = tokio::select! {
        ended = scan.run(&mut report, &mut watch) => Some(ended),
        () = signals.end() => None,
    };
    bar.finish_and_clear();
    if let Some(Err(problem)) = ended {
        return Err(neighbour.explain(&problem, &arguments.address));
    }
    remark(&mut report, &neighbour, &arguments.address, config);
    let pastes = paste(&report, &neighbour.modbus);
    if json {
        say_json(&told(&arguments.address, &report, &pastes));
    } else {
        show(&arguments.address, &report, &pastes);
    }
    Ok(if report.found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn announced(scan: &Scan, address: &str) -> String {
    let (units, lines) = scan.size();
    let speeds = if lines > 1 { format!(" at {lines} settings of speed and parity") } else { String::new() };
    let longest = span(i64::try_from(scan.longest().as_secs()).unwrap_or(i64::MAX));
    format!(
        "Asking {units} unit ids at {address}{speeds}: up to {longest} when nothing answers, often much less. Ctrl-C ends it and shows what was found so far."
    )
}

/// On a terminal only, and never in the way of JSON.
fn bar(json: bool) -> ProgressBar {
    let target = if json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} ({eta} left)");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn advance(bar: &ProgressBar, step: &Step<'_>) {
    bar.set_length(step.total as u64);
    bar.set_position(step.done as u64);
    bar.set_message(format!("{} unit {}", step.address, step.unit));
    if let Some(found) = step.found {
        bar.println(format!("unit {} at {}: {}", found.unit, found.address, product(found)));
    }
}

/// What the gateway on this machine has to do with it.
fn remark(report: &mut Report, neighbour: &Neighbour, address: &str, config: &Path) {
    if let Some(name) = neighbour.uses(address) {
        report.remarks.push(format!(
            "The gateway is running and uses this line as modbus.{name}: a device that takes one client only may not have answered. `systemctl stop maestro` before a scan makes sure"
        ));
    }
    if config.exists() && !neighbour.wrong.is_empty() {
        report.remarks.push(format!(
            "{} cannot be used (`maestro check` says why), so nothing was compared with it",
            config.display()
        ));
    }
}

fn show(address: &str, report: &Report, pastes: &[Paste]) {
    if report.found.is_empty() {
        let after = if report.complete { "" } else { " until it was ended" };
        say(&format!(
            "Nothing answered at {address}{after}. Check power, wiring (A and B may be swapped) and that Modbus is switched on in the device; --timeout 3s gives slow ones more time."
        ));
    } else {
        let rows: Vec<_> = report.found.iter().map(|found| row(found, pastes)).collect();
        say(&table(&["UNIT", "DEVICE", "SERIAL NUMBER", "PROFILE", "CONFIGURED AS", "ADDRESS"], &rows));
        if !report.complete {
            say("The scan was ended early: there may be more.");
        }
    }
    report.remarks.iter().for_each(|remark| say(&format!("{}.", remark.trim_end_matches('.'))));
    for paste in pastes {
        let heading = match (paste.configured, paste.text.is_empty()) {
            (true, true) => {
                say(&format!(
                    "\n[modbus.{}] of the configuration has all of {}.",
                    paste.connection, paste.address
                ));
                continue;
            }
            (true, false) => format!(
                "The configuration has this line already, as [modbus.{}]. To add what it does not have:",
                paste.connection
            ),
            (false, _) => format!("To configure what was found at {}, paste this:", paste.address),
        };
        say(&format!("\n{heading}\n\n{}", paste.text.trim()));
    }
}

fn row(found: &Found, pastes: &[Paste]) -> Vec<String> {
    let units = std::iter::once(&found.unit).chain(&found.same).map(ToString::to_string);
    let profiles = match found.profiles.as_slice() {
        [] => "answers, no known profile".to_owned(),
        profiles => profiles.join(" or "),
    };
    let serial = if found.serial().is_empty() { "-" } else { found.serial() };
    vec![
        units.collect::<Vec<_>>().join(" = "),
        product(found),
        serial.to_owned(),
        profiles,
        configured(found, pastes).unwrap_or("-").to_owned(),
        found.address.clone(),
    ]
}

fn product(found: &Found) -> String {
    let product = found.product();
    if product.is_empty() { "unknown".to_owned() } else { product }
}

/// The id of the device in the configuration.
fn configured<'a>(found: &Found, pastes: &'a [Paste]) -> Option<&'a str> {
    let own = pastes.iter().filter(|paste| paste.address == found.address);
    let mut known = own.flat_map(|paste| &paste.known);
    known.find(|(unit, _)| *unit == found.unit || found.same.contains(unit)).map(|(_, id)| id.as_str())
}

fn told(address: &str, report: &Report, pastes: &[Paste]) -> Value {
    let identity = |identity: &adapter_modbus::Identity| {
        json!({
            "manufacturer": identity.manufacturer,
            "model": identity.model,
            "firmware": identity.firmware,
            "serialNumber": identity.serial,
        })
    };
    let found: Vec<_> = report
        .found
        .iter()
        .map(|found| {
            json!({
                "address": found.address,
                "unit": found.unit,
                "sameOnUnits": found.same,
                "identities": found.identities.iter().map(identity).collect::<Vec<_>>(),
                "sunspecModels": found.models,
                "profiles": found.profiles,
                "configuredAs": configured(found, pastes),
            })
        })
        .collect();
    let tables: Vec<_> = pastes
        .iter()
        .map(|paste| {
            json!({
                "address": paste.address,
                "connection": paste.connection,
                "configured": paste.configured,
                "toml": paste.text,
            })
        })
        .collect();
    json!({
        "address": address,
        "complete": report.complete,
        "found": found,
        "remarks": report.remarks,
        "tables": tables,
    })
}
