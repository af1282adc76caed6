//! What a unit says about itself when it is found: which parts it has, who it is and how strong it is. What
//! it does not say is no fault.

use std::collections::BTreeMap;

use adapter_api::profile::{Identity, Point, Rating, Text};

use super::{
    decode::{Decoded, checked, decode, needs, of_check},
    shown::Shown,
};
use crate::{
    client::LinkError,
    codec,
    fetch::{Fetched, is_refusal},
    plan::Extent,
    port::Port,
    units::{Part, UnitConfig},
};

/// No home device is stronger, W, nor holds more, kWh.
const STRONGEST: f64 = 1e6;

/// What is known of a unit that was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Found {
    /// The parts that it has.
    pub parts: Vec<&'static str>,
    /// Who its devices are, by part.
    pub who: BTreeMap<&'static str, Who>,
    pub rated: Rated,
    /// It did not answer everything.
    pub is_incomplete: bool,
    /// When it was looked at, monotonic ms.
    pub looked: u64,
}

/// Who a device says it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Who {
    pub serial: Option<String>,
    pub model: Option<String>,
    pub firmware: Option<String>,
}

/// How strong a unit is, W and kWh, each above 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Rated {
    pub power: Option<f64>,
    pub charge: Option<f64>,
    pub discharge: Option<f64>,
    pub capacity: Option<f64>,
}

impl Rated {
    /// One of the powers.
    pub fn of(self, rating: Rating) -> Option<f64> {
        match rating {
            Rating::Power => self.power,
            Rating::Charge => self.charge,
            Rating::Discharge => self.discharge,
        }
    }

    /// The most that the battery moves in either direction.
    pub fn battery(self) -> Option<f64> {
        self.charge.into_iter().chain(self.discharge).reduce(f64::max)
    }

    /// With the configuration's keys where the device does not say.
    pub fn or_keys(self, unit: &UnitConfig) -> Self {
        let battery = unit.battery_device();
        Self {
            power: self.power.or(unit.main.keys.max_power),
            charge: self.charge.or(battery.keys.charge_power),
            discharge: self.discharge.or(battery.keys.discharge_power),
            capacity: self.capacity.or(battery.keys.capacity),
        }
    }
}

/// Looks at the unit.
///
/// # Errors
/// When the link failed; what the unit refuses is left out.
pub(crate) async fn look(port: &mut Port<'_>) -> Result<Found, LinkError> {
    let profile = port.unit.profile;
    let wanted = wanted(port.unit);
    let fetched = said(port, &wanted).await?;
    let is_incomplete = fetched.iter().any(Option::is_none);
    let shown = Shown::of(wanted.into_iter().zip(fetched.iter().map(Option::as_deref)));
    let present = |check| checked(check, &shown) == Some(true);
    let parts = profile.parts.iter().filter(|(_, part)| part.present.as_ref().is_none_or(present));
    let own = std::iter::once(("", &profile.identity));
    let all = own.chain(profile.parts.iter().map(|(name, part)| (name.as_str(), &part.identity)));
    let ratings = &profile.ratings;
    let rating = |point: &Option<Point>| {
        let decoded = decode(point.as_ref()?, &profile.sentinels, &shown);
        match decoded {
            Decoded::Number(number) if number > 0.0 && number <= STRONGEST => Some(number),
            _ => None,
        }
    };
    Ok(Found {
        parts: parts.map(|(name, _)| name.as_str()).collect(),
        who: all.map(|(name, identity)| (name, who(identity, &shown))).collect(),
        rated: Rated {
            power: rating(&ratings.power),
            charge: rating(&ratings.charge),
            discharge: rating(&ratings.discharge),
            capacity: rating(&ratings.capacity),
        },
        is_incomplete,
        looked: port.clock.now().mono_ms,
    })
}

