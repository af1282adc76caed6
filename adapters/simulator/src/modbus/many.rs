//! Very many devices for measurements: a plain register map behind many ports or many unit ids, served
//! as cheaply as it can be and counted exactly. No plant, no faults, no record, and no allocation per
//! request.
//!
//! Registers of both tables, all 65,536 of them: at each even address begins a float32 between 50 and
//! 51, high word first, that changes with every request.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::debug;

use super::frame::{self, HEADER, Header, Request};
use crate::{Exception, record::Traffic};

/// The longest frame; what one read may hold of the next ones is kept beside it.
const FRAME_MOST: usize = 260;
/// High word of 50.0 as float32.
const FIFTY: u16 = 0x4248;
/// Open files per device: it listens, and has a connection, whose other end may be in this process.
const FILES_PER_DEVICE: u64 = 3;
/// Open files for everything else.
const FILES_BESIDE: u64 = 256;

/// Many running devices. Dropping it stops them without waiting.
pub struct Many {
    addrs: Vec<SocketAddr>,
    counts: Arc<[Count]>,
    connections: Arc<AtomicU64>,
    tasks: TaskTracker,
    stop: DropGuard,
}

#[derive(Default)]
struct Count {
    requests: AtomicU64,
    registers: AtomicU64,
    received: AtomicU64,
    answers: AtomicU64,
    sent: AtomicU64,
}

impl Many {
    /// So many devices, each on a free port of the loopback; each answers any unit id. It raises this
    /// process's limit of open files where that is too low and may be raised.
    ///
    /// # Errors
    /// When the machine gives no more ports or files: raise `ulimit -n`.
    pub async fn start(devices: u16) -> io::Result<Self> {
        allow_files(u64::from(devices) * FILES_PER_DEVICE + FILES_BESIDE);
        let mut listeners = Vec::with_capacity(devices.into());
        for _ in 0..devices {
            listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        }
        Self::serve(listeners, devices.into(), |device, _| Some(device))
    }

    /// So many devices behind one port, as units 1 to `devices`; other units get exception 11.
    ///
    /// # Errors
    /// When the machine gives no port.
    pub async fn start_units(devices: u8) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Self::serve(vec![listener], devices.into(), |_, unit| usize::from(unit).checked_sub(1))
    }

    fn serve(listeners: Vec<TcpListener>, devices: usize, which: Which) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let counts: Arc<[Count]> = (0..devices).map(|_| Count::default()).collect();
        let connections = Arc::new(AtomicU64::new(0));
        let addrs = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        for (place, listener) in listeners.into_iter().enumerate() {
            let site = Site { place, which, counts: counts.clone(), connections: connections.clone() };
            tasks.spawn(listen(listener, site, tasks.clone(), stop.clone()));
        }
        tasks.close();
        Ok(Self { addrs, counts, connections, tasks, stop: stop.drop_guard() })
    }

    /// Where they listen: one address per device, or one for all units.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// What went over the wire for all of them.
    pub fn traffic(&self) -> Traffic {
        self.counts.iter().fold(Traffic::default(), |all, count| {
            let one = count.traffic();
            Traffic {
                requests: all.requests + one.requests,
                received: all.received + one.received,
                answers: all.answers + one.answers,
                sent: all.sent + one.sent,
            }
        })
    }

    /// What went over the wire for one of them, counted from 0.
    pub fn traffic_of(&self, device: usize) -> Traffic {
        self.counts.get(device).map(Count::traffic).unwrap_or_default()
    }

    /// Registers that were served, all devices together.
    pub fn registers(&self) -> u64 {
        self.counts.iter().map(|count| count.registers.load(Ordering::Relaxed)).sum()
    }

    /// Connections that were ever accepted.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Closes everything and waits for it.
    pub async fn stop(self) {
        drop(self.stop);
        self.tasks.wait().await;
    }
}

impl Count {
    fn traffic(&self) -> Traffic {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Traffic {
            requests: now(&self.requests),
            received: now(&self.received),
            answers: now(&self.answers),
            sent: now(&self.sent),
        }
    }
}

