//! Every point of one unit, once, raw and decoded, for comparing with the device's display.

use std::{collections::BTreeMap, time::Duration};

use adapter_api::{
    Problem,
    profile::{Discovery, Point, RegisterType},
};

use super::{
    Seen,
    ask::{Blank, ask, problem, refuses, settings},
    place,
    plan::quiet,
};
use crate::{
    client::{Form, Link, LinkError},
    codec,
    config::{Address, Device, PARTS, Settings},
    meter,
    plan::{Extent, plan},
    port::Port,
    sunspec,
    units::{UnitConfig, resolve},
};

/// What is shown of a 32-bit float: more digits would be made up.
const DIGITS_FLOAT: i32 = 7;
const DIGITS: i32 = 15;

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
        let alone: Vec<_> = unit.profile.points.values().map(meter::extent).collect();
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
    // Only what describes itself has parts.
    (own || unit.profile.discovery.is_some()).then_some(unit)
}

async fn look(settings: &Settings, unit: &UnitConfig, address: Address) -> Result<Probed, Problem> {
    place::check(&address).await?;
    let (mut blank, mut link) = (Blank::new(), Link::new(address, settings));
    let mut port = blank.port(unit, &mut link);
    let points = match unit.profile.discovery {
        None => points(&mut port).await,
        Some(Discovery::Sunspec) => models(&mut port).await,
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
async fn fetch(
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

/// Every point of the profile.
async fn points(port: &mut Port<'_>) -> Result<Vec<Shown>, Problem> {
    let profile = port.unit.profile;
    let mut points: Vec<(&String, &Point)> = profile.points.iter().collect();
    points.sort_by_key(|(_, point)| (point.first().function, point.first().span()));
    let wanted: Vec<_> = points.iter().map(|(_, point)| meter::extent(point)).collect();
    let mut fetched = fetch(port, &wanted).await?;
    let part = port.unit.main.id.to_string();
    let shown = points.into_iter().enumerate().map(|(place, (name, point))| {
        let (raw, refused) = split(fetched.remove(&place));
        let term = point.first();
        let value = codec::number(&raw, term.kind, term.order);
        Shown {
            seen: Seen {
                part: part.clone(),
                point: name.clone(),
                function: term.function.code(),
                register: term.span().0,
                raw,
                value: value.map(|raw| decimal(codec::times(raw, term.scale), term.kind)),
                unit: point.unit.clone(),
            },
            refused,
        }
    });
    Ok(shown.collect())
}

/// Every point of every SunSpec model.
async fn models(port: &mut Port<'_>) -> Result<Vec<Shown>, Problem> {
    let seen = sunspec::seen(port).await.map_err(|fault| fault.problem().clone())?;
    Ok(seen.into_iter().map(|seen| Shown { seen, refused: None }).collect())
}

fn split(answer: Option<Result<Vec<u16>, LinkError>>) -> (Vec<u16>, Option<String>) {
    match answer {
        Some(Ok(words)) => (words, None),
        Some(Err(LinkError::Exception(2))) => (Vec::new(), Some("no such register (exception 2)".to_owned())),
        Some(Err(error)) => (Vec::new(), Some(error.to_string())),
        None => (Vec::new(), Some("not asked".to_owned())),
    }
}

/// A number with as many digits as its type holds.
fn decimal(value: f64, kind: RegisterType) -> String {
    // Nor has a zero a sign.
    let value = if value == 0.0 { 0.0 } else { value };
    let digits = if kind == RegisterType::F32 { DIGITS_FLOAT } else { DIGITS };
    let before = if value == 0.0 { 1.0 } else { value.abs().log10().floor() + 1.0 };
    let after = (f64::from(digits) - before).clamp(0.0, 12.0) as usize;
    let text = format!("{value:.after$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn numbers_show_the_digits_that_their_type_holds() {
        use RegisterType::{F32, I16, U32};
        assert_eq!(decimal(f64::from(230.3_f32), F32), "230.3");
        assert_eq!(decimal(f64::from(49.98_f32), F32), "49.98");
        assert_eq!(decimal(1_234_567_890.0 * 0.1, U32), "123456789");
        assert_eq!(decimal(-3.0 * 0.1, I16), "-0.3");
        assert_eq!(decimal(0.0, F32), "0");
        assert_eq!(decimal(16_777_216.0, F32), "16777216");
        assert_eq!(decimal(-0.0, F32), "0", "a display shows no sign");
    }
}
