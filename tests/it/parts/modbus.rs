//! Another Modbus client beside the gateway: an installer's tool, or what the plain exchange costs.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const READ: u8 = 3;
const WRITE: u8 = 16;
const HEADER: usize = 7;

/// One connection to unit 1.
pub struct Tool {
    stream: TcpStream,
    transaction: u16,
}

impl Tool {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, transaction: 0 }
    }

    pub async fn write(&mut self, address: u16, values: &[u16]) {
        let mut pdu = vec![WRITE];
        pdu.extend(words(&[address, values.len() as u16]));
        pdu.push(values.len() as u8 * 2);
        pdu.extend(words(values));
        assert_eq!(self.exchange(&pdu).await[0], WRITE, "the device refused");
    }

    pub async fn read(&mut self, address: u16, count: u16) -> Vec<u16> {
        let mut pdu = vec![READ];
        pdu.extend(words(&[address, count]));
        let answer = self.exchange(&pdu).await;
        assert_eq!(answer[0], READ, "the device refused");
        answer[2..].chunks(2).map(|word| u16::from_be_bytes([word[0], word[1]])).collect()
    }

    async fn exchange(&mut self, pdu: &[u8]) -> Vec<u8> {
        self.transaction = self.transaction.wrapping_add(1);
        let mut frame: Vec<u8> = words(&[self.transaction, 0, pdu.len() as u16 + 1]).collect();
        frame.push(1);
        frame.extend(pdu);
        self.stream.write_all(&frame).await.unwrap();
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header).await.unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]])) - 1];
        self.stream.read_exact(&mut answer).await.unwrap();
        answer
    }
}

fn words(values: &[u16]) -> impl Iterator<Item = u8> {
    values.iter().flat_map(|value| value.to_be_bytes())
}
