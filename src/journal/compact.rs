//! Turns the batches of hours that are over into one chunk per device and hour, and into hourly
//! values. Runs on a thread of its own with a reading connection, and hands finished rows to the
//! journal's thread, which stays the only one that writes. Deletes nothing.
//!
//! Work that was cut off is done again and replaces itself: a chunk's key holds its first number,
//! and the batches stay until `chunked` in `meta` has passed them. A reading that comes late for an
//! hour that was closed gets a further chunk, and the hour's values are made again from all of
//! them. Whoever reads history drops what it meets twice, by number.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    thread::JoinHandle,
};

use adapter_api::{DeviceId, PointId, Quality, Value};
use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::{
    JournalError, MS_PER_HOUR,
    bytes::Damaged,
    damage::Damage,
    hour_of,
    latest::sealing,
    mail::{Ask, ChunkRow, Write},
    payload,
    record::{HourRow, Stored},
    schema,
};

/// Content that is read into memory at once, in bytes; as readings it takes some thirty times that.
const PASS_BYTES: usize = 512 << 10;
/// Batches that one run takes at most. A run ends at the end of an hour anyway.
const RUN_BATCHES: usize = 2000;

/// The compactor's thread; it ends when this is dropped.
pub(super) struct Compactor {
    go: Option<Sender<i64>>,
    thread: Option<JoinHandle<()>>,
}

impl Compactor {
    /// Starts it. Finished rows come out of the receiver.
    pub fn start(path: PathBuf, damage: Damage) -> Result<(Self, Receiver<Ask>), JournalError> {
        // One wake-up is enough: it does all there is to do.
        let (go, gone) = bounded(1);
        // It waits for each answer, so there is never a second one.
        let (out, results) = bounded(1);
        let folder = path.clone();
        let work = Work { path, damage, out };
        let thread = std::thread::Builder::new()
            .name("compact".to_owned())
            .spawn(move || work.run(&gone))
            .map_err(|error| JournalError::folder(&folder, error))?;
        Ok((Self { go: Some(go), thread: Some(thread) }, results))
    }

    /// Compacts what is older than this hour, unless it is still at it.
    pub fn wake(&self, hour: i64) {
        if let Some(go) = &self.go {
            // Full: it was woken already.
            let _already_awake = go.try_send(hour);
        }
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        self.go = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the compactor panicked; batches stay as they are until the next start");
        }
    }
}

/// Why a run ended early. All of it is tried again at the next wake-up.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("the journal could not be read")]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

struct Work {
    path: PathBuf,
    damage: Damage,
    out: Sender<Ask>,
}

