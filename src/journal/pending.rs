//! The pending file: what was taken and is not committed yet, on tmpfs, so that a crash of the
//! process costs nothing. It is only read at start. It never replaces the commit: after a power
//! cut it is gone.
//!
//! | bytes | meaning |
//! | --- | --- |
//! | header | one frame: text `maestro pending 1`, 16 bytes installation id, 8 bytes generation (little endian) |
//! | records | one frame for each append: text boot id, then a content as in [`super::payload`] |
//!
//! A frame is 4 bytes length of its body, 4 bytes CRC-32 of its body (both little endian), the body.
//! The first frame that is short or does not fit its CRC ends the file; what follows is cut.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    JournalError,
    bytes::{Bytes, put_text},
    payload,
    record::Stored,
};

const MAGIC: &str = "maestro pending 1";

/// Which journal a pending file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub installation: [u8; 16],
    pub generation: u64,
}

/// What a pending file held when it was opened.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Readings by number, with the boot in which they were taken.
    pub readings: Vec<(Stored, Arc<str>)>,
    /// Bytes of a torn tail that was cut.
    pub torn_bytes: u64,
}

pub(super) struct Pending {
    file: File,
    header: u64,
    length: u64,
}

impl Pending {
    pub fn open(folder: &Path, identity: Identity) -> Result<(Self, Found), JournalError> {
        let path = folder.join("pending");
        let mut file = lock(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| JournalError::folder(&path, error))?;
        let header = header(identity);
        let mut found = Found::default();
        let mut length = header.len() as u64;
        if let Some(records) = bytes.strip_prefix(&header[..]) {
            length += read(records, &mut found) as u64;
        } else {
            if frame_at(&bytes).is_some() {
                file = set_aside(&path)?;
            } else {
                found.torn_bytes = bytes.len() as u64;
            }
            let write = file.set_len(0).and_then(|()| file.write_all(&header));
            write.map_err(|error| JournalError::folder(&path, error))?;
        }
        file.set_len(length).map_err(|error| JournalError::folder(&path, error))?;
        Ok((Self { file, header: header.len() as u64, length }, found))
    }

    /// Adds one record. After an error the file is as it was before.
    pub fn append(&mut self, boot: &str, content: &[u8]) -> io::Result<()> {
        let mut body = Vec::with_capacity(content.len() + boot.len() + 2);
        put_text(&mut body, boot);
        body.extend_from_slice(content);
        let frame = frame(&body);
        if let Err(error) = self.file.write_all(&frame) {
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += frame.len() as u64;
        Ok(())
    }

    /// Everything in it is committed.
    pub fn clear(&mut self) -> io::Result<()> {
        if self.length > self.header {
            self.file.set_len(self.header)?;
            self.length = self.header;
        }
        Ok(())
    }
}

fn lock(path: &Path) -> Result<File, JournalError> {
    let file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)
        .map_err(|error| JournalError::folder(path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(JournalError::folder(path, error)),
    }
}

/// Readings of another journal are not ours to number, and not ours to throw away.
fn set_aside(path: &Path) -> Result<File, JournalError> {
    let aside: PathBuf = path.with_extension("foreign");
    fs::rename(path, &aside).map_err(|error| JournalError::folder(path, error))?;
    tracing::warn!(file = %aside.display(), "pending readings belong to another journal and were set aside");
    lock(path)
}

fn header(identity: Identity) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, MAGIC);
    body.extend_from_slice(&identity.installation);
    body.extend_from_slice(&identity.generation.to_le_bytes());
    frame(&body)
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len() + 8);
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    frame.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    frame.extend_from_slice(body);
    frame
}

/// The body of the frame at the start of these bytes, if it is whole.
fn frame_at(bytes: &[u8]) -> Option<&[u8]> {
    let mut from = Bytes(bytes);
    let length = from.array().map(u32::from_le_bytes).ok()?;
    let check = from.array().map(u32::from_le_bytes).ok()?;
    let body = from.take(length as usize).ok()?;
    (crc32fast::hash(body) == check).then_some(body)
}

/// Reads records as far as they are whole; returns how many bytes these are.
fn read(records: &[u8], found: &mut Found) -> usize {
    let mut whole = 0;
    while let Some(body) = frame_at(&records[whole..]) {
        let mut from = Bytes(body);
        let Ok(boot) = from.text().map(Arc::<str>::from) else { break };
        let Ok(readings) = payload::readings(from.0, |_| true) else { break };
        found.readings.extend(readings.into_iter().map(|stored| (stored, boot.clone())));
        whole += body.len() + 8;
    }
    found.torn_bytes = (records.len() - whole) as u64;
    whole
}
