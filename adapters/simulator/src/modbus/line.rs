//! A serial line on a pseudo terminal. It carries bytes and keeps time; the bus decides what is
//! heard, and the desk what is answered.
//!
//! A pseudo terminal takes no time, so the line itself does. Its path is a link to the terminal, as
//! `/dev/serial/by-id` has them: a cable that is pulled and plugged in again comes back under the same
//! path. The line keeps the client's end open itself, or closing it would reset the terminal.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags},
    termios::ioctl_tiocnxcl,
};
use tokio::{io::AsyncReadExt, select, task::JoinHandle, time::sleep_until};
use tokio_serial::{SerialPort, SerialStream};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    bus::Bus,
    desk::{Caller, Now},
    reply::Reply,
    rtu::{self, Parity, Speed},
    shared::Shared,
};
use crate::{Port, Units};

/// A terminal gives no more at once.
const READ_MOST: usize = 4096;
/// So often a line on which nothing happens looks after its terminal.
const IDLE: Duration = Duration::from_millis(50);

/// A serial line and what hangs on it.
pub struct LineSettings {
    /// Bits per second.
    pub baud: u32,
    /// The parity bit.
    pub parity: Parity,
    /// Stop bits, 1 or 2.
    pub stop: u8,
    /// What every unit needs before it answers.
    pub latency: Duration,
    /// The units. What they do about unknown ones means nothing here: a line stays silent.
    pub units: Units,
}

impl Default for LineSettings {
    /// 9600 8N1 with nothing on it; units think for 20 ms, as small meters do.
    fn default() -> Self {
        let Speed { baud, parity, stop } = Speed::default();
        Self { baud, parity, stop, latency: Duration::from_millis(20), units: Units::default() }
    }
}

/// A running line. Dropping it stops it without waiting.
pub struct Line {
    path: String,
    port: Port,
    shared: Arc<Shared>,
    way: Arc<Way>,
    cable: Mutex<Option<Cable>>,
    stop: CancellationToken,
}

/// What the line's task and its handle share beside the desk.
struct Way {
    speed: Speed,
    latency: Duration,
    collisions: AtomicU64,
    rushed: AtomicU64,
}

/// A cable that is plugged in.
struct Cable {
    pull: CancellationToken,
    ended: JoinHandle<()>,
}

/// Both ends of a terminal.
struct Ends {
    ours: SerialStream,
    theirs: OwnedFd,
}

impl Line {
    /// Makes a terminal and serves the units on it. It needs a tokio runtime.
    ///
    /// # Errors
    /// When the machine gives no terminal or no link to it.
    pub fn start(settings: LineSettings) -> io::Result<Self> {
        static LINES: AtomicU64 = AtomicU64::new(0);
        let number = LINES.fetch_add(1, Ordering::Relaxed);
        let name = format!("maestro-line-{}-{number}", std::process::id());
        let LineSettings { baud, parity, stop, latency, units } = settings;
        let end = CancellationToken::new();
        let shared = Shared::new(units, end.clone());
        let line = Self {
            path: std::env::temp_dir().join(name).to_string_lossy().into_owned(),
            port: Port::new(shared.clone()),
            shared,
            way: Arc::new(Way {
                speed: Speed { baud, parity, stop },
                latency,
                collisions: AtomicU64::new(0),
                rushed: AtomicU64::new(0),
            }),
            cable: Mutex::new(None),
            stop: end,
        };
        line.plug()?;
        Ok(line)
    }

    /// What a client opens.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its dial and its record.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// How the line is set.
    pub fn speed(&self) -> Speed {
        self.way.speed
    }

    /// How often two sent at the same time, so that neither was understood.
    pub fn collisions(&self) -> u64 {
        self.way.collisions.load(Ordering::SeqCst)
    }

    /// How many requests followed an answer without 3.5 characters of silence, so that no unit
    /// understood them.
    pub fn rushed(&self) -> u64 {
        self.way.rushed.load(Ordering::SeqCst)
    }