impl Work {
    fn run(&self, go: &Receiver<i64>) {
        let mut failing = false;
        for hour in go {
            match self.compact(hour) {
                Ok(()) => failing = false,
                Err(Cut::Journal(JournalError::Stopped)) => return,
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, source = ?std::error::Error::source(&error), "closed hours could not be compacted; it is tried again");
                    }
                    failing = true;
                }
            }
        }
    }

    fn compact(&self, hour: i64) -> Result<(), Cut> {
        let db = schema::open_reader(&self.path)?;
        loop {
            let run = run_of(&db, hour)?;
            let Some((last, n)) = run.last().copied() else { return Ok(()) };
            for devices in self.passes(&db, &run)? {
                let (chunks, hours) = self.pass(&db, &run, &devices)?;
                self.write(Write::Chunks(chunks, hours))?;
            }
            self.write(Write::ChunkedTo(last + n))?;
        }
    }

    /// Devices in groups that fit into memory together.
    fn passes(&self, db: &Connection, run: &[(u64, u64)]) -> Result<Vec<HashSet<String>>, Cut> {
        let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
        for (first, _) in run {
            for (device, size) in self.batch(db, *first, payload::sizes)?.unwrap_or_default() {
                *sizes.entry(device).or_default() += size;
            }
        }
        let mut passes = Vec::new();
        let mut room = 0;
        for (device, size) in sizes {
            if size > room || passes.is_empty() {
                passes.push(HashSet::new());
                room = PASS_BYTES;
            }
            room = room.saturating_sub(size);
            if let Some(pass) = passes.last_mut() {
                pass.insert(device);
            }
        }
        Ok(passes)
    }

    fn pass(
        &self,
        db: &Connection,
        run: &[(u64, u64)],
        devices: &HashSet<String>,
    ) -> Result<(Vec<ChunkRow>, Vec<HourRow>), Cut> {
        let mut by_hour: BTreeMap<(DeviceId, i64), Vec<Stored>> = BTreeMap::new();
        for (first, _) in run {
            let wanted = |content: &[u8]| payload::readings(content, |device| devices.contains(device));
            for stored in self.batch(db, *first, wanted)?.unwrap_or_default() {
                let hour = hour_of(stored.reading.measured_at.wall_ms);
                by_hour.entry((stored.reading.device.clone(), hour)).or_default().push(stored);
            }
        }
        let (mut chunks, mut hours) = (Vec::new(), Vec::new());
        for ((device, hour), mut readings) in by_hour {
            let Some(first) = readings.first().map(|stored| stored.number) else { continue };
            let payload = payload::seal(&payload::content(&readings)).map_err(sealing)?;
            chunks.push(ChunkRow {
                device: device.as_str().to_owned(),
                hour,
                first,
                n: readings.len(),
                payload,
            });
            self.add_other_chunks(db, &device, hour, first, &mut readings)?;
            hours.extend(roll(&device, hour, &readings));
        }
        Ok((chunks, hours))
    }

    /// Adds what other chunks of the hour hold.
    fn add_other_chunks(
        &self,
        db: &Connection,
        device: &DeviceId,
        hour: i64,
        first: u64,
        readings: &mut Vec<Stored>,
    ) -> Result<(), Cut> {
        let mut statement = db.prepare_cached(
            "SELECT first, payload FROM chunk WHERE dev = ?1 AND hour = ?2 AND first <> ?3",
        )?;
        let mut rows = statement.query(params![device.as_str(), hour, first as i64])?;
        let mut known: HashSet<u64> = readings.iter().map(|stored| stored.number).collect();
        while let Some(row) = rows.next()? {
            let (other, blob): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            match payload::unseal(&blob).and_then(|content| payload::readings(&content, |_| true)) {
                Ok(more) => readings.extend(more.into_iter().filter(|stored| known.insert(stored.number))),
                Err(error) => self.damage.found("chunk", other as u64, error),
            }
        }
        Ok(())
    }

    /// Reads one batch; none when it is damaged, or was deleted in the meantime.
    fn batch<T>(
        &self,
        db: &Connection,
        first: u64,
        read: impl FnOnce(&[u8]) -> Result<T, Damaged>,
    ) -> rusqlite::Result<Option<T>> {
        let blob: Option<Vec<u8>> = db
            .prepare_cached("SELECT payload FROM batch WHERE first = ?1")?
            .query_row([first as i64], |row| row.get(0))
            .optional()?;
        let Some(blob) = blob else { return Ok(None) };
        match payload::unseal(&blob).and_then(|content| read(&content)) {
            Ok(read) => Ok(Some(read)),
            Err(error) => {
                self.damage.found("batch", first, error);
                Ok(None)
            }
        }
    }

    /// Hands rows over and waits for the commit.
    fn write(&self, write: Write) -> Result<(), JournalError> {
        let (answer, answered) = oneshot::channel();
        self.out.send(Ask { write, answer }).map_err(|_| JournalError::Stopped)?;
        answered.blocking_recv().map_err(|_| JournalError::Stopped)?.map(drop)
    }
}

/// The next batches to compact, first number and count: of one hour, which is not the current one.
fn run_of(db: &Connection, hour: i64) -> rusqlite::Result<Vec<(u64, u64)>> {
    let mut statement =
        db.prepare_cached("SELECT first, n, t0 FROM batch WHERE first >= ?1 ORDER BY first LIMIT ?2")?;
    let from = schema::floor(db, "chunked")? as i64;
    let mut rows = statement.query(params![from, RUN_BATCHES as i64])?;
    let mut run = Vec::new();
    let mut of = None;
    while let Some(row) = rows.next()? {
        let batch = hour_of(row.get(2)?);
        if batch == hour || *of.get_or_insert(batch) != batch {
            break;
        }
        run.push((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64));
    }
    Ok(run)
}

/// Hourly values of every point that has numbers. Readings of poor or unknown quality do not count.
fn roll(device: &DeviceId, hour: i64, readings: &[Stored]) -> Vec<HourRow> {
    let mut points: HashMap<&PointId, HourRow> = HashMap::new();
    let good = readings.iter().filter(|s| matches!(s.reading.quality, Quality::Good | Quality::Fair));
    for (point, value) in good.flat_map(|stored| &stored.reading.points) {
        let Value::Number(number) = *value else { continue };
        if !number.is_finite() {
            continue;
        }
        let row = points.entry(point).or_insert_with(|| HourRow {
            device: device.clone(),
            hour: hour * MS_PER_HOUR,
            point: point.clone(),
            n: 0,
            avg: 0.0,
            min: number,
            max: number,
        });
        row.n += 1;
        row.avg += (number - row.avg) / row.n as f64;
        row.min = row.min.min(number);
        row.max = row.max.max(number);
    }
    let mut rows: Vec<HourRow> = points.into_values().collect();
    rows.sort_by(|one, other| one.point.cmp(&other.point));
    rows
}
