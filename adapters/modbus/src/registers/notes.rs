//! What registers held before a command held them, noted durably before the first change and forgotten once
//! it is seen to be back, so that it can be restored by a process that never changed it. Owns the notes'
//! names and form; what is noted is decided in `order`.
//!
//! | note `setpoint/<group>/<unit>/<profile>` | |
//! | --- | --- |
//! | u16, u16 each, high byte first | a holding register, and what it held |
//! | a byte 1 behind them, or nothing | the last look at a command that was to hold something else still showed all of that |
//!
//! What the last look still showed is not owed as long as nobody changes it, and who changes it then is
//! somebody else.

use std::collections::{BTreeMap, HashMap};

use adapter_api::{Store, StoreError};

use crate::units::UnitConfig;

/// A unit's notes as far as they are known, by group. Nobody else writes them, so that none is read twice: a
/// command has no time to lose.
#[derive(Default)]
pub(crate) struct Notes(HashMap<&'static str, Option<Noted>>);

/// What is noted of one group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Noted {
    /// Holding registers, and what they held.
    pub words: BTreeMap<u16, u16>,
    /// Did the last look of ours still show it?
    pub unchanged: bool,
}

impl Noted {
    /// What these registers held, if all of them are noted.
    pub fn of(&self, start: u16, count: u16) -> Option<Vec<u16>> {
        (0..count).map(|offset| self.words.get(&start.wrapping_add(offset)).copied()).collect()
    }
}

impl Notes {
    /// What is noted of a group.
    pub async fn read(
        &mut self,
        store: &Store,
        unit: &UnitConfig,
        group: &'static str,
    ) -> Result<Option<Noted>, StoreError> {
        if !self.0.contains_key(group) {
            let bytes = store.get(&key(group, unit)).await?;
            self.0.insert(group, bytes.map(|bytes| decode(&bytes)));
        }
        Ok(self.0.get(group).cloned().flatten())
    }

    /// Notes it durably.
    pub async fn keep(
        &mut self,
        store: &Store,
        unit: &UnitConfig,
        group: &'static str,
        noted: Noted,
    ) -> Result<(), StoreError> {
        // Until it is done, nobody knows.
        self.0.remove(group);
        store.put(&key(group, unit), encode(&noted)).await?;
        self.0.insert(group, Some(noted));
        Ok(())
    }

    /// Whether the last look of ours still showed what is noted.
    ///
    /// # Errors
    /// When it cannot be kept: then it is told by the next look.
    pub async fn looked(
        &mut self,
        store: &Store,
        unit: &UnitConfig,
        group: &'static str,
        unchanged: bool,
    ) -> Result<(), StoreError> {
        match self.read(store, unit, group).await? {
            Some(noted) if noted.unchanged != unchanged => {
                self.keep(store, unit, group, Noted { unchanged, ..noted }).await
            }
            _ => Ok(()),
        }
    }

    /// It is owed no longer. When that cannot be kept, it is restored once more, later.
    pub async fn forget(&mut self, store: &Store, unit: &UnitConfig, group: &'static str) {
        self.0.remove(group);
        match store.remove(&key(group, unit)).await {
            Ok(()) => {
                self.0.insert(group, None);
            }
            Err(error) => {
                tracing::warn!(unit = %unit.id, group, %error, "a setting that is no longer owed is still noted and is restored again later");
            }
        }
    }
}

fn key(group: &str, unit: &UnitConfig) -> String {
    format!("setpoint/{group}/{}/{}", unit.address, unit.profile.name)
}

fn encode(noted: &Noted) -> Vec<u8> {
    let pairs = noted.words.iter().flat_map(|(register, word)| [register.to_be_bytes(), word.to_be_bytes()]);
    pairs.flatten().chain(noted.unchanged.then_some(1)).collect()
}

fn decode(bytes: &[u8]) -> Noted {
    let pairs = bytes.chunks_exact(4);
    let unchanged = pairs.remainder() == [1];
    let pair = |four: &[u8]| (u16::from_be_bytes([four[0], four[1]]), u16::from_be_bytes([four[2], four[3]]));
    Noted { words: pairs.map(pair).collect(), unchanged }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_again_what_it_was_told() {
        for unchanged in [false, true] {
            let noted = Noted { words: BTreeMap::from([(7, 0xFFFF), (47_000, 3)]), unchanged };
            assert_eq!(decode(&encode(&noted)), noted);
            assert_eq!((noted.of(7, 1), noted.of(7, 2)), (Some(vec![0xFFFF]), None));
        }
        assert_eq!(decode(&[0, 7, 0, 1]).words, BTreeMap::from([(7, 1)]));
    }
}
