//! One command, or an array of them.

use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::Publish;
use serde_json::{Map, Value as Json, json};

use super::{Asked, Read, Refused, Several, Takes, Timing, setpoint, user_properties};
use crate::{
    command::{Refusal, RefusalCode, Request, wire},
    mqtt_api::topics::Target,
};

pub(super) fn read(asked: &Asked<'_>, target: Target<'_>, takes: Takes<'_>) -> Read {
    let mut json = match payload(asked.publish, target, takes) {
        Ok(json) => json,
        Err(refusal) => return asked.refused(refusal),
    };
    match &mut json {
        Json::Object(object) => fill(object, asked.publish),
        Json::Array(items) => {
            items.iter_mut().filter_map(Json::as_object_mut).for_each(|object| fill(object, asked.publish));
        }
        _ => {}
    }
    match (&json, target) {
        (Json::Array(_), Target::Any) => several(asked, &json),
        _ => single(asked, &json),
    }
}

/// What the payload says, as JSON.
fn payload(publish: &Publish, target: Target<'_>, takes: Takes<'_>) -> Result<Json, Refusal> {
    if let Target::Setpoint(device, setpoint) = target {
        return setpoint::command(device, setpoint, &publish.payload, takes);
    }
    let plain = matches!(target, Target::Device(_));
    match publish.payload.trim_ascii() {
        b"ON" if plain => Ok(json!({"command": "turn_on"})),
        b"OFF" if plain => Ok(json!({"command": "turn_off"})),
        b"TOGGLE" if plain => Ok(json!({"command": "toggle"})),
        payload => serde_json::from_slice(payload).map_err(|error| {
            let words = if plain { "ON, OFF, TOGGLE or " } else { "" };
            let message = format!(
                "the message is no JSON ({error}); send {words}an object like {{\"command\": \"refresh\"}}"
            );
            Refusal::new(RefusalCode::Malformed, message)
        }),
    }
}

/// What the user properties add.
fn fill(object: &mut Map<String, Json>, publish: &Publish) {
    for (key, value) in user_properties(publish) {
        if ["priority", "source", "owner"].contains(&key.as_str()) {
            object.entry(key).or_insert_with(|| Json::from(value.as_str()));
        }
    }
}

fn single(asked: &Asked<'_>, json: &Json) -> Read {
    let refused = |refusal, device, request| {
        Read::Refuse(Box::new(Refused { refusal, device, request, reply: asked.reply.clone() }))
    };
    let mut request = match wire::parse_object(json, asked.door) {
        Ok(request) => request,
        Err(refusal) => {
            let device = asked.door.device.or(json.get("deviceId").and_then(Json::as_str));
            return refused(refusal, device.map(str::to_owned), wire::understood(json, asked.door));
        }
    };
    request.reply.clone_from(&asked.reply);
    request.tell = true;
    match left(asked.publish, asked.timing) {
        Ok(left) => {
            shorten(&mut request, left, asked.timing);
            Read::Submit(Box::new(request))
        }
        Err(refusal) => refused(refusal, Some(request.device.clone()), Some(request)),
    }
}

fn several(asked: &Asked<'_>, json: &Json) -> Read {
    let read = left(asked.publish, asked.timing)
        .and_then(|left| wire::parse_batch(json, asked.door).map(|batch| (left, batch)));
    let (left, mut batch) = match read {
        Ok(read) => read,
        Err(refusal) => return asked.refused(refusal),
    };
    // One request, one answer: its Response Topic gets the summary.
    batch.reply.clone_from(&asked.reply);
    batch.tell = true;
    for request in batch.requests.iter_mut().flatten() {
        request.tell = true;
        shorten(request, left, asked.timing);
    }
    let items = json.as_array().map_or(&[][..], Vec::as_slice);
    let understood = items.iter().map(|item| wire::understood(item, asked.door)).collect();
    Read::Batch(Box::new(Several { batch, understood }))
}

/// What is left of the Message Expiry, which says when the message itself is worth nothing any
/// more; none when it has none.
fn left(publish: &Publish, timing: Timing) -> Result<Option<Duration>, Refusal> {
    let Some(seconds) = publish.properties.as_ref().and_then(|properties| properties.message_expiry_interval)
    else {
        return Ok(None);
    };
    let left = Duration::from_secs(u64::from(seconds)).saturating_sub(timing.waited);
    if left.is_zero() {
        let message = "its Message Expiry passed on the way: raise it, or send it when the gateway is there";
        return Err(Refusal::new(RefusalCode::Expired, message));
    }
    Ok(Some(left))
}

fn shorten(request: &mut Request, left: Option<Duration>, timing: Timing) {
    let Some(left) = left else { return };
    // `expiresIn` counts from the sender's time, the Message Expiry from now.
    let from = request.scheduled_at.or(request.issued_at).unwrap_or(timing.now_ms);
    let passed = Duration::from_millis(u64::try_from(timing.now_ms.saturating_sub(from)).unwrap_or(0));
    let asked = request.expires_in.unwrap_or(timing.expires_in);
    request.expires_in = Some(asked.min(left.saturating_add(passed)));
}