/// The parts that were not there when the unit was looked at, and are by now: some show what they have only once
/// they are awake.
///
/// # Errors
/// When the link failed.
pub(crate) async fn came(port: &mut Port<'_>, found: &Found) -> Result<Vec<&'static str>, LinkError> {
    let unit = port.unit;
    let missing = unit.profile.parts.iter().filter(|(name, _)| !found.parts.contains(&name.as_str()));
    let wanted = missing.filter(|(name, _)| unit.part(name).is_some_and(Part::enabled));
    let checks: Vec<_> =
        wanted.filter_map(|(name, part)| Some((name.as_str(), part.present.as_ref()?))).collect();
    let mut extents: Vec<Extent> = checks.iter().map(|(_, check)| of_check(check)).collect();
    extents.sort_unstable();
    extents.dedup();
    let fetched = said(port, &extents).await?;
    let shown = Shown::of(extents.into_iter().zip(fetched.iter().map(Option::as_deref)));
    let there = checks.into_iter().filter(|(_, check)| checked(check, &shown) == Some(true));
    Ok(there.map(|(name, _)| name).collect())
}

/// What it says about itself. What it refuses to say says nothing of its points.
async fn said(port: &mut Port<'_>, wanted: &[Extent]) -> Result<Fetched, LinkError> {
    let refuses_all = port.learned.refuses_all;
    let fetched = port.fetch_known(wanted).await;
    port.learned.refuses_all = refuses_all;
    match fetched {
        Err(LinkError::Exception(code)) if is_refusal(code) => Ok(vec![None; wanted.len()]),
        fetched => fetched,
    }
}

/// The registers that say all of that.
fn wanted(unit: &UnitConfig) -> Vec<Extent> {
    let profile = unit.profile;
    let ratings = &profile.ratings;
    let points = [&ratings.power, &ratings.charge, &ratings.discharge, &ratings.capacity];
    let checks = profile.parts.values().filter_map(|part| part.present.as_ref()).map(of_check);
    let identities =
        std::iter::once(&profile.identity).chain(profile.parts.values().map(|part| &part.identity));
    let texts = identities.flat_map(texts).map(|(_, text)| of_text(text));
    let mut all: Vec<_> = points.into_iter().flatten().flat_map(needs).chain(checks).chain(texts).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The texts of an identity, with what they are.
pub(crate) fn texts(identity: &Identity) -> impl Iterator<Item = (&'static str, &Text)> {
    let all = [("serial", &identity.serial), ("model", &identity.model), ("firmware", &identity.firmware)];
    all.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)))
}

/// The registers of a text.
pub(crate) fn of_text(text: &Text) -> Extent {
    Extent { function: text.function, start: text.register, count: text.length }
}

fn who(identity: &Identity, shown: &Shown) -> Who {
    let said = |text: &Option<Text>| {
        let text = text.as_ref()?;
        let registers = (0..text.length).map(|offset| text.register.wrapping_add(offset));
        read(text, &shown.words(text.function, registers)?)
    };
    Who { serial: said(&identity.serial), model: said(&identity.model), firmware: said(&identity.firmware) }
}

/// What the registers of a text say; nothing where they are empty.
pub(crate) fn read(text: &Text, words: &[u16]) -> Option<String> {
    if words.iter().all(|word| *word == 0) || words.iter().all(|word| *word == u16::MAX) {
        return None;
    }
    if text.number {
        let digits = words.iter().fold(0_u64, |number, word| number << 16 | u64::from(*word));
        return Some(digits.to_string());
    }
    let swapped: Vec<u16>;
    let words = if text.swapped {
        swapped = words.iter().map(|word| word.swap_bytes()).collect();
        &swapped
    } else {
        words
    };
    Some(codec::text(words)).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_may_be_swapped_or_numbers_and_empty_ones_are_none() {
        let text =
            |more: &str| -> Text { toml::from_str(&format!("register = 1\nlength = 2\n{more}")).unwrap() };
        let ab = [0x4142, 0x4300];
        assert_eq!(read(&text(""), &ab).as_deref(), Some("ABC"));
        assert_eq!(read(&text("swapped = true"), &[0x4241, 0x0043]).as_deref(), Some("ABC"));
        assert_eq!(read(&text("number = true"), &[1, 2]).as_deref(), Some("65538"));
        for none in [[0, 0], [0xFFFF, 0xFFFF], [0x2020, 0x2020]] {
            assert_eq!(read(&text(""), &none), None);
        }
    }
}
