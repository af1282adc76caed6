//! The keys that every adapter's device table has.

use crate::{DeviceType, EnergyRole, Span, Usage};

/// The common keys of a device table; what is left out comes from the profile or the device.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs)]
pub struct DeviceSettings {
    pub name: Option<String>,
    pub room: Option<String>,
    pub location: Option<String>,
    pub device_type: Option<DeviceType>,
    pub energy_role: Option<EnergyRole>,
    pub enabled: Option<bool>,
    pub interval: Option<Span>,
    pub control: Option<bool>,
    pub usage: Option<Usage>,
    pub invert: Option<bool>,
    pub max_power: Option<f64>,
    pub max_import: Option<f64>,
    pub max_export: Option<f64>,
    pub charge_power: Option<f64>,
    pub discharge_power: Option<f64>,
    pub capacity: Option<f64>,
}

impl DeviceSettings {
    /// These keys, with those of `under` where they are not set: a part inherits from its device.
    pub fn over(&self, under: &Self) -> Self {
        macro_rules! pick {
            ($($key:ident),+) => { Self { $($key: self.$key.clone().or_else(|| under.$key.clone())),+ } };
        }
        pick!(
            name,
            room,
            location,
            device_type,
            energy_role,
            enabled,
            interval,
            control,
            usage,
            invert,
            max_power,
            max_import,
            max_export,
            charge_power,
            discharge_power,
            capacity
        )
    }
}

/// Makes an adapter's device table: its own keys and the common ones in one struct, because serde
/// cannot both flatten and refuse unknown keys.
#[macro_export]
macro_rules! device_table {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[allow(missing_docs)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)*
            pub name: Option<String>,
            pub room: Option<String>,
            pub location: Option<String>,
            pub device_type: Option<$crate::DeviceType>,
            pub energy_role: Option<$crate::EnergyRole>,
            pub enabled: Option<bool>,
            pub interval: Option<$crate::Span>,
            pub control: Option<bool>,
            pub usage: Option<$crate::Usage>,
            pub invert: Option<bool>,
            pub max_power: Option<f64>,
            pub max_import: Option<f64>,
            pub max_export: Option<f64>,
            pub charge_power: Option<f64>,
            pub discharge_power: Option<f64>,
            pub capacity: Option<f64>,
        }

        impl $name {
            /// The common keys.
            pub fn common(&self) -> $crate::DeviceSettings {
                $crate::DeviceSettings {
                    name: self.name.clone(),
                    room: self.room.clone(),
                    location: self.location.clone(),
                    device_type: self.device_type,
                    energy_role: self.energy_role,
                    enabled: self.enabled,
                    interval: self.interval,
                    control: self.control,
                    usage: self.usage,
                    invert: self.invert,
                    max_power: self.max_power,
                    max_import: self.max_import,
                    max_export: self.max_export,
                    charge_power: self.charge_power,
                    discharge_power: self.discharge_power,
                    capacity: self.capacity,
                }
            }
        }
    };
}
