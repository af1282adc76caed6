//! What installers need in the field: which devices answer on a line, and what a device shows, point
//! by point, raw and decoded. Each opens its own connection; never writes.

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
