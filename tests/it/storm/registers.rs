//! What a device was told, by its own record: the judge of every result.

use std::collections::{BTreeMap, BTreeSet};

use simulator::WriteSeen;

use super::plan::Sets;
use crate::parts::house::{LIMIT, STORAGE};

const LIMIT_PERCENT: u16 = LIMIT + 5;
const LIMIT_ENABLED: u16 = LIMIT + 9;
const MODE: u16 = STORAGE + 5;
const RESERVE: u16 = STORAGE + 7;
const OUT_RATE: u16 = STORAGE + 12;
const IN_RATE: u16 = STORAGE + 13;
const CHARGES: u16 = 2;
const DISCHARGES: u16 = 1;

/// The writes of one home, by what they said.
#[derive(Debug, Default)]
pub struct Record {
    /// How many accepted writes switched this limit on.
    limits: BTreeMap<u16, usize>,
    points: BTreeMap<u16, usize>,
    /// Battery rates that were in effect: rate and mode together, after some accepted write. They come
    /// in two writes, so a command can have written its rate without ever having been in effect.
    powers: BTreeSet<i32>,
    /// Everything that arrived, whether the device took it or not.
    seen: BTreeSet<(u16, u16)>,
}

impl Record {
    pub fn of(writes: &[WriteSeen]) -> Self {
        let mut record = Self::default();
        let mut now: BTreeMap<u16, u16> = BTreeMap::new();
        for write in writes {
            let words: BTreeMap<u16, u16> = (write.address..).zip(write.values.iter().copied()).collect();
            record.seen.extend(words.iter().map(|(at, word)| (*at, *word)));
            if !write.accepted {
                continue;
            }
            now.extend(words.iter());
            if let (Some(percent), Some(1)) = (words.get(&LIMIT_PERCENT), words.get(&LIMIT_ENABLED)) {
                *record.limits.entry(*percent).or_default() += 1;
            }
            if let Some(reserve) = words.get(&RESERVE) {
                *record.points.entry(*reserve).or_default() += 1;
            }
            // Which of the two directions the mode lets count.
            let forced = |at: u16, bit: u16| {
                let rate = *now.get(&at)? as i16;
                (rate < 0 && now.get(&MODE)? & bit != 0).then_some(-i32::from(rate))
            };
            record.powers.extend(forced(OUT_RATE, CHARGES).map(|rate| -rate));
            record.powers.extend(forced(IN_RATE, DISCHARGES));
        }
        record
    }

    /// How often the device did it. A battery's rate counts once.
    pub fn executed(&self, sets: Sets) -> usize {
        match sets {
            Sets::Limit(raw) => self.limits.get(&raw).copied().unwrap_or(0),
            Sets::Point(raw) => self.points.get(&raw).copied().unwrap_or(0),
            Sets::Power(rate) => usize::from(self.powers.contains(&rate)),
            Sets::Nothing => 0,
        }
    }

    /// Did any write for it arrive, taken or not?
    pub fn arrived(&self, sets: Sets) -> bool {
        match sets {
            Sets::Limit(raw) => self.seen.contains(&(LIMIT_PERCENT, raw)),
            Sets::Point(raw) => self.seen.contains(&(RESERVE, raw)),
            Sets::Power(rate) if rate < 0 => self.seen.contains(&(OUT_RATE, rate as i16 as u16)),
            Sets::Power(rate) => self.seen.contains(&(IN_RATE, (-rate) as i16 as u16)),
            Sets::Nothing => false,
        }
    }
}
