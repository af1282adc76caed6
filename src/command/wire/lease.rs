//! Leases out.

use serde_json::{Value as Json, json};

use super::{parameters_json, time_text, without_nulls};
use crate::{
    command::{Holder, LeaseLost, LeaseView, Refused, Writer},
    journal::{LeaseTerms, Step},
};

/// A command in short.
pub(super) fn step(step: &Step) -> Json {
    json!({"command": step.command, "parameters": parameters_json(&step.parameters)})
}

/// The terms on which a command holds its setpoint.
pub(super) fn terms(terms: &LeaseTerms) -> Json {
    json!({"seconds": seconds(terms.lasts_ms), "revert": step(&terms.revert)})
}

/// Whole seconds without a fraction, so that 60 reads 60.
fn seconds(ms: u64) -> Json {
    if ms.is_multiple_of(1_000) { json!(ms / 1_000) } else { json!(ms as f64 / 1_000.0) }
}

/// Who holds a setpoint, for a device's state.
pub fn lease_state(holder: &Holder) -> Json {
    without_nulls(json!({
        "owner": holder.owner,
        "id": holder.id,
        "command": holder.step.command,
        "parameters": parameters_json(&holder.step.parameters),
        "priority": holder.priority.as_str(),
        "since": time_text(holder.since),
        "until": time_text(holder.until),
        "reverting": holder.reverting,
    }))
}

/// Every setpoint: who holds it until when, what comes after, who wrote it, who was refused.
pub fn leases(views: &[LeaseView]) -> Json {
    views.iter().map(lease).collect()
}

fn lease(view: &LeaseView) -> Json {
    without_nulls(json!({
        "deviceId": view.device.as_str(),
        "setpoint": view.group,
        "holder": view.holder.as_ref().map(holder),
        "writers": view.writers.iter().map(writer).collect::<Vec<_>>(),
        "refusals": view.refusals.iter().map(refused).collect::<Vec<_>>(),
    }))
}

fn holder(holder: &Holder) -> Json {
    let mut json = lease_state(holder);
    json["source"] = json!(holder.source.as_str());
    json["revert"] = step(&holder.revert);
    json["dropped"] = json!(holder.dropped);
    json
}

fn writer(writer: &Writer) -> Json {
    json!({
        "at": time_text(writer.at),
        "owner": writer.owner,
        "id": writer.id,
        "command": writer.command,
        "parameters": parameters_json(&writer.parameters),
        "outcome": writer.outcome.as_str(),
    })
}

fn refused(refused: &Refused) -> Json {
    json!({
        "at": time_text(refused.at),
        "owner": refused.owner,
        "command": refused.command,
        "reason": refused.reason,
    })
}

/// A holder lost its setpoint before its time.
pub fn lease_lost(lost: &LeaseLost) -> Json {
    json!({
        "id": lost.id,
        "deviceId": lost.device.as_str(),
        "setpoint": lost.group,
        "command": lost.command,
        "owner": lost.owner,
        "status": "lease_lost",
        "at": time_text(lost.at),
        "reason": lost.reason,
    })
}
