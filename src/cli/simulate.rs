//! `maestro simulate <what>`: the other end of the wire, for training and tests.

use std::{net::SocketAddr, process::ExitCode};

use super::{run::Signals, say};

#[derive(clap::Args)]
pub struct Arguments {
    /// What to serve; an unknown word lists them all.
    what: String,
    /// Where; a home takes this port and the next, a serial line makes its own path.
    #[arg(long, default_value = "127.0.0.1:5020")]
    listen: SocketAddr,
    /// How much faster than life the day goes by; counters stay true to real time.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
}

pub async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let running = simulator::serve(&arguments.what, arguments.listen, arguments.speed).await?;
    for (device, address) in running.devices() {
        say(&format!("{device} answers Modbus TCP at {address}"));
    }
    if let Some(line) = running.line() {
        let baud = line.speed().baud;
        say(&format!("four eastron-sdm630 answer as units 1 to 4 at rtu://{}?baud={baud}", line.path()));
        say("Unit 5 is on the line too and dead.");
    }
    say("Ctrl-C ends it.");
    signals.end().await;
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}
