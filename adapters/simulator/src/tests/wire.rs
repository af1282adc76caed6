//! A raw client: its own frames, its own offsets.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Far longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Wire {
    stream: TcpStream,
    transaction: u16,
}

#[derive(Debug)]
pub struct Frame {
    pub transaction: u16,
    pub protocol: u16,
    pub unit: u8,
    pub pdu: Vec<u8>,
}

impl Wire {
    pub async fn to(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.unwrap(), transaction: 0x1200 }
    }

    pub async fn send(&mut self, unit: u8, pdu: &[u8]) {
        self.transaction += 1;
        let mut frame = self.transaction.to_be_bytes().to_vec();
        frame.extend([0, 0]);
        frame.extend((pdu.len() as u16 + 1).to_be_bytes());
        frame.push(unit);
        frame.extend(pdu);
        self.stream.write_all(&frame).await.unwrap();
    }

    pub async fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await.expect("an answer in time")?;
        Ok(bytes)
    }

    pub async fn frame(&mut self) -> io::Result<Frame> {
        let head = self.bytes(7).await?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let pdu = self.bytes(usize::from(word(4)) - 1).await?;
        Ok(Frame { transaction: word(0), protocol: word(2), unit: head[6], pdu })
    }

    pub async fn ask(&mut self, unit: u8, pdu: &[u8]) -> io::Result<Frame> {
        self.send(unit, pdu).await;
        self.frame().await
    }

    /// The transaction id of the last request.
    pub fn last(&self) -> u16 {
        self.transaction
    }

    /// Registers, or the exception code.
    pub async fn read(&mut self, function: u8, address: u16, count: u16) -> Result<Vec<u16>, u8> {
        let frame = self.ask(1, &words(function, &[address, count])).await.unwrap();
        assert_eq!((frame.transaction, frame.protocol, frame.unit), (self.transaction, 0, 1));
        if frame.pdu[0] == function | 0x80 {
            return Err(frame.pdu[1]);
        }
        assert_eq!((frame.pdu[0], usize::from(frame.pdu[1])), (function, frame.pdu.len() - 2));
        Ok(frame.pdu[2..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
    }

    /// Function 6 for one value, 16 for more; the exception code when it is refused.
    pub async fn write(&mut self, address: u16, values: &[u16]) -> Result<(), u8> {
        let request = match values {
            [value] => words(6, &[address, *value]),
            _ => write_many(address, values),
        };
        let frame = self.ask(1, &request).await.unwrap();
        if frame.pdu[0] & 0x80 != 0 {
            return Err(frame.pdu[1]);
        }
        assert_eq!(frame.pdu, request[..5]);
        Ok(())
    }
}

pub fn words(function: u8, words: &[u16]) -> Vec<u8> {
    std::iter::once(function).chain(words.iter().flat_map(|word| word.to_be_bytes())).collect()
}

pub fn write_many(address: u16, values: &[u16]) -> Vec<u8> {
    let mut pdu = words(16, &[address, values.len() as u16]);
    pdu.push(values.len() as u8 * 2);
    pdu.extend(values.iter().flat_map(|value| value.to_be_bytes()));
    pdu
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what} did not happen in time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
