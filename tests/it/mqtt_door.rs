//! The local topics against a real mosquitto, in this process: journal, registry, dispatcher and door
//! are the real ones, the adapter is played. What the whole program does with them is in
//! `commands` and `bad_commands`.

mod adapter;
mod answers;
mod door;
mod load;
mod redelivery;
mod retained;
mod wire;

use self::{door::Door, wire::Wire};
use crate::parts::{Mosquitto, Peer, until, until_true};

const REFRESH: &str = r#"{"deviceId": "roof", "command": "refresh"}"#;

fn refresh(id: &str) -> String {
    format!(r#"{{"deviceId": "roof", "command": "refresh", "id": "{id}"}}"#)
}
