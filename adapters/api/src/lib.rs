//! The contract between the gateway and its adapters.
//!
//! An adapter owns one connection to one group of devices. It publishes [`Reading`]s and what it
//! knows about its devices through the [`Outlet`], pulls commands from [`Commands`], keeps small
//! notes in its [`Store`], reads the time from [`Clock`], shows by its [`Pulse`] that it turns and
//! stops when `shutdown` is cancelled:
//! all of it is in [`Context`], and nothing else of the gateway can be reached from here.
//!
//! Two tiers:
//! * [`Adapter`] is the whole freedom: one `run` until shutdown.
//! * [`Driver`] with [`drive`] is for what must be polled: the loop owns interval, deadline,
//!   backoff, quarantine, verification and "commands first"; the driver speaks the protocol.
//!
//! This crate holds no protocol, no database and no socket.

mod adapter;
mod command;
mod device;
mod drive;
mod driver;
mod id;
mod job;
mod model;
mod outlet;
pub mod profile;
mod pulse;
mod reading;
mod settings;
mod span;
mod store;
mod time;

pub use adapter::{Adapter, AdapterError, BoxFuture, Context};
pub use command::{CommandSpec, ParameterKind, ParameterSpec, Parameters, WriteOutcome};
pub use device::{Availability, Bounds, CapabilityInfo, DeviceInfo, Problem, Usage};
pub use drive::{Schedule, drive};
pub use driver::{Driver, Fault, ReadBack, Unit, Wanted, Written};
pub use id::{DeviceId, IdError, PointId, UnitId};
pub use job::{Asked, CommandPort, Commands, Job, JobPort, Purpose, Wear};
pub use model::{
    Capability, CommandSource, CommandStatus, DeviceStatus, DeviceType, EnergyRole, EnergyUnit,
    MeasurementSource, Outcome, Priority, Protocol, Quality, UnknownWord,
};
pub use outlet::{Closed, Counter, Outlet, OutletPort};
pub use pulse::Pulse;
pub use reading::{Reading, Value};
pub use settings::DeviceSettings;
pub use span::Span;
pub use store::{Store, StoreError, StorePort};
pub use time::{Clock, Moment};
