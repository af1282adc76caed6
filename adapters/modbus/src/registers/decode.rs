//! Registers → the value of a point: sums, masks, sentinels, words. Pure.

use std::collections::BTreeMap;

use adapter_api::profile::{Check, Function, Point, Sentinel, Term};

use super::shown::Shown;
use crate::{
    checks::holds,
    codec,
    plan::{Extent, Rules, plan},
};

/// What a point shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decoded {
    Number(f64),
    Text(String),
    /// The device says that it has none now.
    Missing,
    /// The device has no such registers.
    Absent,
}

/// The registers of a point: those of one value always come in one request, those of its terms and of their
/// checks where the limits let them. What may be missing is read by itself, so that it hides nothing else.
pub(crate) fn extents(point: &Point, rules: Rules<'_>) -> Vec<Extent> {
    let needs = needs(point);
    if point.terms.iter().any(|term| term.optional) {
        return needs;
    }
    let joined = plan(&needs, rules).into_iter();
    joined
        .map(|request| Extent { function: request.function, start: request.start, count: request.count })
        .collect()
}

/// The same, each value and check by itself.
pub(crate) fn needs(point: &Point) -> Vec<Extent> {
    let checks = point.terms.iter().filter_map(|term| term.negative_when.as_ref()).map(of_check);
    let mut all: Vec<Extent> = point.terms.iter().map(of_term).chain(checks).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn of_term(term: &Term) -> Extent {
    let (start, last) = term.span();
    Extent { function: term.function, start, count: (last - start).saturating_add(1) }
}

/// The registers of a check.
pub(crate) fn of_check(check: &Check) -> Extent {
    Extent { function: check.function, start: check.register, count: check.count }
}

/// What the check says, if its registers are there.
pub(crate) fn checked(check: &Check, shown: &Shown) -> Option<bool> {
    let Extent { function, start, count } = of_check(check);
    Some(holds(check, &registers(shown, function, start, count)?))
}

fn registers(shown: &Shown, function: Function, start: u16, count: u16) -> Option<Vec<u16>> {
    shown.words(function, (0..count).map(|offset| start.wrapping_add(offset)))
}

/// The value of a point.
pub(crate) fn decode(point: &Point, sentinels: &[Sentinel], shown: &Shown) -> Decoded {
    let terms: Vec<Raw> = point.terms.iter().map(|term| raw(term, sentinels, shown)).collect();
    if let (false, [raw]) = (point.words.is_empty(), &terms[..]) {
        return word(&point.words, raw);
    }
    let mut sum = 0.0;
    let mut there = false;
    for (term, raw) in point.terms.iter().zip(&terms) {
        match raw {
            Raw::Value(raw) => sum += codec::times(*raw, term.scale),
            Raw::Missing if term.optional => {}
            Raw::Absent if term.optional => continue,
            Raw::Missing => return Decoded::Missing,
            Raw::Absent => return Decoded::Absent,
        }
        there = true;
    }
    if !there {
        return Decoded::Absent;
    }
    let value = sum + point.offset;
    let is_sum = terms.len() > 1 || point.offset != 0.0;
    Decoded::Number(if is_sum { decimal(value) } else { value })
}

/// The decimal that is meant: 0.1 + 0.2 is 0.3. Of what is greater the digits behind the point say nothing.
fn decimal(value: f64) -> f64 {
    const PLACES: f64 = 1e9;
    if value.abs() < 1e6 { (value * PLACES).round() / PLACES } else { value }
}

fn word(words: &BTreeMap<u32, String>, raw: &Raw) -> Decoded {
    match raw {
        Raw::Value(raw) => {
            let known = words.iter().find(|(number, _)| f64::from(**number) == *raw);
            // A state that the profile does not know yet is shown as it is.
            Decoded::Text(known.map_or_else(|| format!("{raw}"), |(_, word)| word.clone()))
        }
        Raw::Missing => Decoded::Missing,
        Raw::Absent => Decoded::Absent,
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Raw {
    Value(f64),
    Missing,
    Absent,
}

fn raw(term: &Term, sentinels: &[Sentinel], shown: &Shown) -> Raw {
    let Some(words) = shown.words(term.function, term.registers.iter().copied()) else { return Raw::Absent };
    let whole = codec::bits(&words, term.order);
    // `missing` is of what the mask leaves, for another half of the register may be anything.
    let bits = term.mask.map_or(whole, |mask| (whole & u64::from(mask)) >> mask.trailing_zeros());
    if term.missing.contains(&bits) || sentinels.iter().any(|sentinel| sentinel.is(term.kind, whole)) {
        return Raw::Missing;
    }
    // A value whose sign nobody knows is none.
    let turned = match &term.negative_when {
        None => false,
        Some(check) => match checked(check, shown) {
            Some(turned) => turned,
            None => return Raw::Absent,
        },
    };
    match codec::of_bits(bits, term.kind) {
        Some(value) => Raw::Value(if turned { -value } else { value }),
        None => Raw::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Barred;

    fn point(text: &str) -> Point {
        toml::from_str(text).unwrap()
    }

    fn shown(words: &[(u16, &[u16])]) -> Shown {
        let mut shown = Shown::default();
        words.iter().for_each(|(start, words)| shown.put(*start, words));
        shown
    }

    fn number(text: &str, words: &[(u16, &[u16])]) -> Decoded {
        decode(&point(text), &[Sentinel::AllOnes, Sentinel::Lowest], &shown(words))
    }

    #[test]
    fn a_point_is_the_sum_of_its_terms_and_of_its_offset() {
        let sum = "terms = [{ register = 1, type = 'u16', scale = 0.1 }, { register = 5, type = 'i16', scale = -0.1 }]\n\
                   offset = 0.5";
        assert_eq!(number(sum, &[(1, &[1]), (5, &[0xFFFE])]), Decoded::Number(0.8));
        let apart = "registers = [9, 3]\ntype = 'i32'";
        assert_eq!(number(apart, &[(9, &[0xFFFF]), (3, &[0xFFF6])]), Decoded::Number(-10.0));
        let little = "registers = [9, 3]\ntype = 'u32'\norder = 'little'";
        assert_eq!(number(little, &[(9, &[1]), (3, &[2])]), Decoded::Number(131_073.0));
        assert_eq!(
            number("register = 1\ntype = 'u16'\nmask = 0xFF00", &[(1, &[0x2A07])]),
            Decoded::Number(42.0)
        );
        let temperature = "register = 1\ntype = 'u16'\nscale = 0.1\noffset = -100";
        assert_eq!(number(temperature, &[(1, &[1253])]), Decoded::Number(25.3));
    }

    #[test]
    fn a_sentinel_of_a_term_that_must_be_there_is_no_value_and_an_optional_one_counts_nothing() {
        assert_eq!(number("register = 1\ntype = 'u16'", &[(1, &[0xFFFF])]), Decoded::Missing);
        assert_eq!(number("register = 1\ntype = 'i16'", &[(1, &[0x8000])]), Decoded::Missing);
        assert_eq!(number("register = 1\ntype = 'i16'", &[(1, &[0xFFFF])]), Decoded::Number(-1.0));
        assert_eq!(number("register = 1\ntype = 'f32'", &[(1, &[0x7FC0, 0])]), Decoded::Missing);
        let masked = "register = 1\ntype = 'u16'\nmask = 0xFF\nmissing = [255]";
        assert_eq!(number(masked, &[(1, &[0x12FF])]), Decoded::Missing);
        assert_eq!(number(masked, &[(1, &[0xFF12])]), Decoded::Number(18.0));
        let sum = "terms = [{ register = 1, type = 'u16' }, { register = 2, type = 'u16', optional = true }]";
        assert_eq!(number(sum, &[(1, &[7, 0xFFFF])]), Decoded::Number(7.0));
        assert_eq!(number(sum, &[(1, &[7])]), Decoded::Number(7.0), "nor has the device such a register");
        assert_eq!(number(sum, &[(1, &[0xFFFF, 7])]), Decoded::Missing);
        assert_eq!(number(sum, &[(2, &[7])]), Decoded::Absent);
    }

    #[test]
    fn a_value_is_turned_where_its_check_holds_and_is_none_where_nobody_knows() {
        let turned = "register = 1\ntype = 'u16'\nnegative_when = { register = 8, type = 'u16', equals = 1 }";
        assert_eq!(number(turned, &[(1, &[500]), (8, &[1])]), Decoded::Number(-500.0));
        assert_eq!(number(turned, &[(1, &[500]), (8, &[0])]), Decoded::Number(500.0));
        assert_eq!(number(turned, &[(1, &[500])]), Decoded::Absent);
    }

    #[test]
    fn a_number_has_its_word_and_an_unknown_one_its_digits() {
        let state = "register = 1\ntype = 'u16'\nwords = { 0 = 'off', 2 = 'on' }";
        for (raw, text) in [(0, "off"), (2, "on"), (7, "7")] {
            assert_eq!(number(state, &[(1, &[raw])]), Decoded::Text(text.to_owned()));
        }
        assert_eq!(number(state, &[(1, &[0xFFFF])]), Decoded::Missing);
    }

    #[test]
    fn terms_that_lie_close_come_in_one_request_and_others_in_their_own() {
        let cut = |text: &str, barred: &Barred| -> Vec<(u16, u16)> {
            let all = extents(&point(text), Rules { block: 10, gap: 3, barred });
            all.iter().map(|extent| (extent.start, extent.count)).collect()
        };
        let two = |second: u16, more: &str| {
            format!(
                "terms = [{{ register = 1, type = 'u16' }}, {{ register = {second}, type = 'u16'{more} }}]"
            )
        };
        let free = Barred::default();
        assert_eq!(cut(&two(5, ""), &free), [(1, 5)]);
        assert_eq!(cut(&two(6, ""), &free), [(1, 1), (6, 1)], "beyond the gap");
        assert_eq!(cut(&two(5, ", optional = true"), &free), [(1, 1), (5, 1)]);
        assert_eq!(
            cut(&two(5, ", function = 'input'"), &free),
            [(5, 1), (1, 1)].map(|(a, b)| (a, b)).into_iter().rev().collect::<Vec<_>>()
        );
        let hole = Extent { function: Function::Holding, start: 3, count: 1 };
        let barred = Barred { forbidden: vec![hole], ..Barred::default() };
        assert_eq!(cut(&two(5, ""), &barred), [(1, 1), (5, 1)]);
        let check = "register = 1\ntype = 'u16'\nnegative_when = { register = 4, type = 'u16', equals = 1 }";
        assert_eq!(cut(check, &free), [(1, 4)]);
        assert_eq!(cut("registers = [9, 2]\ntype = 'u32'", &free), [(2, 8)]);
    }
}
