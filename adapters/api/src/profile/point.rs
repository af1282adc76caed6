//! A point of a register device: the terms whose sum it is.
//!
//! | key of a term | meaning |
//! | --- | --- |
//! | `register` | the first register, as on the wire, from 0 |
//! | `registers` | instead of it: each register of the value, where they do not follow each other, in the order of the table; they are read in one request with all that lies between |
//! | `function`, `type`, `order` | `holding` (unless said) or `input`; `u16` …; `big` (unless said: high word first) or `little` |
//! | `mask` | only these bits, moved down to bit 0; unsigned types of 16 or 32 bits |
//! | `scale` | factor, 1 unless said; negative where the device counts the other way round |
//! | `missing` | raw values (as unsigned numbers) that mean that there is none, beside the profile's `sentinels` |
//! | `optional` | a term that is missing counts as 0 (a phase or a string that is not there) |
//! | `negative_when` | a check (see `signature`) of other registers: where it holds, the value is turned round |
//!
//! A point has one term, written as its own keys, or a list `terms`. Beside it: `offset` (added to the sum),
//! `unit`, `class`, `range` (what the value can be at all: outside it is not believed), `words` (the raw number's
//! meaning; the point is a text then).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Check, Class, Function, RegisterType, WordOrder};

/// One point. value = Σ (raw × scale) + offset, in `unit`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "PointTable")]
pub struct Point {
    /// What it is the sum of; at least one.
    pub terms: Vec<Term>,
    /// Added to the sum.
    pub offset: f64,
    /// Unit of the value, empty for a plain number.
    pub unit: String,
    /// How often it is read.
    pub class: Class,
    /// Least and greatest value that can be; none: what its unit allows.
    pub range: Option<(f64, f64)>,
    /// What numbers mean; empty: the value is a number.
    pub words: BTreeMap<u32, String>,
}

/// One raw value.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The registers, as many as the type takes, in the order in which they lie in the table of values: with
    /// `big` the high word is the first one.
    pub registers: Vec<u16>,
    /// Which table.
    pub function: Function,
    /// How the registers make the raw value.
    pub kind: RegisterType,
    /// Which of the registers has the high word.
    pub order: WordOrder,
    /// Only these bits, moved down.
    pub mask: Option<u32>,
    /// Factor.
    pub scale: f64,
    /// Raw values that are none.
    pub missing: Vec<u64>,
    /// Counts as 0 where it is missing.
    pub optional: bool,
    /// Turned round where this holds.
    pub negative_when: Option<Check>,
}

impl Term {
    /// First and last register: one request has them all.
    pub fn span(&self) -> (u16, u16) {
        let (first, last) = (self.registers.iter().min(), self.registers.iter().max());
        (first.copied().unwrap_or_default(), last.copied().unwrap_or_default())
    }
}

impl Point {
    /// A point that is one plain term.
    pub fn first(&self) -> &Term {
        &self.terms[0]
    }
}

/// A point as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PointTable {
    register: Option<u16>,
    registers: Option<Vec<u16>>,
    function: Option<Function>,
    #[serde(rename = "type")]
    kind: Option<RegisterType>,
    order: Option<WordOrder>,
    mask: Option<u32>,
    scale: Option<f64>,
    missing: Option<Vec<u64>>,
    negative_when: Option<Check>,
    terms: Option<Vec<TermTable>>,
    #[serde(default)]
    offset: f64,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    class: Class,
    range: Option<[f64; 2]>,
    #[serde(default)]
    words: BTreeMap<String, String>,
}

/// A term as it is written in a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermTable {
    register: Option<u16>,
    registers: Option<Vec<u16>>,
    function: Option<Function>,
    #[serde(rename = "type")]
    kind: Option<RegisterType>,
    order: Option<WordOrder>,
    mask: Option<u32>,
    scale: Option<f64>,
    missing: Option<Vec<u64>>,
    #[serde(default)]
    optional: bool,
    negative_when: Option<Check>,
}

impl TryFrom<PointTable> for Point {
    type Error = String;

    fn try_from(table: PointTable) -> Result<Self, String> {
        let own = TermTable {
            register: table.register,
            registers: table.registers,
            function: table.function,
            kind: table.kind,
            order: table.order,
            mask: table.mask,
            scale: table.scale,
            missing: table.missing,
            optional: false,
            negative_when: table.negative_when,
        };
        let terms = match table.terms {
            Some(terms) if own.is_empty() => terms,
            Some(_) => {
                return Err("has `terms` and keys of a term beside them: keep one of the two".to_owned());
            }
            None => vec![own],
        };
        if terms.is_empty() {
            return Err("has no `terms`: list at least one".to_owned());
        }
        let number = |word: &String| {
            word.parse().map_err(|_| {
                format!(
                    "`words` has the key `{word}`, which is no number: write the raw number, like 0 = \"off\""
                )
            })
        };
        let words = table.words.iter().map(|(raw, word)| Ok((number(raw)?, word.clone())));
        let words = words.collect::<Result<BTreeMap<_, _>, String>>()?;
        if !words.is_empty() && terms.len() > 1 {
            return Err("has `words` for a sum, and a meaning belongs to one register: keep one term, or leave `words` out".to_owned());
        }
        let range = table.range.map(|[least, greatest]| (least, greatest));
        if range.is_some_and(|(least, greatest)| !least.lt(&greatest)) {
            return Err("needs `range = [least, greatest]`, the least one first".to_owned());
        }
        Ok(Self {
            terms: terms.into_iter().map(Term::try_from).collect::<Result<_, _>>()?,
            offset: table.offset,
            unit: table.unit,
            class: table.class,
            range,
            words,
        })
    }
}

