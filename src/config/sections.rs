//! The sections that are not adapters.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use adapter_api::Span;
use serde::Deserialize;

use super::Size;
use crate::{broker, command, mongo, mqtt_api};

/// A text that must never be printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// `[gateway]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// This home's name; no default that two homes could share.
    #[serde(default)]
    pub id: String,
    /// Owner of the devices in MongoDB.
    pub user_id: Option<String>,
    /// The journal's folder.
    #[serde(default = "data_dir")]
    pub data_dir: PathBuf,
    /// Socket and pending file.
    #[serde(default = "runtime_dir")]
    pub runtime_dir: PathBuf,
    /// IANA name; the system's unless said.
    pub timezone: Option<String>,
}

impl Default for Gateway {
    fn default() -> Self {
        let (data_dir, runtime_dir) = (data_dir(), runtime_dir());
        Self { id: String::new(), user_id: None, data_dir, runtime_dir, timezone: None }
    }
}

impl Gateway {
    /// Where the client commands find the daemon.
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir.join("maestro.sock")
    }
}

fn data_dir() -> PathBuf {
    std::env::var_os("STATE_DIRECTORY").map_or_else(|| PathBuf::from("/var/lib/maestro"), PathBuf::from)
}

fn runtime_dir() -> PathBuf {
    std::env::var_os("RUNTIME_DIRECTORY").map_or_else(|| PathBuf::from("/run/maestro"), PathBuf::from)
}

/// `[journal]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// What a power cut may cost.
    pub group: Span,
    /// How long readings stay.
    pub retention: Span,
    /// How large the journal may grow.
    pub max_size: Size,
}

impl Default for Journal {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            group: Span(Duration::from_secs(10)),
            retention: Span(day * 30),
            max_size: Size(1_000_000_000),
        }
    }
}

/// Which kind of collection measurements go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Measurements {
    /// Time series on replica sets from 6.0, else documents.
    #[default]
    Auto,
    /// Time series.
    Timeseries,
    /// Plain documents.
    Documents,
}

/// `[mongodb]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mongodb {
    /// Where, with credentials.
    pub uri: Secret,
    /// Which database.
    pub database: String,
    /// Before every device id; gateway id and `-` unless said.
    pub device_prefix: Option<String>,
    /// Kind of collection.
    pub measurements: Measurements,
    /// TTL of measurements.
    pub keep_measurements: Span,
    /// TTL of commands.
    pub keep_commands: Span,
}

impl Default for Mongodb {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            uri: Secret("mongodb://localhost:27017".to_owned()),
            database: "maestro".to_owned(),
            device_prefix: None,
            measurements: Measurements::Auto,
            keep_measurements: Span(day * 365),
            keep_commands: Span(day * 90),
        }
    }
}

impl Mongodb {
    /// What the copy needs.
    pub fn settings(&self) -> mongo::Settings {
        mongo::Settings {
            uri: self.uri.0.clone(),
            database: self.database.clone(),
            measurements: match self.measurements {
                Measurements::Auto => mongo::Layout::Auto,
                Measurements::Timeseries => mongo::Layout::Timeseries,
                Measurements::Documents => mongo::Layout::Documents,
            },
            keep_measurements: self.keep_measurements.0,
            keep_commands: self.keep_commands.0,
        }
    }
}

/// `[mqtt_api]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttApi {
    /// `mqtt://` or `mqtts://`.
    pub url: String,
    /// User.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// First level of every topic.
    #[serde(default = "base_topic")]
    pub base_topic: String,
}

impl MqttApi {
    /// What the door needs.
    pub fn settings(&self) -> mqtt_api::Settings {
        mqtt_api::Settings {
            url: self.url.clone(),
            username: self.username.clone(),
            password: self.password.as_ref().map(|secret| secret.0.clone()),
            base_topic: self.base_topic.clone(),
        }
    }
}

fn base_topic() -> String {
    "maestro".to_owned()
}

/// `[broker]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Address and port.
    pub listen: SocketAddr,
    /// User.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
}

impl Broker {
    /// What the broker needs.
    pub fn settings(&self) -> broker::Settings {
        broker::Settings {
            listen: self.listen,
            username: self.username.clone(),
            password: self.password.as_ref().map(|secret| broker::Password::from(secret.0.clone())),
        }
    }
}

/// `[commands]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Commands {
    /// How long a command may wait when it does not say.
    pub expires_in: Span,
    /// Accepted per minute for one device and owner; 0 is no limit.
    pub rate_limit: u32,
    /// What battery commands hold when they do not say.
    pub battery_lease: Span,
    /// Least time between two writes of a register that wears out.
    pub wear_gap: Span,
    /// Writes of a register that wears out in a day, at most.
    pub wear_per_day: u32,
}

impl Default for Commands {
    fn default() -> Self {
        Self {
            expires_in: Span(Duration::from_secs(60)),
            rate_limit: 60,
            battery_lease: Span(Duration::from_secs(3600)),
            wear_gap: Span(Duration::from_secs(300)),
            wear_per_day: 24,
        }
    }
}

impl Commands {
    /// What the commands need.
    pub fn settings(&self) -> command::Settings {
        command::Settings {
            expires_in: self.expires_in.0,
            rate_limit: self.rate_limit,
            battery_lease: self.battery_lease.0,
            wear: command::WearLimits { gap: self.wear_gap.0, per_day: self.wear_per_day as usize },
        }
    }
}
