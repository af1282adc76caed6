//! `maestro check`: what is wrong in the configuration, and what may be written with it.

use std::{path::Path, process::ExitCode};

use serde_json::json;

use super::{EX_CONFIG, say, say_json};
use crate::config::{Config, Finding, Level, Sources, load};

pub fn run(file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let (config, findings) = match load(&Sources::of_process(file)) {
        Ok((config, warnings)) => (Some(config), warnings),
        Err(errors) => (None, errors),
    };
    if json {
        let findings: Vec<_> = findings.iter().map(finding).collect();
        let writable = config.as_ref().map(writable);
        say_json(&json!({"ok": config.is_some(), "findings": findings, "writable": writable}));
    } else {
        findings.iter().for_each(|finding| say(&finding.to_string()));
        match &config {
            Some(config) => good(config),
            None => say("The configuration cannot be used."),
        }
    }
    Ok(if config.is_some() { ExitCode::SUCCESS } else { ExitCode::from(EX_CONFIG) })
}

fn good(config: &Config) {
    let devices: usize =
        config.adapters.connections().iter().map(|connection| connection.devices.len()).sum();
    let devices = if devices == 1 { "1 device".to_owned() } else { format!("{devices} devices") };
    say(&format!("The configuration is good: gateway `{}`, {devices}.", config.gateway.id));
    let writable = writable(config);
    if writable.is_empty() {
        say("Nothing may be written: no device has control = true.");
    } else {
        say(&format!("May be written (control = true): {}, with their parts.", writable.join(", ")));
    }
}

fn writable(config: &Config) -> Vec<String> {
    let connections = config.adapters.connections();
    let devices = connections.iter().flat_map(|connection| &connection.devices);
    devices
        .filter(|device| device.control && device.commands.iter().any(|spec| !spec.harmless))
        .map(|device| device.id.to_string())
        .collect()
}

fn finding(finding: &Finding) -> serde_json::Value {
    json!({
        "level": if finding.level == Level::Error { "error" } else { "warning" },
        "file": finding.file,
        "line": finding.line,
        "key": finding.key,
        "message": finding.message,
    })
}
