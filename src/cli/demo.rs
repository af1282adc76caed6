//! `maestro demo`: a simulated home, the real gateway against it, and a live table of both.

mod view;

use std::{
    io::IsTerminal,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use simulator::{Home, HomeSettings};

use self::view::View;
use super::{run::Signals, say};
use crate::{
    app::App,
    config::{Config, Sources, load},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Port of the embedded MQTT broker; another free one is taken when it is in use.
    #[arg(long, default_value_t = 1883)]
    mqtt_port: u16,
    /// How much faster than life the day goes by; counters stay true to real time.
    #[arg(long, default_value_t = 288.0)]
    speed: f64,
    /// Where the demo keeps its journal; a temporary folder unless said.
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub async fn run(arguments: &Arguments, json: bool) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let folder = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("maestro-demo-{}", std::process::id())),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    let home =
        Home::start(HomeSettings { speed: arguments.speed, start_hour: 7.0, ..HomeSettings::default() })
            .await?;
    let port = free_port(arguments.mqtt_port)?;
    let config = configuration(&folder, &home, port)?;
    let socket = config.gateway.socket();
    let mongodb = config.mongodb.as_ref().map(|section| section.database.clone());
    let app = App::start(config).await?;
    if !json {
        introduce(port, &socket, mongodb.as_deref());
    }
    let mut view = View::new(std::io::stdout().is_terminal() && !json, json);
    let mut notices = app.commands().notices();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = signals.end() => break,
            _ = second.tick() => {}
        }
        while let Ok(notice) = notices.try_recv() {
            view.note(notice);
        }
        view.show(&app, &home.now());
    }
    view.end();
    tokio::select! {
        stopped = app.stop() => stopped?,
        () = signals.end_again() => return Ok(ExitCode::FAILURE),
    }
    home.stop().await;
    if arguments.folder.is_none() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    Ok(ExitCode::SUCCESS)
}

/// The wanted port if it is free, else any.
fn free_port(wanted: u16) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(listener.local_addr()?.port())
}

fn configuration(folder: &Path, home: &Home, port: u16) -> anyhow::Result<Config> {
    let file = folder.join("demo.toml");
    std::fs::write(&file, include_str!("../../config/demo.toml"))?;
    let address = |address: SocketAddr| format!("tcp://{address}");
    let own = [
        ("MAESTRO_GATEWAY__DATA_DIR", folder.join("data").display().to_string()),
        ("MAESTRO_GATEWAY__RUNTIME_DIR", folder.join("run").display().to_string()),
        ("MAESTRO_BROKER__LISTEN", format!("127.0.0.1:{port}")),
        ("MAESTRO_MQTT_API__URL", format!("mqtt://127.0.0.1:{port}")),
        ("MAESTRO_MODBUS__ROOF__ADDRESS", address(home.hybrid_addr())),
        ("MAESTRO_MODBUS__PANEL__ADDRESS", address(home.meter_addr())),
    ];
    let of_process = std::env::vars().filter(|(name, _)| name.starts_with("MONGODB_"));
    let environment =
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(of_process).collect();
    match load(&Sources { file, environment, credentials: None }) {
        Ok((config, _)) => Ok(config),
        Err(findings) => {
            let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
            bail!("the demo's configuration cannot be used: {}", findings.join("; "))
        }
    }
}

fn introduce(port: u16, socket: &Path, mongodb: Option<&str>) {
    let program = std::env::args().next().unwrap_or_else(|| "maestro".to_owned());
    let body = r#"{"command": "set_battery_mode", "parameters": {"mode": "charge", "power": 2000}}"#;
    say("Maestro demo: a simulated home (inverter, battery, two meters) and the real gateway against it.");
    match mongodb {
        Some(database) => {
            say(&format!("Readings and commands are also written to MongoDB, database `{database}`."))
        }
        None => {
            say("Readings stay in the gateway's journal; set MONGODB_URI to see them in MongoDB as well.")
        }
    }
    say(
        "Move the battery from another terminal. Who moves it holds it for an hour (`maestro leases` shows who):",
    );
    say("another one needs a higher priority.");
    say(&format!(
        "  mosquitto_pub -h 127.0.0.1 -p {port} -q 1 -t maestro/device/roof-battery/set -m '{body}'"
    ));
    say(&format!(
        "  {program} --socket {} send roof-battery set_battery_mode mode=charge power=2000 --priority high",
        socket.display()
    ));
    say(&format!(
        "  {program} --socket {} send roof-battery set_battery_mode mode=auto --priority high",
        socket.display()
    ));
    say(&format!("  {program} --socket {} leases", socket.display()));
    say("Ctrl-C ends it.");
    say("");
}
