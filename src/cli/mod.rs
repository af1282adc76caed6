//! The command line: one file per subcommand. Client commands talk HTTP to the daemon's socket;
//! `run`, `demo`, `simulate`, `scan` and `probe` are processes of their own; `check` and `profiles` read files alone.

mod cancel;
mod check;
mod client;
mod commands;
mod demo;
mod devices;
mod events;
mod field;
mod history;
mod leases;
mod probe;
mod profiles;
mod run;
mod scan;
mod send;
mod shown;
mod simulate;
mod table;

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// Exit code for a configuration that cannot be used (EX_CONFIG): systemd does not start again.
const EX_CONFIG: u8 = 78;

/// Home energy gateway: inverters, batteries and meters, a durable journal, MongoDB, and commands
/// with a true answer.
#[derive(Parser)]
#[command(name = "maestro", version, propagate_version = true)]
struct Arguments {
    /// The configuration file; `<name>.d/*.toml` beside it adds to it.
    #[arg(long, short, global = true, default_value = "/etc/maestro/maestro.toml", env = "MAESTRO_CONFIG")]
    config: PathBuf,
    /// The running daemon's socket; unless said, the one that the configuration names.
    #[arg(long, global = true, env = "MAESTRO_SOCKET")]
    socket: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    /// What to log: a level, or `target=level` separated by commas.
    #[arg(long, global = true, default_value = "info", env = "MAESTRO_LOG")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Run,
    /// Check the configuration and the installer's profiles: file, line, key, remedy; and list what may be written.
    Check,
    /// List the device models that the gateway knows, or show one: what it reads, takes and needs, and what becomes of
    /// it when the gateway dies.
    Profiles(profiles::Arguments),
    /// Run a simulated home and a real gateway against it.
    Demo(demo::Arguments),
    /// Serve a simulated device, or a whole home.
    Simulate(simulate::Arguments),
    /// Look which devices answer on a line, and print the tables to configure them.
    Scan(scan::Arguments),
    /// Read every point of a device once, raw and decoded, to compare with its display.
    Probe(probe::Arguments),
    /// Send a command to a device and wait for the answer.
    Send(send::Arguments),
    /// List the devices, or show one.
    Devices(devices::Arguments),
    /// Show a device's readings.
    History(history::Arguments),
    /// List commands and how they ended, how they do on the whole, or what happens now.
    Commands(commands::Arguments),
    /// Take back a command that waits.
    Cancel(cancel::Arguments),
    /// Show who holds which setpoint until when, who wrote it, and who was refused.
    Leases(leases::Arguments),
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_logs(&arguments);
    // What takes long has threads of its own. A second worker would be woken for every other event, which costs
    // more than the rest of a poll; commands are a tenth of a millisecond slower without it.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(dispatch(arguments));
    // Whoever asked a second time to end does not wait for tasks.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = || client::Client::new(arguments.socket.as_deref(), &arguments.config);
    let json = arguments.json;
    match &arguments.command {
        Command::Run => run::run(&arguments.config).await,
        Command::Check => check::run(&arguments.config, json),
        Command::Profiles(profiles) => profiles::run(profiles, &arguments.config, json),
        Command::Demo(demo) => demo::run(demo, json).await,
        Command::Simulate(simulate) => simulate::run(simulate, &arguments.config).await,
        Command::Scan(scan) => scan::run(scan, &arguments.config, arguments.socket.as_deref(), json).await,
        Command::Probe(probe) => {
            probe::run(probe, &arguments.config, arguments.socket.as_deref(), json).await
        }
        Command::Send(send) => send::run(&client()?, send, json).await,
        Command::Devices(devices) => devices::run(&client()?, devices, json).await,
        Command::History(history) => history::run(&client()?, history, json).await,
        Command::Commands(commands) => commands::run(&client()?, commands, json).await,
        Command::Cancel(cancel) => cancel::run(&client()?, cancel, json).await,
        Command::Leases(leases) => leases::run(&client()?, leases, json).await,
    }
}

fn start_logs(arguments: &Arguments) {
    // The demo's table owns the terminal: only what is wrong may come between.
    let quiet = matches!(arguments.command, Command::Demo(_)) && arguments.log == "info";
    let wanted = if quiet { "error" } else { &arguments.log };
    let filter: Targets = match wanted.parse() {
        Ok(filter) => filter,
        Err(error) => {
            complain(&format!("--log {wanted}: {error}; logging at info"));
            Targets::new().with_default(tracing::Level::INFO)
        }
    };
    let ansi = std::io::stderr().is_terminal();
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false);
    // systemd's journal puts its own time before each line.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        tracing_subscriber::registry().with(lines.without_time()).with(filter).init();
    } else {
        tracing_subscriber::registry().with(lines).with(filter).init();
    }
}

/// A line for the user. A closed pipe (`| head`) is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line about what went wrong.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn say_json(value: &serde_json::Value) {
    say(&format!("{value:#}"));
}
