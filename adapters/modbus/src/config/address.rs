//! Where a connection goes to.
//!
//! | written | goes over |
//! | --- | --- |
//! | `tcp://host:port` | Modbus TCP; the port is 502 unless said |
//! | `rtu:///dev/ttyUSB0?baud=9600&parity=none&stop=1` | a serial line; these values unless said |
//! | `rtu+tcp://host:port` | a serial line behind a converter that passes its frames on as they are |

use std::{fmt, time::Duration};

/// The port of Modbus TCP.
const PORT: u16 = 502;
/// What most meters and inverters leave the factory with.
const BAUD: u32 = 9_600;
/// Below and above, no device speaks.
const BAUDS: std::ops::RangeInclusive<u32> = 300..=1_000_000;
/// Above this speed the standard fixes the silence between two frames.
const FIXED_ABOVE: u32 = 19_200;
const FIXED_SILENCE: Duration = Duration::from_micros(1_750);

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// Modbus TCP.
    Tcp(Host),
    /// A serial line.
    Rtu(Serial),
    /// Serial frames over TCP.
    RtuOverTcp(Host),
}

/// A TCP endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub host: String,
    pub port: u16,
}

/// A serial port and how it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Serial {
    pub path: String,
    pub baud: u32,
    pub parity: Parity,
    /// 1 or 2.
    pub stop: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parity {
    None,
    Even,
    Odd,
}

impl Parity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Even => "even",
            Self::Odd => "odd",
        }
    }
}

impl Serial {
    /// How long so many bytes take on the line.
    pub fn time_of(&self, bytes: usize) -> Duration {
        let bits = 1 + 8 + u32::from(self.parity != Parity::None) + u32::from(self.stop);
        Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(bits) / self.baud
    }

    /// The silence that separates two frames: 3.5 characters.
    pub fn silence(&self) -> Duration {
        if self.baud > FIXED_ABOVE { FIXED_SILENCE } else { self.time_of(7) / 2 }
    }
}

impl Address {
    /// The serial line, where it is known.
    pub fn serial(&self) -> Option<&Serial> {
        match self {
            Self::Rtu(serial) => Some(serial),
            Self::Tcp(_) | Self::RtuOverTcp(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::RtuOverTcp(host) => write!(f, "rtu+tcp://{host}"),
            Self::Rtu(Serial { path, baud, parity, stop }) => {
                write!(f, "rtu://{path}?baud={baud}&parity={}&stop={stop}", parity.as_str())
            }
        }
    }
}

impl std::str::FromStr for Address {
    type Err = String;

    /// The error says what is wrong and what to write.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no address: write tcp://host:port, rtu+tcp://host:port or rtu:///dev/<port>, like \"tcp://192.168.1.50:502\" or \"rtu:///dev/ttyUSB0?baud=9600\""
            )
        };
        if let Some(rest) = text.strip_prefix("tcp://") {
            return host(rest, Some(PORT)).map(Self::Tcp).ok_or_else(wrong);
        }
        if let Some(rest) = text.strip_prefix("rtu+tcp://") {
            return host(rest, None).map(Self::RtuOverTcp).ok_or_else(|| {
                format!("`{text}` needs host and port: write the converter's, like \"rtu+tcp://192.168.1.60:4196\"")
            });
        }
        let rest = text.strip_prefix("rtu://").ok_or_else(wrong)?;
        serial(rest).map(Self::Rtu).map_err(|why| format!("`{text}`: {why}"))
    }
}

fn host(text: &str, port_unless_said: Option<u16>) -> Option<Host> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let letters = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if host.is_empty() || !host.chars().all(letters) {
        return None;
    }
    let port = match port {
        None => port_unless_said?,
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
    };
    Some(Host { host: host.to_owned(), port })
}

fn serial(text: &str) -> Result<Serial, String> {
    let (path, options) = text.split_once('?').unwrap_or((text, ""));
    if !path.starts_with('/') || path.len() < 2 {
        return Err("write the port's whole path, like rtu:///dev/ttyUSB0".to_owned());
    }
    let mut serial = Serial { path: path.to_owned(), baud: BAUD, parity: Parity::None, stop: 1 };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "baud" => {
                let baud = value.parse().ok().filter(|baud| BAUDS.contains(baud));
                serial.baud =
                    baud.ok_or_else(|| format!("`baud={value}` is no speed: write one like baud=9600"))?;
            }
            "parity" => {
                serial.parity = match value {
                    "none" => Parity::None,
                    "even" => Parity::Even,
                    "odd" => Parity::Odd,
                    _ => return Err(format!("`parity={value}`: allowed are none, even, odd")),
                }
            }
            "stop" => {
                serial.stop = match value {
                    "1" => 1,
                    "2" => 2,
                    _ => return Err(format!("`stop={value}`: allowed are 1 and 2")),
                }
            }
            _ => return Err(format!("`{key}` is no option: allowed are baud, parity, stop")),
        }
    }
    Ok(serial)
}
