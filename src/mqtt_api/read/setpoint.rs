//! What a bare value on a setpoint's topic means.

use adapter_api::{CommandSpec, ParameterKind, ParameterSpec};
use serde_json::{Value as Json, json};

use super::Takes;
use crate::command::{Refusal, RefusalCode};

/// The command that a value means.
pub(super) fn command(
    device: &str,
    setpoint: &str,
    payload: &[u8],
    takes: Takes<'_>,
) -> Result<Json, Refusal> {
    let name = format!("set_{setpoint}");
    let Some(specs) = takes(device) else {
        // Admission refuses it, and names the devices that there are.
        return Ok(json!({"command": name}));
    };
    let Some(spec) = specs.iter().find(|spec| *spec.name == *name) else {
        return Err(unknown(device, setpoint, &specs));
    };
    let Some(parameter) = first(spec) else {
        let message =
            format!("`{name}` takes no value: send {{\"command\": \"{name}\"}} to the topic `…/set`");
        return Err(Refusal::new(RefusalCode::Malformed, message));
    };
    let value = value(payload, &parameter.kind).ok_or_else(|| {
        let message = "the message is no bare value: send a number, a word, true or false; a command object \
                       goes to the topic `…/set`";
        Refusal::new(RefusalCode::Malformed, message)
    })?;
    Ok(json!({"command": name, "parameters": {&*parameter.name: value}}))
}

fn unknown(device: &str, setpoint: &str, specs: &[CommandSpec]) -> Refusal {
    let there: Vec<_> = specs
        .iter()
        .filter(|spec| !spec.local && first(spec).is_some())
        .filter_map(|spec| spec.name.strip_prefix("set_"))
        .collect();
    let message = match &there[..] {
        [] => format!("`{device}` has no setpoint `{setpoint}`, and no other"),
        there => format!("`{device}` has no setpoint `{setpoint}`; it has {}", there.join(", ")),
    };
    Refusal::new(RefusalCode::UnknownCommand, message)
}

fn first(spec: &CommandSpec) -> Option<&ParameterSpec> {
    let named = |name: &_| spec.parameters.iter().find(|parameter| parameter.name == *name);
    let one = spec.exactly_one.first().and_then(named);
    one.or_else(|| spec.parameters.iter().find(|parameter| parameter.required)).or(spec.parameters.first())
}

fn value(payload: &[u8], kind: &ParameterKind) -> Option<Json> {
    let text = str::from_utf8(payload.trim_ascii()).ok().filter(|text| !text.is_empty())?;
    match serde_json::from_str(text) {
        Ok(Json::Object(_) | Json::Array(_) | Json::Null) => None,
        Ok(Json::String(text)) => Some(Json::String(text)),
        // A word may look like a number.
        Ok(value) if !matches!(kind, ParameterKind::Word(_)) => Some(value),
        _ => Some(Json::from(text)),
    }
}
