//! The list of SunSpec models of a unit, and who it says it is. Takes every model, also those that
//! the adapter does not use: an installer wants to know what a device offers. Never reads values.

use adapter_api::profile::Function;

use super::{
    ask::{ask, refuses},
    report::Identity,
};
use crate::{client::LinkError, codec, port::Port};

const BASES: [u16; 3] = [40_000, 0, 50_000];
/// "SunS".
const MARKER: [u16; 2] = [0x5375, 0x6E53];
const COMMON: u16 = 1;
const END: u16 = 0xFFFF;
/// Longer maps are no maps: a device that answers anything would keep the walk going for ever.
const MAX_MODELS: usize = 100;
/// Registers of a Common block up to the serial number's end.
const COMMON_TEXTS: u16 = 64;

/// A model in the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ModelAt {
    pub id: u16,
    /// Address of its ID register.
    pub start: u16,
    /// As the device says, without ID and length.
    pub length: u16,
}

/// A unit's map.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Map {
    pub models: Vec<ModelAt>,
    /// One for each Common block.
    pub identities: Vec<Identity>,
}

/// Finds and walks the map; none when it has none. Some devices do not answer at all where they have
/// no registers, so silence at one place says nothing of the next.
pub(super) async fn find(port: &mut Port<'_>) -> Result<Option<Map>, LinkError> {
    for base in BASES {
        match ask(port, Function::Holding, base, 2).await {
            Ok(words) if words == MARKER => return walk(port, u32::from(base) + 2).await.map(Some),
            Ok(_) | Err(LinkError::NoAnswer(_)) => {}
            Err(error) if refuses(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn walk(port: &mut Port<'_>, mut at: u32) -> Result<Map, LinkError> {
    let mut map = Map::default();
    for _ in 0..MAX_MODELS {
        let Ok(start) = u16::try_from(at) else { break };
        // Nothing there, or an end model without its length: both end the map.
        let header =
            if start < u16::MAX { there(ask(port, Function::Holding, start, 2).await)? } else { None };
        let Some([id, length]) = header.as_deref() else { break };
        let (id, length) = (*id, *length);
        // No device answers 0 for a model; some answer it beyond the end of their map.
        if id == END || id == 0 {
            break;
        }
        map.models.push(ModelAt { id, start, length });
        if id == COMMON && length > 0 && start < u16::MAX - 1 {
            let count = length.min(COMMON_TEXTS);
            let words = there(ask(port, Function::Holding, start + 2, count).await)?;
            map.identities.push(identity(&words.unwrap_or_default()));
        }
        at += 2 + u32::from(length);
    }
    Ok(map)
}

fn there(answer: Result<Vec<u16>, LinkError>) -> Result<Option<Vec<u16>>, LinkError> {
    match answer {
        Ok(words) => Ok(Some(words)),
        Err(error) if refuses(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn identity(words: &[u16]) -> Identity {
    let text = |from: usize, count: usize| codec::text(words.get(from..from + count).unwrap_or_default());
    Identity { manufacturer: text(0, 16), model: text(16, 16), firmware: text(40, 8), serial: text(48, 16) }
}
