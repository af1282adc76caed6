//! What installers need in the field: which devices answer on a line, and what a device shows, point
//! by point, raw and decoded. Each opens its own connection; never writes, and knows no terminal.
//!
//! | module | owns |
//! | --- | --- |
//! | `ask` | a unit that no configuration knows yet, and one question to it |
//! | `place` | the line before anything is asked: a host's name, a serial port and who holds it |
//! | `plan` | which lines and unit ids a scan asks, in which order, and how long that may take; pure |
//! | `describe` | what a unit that answers is |
//! | `recognise` | registers against the signatures of the profiles |
//! | `report` | what was found; which answers are one and the same device; pure |
//! | `scan` | the sweep over a plan |
//! | `ends` | what answered over one line, and which of its settings to use |
//! | `paste` | the tables of the configuration for what was found; pure |
//! | `table` | one device's table; pure |
//! | `probe` | every point of one unit, once |
//! | `points` | those of a register profile |

mod ask;
mod describe;
mod ends;
mod paste;
mod place;
mod plan;
mod points;
mod probe;
mod recognise;
mod report;
mod scan;
mod table;
#[cfg(test)]
mod tests;

pub use self::{
    ends::configured_at,
    paste::{Paste, paste},
    plan::{Scan, ScanOptions},
    probe::{Probed, Shown, device_settings, probe},
    report::{Found, Identity, Report},
    scan::Step,
};

/// One point as it was read once.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Where it belongs: a device's id, or a SunSpec model like `103`.
    pub part: String,
    /// Its name.
    pub point: String,
    /// 3 or 4.
    pub function: u8,
    /// Address of its first register, as on the wire.
    pub register: u16,
    /// Its registers; empty when the device has none there.
    pub raw: Vec<u16>,
    /// Decoded, scaled, in words; none: the device says that it has no such value.
    pub value: Option<String>,
    /// Unit of the value, or empty.
    pub unit: String,
}
