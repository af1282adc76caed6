//! The other end of the wire: a simulated home for demo, training and tests.
//!
//! A [`Home`] is one [`plant`] (sun, loads, battery, grid) seen by two Modbus TCP devices: a hybrid
//! inverter that describes itself by SunSpec and an Eastron SDM630 that measures the loads.
//! [`Server`] serves any [`Device`] over TCP, [`Line`] over a serial line with its real timing; their
//! [`Port`] handle turns the fault dial and says what the devices were told and what they served.
//!
//! [`Many`] serves hundreds of plain devices for measurements.
//!
//! A [`Product`] is a device of any register profile in front of a plant of its own: its points backwards, its
//! setpoints and timers as the profile says, its time as fast as a test likes.
//!
//! It never shares code with the adapters: where both would hold the same wrong offset, no test
//! could catch it. From adapter-api it takes the profiles and nothing else.
//!
//! Modules in reading order: `plant` (pure), `live` (the plant on a clock), `sunspec`, `product` and `sdm630` (the
//! plant as registers), `device` (what a server serves), `modbus` (frames, server and serial line), `fault`, `dial` (faults
//! in words), `record`, `port`, `home`, `catalog` and `running` (what `maestro simulate` offers and serves).

mod catalog;
mod device;
mod dial;
mod fault;
mod home;
mod live;
mod modbus;
pub mod plant;
mod port;
mod product;
mod record;
mod running;
mod sdm630;
mod sunspec;

#[cfg(test)]
mod tests;

pub use catalog::{ServeError, ServeSettings, What, catalog, serve, serve_profile};
pub use device::{Device, Exception, RegisterMap, Table, Units, UnknownUnit};
pub use dial::{Turn, Word, WrongTurn, words};
pub use fault::{Fault, Scope};
pub use home::{Home, HomeSettings};
pub use modbus::{ConverterSettings, Line, LineSettings, Manners, Many, Parity, Server, Speed};
pub use plant::{BatteryMode, PlantSettings, PlantState};
pub use port::Port;
pub use product::{Product, ProductError, ProductSettings};
pub use record::{Served, Traffic, WriteSeen};
pub use running::Running;
pub use sunspec::{EndModel, Layout, SunSpecSettings, Wiring};
