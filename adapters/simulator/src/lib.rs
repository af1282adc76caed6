//! The other end of the wire: a simulated home for demo, training and tests.
//!
//! A [`Home`] is one [`plant`] (sun, loads, battery, grid) seen by two Modbus TCP devices: a hybrid
//! inverter that describes itself by SunSpec and an Eastron SDM630 that measures the loads.
//! [`Server`] serves any [`Device`]; its [`Port`] handle turns the fault dial and says what the
//! device was told and what it served.
//!
//! It never shares code with the adapters: where both would hold the same wrong offset, no test
//! could catch it. From adapter-api it takes the SDM630's profile and nothing else.
//!
//! Modules in reading order: `plant` (pure), `sunspec` and `sdm630` (the plant as registers),
//! `device` (what a server serves), `modbus` (frames and server), `fault`, `record`, `port`, `home`,
//! `catalogue` (what `maestro simulate` offers).

mod catalogue;
mod device;
mod fault;
mod home;
mod modbus;
pub mod plant;
mod port;
mod record;
mod sdm630;
mod sunspec;

#[cfg(test)]
mod tests;

pub use catalogue::{Running, ServeError, What, catalogue, serve};
pub use device::{Device, Exception, RegisterMap, Table, Units, UnknownUnit};
pub use fault::{Fault, Scope};
pub use home::{Home, HomeSettings};
pub use modbus::Server;
pub use plant::{BatteryMode, PlantState};
pub use port::Port;
pub use record::{Served, WriteSeen};
pub use sunspec::{EndModel, SunSpecSettings, Wiring};
