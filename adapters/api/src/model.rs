//! The words of the data model, once. Each enum's text is written out here, so that renaming a
//! variant cannot change a document, a topic or a file.

use std::fmt;

/// A word that is not one of an enum's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {kind}; allowed are {allowed}")]
pub struct UnknownWord {
    /// What was given.
    pub given: String,
    /// Which enum was meant, in words.
    pub kind: &'static str,
    /// The allowed words, comma separated.
    pub allowed: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $kind:literal { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum $name { $($variant),+ }

        impl $name {
            /// Every value, in the order of the data model.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in documents, topics and files.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownWord {
                        given: text.to_owned(),
                        kind: $kind,
                        allowed: [$($text),+].join(", "),
                    }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use words;

words!(/** What a device is. */ DeviceType, "device type" {
    SmartPlug = "smart_plug", SolarInverter = "solar_inverter", BatteryPack = "battery_pack",
    EnergyMeter = "energy_meter", HeatPump = "heat_pump", EvCharger = "ev_charger",
});
words!(/** How a device is reached. */ Protocol, "protocol" {
    Tuya = "tuya", Modbus = "modbus", Mqtt = "mqtt", Sunspec = "sunspec", CanBus = "can_bus",
    RestApi = "rest_api", LocalNetwork = "local_network",
});
words!(/** What a device is to the home's energy. */ EnergyRole, "energy role" {
    Consumer = "consumer", Producer = "producer", Storage = "storage",
    Bidirectional = "bidirectional", Monitor = "monitor",
});
words!(/** What can be done with a device. */ Capability, "capability" {
    Switch = "switch", Dimmer = "dimmer", Color = "color", Thermostat = "thermostat",
    EnergyMeter = "energy_meter", TemperatureSensor = "temperature_sensor",
    HumiditySensor = "humidity_sensor", MotionSensor = "motion_sensor", Scheduler = "scheduler",
    Automation = "automation", PowerControl = "power_control", EnergyStorage = "energy_storage",
    GridInteraction = "grid_interaction", LoadBalancing = "load_balancing",
});
words!(/** Where a command stands. */ CommandStatus, "command status" {
    Pending = "pending", Executing = "executing", Completed = "completed", Failed = "failed",
    Timeout = "timeout", Cancelled = "cancelled",
});
words!(/** Whether a device can be reached. */ DeviceStatus, "device status" {
    Online = "online", Offline = "offline", Unknown = "unknown", Error = "error",
    Maintenance = "maintenance",
});
words!(/** What kind of asker a command came from. */ CommandSource, "command source" {
    User = "user", Automation = "automation", Schedule = "schedule", System = "system", Api = "api",
});
words!(/** How urgent a command is; the order is the rank. */ Priority, "priority" {
    Low = "low", Normal = "normal", High = "high", Critical = "critical",
});
words!(/** Where a value comes from. */ MeasurementSource, "measurement source" {
    Device = "device", Calculated = "calculated", Estimated = "estimated", Manual = "manual",
});
words!(/** How far a reading can be believed. */ Quality, "quality" {
    Good = "good", Fair = "fair", Poor = "poor", Unknown = "unknown",
});
words!(/** Units of the data model. */ EnergyUnit, "unit" {
    Watt = "W", Kilowatt = "kW", Megawatt = "MW", WattHour = "Wh", KilowattHour = "kWh",
    MegawattHour = "MWh", Volt = "V", Ampere = "A", Hertz = "Hz", PowerFactor = "pf",
});
words!(/** How a command ended. Done is completed; expired is a timeout; superseded and cancelled
    are cancelled; the rest is failed. */ Outcome, "outcome" {
    Done = "done", Rejected = "rejected", Unknown = "unknown", Unreachable = "unreachable",
    Mismatch = "mismatch", Expired = "expired", Superseded = "superseded", Cancelled = "cancelled",
});

impl Outcome {
    /// The data model's status for this outcome.
    pub const fn status(self) -> CommandStatus {
        match self {
            Self::Done => CommandStatus::Completed,
            Self::Rejected | Self::Unknown | Self::Unreachable | Self::Mismatch => CommandStatus::Failed,
            Self::Expired => CommandStatus::Timeout,
            Self::Superseded | Self::Cancelled => CommandStatus::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_an_unknown_one_names_what_is_allowed() {
        for status in CommandStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        let error = "fast".parse::<Priority>().unwrap_err();
        assert_eq!(error.to_string(), "`fast` is not a priority; allowed are low, normal, high, critical");
        assert!(Priority::Critical > Priority::High && Priority::High > Priority::Normal);
    }
}
