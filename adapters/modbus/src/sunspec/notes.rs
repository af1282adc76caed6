//! What lasted before a command held it, noted durably before the first change and forgotten once it
//! is seen to be back, so that it can be restored by a process that never changed it. Owns the notes'
//! names and form; what is noted is decided in `control`.
//!
//! | key | words, high byte first |
//! | --- | --- |
//! | `grid_charging/<unit>` | 124.ChaGriSet, before a charge |
//! | `power_limit/<unit>` | 123.WMaxLimPct, 123.WMaxLim_Ena |
//! | `der_power_limit/<unit>` | 704.WMaxLimPct, 704.WMaxLimPctEna |
//! | `reserve/<unit>` | 124.MinRsvPct |
//!
//! A byte 1 behind the words: the last look at a command that was to hold something else still showed
//! them. Nothing is owed as long as nobody changes them, and who changes them then is somebody else.

use std::collections::HashMap;

use adapter_api::{Job, Store, StoreError};

use super::{control::RESERVE, models::Model};
use crate::units::{UnitConfig, WRITE_POINT};

/// A unit's notes as far as they are known. Nobody else writes them, so that none is read twice: a
/// command has no time to lose.
#[derive(Default)]
pub(super) struct Notes(HashMap<&'static str, Option<Noted>>);

/// What is noted under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Noted {
    pub words: Vec<u16>,
    /// Did the last look of ours still show it?
    pub unchanged: bool,
}

impl Notes {
    /// What is noted under a name.
    pub async fn read(
        &mut self,
        store: &Store,
        unit: &UnitConfig,
        name: &'static str,
    ) -> Result<Option<Noted>, StoreError> {
        if !self.0.contains_key(name) {
            let bytes = store.get(&key(name, unit)).await?;
            self.0.insert(name, bytes.map(|bytes| decode(&bytes)));
        }
        Ok(self.0.get(name).cloned().flatten())
    }

    /// Notes it durably.
    pub async fn keep(
        &mut self,
        store: &Store,
        unit: &UnitConfig,
        name: &'static str,
        noted: Noted,
    ) -> Result<(), StoreError> {
        // Until it is done, nobody knows.
        self.0.remove(name);
        store.put(&key(name, unit), encode(&noted)).await?;
        self.0.insert(name, Some(noted));
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
        name: &'static str,
        unchanged: bool,
    ) -> Result<(), StoreError> {
        match self.read(store, unit, name).await? {
            Some(noted) if noted.unchanged != unchanged => {
                self.keep(store, unit, name, Noted { unchanged, ..noted }).await
            }
            _ => Ok(()),
        }
    }

    /// It is owed no longer. When that cannot be kept, it is restored once more, later.
    pub async fn forget(&mut self, store: &Store, unit: &UnitConfig, name: &'static str) {
        self.0.remove(name);
        match store.remove(&key(name, unit)).await {
            Ok(()) => {
                self.0.insert(name, None);
            }
            Err(error) => {
                tracing::warn!(unit = %unit.id, name, %error, "a setting that is no longer owed is still noted and is restored again later");
            }
        }
    }
}

/// The note that a command has to do with on the model that carries it, if there is one.
pub(super) fn name(job: &Job, model: Model) -> Option<&'static str> {
    match (&*job.command, model) {
        ("set_battery_mode" | "set_battery_power", Model::Storage) => Some("grid_charging"),
        ("set_power_limit", Model::Immediate) => Some("power_limit"),
        ("set_power_limit", Model::DerControl) => Some("der_power_limit"),
        ("set_reserve", _) => Some("reserve"),
        (WRITE_POINT, _) if job.parameters.word("point") == Some(RESERVE) => Some("reserve"),
        _ => None,
    }
}

fn key(name: &str, unit: &UnitConfig) -> String {
    format!("{name}/{}", unit.address)
}

fn encode(noted: &Noted) -> Vec<u8> {
    let words = noted.words.iter().flat_map(|word| word.to_be_bytes());
    words.chain(noted.unchanged.then_some(1)).collect()
}

fn decode(bytes: &[u8]) -> Noted {
    let words = bytes.chunks_exact(2);
    let unchanged = words.remainder() == [1];
    Noted { words: words.map(|two| u16::from_be_bytes([two[0], two[1]])).collect(), unchanged }
}
