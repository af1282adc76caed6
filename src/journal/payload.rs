//! How readings lie in a blob: by device, by column, so that a typical reading of 12 points takes
//! some 10 to 20 bytes. Pure; knows no file and no database. Varint, zigzag and text: `bytes.rs`;
//! columns: `columns.rs`.
//!
//! **Blob** (`batch.payload`, `chunk.payload`, `meta` `latest`):
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 1 | version, 1 |
//! | 4 | CRC-32 (as in zlib), little endian, of the version byte and everything after this field |
//! | rest | one zstd frame: the content |
//!
//! **Content** (also, not compressed, in the pending file): count of devices as varint, then per device
//! its id as text, the length of its section in bytes as varint, and the section:
//!
//! | part of a section | coding |
//! | --- | --- |
//! | n, how many readings | varint |
//! | numbers | slopes |
//! | wall time, ms since 1970 | slopes |
//! | monotonic time, ms since boot, minus wall time (wraps) | deltas |
//! | marks: quality + 4 × source | runs; quality 0 good, 1 fair, 2 poor, 3 unknown; source 0 device, 1 calculated, 2 estimated, 3 manual |
//! | energy marks | runs; lowest two bits the basis (0 none, 1 counter, 2 integrated), then one bit each, set when there is: 4 consumed total, 8 consumed increment, 16 produced total, 32 produced increment |
//! | consumed: totals that there are, Wh | deltas |
//! | consumed: increments that there are, Wh | zigzag each, of increment − expected (wraps); expected is this reading's total minus the last total before it in the section, 0 without both |
//! | produced: totals, increments | the same |
//! | count of columns | varint |
//! | per column its kind and the point's name | byte (0 numbers, 1 texts, 2 bools), text |
//! | count of shapes | varint |
//! | per shape the columns that such a reading has, in the reading's order | count as varint, varint each |
//! | which shape each reading has | runs |
//! | per column its values, in order of the readings that have it | numbers, texts or bools |
//!
//! A point that is missing in a reading is missing in its shape and costs nothing in its column.
//! Readings lie in the order in which they were given, by number.

use std::{borrow::Borrow, collections::HashMap};

use adapter_api::{DeviceId, MeasurementSource, Moment, Quality, Reading};

use super::{
    bytes::{Bytes, Damaged, put_text, put_varint, put_zigzag},
    columns::{deltas, put_deltas, put_runs, put_slopes, runs, slopes},
    points::{points, put_points},
    record::{Energy, EnergyBasis, Flow, Stored},
};

const VERSION: u8 = 1;
const ZSTD_LEVEL: i32 = 3;
/// No blob of ours comes near it; a broken length must not ask for all memory.
const CONTENT_MAX: usize = 256 << 20;

/// Compresses a content and makes it tamper-evident.
///
/// # Errors
/// When zstd has no memory.
pub(super) fn seal(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let frame = zstd::bulk::compress(content, ZSTD_LEVEL)?;
    let mut blob = Vec::with_capacity(frame.len() + 5);
    blob.push(VERSION);
    blob.extend_from_slice(&check(&frame).to_le_bytes());
    blob.extend_from_slice(&frame);
    Ok(blob)
}

/// The content of a blob, as it was sealed.
///
/// # Errors
/// [`Damaged`] when any bit of it changed.
pub(super) fn unseal(blob: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut from = Bytes(blob);
    if from.byte()? != VERSION {
        return Err(Damaged("the blob has an unknown version"));
    }
    if from.array().map(u32::from_le_bytes)? != check(from.0) {
        return Err(Damaged("the checksum does not fit"));
    }
    let size = zstd::zstd_safe::get_frame_content_size(from.0)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| *size <= CONTENT_MAX)
        .ok_or(Damaged("the frame does not say its size"))?;
    zstd::bulk::decompress(from.0, size).map_err(|_| Damaged("the frame cannot be decompressed"))
}

fn check(frame: &[u8]) -> u32 {
    let mut check = crc32fast::Hasher::new();
    check.update(&[VERSION]);
    check.update(frame);
    check.finalize()
}

/// Lays readings out by device.
pub(super) fn content<S: Borrow<Stored>>(readings: &[S]) -> Vec<u8> {
    let mut devices: Vec<(&DeviceId, Vec<&Stored>)> = Vec::new();
    let mut known: HashMap<&DeviceId, usize> = HashMap::new();
    for stored in readings {
        let stored = stored.borrow();
        let device = &stored.reading.device;
        let at = *known.entry(device).or_insert_with(|| {
            devices.push((device, Vec::new()));
            devices.len() - 1
        });
        devices[at].1.push(stored);
    }
    let mut out = Vec::new();
    put_varint(&mut out, devices.len() as u64);
    let mut section = Vec::new();
    for (device, rows) in devices {
        section.clear();
        put_section(&mut section, &rows);
        put_text(&mut out, device.as_str());
        put_varint(&mut out, section.len() as u64);
        out.extend_from_slice(&section);
    }
    out
}

