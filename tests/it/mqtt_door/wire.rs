//! The wire between the gateway and its broker: counts, and cuts in front of a PUBACK.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use crate::parts::{Framing, Mosquitto, Proxy, Verdict, Way};

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const DUP: u8 = 0x08;

pub struct Wire {
    pub proxy: Proxy,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    cut_at_puback: AtomicBool,
    cuts: AtomicUsize,
    connections: AtomicUsize,
    redelivered: AtomicUsize,
}

impl Wire {
    pub async fn to(broker: &Mosquitto) -> Self {
        let seen = Arc::<Seen>::default();
        let counters = seen.clone();
        let proxy = Proxy::start(broker.port, Framing::Mqtt, move |way, packet| counters.judge(way, packet));
        Self { proxy: proxy.await, seen }
    }

    pub fn port(&self) -> u16 {
        self.proxy.port
    }

    /// The next PUBACK to the broker is swallowed, and the connection ends there.
    pub fn cut_at_puback(&self) {
        self.seen.cut_at_puback.store(true, SeqCst);
    }

    pub fn cuts(&self) -> usize {
        self.seen.cuts.load(SeqCst)
    }

    /// How often the gateway connected.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }

    /// Messages that the broker sent with the DUP flag.
    pub fn redelivered(&self) -> usize {
        self.seen.redelivered.load(SeqCst)
    }
}

impl Seen {
    fn judge(&self, way: Way, packet: &[u8]) -> Verdict {
        match (way, packet[0] >> 4) {
            // By its client id: the tests' own clients are not counted.
            (Way::ToServer, CONNECT) if packet.windows(8).any(|id| id == b"maestro-") => {
                self.connections.fetch_add(1, SeqCst);
            }
            (Way::ToServer, PUBACK) if self.cut_at_puback.swap(false, SeqCst) => {
                self.cuts.fetch_add(1, SeqCst);
                return Verdict::Cut;
            }
            (Way::ToClient, PUBLISH) if packet[0] & DUP != 0 => {
                self.redelivered.fetch_add(1, SeqCst);
            }
            _ => {}
        }
        Verdict::Pass
    }
}
