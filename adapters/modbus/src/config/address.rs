//! Where a connection goes to.

use std::fmt;

/// The port of Modbus TCP.
const PORT: u16 = 502;

/// Host and port of a TCP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "tcp://[{host}]:{port}") } else { write!(f, "tcp://{host}:{port}") }
    }
}

impl std::str::FromStr for Address {
    type Err = String;

    /// The error says what is wrong and what to write.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("rtu://") || text.starts_with("rtu+tcp://") {
            return Err(format!(
                "`{text}` is a serial link; serial links come later: use a Modbus TCP gateway and tcp://host:port"
            ));
        }
        let wrong =
            || format!("`{text}` is no address: write tcp://host:port, like \"tcp://192.168.1.50:502\"");
        let rest = text.strip_prefix("tcp://").ok_or_else(wrong)?;
        let (host, port) = match rest.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or_else(wrong)?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or_else(wrong)?),
                };
                (host, port)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let letters = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        if host.is_empty() || !host.chars().all(letters) {
            return Err(wrong());
        }
        let port = match port {
            None => PORT,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}
