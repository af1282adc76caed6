//! Where a unit's models lie: walks its map once. Never reads values.
//!
//! Tolerates what devices really do: a map at 40000, 0 or 50000; no end model; an end model
//! without its length; zeros after the last model; a Common block of 65 registers; unknown models; the
//! same model again in a second sub device, which begins with a Common block of its own.

use adapter_api::profile::Function;

use super::models::Model;
use crate::{
    client::{ILLEGAL_ADDRESS, ILLEGAL_VALUE, LinkError},
    codec,
    plan::Extent,
    port::Port,
};

const BASES: [u16; 3] = [40_000, 0, 50_000];
/// "SunS".
const MARKER: [u16; 2] = [0x5375, 0x6E53];
const COMMON: u16 = 1;
const END: u16 = 0xFFFF;
/// Longer maps are no maps: a device that answers anything would keep the walk going for ever.
const MAX_MODELS: usize = 100;
/// Manufacturer, model, version and serial number in a Common block: offset and registers.
const TEXTS: [(u16, u16); 4] = [(2, 16), (18, 16), (42, 8), (50, 16)];

/// A model that we use, in the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    pub model: Model,
    pub id: u16,
    /// Address of its ID register.
    pub start: u16,
    /// As the device says, without ID and length.
    pub length: u16,
}

impl At {
    /// Its registers, with ID and length.
    pub fn registers(self) -> u16 {
        self.length.saturating_add(2).min(u16::MAX - self.start)
    }
}

/// Any model in the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub id: u16,
    pub start: u16,
    pub length: u16,
}

impl Place {
    /// What it is to us, if we use it.
    pub fn at(self) -> Option<At> {
        let Self { id, start, length } = self;
        Model::of(id).map(|model| At { model, id, start, length })
    }
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
    /// All its models in the order of the map, the Common block too.
    pub places: Vec<Place>,
}

impl Group {
    /// Those that we use.
    pub fn models(&self) -> impl Iterator<Item = At> {
        self.places.iter().filter_map(|place| place.at())
    }
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
            groups.push(Group { common: common(port, start, length).await?, places: Vec::new() });
        } else if groups.is_empty() {
            groups.push(Group::default());
        }
        if let Some(group) = groups.last_mut() {
            group.places.push(Place { id, start, length });
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

/// A sub device that does not let itself be asked who it is has no name.
async fn common(port: &mut Port<'_>, start: u16, length: u16) -> Result<Common, LinkError> {
    let whole = |(offset, count): &(u16, u16)| offset + count <= length.saturating_add(2);
    let there: Vec<Extent> = TEXTS
        .iter()
        .filter(|text| whole(text))
        .map(|(offset, count)| Extent {
            function: Function::Holding,
            start: start.saturating_add(*offset),
            count: *count,
        })
        .collect();
    let mut texts = match port.fetch(&there).await {
        Ok(texts) => texts.into_iter().map(|words| codec::text(&words)),
        Err(LinkError::Exception(ILLEGAL_ADDRESS | ILLEGAL_VALUE)) => return Ok(Common::default()),
        Err(error) => return Err(error),
    };
    let mut next = || texts.next().unwrap_or_default();
    Ok(Common { manufacturer: next(), model: next(), firmware: next(), serial: next() })
}

/// Registers, or none where the device has none.
async fn read(port: &mut Port<'_>, start: u16, count: u16) -> Result<Option<Vec<u16>>, LinkError> {
    match port.read(Function::Holding, start, count).await {
        Ok(words) => Ok(Some(words)),
        Err(LinkError::Exception(ILLEGAL_ADDRESS | ILLEGAL_VALUE)) => Ok(None),
        Err(error) => Err(error),
    }
}
