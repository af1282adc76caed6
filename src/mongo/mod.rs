//! What lies in MongoDB: the connection, one file per model, and the one place that creates
//! collections and indexes.
//!
//! MongoDB holds a copy. Everything here may fail or hang at any time, so each call has its own
//! deadline, and an error says what the caller can do about it ([`MongoError`]). This module turns
//! plain values into documents and carries them; it decides neither what is sent nor when, and knows
//! nothing of the journal.

mod command;
mod connection;
mod device;
mod error;
mod fields;
mod inserter;
mod measurement;
mod schema;

pub use mongodb::bson::Document;

pub use command::{CommandEvent, CommandInput, LeaseInput, upsert_command};
pub use connection::{Connection, Layout, Server, ServerKind, Settings, check_uri};
pub use device::{DeviceInput, StateInput, StateWrite, upsert_device, write_state};
pub use error::MongoError;
pub use fields::object_id;
pub use inserter::{Inserter, Refusal};
pub use measurement::{Built, Direction, EnergyInput, FlowInput, MeasurementInput, build_measurement};
pub use schema::{CHECKPOINTS, COMMANDS, CollectionKind, DEVICES, MEASUREMENTS, prepare};
