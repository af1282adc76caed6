//! Opens what a link goes over. Never sends a byte.

use std::{io, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::timeout};
use tokio_serial::{DataBits, FlowControl, Parity as Checked, SerialStream, StopBits};

use super::{LinkError, wire::Wire};
use crate::config::{Address, Host, Parity, Serial};

/// Pause between two keep-alive probes, and how many may stay without an answer.
const PROBES: (Duration, u32) = (Duration::from_secs(10), 3);

/// Opens it; `keep_alive`: how long a socket may be idle before its peer is probed, zero for never.
pub(super) async fn open(
    address: &Address,
    connect_timeout: Duration,
    keep_alive: Duration,
) -> Result<Arc<Wire>, LinkError> {
    match address {
        Address::Tcp(host) | Address::RtuOverTcp(host) => {
            tcp(host, connect_timeout, keep_alive).await.map(Wire::tcp)
        }
        Address::Rtu(line) => serial(line).map(Wire::serial),
    }
}

async fn tcp(
    Host { host, port }: &Host,
    connect_timeout: Duration,
    keep_alive: Duration,
) -> Result<TcpStream, LinkError> {
    let unreachable = |error: io::Error| LinkError::Unreachable(error.to_string());
    let connecting = timeout(connect_timeout, TcpStream::connect((host.as_str(), *port)));
    let stream = match connecting.await {
        Ok(connected) => connected.map_err(unreachable)?,
        Err(_) => return Err(LinkError::Unreachable(format!("not connected within {connect_timeout:?}"))),
    };
    // Without it, small requests wait for the peer's acknowledgement of the one before.
    stream.set_nodelay(true).map_err(unreachable)?;
    if !keep_alive.is_zero() {
        // A peer whose power or router went away never says goodbye.
        let probed = TcpKeepalive::new().with_time(keep_alive).with_interval(PROBES.0).with_retries(PROBES.1);
        SockRef::from(&stream).set_tcp_keepalive(&probed).map_err(unreachable)?;
    }
    Ok(stream)
}

/// The port is taken for this process alone: a second client on a line makes wrong answers for both.
fn serial(line: &Serial) -> Result<SerialStream, LinkError> {
    let parity = match line.parity {
        Parity::None => Checked::None,
        Parity::Even => Checked::Even,
        Parity::Odd => Checked::Odd,
    };
    let stop = if line.stop == 2 { StopBits::Two } else { StopBits::One };
    let settings = tokio_serial::new(&line.path, line.baud)
        .data_bits(DataBits::Eight)
        .flow_control(FlowControl::None)
        .parity(parity)
        .stop_bits(stop);
    SerialStream::open(&settings).map_err(|error| no_port(&error))
}

fn no_port(error: &tokio_serial::Error) -> LinkError {
    use tokio_serial::ErrorKind::{InvalidInput, Io, NoDevice};
    let reason = error.to_string();
    let remedy = match error.kind() {
        Io(io::ErrorKind::PermissionDenied) => {
            "The gateway's user must belong to the group that owns the port: usermod -aG dialout maestro"
        }
        Io(io::ErrorKind::NotFound) => {
            "Plug the adapter in; `ls /dev/serial/by-id` shows names that stay when it is plugged in elsewhere"
        }
        NoDevice | Io(io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy) => {
            "Plug the adapter in, and end the other program that holds the port"
        }
        InvalidInput => "Correct the address: this port cannot be set so",
        _ => "Check the adapter and its cable",
    };
    LinkError::NoPort { reason, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_sends_at_once_and_its_peer_is_probed_while_it_is_idle() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Host { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
        let minute = Duration::from_secs(60);
        let stream = tcp(&host, minute, minute).await.unwrap();
        assert!(stream.nodelay().unwrap() && SockRef::from(&stream).keepalive().unwrap());
        assert_eq!(SockRef::from(&stream).tcp_keepalive_time().unwrap(), minute);
        let stream = tcp(&host, minute, Duration::ZERO).await.unwrap();
        assert!(!SockRef::from(&stream).keepalive().unwrap());
    }

    #[test]
    fn what_is_wrong_with_a_port_is_said_with_what_to_do() {
        use tokio_serial::{Error, ErrorKind};
        let words = |kind| no_port(&Error::new(kind, "x")).fault("Unit 1").problem().to_string();
        assert!(words(ErrorKind::Io(io::ErrorKind::PermissionDenied)).contains("dialout"));
        assert!(words(ErrorKind::Io(io::ErrorKind::NotFound)).contains("by-id"));
        assert!(words(ErrorKind::NoDevice).contains("other program"));
        assert!(words(ErrorKind::InvalidInput).contains("Correct the address"));
    }
}
