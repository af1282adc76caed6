//! Several commands in one message.

use serde_json::Value as Json;

use super::{
    fields::{malformed, text},
    parse::{Door, parse_object},
};
use crate::command::{Batch, Refusal};

/// Commands in one batch: more would keep the door from everybody else for too long.
pub const MAX_BATCH: usize = 1_000;

/// Reads an array of commands. What is wrong with one of them refuses that one alone; all of them
/// get the one `batchId` that is said, if any.
///
/// # Errors
/// [`crate::command::RefusalCode::Malformed`] for all of it: no array, an empty one, one that is
/// too long, or one with several `batchId`s.
pub fn parse_batch(json: &Json, door: Door<'_>) -> Result<Batch, Refusal> {
    let Json::Array(items) = json else {
        return Err(malformed("a batch must be a JSON array of command objects"));
    };
    if items.is_empty() {
        return Err(malformed("the array is empty: send at least one command in it"));
    }
    if items.len() > MAX_BATCH {
        let count = items.len();
        return Err(malformed(format!(
            "the array has {count} commands; at most {MAX_BATCH} are taken at once: send several arrays"
        )));
    }
    let mut id: Option<String> = None;
    for given in items.iter().filter_map(Json::as_object).filter_map(|object| text(object, "batchId").ok()?) {
        match &id {
            Some(known) if *known != given => {
                return Err(malformed(format!(
                    "the array has the batchIds `{known}` and `{given}`: give all the same one, or none, or \
                     send an array for each"
                )));
            }
            _ => id = Some(given),
        }
    }
    let requests = items.iter().map(|item| {
        let mut request = parse_object(item, door)?;
        request.batch_id.clone_from(&id);
        Ok(request)
    });
    Ok(Batch { requests: requests.collect(), id, ..Batch::default() })
}
