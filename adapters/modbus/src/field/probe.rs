//! Every point of one unit, once, raw and decoded, for comparing with the device's display.

use std::{collections::BTreeMap, time::Duration};

use adapter_api::{
    Problem,
    profile::{Discovery, PARTS},
};

use super::{
    Seen,
    ask::{Blank, ask, problem, refuses, settings},
    place,
    plan::quiet,
    points::{points, wanted},
};
use crate::{
    client::{Form, Link, LinkError},
    config::{Address, Device, Settings},
    plan::{Extent, plan},
    port::Port,
    sunspec,
    units::{UnitConfig, resolve},
};

/// After so many silences in a row nothing else is asked.
const SILENCES: u32 = 2;

/// What a unit showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// Its address.
    pub address: String,
    /// Its unit id.
    pub unit: u8,
    /// Its profile.
    pub profile: String,
    /// Its points by function and register.
    pub points: Vec<Shown>,
}

/// One point, and why it could not be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// What was read.
    pub seen: Seen,
    /// In words, where it could not be read.
    pub refused: Option<String>,
}

impl Probed {
    /// How long a probe of a device takes at most: every request is refused, so that its points are asked
    /// for one by one, and each answer is lost once. None where the device says itself what it has, and for
    /// a device that the connection does not have.
    pub fn longest(settings: &Settings, device: &str) -> Option<Duration> {
        let unit = unit_of(settings, device).filter(|unit| unit.profile.discovery.is_none())?;
        let address: Address = settings.address.parse().ok()?;
        let once = |extent: &Extent| {
            let bytes = Form::Registers(extent.function.code(), extent.count).bytes();
            let transfer = address.serial().map_or(Duration::ZERO, |line| line.time_of(bytes));
            unit.pace.timeout + unit.pace.spacing + transfer + quiet(&address)
        };
        let alone = wanted(&unit);
        let together = plan(&alone, unit.rules(&unit.barred)).into_iter().map(|request| Extent {
            function: request.function,
            start: request.start,
            count: request.count,
        });
        let all: Duration = together.collect::<Vec<_>>().iter().chain(&alone).map(once).sum();
        Some(all * 2)
    }
}

/// The tables of a connection with one device, for a unit that is in no configuration. The device's
/// id is `device`.
///
/// # Errors
/// What is wrong with them, in words.
pub fn device_settings(address: &str, profile: &str, unit: u8) -> Result<Settings, String> {
    let mut settings = settings(address);
    let device = Device { profile: Some(profile.to_owned()), unit: Some(unit), ..Device::default() };
    settings.device.insert("device".to_owned(), device);
    match settings.check().into_iter().next() {
        Some(mistake) => Err(mistake.message),
        None => Ok(settings),
    }
}

/// Reads every point of a device's unit once; none when the connection does not have the device. A
/// device that is switched off is read as well, and a part is read with the unit that it belongs to.
///
/// # Errors
/// When the unit does not answer at all, in words that name the remedy.
pub async fn probe(settings: &Settings, device: &str) -> Option<Result<Probed, Problem>> {
    let unit = unit_of(settings, device)?;
    let address: Address = settings.address.parse().ok()?;
    Some(look(settings, &unit, address).await)
}

fn unit_of(settings: &Settings, device: &str) -> Option<UnitConfig> {
    let part = || PARTS.iter().find_map(|part| device.strip_suffix(part)?.strip_suffix('-'));
    let own = settings.device.contains_key(device) && settings.whole_of(device).is_none();
    let whole = if own { device } else { part()? };
    let mut alone = settings.clone();
    alone.device.retain(|id, _| id == whole);
    alone.device.get_mut(whole)?.enabled = Some(true);
    let unit = resolve("probe", &alone).pop()?;
    let has = |part: &str| unit.profile.discovery.is_some() || unit.profile.parts.contains_key(part);
    let named =
        |part: &str| device.strip_prefix(whole).is_some_and(|rest| rest.strip_prefix('-') == Some(part));
    (own || PARTS.into_iter().any(|part| has(part) && named(part))).then_some(unit)
}

async fn look(settings: &Settings, unit: &UnitConfig, address: Address) -> Result<Probed, Problem> {
    place::check(&address).await?;
    let (mut blank, mut link) = (Blank::new(), Link::new(address, settings));
    link.heed(&unit.profile.limits);
    let mut port = blank.port(unit, &mut link);
    let points = match unit.profile.discovery {
        None => points(&mut port).await,
        Some(Discovery::Sunspec) => both(&mut port).await,
    };
    Ok(Probed {
        points: points?,
        address: link.address().to_string(),
        unit: unit.address,
        profile: unit.profile.name.clone(),
    })
}

/// Registers by extent, or why there are none. Neighbours share a request; where the device refuses
/// it, each is asked for on its own, so that a hole shows and hides nothing else. A silence is not
/// asked after point by point, and when it lasts the rest is not asked: each costs its time twice.
pub(super) async fn fetch(
    port: &mut Port<'_>,
    wanted: &[Extent],
) -> Result<BTreeMap<usize, Result<Vec<u16>, LinkError>>, Problem> {
    let mut fetched = BTreeMap::new();
    let (mut answered, mut silences) = (false, 0);
    for request in plan(wanted, port.unit.rules(&port.unit.barred)) {
        let together = match silences {
            SILENCES => Err(unasked()),
            _ => ask(port, request.function, request.start, request.count).await,
        };
        silences = counted(silences, &together);
        match together {
            Ok(words) => {
                answered = true;
                for place in request.members {
                    let from = usize::from(wanted[place].start - request.start);
                    let own = words[from..from + usize::from(wanted[place].count)].to_vec();
                    fetched.insert(place, Ok(own));
                }
            }
            Err(error) if refuses(&error) && request.members.len() > 1 => {
                answered = true;
                for place in request.members {
                    let Extent { function, start, count } = wanted[place];
                    let alone = match silences {
                        SILENCES => Err(unasked()),
                        _ => ask(port, function, start, count).await,
                    };
                    silences = counted(silences, &alone);
                    fetched.insert(place, alone);
                }
            }
            Err(error) if refuses(&error) || answered => {
                answered = true;
                fetched.extend(request.members.into_iter().map(|place| (place, Err(error.clone()))));
            }
            Err(error) => return Err(problem(port, &error)),
        }
    }
    Ok(fetched)
}

/// Silences in a row after this answer; a device that does not answer any more stays so.
fn counted(silences: u32, answer: &Result<Vec<u16>, LinkError>) -> u32 {
    match answer {
        Ok(_) => 0,
        Err(LinkError::NoAnswer(_) | LinkError::Unreachable(_)) => (silences + 1).min(SILENCES),
        Err(error) if refuses(error) => 0,
        Err(_) => silences,
    }
}

fn unasked() -> LinkError {
    LinkError::NoAnswer("not asked after two silences in a row".to_owned())
}

/// Every point of every SunSpec model, and of the registers that the profile adds.
async fn both(port: &mut Port<'_>) -> Result<Vec<Shown>, Problem> {
    let mut all = models(port).await?;
    if port.unit.profile.all_points().next().is_some() {
        all.extend(points(port).await?);
    }
    Ok(all)
}

/// Every point of every SunSpec model.
async fn models(port: &mut Port<'_>) -> Result<Vec<Shown>, Problem> {
    let seen = sunspec::seen(port).await.map_err(|fault| fault.problem().clone())?;
    Ok(seen.into_iter().map(|seen| Shown { seen, refused: None }).collect())
}