impl TermTable {
    fn is_empty(&self) -> bool {
        self.register.is_none()
            && self.registers.is_none()
            && self.function.is_none()
            && self.kind.is_none()
            && self.order.is_none()
            && self.mask.is_none()
            && self.scale.is_none()
            && self.missing.is_none()
            && self.negative_when.is_none()
    }
}

impl TryFrom<TermTable> for Term {
    type Error = String;

    fn try_from(table: TermTable) -> Result<Self, String> {
        let kind = table.kind.ok_or("needs `type`: u16, i16, u32, i32, u64, i64 or f32")?;
        let count = kind.registers();
        let registers = match (table.register, table.registers) {
            (Some(first), None) => {
                let last = first
                    .checked_add(count - 1)
                    .ok_or("ends above register 65535: check `register` and `type`")?;
                (first..=last).collect()
            }
            (None, Some(all)) if all.len() == usize::from(count) => all,
            (None, Some(all)) => {
                return Err(format!(
                    "lists {} registers, and its type takes {count}: list as many, or choose another `type`",
                    all.len()
                ));
            }
            (Some(_), Some(_)) => {
                return Err("has `register` and `registers`: keep one of the two".to_owned());
            }
            (None, None) => return Err("needs `register`, the address on the wire".to_owned()),
        };
        let masked = matches!(kind, RegisterType::U16 | RegisterType::U32);
        if table.mask.is_some_and(|mask| mask == 0 || !masked || (count == 1 && mask > 0xFFFF)) {
            return Err("has a `mask` that is 0 or does not fit: it goes with type u16 or u32".to_owned());
        }
        let scale = table.scale.unwrap_or(1.0);
        if !scale.is_finite() || scale == 0.0 {
            return Err("needs a `scale` other than 0".to_owned());
        }
        Ok(Self {
            registers,
            function: table.function.unwrap_or_default(),
            kind,
            order: table.order.unwrap_or_default(),
            mask: table.mask,
            scale,
            missing: table.missing.unwrap_or_default(),
            optional: table.optional,
            negative_when: table.negative_when,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(text: &str) -> Result<Point, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_plain_point_is_one_term() {
        let plain = point("register = 7\ntype = 'u32'\norder = 'little'\nscale = -0.1\nunit = 'W'").unwrap();
        let term = plain.first();
        assert_eq!((plain.terms.len(), term.registers.as_slice(), term.scale), (1, &[7, 8][..], -0.1));
        assert_eq!((term.order, term.function, term.span()), (WordOrder::Little, Function::Holding, (7, 8)));
    }

    #[test]
    fn the_words_of_one_value_may_lie_apart() {
        let split = point("registers = [690, 625]\ntype = 'i32'").unwrap();
        assert_eq!((split.first().registers.as_slice(), split.first().span()), (&[690, 625][..], (625, 690)));
    }

    #[test]
    fn a_point_may_be_a_sum_and_a_word() {
        let sum = point(
            "terms = [{ register = 1, type = 'u16' }, { register = 2, type = 'u16', scale = -1, optional = true }]",
        );
        assert!(sum.unwrap().terms[1].optional);
        let word =
            point("register = 1\ntype = 'u16'\nmask = 0xFF\nwords = { 0 = 'off', 64 = 'off_grid' }").unwrap();
        assert_eq!((word.words[&64].as_str(), word.first().mask), ("off_grid", Some(0xFF)));
    }

    #[test]
    fn a_mistake_says_what_to_write() {
        for (text, words) in [
            ("register = 1", "needs `type`"),
            ("type = 'u16'", "needs `register`"),
            ("register = 1\nregisters = [1]\ntype = 'u16'", "keep one of the two"),
            ("registers = [1]\ntype = 'u32'", "lists 1 registers, and its type takes 2"),
            ("register = 65535\ntype = 'u32'", "above register 65535"),
            ("register = 1\ntype = 'u16'\nscale = 0", "other than 0"),
            ("register = 1\ntype = 'i16'\nmask = 1", "goes with type u16 or u32"),
            ("register = 1\ntype = 'u16'\nmask = 0x10000", "does not fit"),
            ("register = 1\ntype = 'u16'\nterms = []", "keep one of the two"),
            ("terms = []", "list at least one"),
            ("register = 1\ntype = 'u16'\nrange = [2, 1]", "the least one first"),
            ("register = 1\ntype = 'u16'\nwords = { off = 'x' }", "is no number"),
        ] {
            let error = point(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
