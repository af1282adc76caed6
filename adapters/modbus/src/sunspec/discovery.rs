//! Where a unit's models lie: walks its map once. Never reads values.
//!
//! Tolerates what devices really do: a map at 40000, 0 or 50000; no end model; an end model
//! without its length; a Common block of 65 registers; unknown models; the same model again in a
//! second sub device, which begins with a Common block of its own.

use adapter_api::profile::Function;

use super::models::Model;
use crate::{
    client::{ILLEGAL_ADDRESS, ILLEGAL_VALUE, LinkError},
    codec,
    port::Port,
};

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
pub(crate) struct At {
    pub model: Model,
    pub id: u16,
    /// Address of its ID register.
    pub start: u16,
    /// As the device says, without ID and length.
    pub length: u16,
}

/// Who a sub device says it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Common {
    pub manufacturer: String,
    pub model: String,
    pub firmware: String,
    pub serial: String,
}

/// One sub device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Group {
    pub common: Common,
    /// Those of its models that we use, in the order of the map.
    pub models: Vec<At>,
}

/// Why there is no map.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiscoveryError {
    #[error("it answers, but not as a SunSpec device")]
    NotSunspec,
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Finds and walks the map.
pub(crate) async fn discover(port: &mut Port<'_>) -> Result<Vec<Group>, DiscoveryError> {
    for base in BASES {
        match read(port, base, 2).await? {
            Some(words) if words == MARKER => return walk(port, u32::from(base) + 2).await,
            _ => {}
        }
    }
    Err(DiscoveryError::NotSunspec)
}

async fn walk(port: &mut Port<'_>, mut at: u32) -> Result<Vec<Group>, DiscoveryError> {
    let mut groups: Vec<Group> = Vec::new();
    for _ in 0..MAX_MODELS {
        let Ok(start) = u16::try_from(at) else { break };
        let (id, length) = match header(port, start).await? {
            Some(header) => header,
            None if groups.is_empty() => return Err(DiscoveryError::NotSunspec),
            None => break,
        };
        if id == COMMON {
            groups.push(Group { common: common(port, start, length).await?, models: Vec::new() });
        } else {
            if groups.is_empty() {
                groups.push(Group::default());
            }
            if let (Some(model), Some(group)) = (Model::of(id), groups.last_mut()) {
                group.models.push(At { model, id, start, length });
            }
        }
        at += 2 + u32::from(length);
    }
    Ok(groups)
}

/// Id and length of the model at `start`; none at the end of the map.
async fn header(port: &mut Port<'_>, start: u16) -> Result<Option<(u16, u16)>, LinkError> {
    // No device answers 0 for a model; some answer it beyond the end of their map.
    let ended = |id: u16| id == END || id == 0;
    if start < u16::MAX
        && let Some(words) = read(port, start, 2).await?
    {
        return Ok((!ended(words[0])).then_some((words[0], words[1])));
    }
    // Either nothing is there, or an end model without its length, which ends the map as well.
    Ok(None)
}

async fn common(port: &mut Port<'_>, start: u16, length: u16) -> Result<Common, LinkError> {
    let count = length.min(COMMON_TEXTS);
    if count == 0 {
        return Ok(Common::default());
    }
    let words = read(port, start.saturating_add(2), count).await?.unwrap_or_default();
    let text = |from: usize, count: usize| codec::text(words.get(from..from + count).unwrap_or_default());
    Ok(Common { manufacturer: text(0, 16), model: text(16, 16), firmware: text(40, 8), serial: text(48, 16) })
}

/// Registers, or none where the device has none.
async fn read(port: &mut Port<'_>, start: u16, count: u16) -> Result<Option<Vec<u16>>, LinkError> {
    match port.read(Function::Holding, start, count).await {
        Ok(words) => Ok(Some(words)),
        Err(LinkError::Exception(ILLEGAL_ADDRESS | ILLEGAL_VALUE)) => Ok(None),
        Err(error) => Err(error),
    }
}
