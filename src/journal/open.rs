//! Opening the journal: locks, files, what a crash left, and the thread.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Instant,
};

use adapter_api::{Clock, CommandStatus};
use crossbeam_channel::bounded;
use rusqlite::Connection;

use super::{
    Journal, JournalError, Reader, Recovery, Settings,
    command_record::CommandRow,
    command_table,
    compact::Compactor,
    damage::Damage,
    device_table,
    energy::Traits,
    held::Held,
    hour_of, latest,
    mail::{CONTROL_ROOM, READINGS_ROOM},
    pending::{Found, Identity, Pending},
    record::{DeviceRow, Stored},
    schema,
    thread::{House, Thread},
    tidy::Rules,
    writer::Writer,
};

/// An open journal and what it found.
pub struct Opened {
    /// The handle.
    pub journal: Journal,
    /// What the last run left.
    pub recovery: Recovery,
}

pub(super) fn open(
    settings: &Settings,
    clock: Clock,
    taken: impl FnMut(&[Stored]) + Send + 'static,
) -> Result<Opened, JournalError> {
    for folder in [&settings.data_dir, &settings.runtime_dir] {
        fs::create_dir_all(folder).map_err(|error| JournalError::folder(folder, error))?;
    }
    let lock = lock(&settings.data_dir.join("lock"))?;
    let path = settings.data_dir.join("journal.db");
    let wrong = |error| JournalError::sqlite(&path, error);
    let db = match schema::open(&path) {
        Err(error @ JournalError::Damaged { .. }) => {
            tracing::error!(%error, "the journal is damaged: it is set aside and a new one begins");
            set_aside(&path)?;
            schema::open(&path)?
        }
        opened => opened?,
    };
    let identity = identity(&db).map_err(wrong)?;
    let clean = schema::meta::<bool>(&db, "clean").map_err(wrong)?.unwrap_or(false);
    let (pending, found) = Pending::open(&settings.runtime_dir, identity)?;
    let mut writer = Writer::new(path.clone(), db, pending, clock, settings.group)?;

    let damage = Damage::default();
    let devices = device_table::all(&writer.db).map_err(wrong)?;
    for device in &devices {
        writer.know(&device.info.id, Traits::of(&device.info));
    }
    let mut recovery = recovery(&writer.db, devices, &damage, &mut writer.latest).map_err(wrong)?;
    recovery.clean = clean;
    recovery.torn_bytes = found.torn_bytes;
    recovery.replayed = replay(&mut writer, found);
    writer.mark_clean(false);
    // When this fails the disk is full: what was replayed is held, and the thread tries again.
    let _held = writer.commit(&[]);
    recovery.latest = latest_of(&writer);
    report(&recovery, &path);

    let disbelief = writer.disbelief.clone();
    let (compactor, chunks) = Compactor::start(path.clone(), damage.clone())?;
    let (to_readings, readings) = bounded(READINGS_ROOM);
    let (to_control, control) = bounded(CONTROL_ROOM);
    let rules = Rules {
        retention_ms: i64::try_from(settings.retention.as_millis()).unwrap_or(i64::MAX),
        max_size: settings.max_size,
        // Until somebody says otherwise, batches wait for their delivery: nothing is lost by that.
        uplink: true,
    };
    let house = House::new(Instant::now());
    let taken = Box::new(taken);
    let waiting = Vec::new();
    let thread = Thread { writer, readings, control, chunks, compactor, taken, rules, lock, house, waiting };
    let thread = std::thread::Builder::new()
        .name("journal".to_owned())
        .spawn(move || thread.run())
        .map_err(|error| JournalError::folder(&path, error))?;
    let reader = Reader::new(path, damage);
    let journal = Journal::new(to_readings, to_control, thread, reader, identity, disbelief);
    Ok(Opened { journal, recovery })
}

/// Keeps a damaged database and its companions for a person to look at, under another name.
fn set_aside(path: &Path) -> Result<(), JournalError> {
    let name = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let count = (1_u32..).find(|count| !name(&format!(".damaged-{count}")).exists()).unwrap_or(1);
    for ending in ["", "-wal", "-shm"] {
        let (from, to) = (name(ending), name(&format!(".damaged-{count}{ending}")));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(JournalError::folder(&from, error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, JournalError> {
    let file = File::create(path).map_err(|error| JournalError::folder(path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(JournalError::folder(path, error)),
    }
}

fn identity(db: &Connection) -> rusqlite::Result<Identity> {
    let installation: Vec<u8> = schema::meta(db, "installation")?.unwrap_or_default();
    let installation =
        installation.try_into().map_err(|_| rusqlite::Error::InvalidColumnName("installation".to_owned()))?;
    Ok(Identity { installation, generation: schema::floor(db, "generation")? })
}

fn recovery(
    db: &Connection,
    devices: Vec<DeviceRow>,
    damage: &Damage,
    latest: &mut latest::Latest,
) -> rusqlite::Result<Recovery> {
    *latest = latest::load(db, damage)?;
    let standing = |status: CommandStatus| {
        let rows = command_table::select(db, command_table::STANDING, &[&status.as_str()])?;
        Ok::<Vec<CommandRow>, rusqlite::Error>(rows.into_iter().map(|(_, row)| row).collect())
    };
    Ok(Recovery {
        damaged_batches: damage.count(),
        in_flight: standing(CommandStatus::Executing)?,
        waiting: standing(CommandStatus::Pending)?,
        devices,
        ..Recovery::default()
    })
}

/// Holds what the pending file has and the database has not. Returns how many that are.
fn replay(writer: &mut Writer, found: Found) -> u64 {
    for (stored, boot) in found.readings {
        if stored.number < writer.next {
            continue;
        }
        writer.next = stored.number + 1;
        let hour = hour_of(stored.reading.measured_at.wall_ms);
        writer.held.push(Held { stored, boot, hour });
    }
    writer.held.len() as u64
}

fn latest_of(writer: &Writer) -> Vec<Stored> {
    // What could not be committed is newer than what is.
    let mut latest: Vec<Stored> = writer.latest.values().map(|(stored, _)| stored.clone()).collect();
    for held in &writer.held {
        match latest.iter_mut().find(|stored| stored.reading.device == held.stored.reading.device) {
            Some(stored) => *stored = held.stored.clone(),
            None => latest.push(held.stored.clone()),
        }
    }
    latest.sort_by(|one, other| one.reading.device.cmp(&other.reading.device));
    latest
}

fn report(recovery: &Recovery, path: &Path) {
    let Recovery { replayed, torn_bytes, damaged_batches, .. } = recovery;
    let file = path.display();
    if *torn_bytes > 0 || *damaged_batches > 0 {
        tracing::warn!(%file, replayed, torn_bytes, damaged_batches, "the journal was cut off and is mended");
    } else if !recovery.clean {
        tracing::info!(%file, replayed, "the journal was not closed; nothing that was taken is lost");
    }
}