/// The readings of the wanted devices, by number.
///
/// # Errors
/// [`Damaged`] when the content is none.
pub(super) fn readings(content: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<Stored>, Damaged> {
    let mut all = Vec::new();
    each_section(content, |device, section| {
        if wanted(device) {
            let device = DeviceId::new(device).map_err(|_| Damaged("a device id is none"))?;
            read_section(&device, section, &mut all)?;
        }
        Ok(())
    })?;
    all.sort_by_key(|stored| stored.number);
    Ok(all)
}

/// How many bytes each device has in a content: a measure of the memory that its readings need.
///
/// # Errors
/// [`Damaged`] when the content is none.
pub(super) fn sizes(content: &[u8]) -> Result<Vec<(String, usize)>, Damaged> {
    let mut sizes = Vec::new();
    each_section(content, |device, section| {
        sizes.push((device.to_owned(), section.len()));
        Ok(())
    })?;
    Ok(sizes)
}

fn each_section(
    content: &[u8],
    mut each: impl FnMut(&str, &[u8]) -> Result<(), Damaged>,
) -> Result<(), Damaged> {
    let mut from = Bytes(content);
    for _ in 0..from.count()? {
        let device = from.text()?;
        let length = from.count()?;
        each(device, from.take(length)?)?;
    }
    if from.is_empty() { Ok(()) } else { Err(Damaged("something follows the last device")) }
}

fn put_section(out: &mut Vec<u8>, rows: &[&Stored]) {
    put_varint(out, rows.len() as u64);
    put_slopes(out, rows.iter().map(|row| row.number));
    let wall = |row: &&Stored| row.reading.measured_at.wall_ms as u64;
    put_slopes(out, rows.iter().map(wall));
    put_deltas(out, rows.iter().map(|row| row.reading.measured_at.mono_ms.wrapping_sub(wall(row))));
    put_runs(out, rows.iter().map(|row| mark(row.reading.quality, row.reading.source)));
    put_runs(out, rows.iter().map(|row| energy_mark(row.energy)));
    put_flow(out, rows.iter().map(|row| row.energy.consumed));
    put_flow(out, rows.iter().map(|row| row.energy.produced));
    put_points(out, rows);
}

fn read_section(device: &DeviceId, section: &[u8], all: &mut Vec<Stored>) -> Result<(), Damaged> {
    let mut from = Bytes(section);
    let n = from.count()?;
    let numbers = slopes(&mut from, n)?;
    let walls = slopes(&mut from, n)?;
    let monos = deltas(&mut from, n)?;
    let marks = runs(&mut from, n)?;
    let energies = runs(&mut from, n)?;
    let consumed = flows(&mut from, &energies, 2)?;
    let produced = flows(&mut from, &energies, 4)?;
    let mut points = points(&mut from, n)?.into_iter();
    if !from.is_empty() {
        return Err(Damaged("something follows the last column"));
    }
    all.reserve(n);
    for at in 0..n {
        let (quality, source) = unmark(marks[at])?;
        let basis = match energies[at] & 3 {
            0 => EnergyBasis::None,
            1 => EnergyBasis::Counter,
            2 => EnergyBasis::Integrated,
            _ => return Err(Damaged("the energy has an unknown basis")),
        };
        all.push(Stored {
            number: numbers[at],
            reading: Reading {
                device: device.clone(),
                points: points.next().ok_or(Damaged("a reading has no points"))?,
                quality,
                source,
                measured_at: Moment { wall_ms: walls[at] as i64, mono_ms: monos[at].wrapping_add(walls[at]) },
            },
            energy: Energy { basis, consumed: consumed[at], produced: produced[at] },
        });
    }
    Ok(())
}

fn put_flow(out: &mut Vec<u8>, flows: impl Iterator<Item = Flow> + Clone) {
    put_deltas(out, flows.clone().filter_map(|flow| flow.total));
    let mut last = None;
    for flow in flows {
        if let Some(increment) = flow.increment {
            put_zigzag(out, increment.wrapping_sub(expected(flow.total, last)) as i64);
        }
        last = flow.total.or(last);
    }
}

fn flows(from: &mut Bytes<'_>, marks: &[u64], first_bit: u32) -> Result<Vec<Flow>, Damaged> {
    let has = |mark: u64, bit: u32| mark >> (first_bit + bit) & 1 == 1;
    let count = marks.iter().filter(|mark| has(**mark, 0)).count();
    let mut totals = deltas(from, count)?.into_iter();
    let mut last = None;
    marks
        .iter()
        .map(|mark| {
            let total = if has(*mark, 0) { totals.next() } else { None };
            let increment = if has(*mark, 1) {
                Some((from.zigzag()? as u64).wrapping_add(expected(total, last)))
            } else {
                None
            };
            last = total.or(last);
            Ok(Flow { total, increment })
        })
        .collect()
}

fn expected(total: Option<u64>, last: Option<u64>) -> u64 {
    total.zip(last).map_or(0, |(total, last)| total.wrapping_sub(last))
}

fn energy_mark(energy: Energy) -> u64 {
    let basis = match energy.basis {
        EnergyBasis::None => 0,
        EnergyBasis::Counter => 1,
        EnergyBasis::Integrated => 2,
    };
    let there =
        [energy.consumed.total, energy.consumed.increment, energy.produced.total, energy.produced.increment];
    there.iter().zip(2..).fold(basis, |mark, (value, bit)| mark | u64::from(value.is_some()) << bit)
}

fn mark(quality: Quality, source: MeasurementSource) -> u64 {
    let quality = match quality {
        Quality::Good => 0,
        Quality::Fair => 1,
        Quality::Poor => 2,
        Quality::Unknown => 3,
    };
    let source = match source {
        MeasurementSource::Device => 0,
        MeasurementSource::Calculated => 1,
        MeasurementSource::Estimated => 2,
        MeasurementSource::Manual => 3,
    };
    quality + 4 * source
}

fn unmark(mark: u64) -> Result<(Quality, MeasurementSource), Damaged> {
    let quality = match mark & 3 {
        0 => Quality::Good,
        1 => Quality::Fair,
        2 => Quality::Poor,
        _ => Quality::Unknown,
    };
    let source = match mark >> 2 {
        0 => MeasurementSource::Device,
        1 => MeasurementSource::Calculated,
        2 => MeasurementSource::Estimated,
        3 => MeasurementSource::Manual,
        _ => return Err(Damaged("a reading has unknown marks")),
    };
    Ok((quality, source))
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
