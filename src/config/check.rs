//! What is wrong or doubtful in a configuration that can be read. Pure.

use std::{collections::BTreeMap, time::Duration};

use adapter_api::Usage;

use super::{Config, Finding};
use crate::{mongo, mqtt_api};

/// Everything that keeps it from working, and what somebody will wonder about.
pub fn check(config: &Config) -> Vec<Finding> {
    let mut findings = gateway(config);
    findings.extend(doors(config));
    findings.extend(devices(config));
    findings
}

fn gateway(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let gateway = &config.gateway;
    if gateway.id.is_empty() {
        findings.push(Finding::error(
            "gateway.id",
            "it is missing; give this home a name of its own, like id = \"home-1\": it is part of MQTT client ids and of device ids in MongoDB",
        ));
    } else if adapter_api::DeviceId::new(&gateway.id).is_err() {
        findings.push(Finding::error(
            "gateway.id",
            format!("`{}` cannot be used; use 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`", gateway.id),
        ));
    }
    if config.mongodb.is_some() && gateway.user_id.is_none() {
        findings.push(Finding::warning(
            "gateway.user_id",
            "it is missing; the gateway's id stands in MongoDB instead, and the backend shows no devices",
        ));
    }
    if let Some(zone) = &gateway.timezone
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        findings.push(Finding::error(
            "gateway.timezone",
            format!("`{zone}` is no time zone of this system; write one like \"Europe/Madrid\""),
        ));
    }
    if config.journal.group.0.is_zero() {
        findings.push(Finding::warning(
            "journal.group",
            "0 commits every reading by itself; an SD card will not last",
        ));
    }
    if config.commands.expires_in.0.is_zero() {
        findings.push(Finding::error(
            "commands.expires_in",
            "0 lets every command expire at once; write one like \"60s\"",
        ));
    }
    if config.commands.battery_lease.0 < Duration::from_secs(1) {
        findings.push(Finding::error(
            "commands.battery_lease",
            "a battery command must hold for 1 s at least; write one like \"1h\"",
        ));
    }
    if config.commands.wear_per_day == 0 {
        findings.push(Finding::error(
            "commands.wear_per_day",
            "0 forbids every write of what wears out; write a number like 24, or set `control = false` for the device",
        ));
    }
    findings
}

fn doors(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(section) = &config.mqtt_api {
        let mistakes = mqtt_api::check(&section.settings());
        findings.extend(
            mistakes.into_iter().map(|(key, message)| Finding::error(format!("mqtt_api.{key}"), message)),
        );
    }
    if let Some(section) = &config.broker
        && let Err(message) = section.settings().check()
    {
        findings.push(Finding::error("broker.listen", message));
    }
    if let Some(mongodb) = &config.mongodb
        && let Err(error) = mongo::check_uri(&mongodb.uri.0)
    {
        findings.push(Finding::error("mongodb.uri", error.to_string()));
    }
    findings
}

fn devices(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    let mut grid: Option<String> = None;
    let mut held: BTreeMap<String, String> = BTreeMap::new();
    let mut by_default: Vec<(String, String)> = Vec::new();
    for connection in config.adapters.connections() {
        let at = |key: &str| format!("{}.{key}", connection.name);
        findings.extend(
            connection.mistakes.iter().map(|(key, message)| Finding::error(at(key), message.as_str())),
        );
        findings.extend(
            connection.doubts.iter().map(|(key, message)| Finding::warning(at(key), message.as_str())),
        );
        if let Some((end, alone)) = &connection.holds
            && let Some(other) = held.insert(end.clone(), connection.name.clone())
        {
            findings.push(held_twice(at("address"), end, *alone, &other));
        }
        for device in &connection.devices {
            let id = device.id.to_string();
            let key = at(&format!("device.{id}"));
            if let Some(other) = first.insert(id.clone(), key.clone()) {
                findings.push(Finding::error(
                    &key,
                    format!("the device id `{id}` stands at {other} as well; give one of them another name"),
                ));
            }
            if device.usage == Some(Usage::Grid) && !connection.configured_grid.contains(&id) {
                by_default.push((id.clone(), key.clone()));
            }
            if connection.configured_grid.contains(&id) && device.usage == Some(Usage::Grid) {
                match &grid {
                    Some(other) => findings.push(Finding::error(
                        format!("{key}.usage"),
                        format!("{other} is the grid meter already; a home has one, give the other usage = \"pv\", \"battery\" or \"load\""),
                    )),
                    None => grid = Some(key.clone()),
                }
            }
        }
    }
    // An inverter's own grid meter gives way to one that is configured; meters of their own do not.
    let more = by_default.iter().skip(usize::from(grid.is_none()));
    findings.extend(more.map(|(id, key)| {
        Finding::warning(
            format!("{key}.usage"),
            format!("`{id}` measures the grid unless it says otherwise, and another meter does already: set usage = \"grid\", \"pv\", \"battery\" or \"load\""),
        )
    }));
    if first.is_empty() {
        findings.push(Finding::warning(
            "",
            "no device is configured; add one, for example below [modbus.<name>]",
        ));
    }
    findings
}

/// Two connections to one end get in each other's way.
fn held_twice(key: String, end: &str, alone: bool, other: &str) -> Finding {
    let remedy = format!("put the devices of both below [{other}]");
    if alone {
        Finding::error(
            key,
            format!("`{end}` is held by [{other}] already, and a serial line has one client: {remedy}"),
        )
    } else {
        Finding::warning(
            key,
            format!(
                "[{other}] connects to `{end}` as well; many devices serve one client only: {remedy}, with a `unit` each"
            ),
        )
    }
}
