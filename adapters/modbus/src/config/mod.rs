//! `[modbus.<name>]`: the tables as they are written, and what is wrong with them. Pure; never
//! opens a connection.

mod address;
mod check;
mod ratings;

use std::collections::BTreeMap;

use adapter_api::{Span, profile::PARTS};
use serde::Deserialize;

pub(crate) use self::address::{Address, Host, Parity, Serial};
pub use self::check::Mistake;
pub(crate) use self::check::usual_unit;

/// One connection.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `tcp://host:port`; the port is 502 unless said.
    pub address: String,
    /// How often its units are read, 5 s unless said.
    #[serde(default = "interval")]
    pub interval: Span,
    /// How long opening the connection may take, 3 s unless said.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: Span,
    /// How long an answer may take, instead of the profile's value.
    pub timeout: Option<Span>,
    /// Pause between opening the connection and the first request.
    #[serde(default = "nothing")]
    pub pause_after_connect: Span,
    /// Pause between two requests; the profile's value counts where it is longer.
    #[serde(default = "nothing")]
    pub spacing: Span,
    /// A connection that was idle for so long is closed: some devices drop it without a word, and some have
    /// room for one client. Never unless said.
    pub idle_close: Option<Span>,
    /// How long a socket may be idle before its peer is probed, 60 s unless said; "0s": never.
    #[serde(default = "keep_alive")]
    pub keep_alive: Span,
    /// Its devices by id.
    #[serde(default)]
    pub device: BTreeMap<String, Device>,
}

adapter_api::device_table! {
    /// One device of a connection; or, without `profile` and `unit`, the keys of one part of a
    /// device that turns out to be several (`roof-battery`, `roof-grid`, `roof-meter2`).
    Device {
        /// The profile's name.
        profile: Option<String>,
        /// The Modbus unit id; the profile's unless said.
        unit: Option<u8>,
        /// How long its answers may take, instead of the connection's or the profile's value.
        timeout: Option<Span>,
        /// Most registers in one request to it, instead of the profile's value.
        block: Option<u16>,
        /// Most unwanted registers between two wanted ones in one request, instead of the profile's value.
        gap: Option<u16>,
        /// Shall `write_point` be taken for the points that the profile lists? No unless said.
        write_points: Option<bool>,
    }
}

fn interval() -> Span {
    Span(std::time::Duration::from_secs(5))
}

fn connect_timeout() -> Span {
    Span(std::time::Duration::from_secs(3))
}

fn keep_alive() -> Span {
    Span(std::time::Duration::from_secs(60))
}

fn nothing() -> Span {
    Span(std::time::Duration::ZERO)
}

impl Settings {
    /// The table whose device this table describes a part of: `roof` for `roof-battery`.
    pub(crate) fn whole_of(&self, id: &str) -> Option<&str> {
        let table = self.device.get(id)?;
        if table.profile.is_some() || table.unit.is_some() {
            return None;
        }
        let whole = PARTS.iter().find_map(|part| id.strip_suffix(part)?.strip_suffix('-'))?;
        self.device.get_key_value(whole).map(|(whole, _)| whole.as_str())
    }
}

/// The name of the device itself among its parts.
pub(crate) const ITSELF: &str = "";
/// The part that stores.
pub(crate) const BATTERY: &str = "battery";
/// The part that measures the grid.
pub(crate) const GRID: &str = "grid";

#[cfg(test)]
mod tests;