/// Which device a unit id of a listening place means; beyond the last one there is none.
type Which = fn(usize, u8) -> Option<usize>;

#[derive(Clone)]
struct Site {
    place: usize,
    which: Which,
    counts: Arc<[Count]>,
    connections: Arc<AtomicU64>,
}

fn allow_files(wanted: u64) {
    let now = getrlimit(Resource::Nofile);
    if let Some(soft) = now.current.filter(|soft| *soft < wanted) {
        let most = now.maximum.map_or(wanted, |hard| hard.min(wanted)).max(soft);
        // Where it is refused, the first port or connection too many says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: now.maximum });
    }
}

async fn listen(listener: TcpListener, site: Site, tasks: TaskTracker, stop: CancellationToken) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                site.connections.fetch_add(1, Ordering::Relaxed);
                let (site, stop) = (site.clone(), stop.clone());
                tasks.spawn(async move {
                    if let Some(Err(error)) = stop.run_until_cancelled(converse(stream, &site)).await {
                        debug!(%error, "a simulated connection broke");
                    }
                });
            }
            Err(error) => {
                debug!(%error, "a simulated device could not accept a connection");
                // Out of files; the others need the turn to give some back.
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn converse(mut stream: TcpStream, site: &Site) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut heard = [0; 2 * FRAME_MOST];
    let mut length = 0;
    let mut answers = Vec::with_capacity(FRAME_MOST);
    loop {
        let count = stream.read(&mut heard[length..]).await?;
        if count == 0 {
            return Ok(());
        }
        length += count;
        let mut begin = 0;
        answers.clear();
        while let Some(&header) = heard[begin..length].first_chunk::<HEADER>() {
            let Some(header) = Header::parse(header) else { return Ok(()) };
            let end = begin + HEADER + header.pdu;
            if end > length {
                break;
            }
            answer(site, header, &heard[begin + HEADER..end], &mut answers);
            begin = end;
        }
        heard.copy_within(begin..length, 0);
        length -= begin;
        stream.write_all(&answers).await?;
    }
}

/// Appends the answer to one request.
fn answer(site: &Site, header: Header, pdu: &[u8], out: &mut Vec<u8>) {
    let count = (site.which)(site.place, header.unit).and_then(|device| site.counts.get(device));
    let request = match (frame::request(pdu), count) {
        (Ok(Request::Read { function, address, count: registers, .. }), Some(count)) => {
            Ok((function, address, registers, count))
        }
        (Ok(request), None) => Err((request.function(), Exception::Other(11))),
        (Ok(request), Some(_)) => Err((request.function(), Exception::IllegalFunction)),
        (Err(refused), _) => Err(refused),
    };
    let begin = out.len();
    out.extend(header.transaction.to_be_bytes());
    // Protocol 0; the length is known at the end.
    out.extend([0, 0, 0, 0, header.unit]);
    match request {
        Ok((function, address, registers, count)) => {
            let tick = count.requests.load(Ordering::Relaxed);
            out.extend([function, registers as u8 * 2]);
            for register in (address..=u16::MAX).take(registers.into()) {
                out.extend(value(register, tick).to_be_bytes());
            }
            count.registers.fetch_add(registers.into(), Ordering::Relaxed);
        }
        Err((function, exception)) => out.extend([function | 0x80, exception.code()]),
    }
    let pdu_and_unit = (out.len() - begin - HEADER + 1) as u16;
    out[begin + 4..begin + 6].copy_from_slice(&pdu_and_unit.to_be_bytes());
    if let Some(count) = count {
        count.requests.fetch_add(1, Ordering::Relaxed);
        count.received.fetch_add((HEADER + pdu.len()) as u64, Ordering::Relaxed);
        count.answers.fetch_add(1, Ordering::Relaxed);
        count.sent.fetch_add((out.len() - begin) as u64, Ordering::Relaxed);
    }
}

fn value(register: u16, tick: u64) -> u16 {
    if register.is_multiple_of(2) { FIFTY } else { (register << 8) | (tick as u8 as u16) }
}
