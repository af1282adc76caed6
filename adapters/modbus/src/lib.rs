//! The Modbus adapter: SunSpec devices and profiled registers, over TCP, on serial lines, and on serial
//! lines behind a converter.
//!
//! One connection (`[modbus.<name>]`) is one [`adapter_api::Adapter`], and one task: it reads its units
//! one after the other and executes commands before reads. After an answer that is late, missing or not
//! for the request, a socket is opened anew, and a serial line is left alone and emptied (tokio-modbus
//! 0.17 would hand out wrong values then).
//!
//! | module | owns |
//! | --- | --- |
//! | `config` | the tables of the configuration, and what is wrong with them |
//! | `units` | the same, resolved: which unit has which devices, with inherited keys |
//! | `declare` | what is known about the devices before anything answers |
//! | `plan` | points → requests, pure |
//! | `codec` | registers ↔ values, pure |
//! | `fetch` | wanted registers → registers, with what was learned of the unit |
//! | `learned` | what a unit does not have, over restarts |
//! | `load` | how much of a line's time its units take, pure |
//! | `port` | one unit's way through the link, and its errors in words |
//! | `client` | the link: opening, deadlines, checks of every answer, what an unanswered request may still bring |
//! | `reading` | values → readings: signs, magnitudes, quality |
//! | `registers` | profiled register devices: points, parts, commands |
//! | `sunspec` | devices that describe themselves by SunSpec models |
//! | `mixed` | devices of both kinds at once, pure |
//! | `wanted` | what a battery command wants, whatever carries it; pure |
//! | `checks` | what a profile's check says of registers, pure |
//! | `field` | scan and probe, for installers |
//! | `driver` | the unit's turn: [`adapter_api::Driver`] on top of all this |
//!
//! It never decides when something is read or whether a command may run: that is `adapter_api::drive`
//! and the gateway's admission.

mod checks;
mod client;
pub mod codec;
mod config;
mod declare;
mod driver;
mod fetch;
mod field;
mod learned;
mod load;
mod mixed;
pub mod plan;
mod port;
mod reading;
mod registers;
mod sunspec;
#[cfg(test)]
mod testing;
mod units;
mod wanted;

use adapter_api::{Adapter, AdapterError, BoxFuture, Clock, Context, Driver, Schedule, Store, drive};

pub use self::{
    config::{Device, Mistake, Settings},
    declare::declare,
    field::{
        Found, Identity, Paste, Probed, Report, Scan, ScanOptions, Seen, Shown, Step, configured_at,
        device_settings, paste, probe,
    },
};

struct Modbus {
    connection: String,
    settings: Settings,
}

/// The adapter of one connection. `connection` is the name of its table.
pub fn adapter(connection: &str, settings: &Settings) -> Box<dyn Adapter> {
    Box::new(Modbus { connection: connection.to_owned(), settings: settings.clone() })
}

/// The driver of one connection by itself, for those who bring their own clock and their own turns.
///
/// # Errors
/// When the address is none; `Settings::check` finds that first.
pub fn driver(
    connection: &str,
    settings: &Settings,
    clock: Clock,
    store: Store,
) -> Result<impl Driver + use<>, AdapterError> {
    driver::ModbusDriver::new(connection, settings, clock, store)
}

impl Adapter for Modbus {
    fn run(self: Box<Self>, context: Context) -> BoxFuture<'static, Result<(), AdapterError>> {
        Box::pin(async move {
            let (clock, store) = (context.clock.clone(), context.store.clone());
            let driver = driver::ModbusDriver::new(&self.connection, &self.settings, clock, store)?;
            drive(driver, Schedule::default(), context).await
        })
    }
}
