//! A raw RTU client: its own sum, its own idea of time.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_serial::SerialStream;

use super::wire::words;

/// Far longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer than the silence that ends a frame, and than a busy machine is late.
pub const SILENCE: Duration = Duration::from_millis(60);

pub struct Serial<S> {
    stream: S,
}

/// A client of a line.
pub fn open(path: &str) -> Serial<SerialStream> {
    Serial { stream: SerialStream::open(&tokio_serial::new(path, 9_600)).unwrap() }
}

/// A client of a converter.
pub async fn connect(addr: std::net::SocketAddr) -> Serial<TcpStream> {
    Serial { stream: TcpStream::connect(addr).await.unwrap() }
}

pub fn sealed(body: &[u8]) -> Vec<u8> {
    let mut sum = 0xFFFF_u16;
    for byte in body {
        sum ^= u16::from(*byte);
        for _ in 0..8 {
            let low = sum & 1;
            sum >>= 1;
            sum ^= low * 0xA001;
        }
    }
    [body, &sum.to_le_bytes()].concat()
}

/// A read request in its frame.
pub fn reading(unit: u8, function: u8, address: u16, count: u16) -> Vec<u8> {
    sealed(&[&[unit][..], &words(function, &[address, count])].concat())
}

impl<S: AsyncRead + AsyncWrite + Unpin> Serial<S> {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await.expect("bytes in time").unwrap();
        bytes
    }

    /// The first byte that comes, and how many came with it.
    pub async fn piece(&mut self) -> usize {
        let mut bytes = [0; 300];
        timeout(PATIENCE, self.stream.read(&mut bytes)).await.expect("bytes in time").unwrap()
    }

    /// Is it over: end of file or an error?
    pub async fn ends(&mut self) -> bool {
        let mut bytes = [0; 1];
        matches!(
            timeout(PATIENCE, self.stream.read(&mut bytes)).await.expect("an end in time"),
            Ok(0) | Err(_)
        )
    }

    /// Nothing comes for so long.
    pub async fn silent(&mut self, time: Duration) {
        let mut bytes = [0; 1];
        let came = timeout(time, self.stream.read(&mut bytes)).await;
        assert!(came.is_err(), "{came:?} {bytes:?}");
    }

    /// Reads registers, checks the frame, and leaves the line quiet.
    pub async fn read(&mut self, unit: u8, function: u8, address: u16, count: u16) -> Vec<u16> {
        self.send(&reading(unit, function, address, count)).await;
        let frame = self.bytes(5 + 2 * usize::from(count)).await;
        let body = &frame[..frame.len() - 2];
        assert_eq!(sealed(body), frame);
        assert_eq!(body[..3], [unit, function, count as u8 * 2]);
        tokio::time::sleep(SILENCE).await;
        body[3..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }
}

/// Waits for an instant; at once when it is over.
pub async fn at(instant: Instant) {
    tokio::time::sleep_until(instant.into()).await;
}
