//! Every point of one unit, once, raw and decoded, for comparing with the device's display.

use std::{collections::BTreeMap, time::Duration};

use adapter_api::{
    Problem,
    profile::{Discovery, PARTS, Point, RegisterType, Term, Text},
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
    config::{Address, Device, Settings},
    plan::{Extent, plan},
    port::Port,
    registers::{Decoded, Shown as Registers, decode, needs, of_text, text, texts},
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

/// The registers of all points and texts, each by itself.
fn wanted(unit: &UnitConfig) -> Vec<Extent> {
    let profile = unit.profile;
    let points = profile.all_points().flat_map(|(_, _, point)| needs(point));
    let identities =
        std::iter::once(&profile.identity).chain(profile.parts.values().map(|part| &part.identity));
    let mut all: Vec<_> = points.chain(identities.flat_map(texts).map(|(_, text)| of_text(text))).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Every point of the profile, and what the device says about itself.
async fn points(port: &mut Port<'_>) -> Result<Vec<Shown>, Problem> {
    let unit = port.unit;
    let wanted = wanted(unit);
    let fetched = fetch(port, &wanted).await?;
    let answers: BTreeMap<Extent, _> =
        wanted.iter().enumerate().map(|(place, extent)| (*extent, fetched.get(&place))).collect();
    let words = |extent: &Extent| match answers.get(extent) {
        Some(Some(Ok(words))) => Some(&words[..]),
        _ => None,
    };
    let registers = Registers::of(wanted.iter().map(|extent| (*extent, words(extent))));
    let refused = |extents: &[Extent]| {
        let first = extents.iter().find(|extent| words(extent).is_none())?;
        Some(refusal(answers.get(first).copied().flatten()))
    };
    let mut all = Vec::new();
    for (part, name, point) in unit.profile.all_points() {
        let refused = refused(&needs(point));
        let part = unit.part(part).map_or_else(String::new, |part| part.id.to_string());
        let shown =
            |seen: Seen| Shown { seen: Seen { part: part.clone(), ..seen }, refused: refused.clone() };
        all.extend(of_point(unit, name, point, &registers).into_iter().map(shown));
    }
    let own = std::iter::once(("", &unit.profile.identity));
    let parts = unit.profile.parts.iter().map(|(name, part)| (name.as_str(), &part.identity));
    for (part, identity) in own.chain(parts) {
        let part = unit.part(part).map_or_else(String::new, |part| part.id.to_string());
        for (name, table) in texts(identity) {
            let seen = of_words(name, table, &part, words(&of_text(table)));
            all.push(Shown { seen, refused: refused(&[of_text(table)]) });
        }
    }
    all.sort_by_key(|shown| (shown.seen.function, shown.seen.register));
    Ok(all)
}

/// A point by its registers: one of several terms shows each of them, and its value with the first one.
fn of_point(unit: &UnitConfig, name: &str, point: &Point, registers: &Registers) -> Vec<Seen> {
    let digits = point.terms.iter().map(|term| term.kind).find(|kind| *kind == RegisterType::F32);
    let value = match decode(point, &unit.profile.sentinels, registers) {
        Decoded::Number(number) => Some(decimal(number, digits.unwrap_or(RegisterType::U16))),
        Decoded::Text(text) => Some(text),
        Decoded::Missing | Decoded::Absent => None,
    };
    let seen = |(place, term): (usize, &Term)| {
        let raw = registers.words(term.function, term.registers.iter().copied()).unwrap_or_default();
        let own = || codec::number(&raw, term.kind, term.order).map(|raw| codec::times(raw, term.scale));
        Seen {
            part: String::new(),
            point: if place == 0 { name.to_owned() } else { format!("{name} ({})", place + 1) },
            function: term.function.code(),
            register: term.span().0,
            value: if place == 0 { value.clone() } else { own().map(|value| decimal(value, term.kind)) },
            unit: point.unit.clone(),
            raw,
        }
    };
    point.terms.iter().enumerate().map(seen).collect()
}

fn of_words(name: &str, table: &Text, part: &str, words: Option<&[u16]>) -> Seen {
    Seen {
        part: part.to_owned(),
        point: name.to_owned(),
        function: table.function.code(),
        register: table.register,
        raw: words.unwrap_or_default().to_vec(),
        value: words.and_then(|words| text(table, words)),
        unit: String::new(),
    }
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

fn refusal(answer: Option<&Result<Vec<u16>, LinkError>>) -> String {
    match answer {
        Some(Err(LinkError::Exception(2))) => "no such register (exception 2)".to_owned(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(_)) | None => "not asked".to_owned(),
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
