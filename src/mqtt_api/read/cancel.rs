//! Who takes which command back.

use serde_json::Value as Json;

use super::{Asked, Read, shortened, user_properties};
use crate::{
    command::{Refusal, RefusalCode, wire::MAX_TEXT},
    journal::Reply,
};

/// A cancellation.
#[derive(Debug, PartialEq)]
pub(in crate::mqtt_api) struct Cancel {
    /// The command's id.
    pub id: String,
    /// The door and its user.
    pub by: String,
    pub reply: Option<Reply>,
}

pub(super) fn read(asked: &Asked<'_>) -> Read {
    match id(&asked.publish.payload) {
        Some(id) => {
            let owner = user_properties(asked.publish).iter().find(|(key, _)| key == "owner");
            let by = asked.door.owner(owner.map(|(_, owner)| shortened(owner)));
            Read::Cancel(Box::new(Cancel { id, by, reply: asked.reply.clone() }))
        }
        None => {
            let message = format!(
                "this cancels nothing: send {{\"id\": \"…\"}} or the bare id of a command, 1 to {MAX_TEXT} bytes"
            );
            asked.refused(Refusal::new(RefusalCode::Malformed, message))
        }
    }
}

fn id(payload: &[u8]) -> Option<String> {
    let id = match serde_json::from_slice(payload) {
        Ok(Json::Object(mut object)) if object.len() == 1 => match object.remove("id")? {
            Json::String(id) => id,
            _ => return None,
        },
        Ok(Json::String(id)) => id,
        Ok(Json::Object(_) | Json::Array(_)) => return None,
        // An id may look like a number.
        _ => str::from_utf8(payload.trim_ascii()).ok()?.to_owned(),
    };
    (!id.is_empty() && id.len() <= MAX_TEXT && !id.starts_with(['{', '['])).then_some(id)
}
