//! The points of a register profile, and what the device says about itself: raw and decoded, each with why it
//! could not be read. Never decides how often is asked.

use std::collections::BTreeMap;

use adapter_api::{
    Problem,
    profile::{Point, RegisterType, Term, Text},
};

use super::{
    Seen,
    probe::{Shown, fetch},
};
use crate::{
    client::LinkError,
    codec,
    plan::Extent,
    port::Port,
    registers::{Decoded, Shown as Registers, decode, needs, of_text, text, texts},
    units::UnitConfig,
};

/// What is shown of a 32-bit float: more digits would be made up.
const DIGITS_FLOAT: i32 = 7;
const DIGITS: i32 = 15;

/// The registers of all points and texts, each by itself.
pub(super) fn wanted(unit: &UnitConfig) -> Vec<Extent> {
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
pub(super) async fn points(port: &mut Port<'_>) -> Result<Vec<Shown>, Problem> {
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
