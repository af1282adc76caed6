//! Where a unit's models lie: walks its map. Never reads values.
//!
//! Tolerates what devices really do: a map at 40000, 0 or 50000; no end model; an end model
//! without its length; zeros after the last model; a Common block of 65 registers; unknown models; the
//! same model again in a second sub device, which begins with a Common block of its own.
//!
//! | answer | at a base | behind the marker | behind a model |
//! | --- | --- | --- | --- |
//! | exceptions 5, 6, 10, 11 | asked again later | asked again later | asked again later |
//! | any other exception | not here | 1 to 4: not here | 1 to 4: the end |
//! | silence | not here, once another base has answered; else the next search begins behind it | asked again | the end, when it is silent twice |

use adapter_api::profile::Function;

use super::models::Model;
use crate::{
    client::{LinkError, SERVER_FAILURE},
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

/// The search for one unit's map.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// The base that comes first: where the map was, or behind the one that was silent.
    first: usize,
}

impl Search {
    /// Finds and walks the map. A dead unit costs one timeout each time: its silence ends the search,
    /// and the next one begins at another base, for some devices are silent where they have nothing.
    pub async fn discover(&mut self, port: &mut Port<'_>) -> Result<Vec<Group>, DiscoveryError> {
        let mut answered = false;
        for place in (0..BASES.len()).map(|turn| (self.first + turn) % BASES.len()) {
            let base = BASES[place];
            let words = match port.read(Function::Holding, base, 2).await {
                Ok(words) => words,
                Err(LinkError::Exception(code)) if !passes(code) => {
                    answered = true;
                    continue;
                }
                Err(LinkError::NoAnswer(_)) if answered => continue,
                Err(error) => {
                    if matches!(error, LinkError::NoAnswer(_)) {
                        self.first = (place + 1) % BASES.len();
                    }
                    return Err(error.into());
                }
            };
            answered = true;
            if words != MARKER {
                continue;
            }
            let groups = walk(port, u32::from(base) + 2).await?;
            if !groups.is_empty() {
                self.first = place;
                return Ok(groups);
            }
        }
        Err(DiscoveryError::NotSunspec)
    }

    /// The same for a unit that somebody looks at and that is no dead one: goes on where silence, or an
    /// answer to something else, ended the search, until every base was the first one.
    pub async fn insist(&mut self, port: &mut Port<'_>) -> Result<Vec<Group>, DiscoveryError> {
        for _ in 1..BASES.len() {
            match self.discover(port).await {
                Err(DiscoveryError::Link(LinkError::NoAnswer(_) | LinkError::Mismatch(_))) => {}
                found => return found,
            }
        }
        self.discover(port).await
    }
}

/// Does the exception say something of the moment, or of the way to the unit, and nothing of its
/// registers? In progress, busy, no way, nobody behind the Modbus gateway.
fn passes(exception: u8) -> bool {
    matches!(exception, 5 | 6 | 10 | 11)
}

/// All sub devices; none where no model follows the marker.
async fn walk(port: &mut Port<'_>, mut at: u32) -> Result<Vec<Group>, DiscoveryError> {
    let mut groups: Vec<Group> = Vec::new();
    for _ in 0..MAX_MODELS {
        let Ok(start) = u16::try_from(at) else { break };
        let Some((id, length)) = header(port, start, !groups.is_empty()).await? else { break };
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

/// Id and length of the model at `start`; none at the end of the map. `behind`: there is a model
/// before it.
async fn header(port: &mut Port<'_>, start: u16, behind: bool) -> Result<Option<(u16, u16)>, LinkError> {
    // No device answers 0 for a model; some answer it beyond the end of their map.
    let ended = |id: u16| id == END || id == 0;
    if start == u16::MAX {
        return Ok(None);
    }
    let mut answer = port.read(Function::Holding, start, 2).await;
    if matches!(answer, Err(LinkError::NoAnswer(_))) {
        // An answer that is lost once would hide all models from here on, for as long as the map holds.
        answer = port.read(Function::Holding, start, 2).await;
    }
    match answer {
        Ok(words) => Ok((!ended(words[0])).then_some((words[0], words[1]))),
        // Either nothing is there, or an end model without its length, which ends the map as well.
        Err(LinkError::Exception(1..=SERVER_FAILURE)) => Ok(None),
        Err(LinkError::NoAnswer(_)) if behind => Ok(None),
        Err(error) => Err(error),
    }
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
        Err(LinkError::Exception(1..=SERVER_FAILURE)) => return Ok(Common::default()),
        Err(error) => return Err(error),
    };
    let mut next = || texts.next().unwrap_or_default();
    Ok(Common { manufacturer: next(), model: next(), firmware: next(), serial: next() })
}