    /// Pulls the cable: the path is gone, and a client that has it open gets errors.
    pub async fn unplug(&self) {
        let cable = self.cable.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Cable { pull, ended }) = cable {
            pull.cancel();
            if ended.await.is_err() {
                warn!("a simulated line broke");
            }
        }
    }

    /// Plugs the cable in again, under the same path. Nothing happens when it is.
    ///
    /// # Errors
    /// When the machine gives no terminal or no link to it.
    pub fn plug(&self) -> io::Result<()> {
        let mut cable = self.cable.lock().unwrap_or_else(PoisonError::into_inner);
        if cable.is_none() {
            let ends = Ends::new(&self.path)?;
            let link = Link(self.path.clone());
            let pull = self.stop.child_token();
            let (shared, way, token) = (self.shared.clone(), self.way.clone(), pull.clone());
            let ended = tokio::spawn(async move {
                token.run_until_cancelled(carry(ends, &shared, &way)).await;
                drop(link);
            });
            *cable = Some(Cable { pull, ended });
        }
        Ok(())
    }

    /// Pulls the cable for good and waits for it.
    pub async fn stop(self) {
        self.unplug().await;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Removes the link when the cable is pulled.
struct Link(String);

impl Drop for Link {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            warn!(path = self.0, %error, "the link to a simulated line could not be removed");
        }
    }
}

impl Ends {
    fn new(path: &str) -> io::Result<Self> {
        let (ours, pair) = SerialStream::pair()?;
        let terminal = pair.name().ok_or_else(|| io::Error::other("the terminal has no name"))?;
        let theirs = rustix::fs::open(
            Path::new(&terminal),
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        // Left by a process of the same number that was killed.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(&terminal, path)?;
        Ok(Self { ours, theirs })
    }

    /// A client claims the terminal for itself and that outlasts it, because our own end stays open:
    /// without this nobody but root could open it a second time.
    fn release(&self) {
        // It cannot fail on a terminal, and if it did the next open would say so.
        let _ = ioctl_tiocnxcl(&self.theirs);
    }
}

async fn carry(mut ends: Ends, shared: &Shared, way: &Way) {
    let mut bus = Bus::new(way.speed);
    // A unit does one thing after the other: until when it is busy.
    let mut busy = BTreeMap::new();
    let mut bytes = [0; READ_MOST];
    loop {
        let wake = bus.wake_at().unwrap_or_else(|| Instant::now() + IDLE);
        let read = select! {
            read = ends.ours.read(&mut bytes) => read,
            () = sleep_until(wake.into()) => Ok(0),
        };
        let now = Instant::now();
        turn(&mut bus, &mut busy, now, &mut ends, shared, way);
        match read {
            Ok(count) if count > 0 => bus.hear(now, &bytes[..count]),
            Ok(_) => {}
            Err(error) => return warn!(%error, "a simulated line has lost its terminal"),
        }
        ends.release();
        way.collisions.fetch_add(std::mem::take(&mut bus.collisions), Ordering::SeqCst);
        way.rushed.fetch_add(std::mem::take(&mut bus.rushed), Ordering::SeqCst);
    }
}

fn turn(
    bus: &mut Bus,
    busy: &mut BTreeMap<u8, Instant>,
    now: Instant,
    ends: &mut Ends,
    shared: &Shared,
    way: &Way,
) {
    let turn = bus.turn(now);
    if !turn.out.is_empty() {
        // What nobody fetches is lost, as on a wire.
        let _ = ends.ours.try_write(&turn.out);
    }
    let Some((frame, arrived)) = turn.heard else { return };
    let Some((unit, pdu)) = rtu::parse(&frame) else { return };
    let (late, reply) = shared.desk().answer(Caller::Line, unit, pdu, Now::at(arrived));
    if let Reply::Send(bytes) | Reply::SendAndClose(bytes) = reply {
        let begun = busy.get(&unit).copied().unwrap_or(now).max(now);
        let from = begun + way.latency + late;
        let until = from + way.speed.time_of(bytes.len());
        busy.insert(unit, until);
        shared.desk().answered(until);
        bus.say(from, bytes);
    }
}
