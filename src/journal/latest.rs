//! The latest committed reading of every device: kept in memory, written as a snapshot at close and
//! once an hour, and read back at start from the snapshot and the batches after it.
//!
//! | key in `meta` | value |
//! | --- | --- |
//! | `latest` | blob of the readings of the boot in `latest_boot` |
//! | `latest_old` | blob of those from earlier boots |
//! | `latest_boot` | boot id |
//! | `latest_next` | number of the first reading that the snapshot cannot know |

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use adapter_api::DeviceId;
use rusqlite::Connection;

use super::{damage::Damage, payload, record::Stored, schema};

/// By device: the reading and the boot in which it was taken.
pub(super) type Latest = HashMap<DeviceId, (Stored, Arc<str>)>;

/// Writes the snapshot.
pub(super) fn save(db: &Connection, latest: &Latest, boot: &str, next: u64) -> rusqlite::Result<()> {
    let (now, old): (Vec<_>, Vec<_>) = latest.values().partition(|(_, taken_in)| **taken_in == *boot);
    for (key, readings) in [("latest", now), ("latest_old", old)] {
        let readings: Vec<&Stored> = readings.iter().map(|(stored, _)| stored).collect();
        let blob = payload::seal(&payload::content(&readings)).map_err(sealing)?;
        schema::put_meta(db, key, &blob)?;
    }
    schema::put_meta(db, "latest_boot", &boot)?;
    schema::put_meta(db, "latest_next", &(next as i64))
}

/// A blob could not be made: no memory.
pub(super) fn sealing(error: std::io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

/// Reads the snapshot and what was committed after it.
pub(super) fn load(db: &Connection, damage: &Damage) -> rusqlite::Result<Latest> {
    let (mut latest, next) = snapshot(db, damage)?;
    let mut found: HashSet<DeviceId> = HashSet::new();
    let mut statement =
        db.prepare_cached("SELECT first, boot, payload FROM batch WHERE first + n > ?1 ORDER BY first DESC")?;
    let mut rows = statement.query([next as i64])?;
    // Newest first: what was found once need not be read again. All of them are looked at, at most
    // an hour: a device whose total were missed would lose the increment of its next reading.
    while let Some(row) = rows.next()? {
        let (first, boot, blob): (i64, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let boot: Arc<str> = Arc::from(boot);
        let readings = payload::unseal(&blob)
            .and_then(|content| payload::readings(&content, |device| !found.contains(device)));
        match readings {
            Ok(readings) => {
                for stored in readings {
                    found.insert(stored.reading.device.clone());
                    latest.insert(stored.reading.device.clone(), (stored, boot.clone()));
                }
            }
            Err(error) => damage.found("batch", first as u64, error),
        }
    }
    Ok(latest)
}

fn snapshot(db: &Connection, damage: &Damage) -> rusqlite::Result<(Latest, u64)> {
    let boot: Option<String> = schema::meta(db, "latest_boot")?;
    let Some(boot) = boot.map(Arc::<str>::from) else { return Ok((Latest::new(), 0)) };
    let mut latest = Latest::new();
    for (key, boot) in [("latest_old", Arc::from("")), ("latest", boot)] {
        let Some(blob) = schema::meta::<Vec<u8>>(db, key)? else { continue };
        match payload::unseal(&blob).and_then(|content| payload::readings(&content, |_| true)) {
            Ok(readings) => latest.extend(
                readings.into_iter().map(|stored| (stored.reading.device.clone(), (stored, boot.clone()))),
            ),
            Err(error) => {
                // Without it the batches that are not in chunks yet have to do.
                damage.found("snapshot", 0, error);
                return Ok((Latest::new(), schema::floor(db, "chunked")?));
            }
        }
    }
    Ok((latest, schema::floor(db, "latest_next")?))
}
