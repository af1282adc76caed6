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
    neighbour.bars(&arguments.address)?;
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
    let mut pastes = paste(&report, &neighbour.modbus);
    report.remarks.extend(pastes.iter().flat_map(|paste| paste.remarks.clone()));
    pastes.retain(|paste| paste.configured || !paste.text.is_empty());
    remark(&mut report, &neighbour, &arguments.address, config);
    if json {
        say_json(&told(&arguments.address, &report, &pastes));
    } else {
        show(&arguments.address, config, &report, &pastes);
    }
    Ok(if report.found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn announced(scan: &Scan, address: &str) -> String {
    let (units, lines) = scan.size();
    let speeds = if lines > 1 { format!(" at {lines} settings of speed and parity") } else { String::new() };
    let longest = span(i64::try_from(scan.longest().as_secs()).unwrap_or(i64::MAX));
    format!(
        "Asking {units} unit ids at {address}{speeds}: up to {longest} when nothing answers, often much less. {} Ctrl-C ends it and shows what was found so far.",
        if lines > 1 { "--baud and --units make it shorter." } else { "--units makes it shorter." }
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

fn show(address: &str, config: &Path, report: &Report, pastes: &[Paste]) {
    if report.found.is_empty() {
        say(&nothing(address, report.complete));
    } else {
        let rows: Vec<_> = report.found.iter().map(|found| row(found, pastes)).collect();
        say(&table(&["UNIT", "DEVICE", "SERIAL NUMBER", "PROFILE", "CONFIGURED AS", "ADDRESS"], &rows));
        if !report.complete {
            say("The scan was ended early: there may be more.");
        }
    }
    report.remarks.iter().for_each(|remark| say(&format!("{}.", remark.trim_end_matches('.'))));
    if let Some(unknown) = report.found.iter().find(|found| found.profiles.is_empty()) {
        say(&without_profile(unknown, config));
    }
    for paste in pastes {
        say(&format!("\n{}", headed(paste, config)));
    }
}

/// What to try when nothing answered.
fn nothing(address: &str, complete: bool) -> String {
    let after = if complete { "" } else { " until it was ended" };
    let checks = if address.starts_with("tcp://") {
        "Check that Modbus TCP is switched on in the device. Behind a gateway, check its serial settings and the RS-485 line"
    } else if address.starts_with("rtu://") {
        "Check power and the RS-485 line; another speed is tried with --baud"
    } else {
        "Check power, the speed and parity that the converter is set to, and the RS-485 line"
    };
    format!(
        "Nothing answered at {address}{after}. {checks}: A and B may be swapped, and a long line needs 120 ohms between them at both ends. Meters leave the factory as unit 1: two of them on one line disturb each other, so connect them one by one and give each its own. --units asks only those, --timeout 3s gives slow ones more time."
    )
}

/// The next step with a device that no profile fits.
fn without_profile(found: &Found, config: &Path) -> String {
    let folder = config.with_file_name("profiles").display().to_string();
    format!(
        "Unit {unit} answers, and no known profile fits: describe its registers in a profile of your own, {folder}/<name>.toml, and see what it shows with `maestro probe --connection '{address}' --profile <name> --unit {unit}`.",
        unit = found.unit,
        address = found.address,
    )
}

/// A line's tables and where they go, or what else is to be done with its connection.
fn headed(paste: &Paste, config: &Path) -> String {
    let Paste { address, connection, text, .. } = paste;
    let text = text.trim();
    if !paste.configured {
        let file = config.with_extension("d").join(format!("{connection}.toml"));
        let file = file.display();
        return format!("To configure what was found at {address}, paste this into {file}:\n\n{text}");
    }
    let mut said = match &paste.readdress {
        Some(new) => format!(
            "The configuration has this line as [modbus.{connection}], and its devices answer otherwise than it says: set address = \"{new}\" there"
        ),
        None if text.is_empty() && paste.whole => {
            format!("[modbus.{connection}] of the configuration has all of {address}")
        }
        None => format!("The configuration has this line already, as [modbus.{connection}]"),
    };
    match text {
        "" if paste.whole => said.push('.'),
        "" => said.push_str(". What it does not have fits no known profile."),
        text => said.push_str(&format!(". To add what it does not have:\n\n{text}")),
    }
    said
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
                "setAddress": paste.readdress,
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
