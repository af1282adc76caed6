//! How a device is recognised by its registers, for the field tools. What is read here decides
//! nothing at run time.
//!
//! | key of a check | meaning |
//! | --- | --- |
//! | `register`, `function` | where, as for a point |
//! | `type`, `order`, `scale` | how registers make a number, as for a point; not with `text` |
//! | `min`, `max` | the number lies between them; one of them may be missing |
//! | `equals` | the number is this one, or one of a list; with `mask`, after `raw & mask` and without `scale` |
//! | `text` | the registers hold a text that begins so, high byte first |
//! | `registers` | how many registers the text takes, where the device gives only the whole |

use serde::Deserialize;

use super::{Function, RegisterType, WordOrder};

/// Most registers in one request.
const MOST: u16 = 125;

/// All of its checks must hold. A device may fit several profiles: the one with more checks is the
/// better guess.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// At least one.
    pub checks: Vec<Check>,
}

/// One thing that must be so.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Table")]
pub struct Check {
    /// Which table.
    pub function: Function,
    /// Address of the first register, as on the wire.
    pub register: u16,
    /// How many registers.
    pub count: u16,
    /// What they must hold.
    pub expect: Expect,
}

/// What registers must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// A number.
    Number {
        /// How registers make it.
        kind: RegisterType,
        /// Order of the registers.
        order: WordOrder,
        /// Which ones are good.
        good: Good,
    },
    /// A text that begins so.
    Text(String),
}

/// Which numbers are good.
#[derive(Debug, Clone, PartialEq)]
pub enum Good {
    /// raw × scale lies in here, the ends included.
    Between {
        /// Factor.
        scale: f64,
        /// Least.
        min: f64,
        /// Greatest.
        max: f64,
    },
    /// raw × scale is one of these.
    OneOf {
        /// Factor.
        scale: f64,
        /// The values.
        values: Vec<f64>,
    },
    /// raw & mask is one of these.
    Bits {
        /// Which bits count.
        mask: u32,
        /// The values.
        values: Vec<u32>,
    },
}

/// A check as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    register: u16,
    #[serde(default)]
    function: Function,
    #[serde(rename = "type")]
    kind: Option<RegisterType>,
    order: Option<WordOrder>,
    scale: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    equals: Option<OneOrMore>,
    mask: Option<u32>,
    text: Option<String>,
    registers: Option<u16>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "write a number, or a list of numbers")]
enum OneOrMore {
    One(f64),
    More(Vec<f64>),
}

impl TryFrom<Table> for Check {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let (function, register) = (table.function, table.register);
        let place = format!("the check of register {register}");
        let (count, expect) = match &table.text {
            Some(_) => table.text(),
            None => table.number(),
        }
        .map_err(|why| format!("{place} {why}"))?;
        if usize::from(register) + usize::from(count) > 65_536 {
            return Err(format!("{place} ends above register 65535: check `register` and `type`"));
        }
        Ok(Self { function, register, count, expect })
    }
}

impl Table {
    fn text(&self) -> Result<(u16, Expect), &'static str> {
        let numeric = self.kind.is_some() || self.order.is_some() || self.scale.is_some();
        if numeric || self.min.is_some() || self.max.is_some() || self.equals.is_some() || self.mask.is_some()
        {
            return Err("is about a text: leave out type, order, scale, min, max, equals and mask");
        }
        let text = self.text.clone().unwrap_or_default();
        if text.trim().is_empty() || !text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err("needs a text of ASCII letters");
        }
        let least = u16::try_from(text.len().div_ceil(2)).unwrap_or(u16::MAX);
        let count = self.registers.unwrap_or(least);
        if count < least || count > MOST {
            return Err("needs `registers` that hold its text, up to 125");
        }
        Ok((count, Expect::Text(text)))
    }

    fn number(&self) -> Result<(u16, Expect), &'static str> {
        if self.registers.is_some() {
            return Err("has `registers`, which belongs to `text`: the type says how many they are");
        }
        let kind = self.kind.ok_or("needs `type`, or `text`")?;
        let good = self.good(kind)?;
        Ok((kind.registers(), Expect::Number { kind, order: self.order.unwrap_or_default(), good }))
    }

    fn good(&self, kind: RegisterType) -> Result<Good, &'static str> {
        let scale = self.scale.unwrap_or(1.0);
        if !scale.is_finite() || scale == 0.0 {
            return Err("needs a `scale` other than 0");
        }
        let ranged = self.min.is_some() || self.max.is_some();
        let values = match &self.equals {
            None if self.mask.is_some() => return Err("has a `mask` without `equals`"),
            None if !ranged => return Err("says nothing: give min, max, equals or text"),
            None => {
                let (min, max) = (self.min.unwrap_or(f64::MIN), self.max.unwrap_or(f64::MAX));
                // A NaN is in no order at all.
                let ordered = min <= max;
                return if ordered {
                    Ok(Good::Between { scale, min, max })
                } else {
                    Err("needs min below max")
                };
            }
            Some(_) if ranged => return Err("has `equals` and a range: keep one of the two"),
            Some(OneOrMore::One(value)) => vec![*value],
            Some(OneOrMore::More(values)) => values.clone(),
        };
        if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
            return Err("needs at least one number in `equals`");
        }
        let Some(mask) = self.mask else { return Ok(Good::OneOf { scale, values }) };
        if !matches!(kind, RegisterType::U16 | RegisterType::U32) || self.scale.is_some() {
            return Err("has a `mask`, which goes with type u16 or u32 and without `scale`");
        }
        let bits = |value: &f64| {
            let whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(value);
            whole.then_some(*value as u32).filter(|value| value & !mask == 0)
        };
        let values: Option<Vec<u32>> = values.iter().map(bits).collect();
        let values = values.ok_or("has an `equals` with bits outside of its `mask`, which can never be")?;
        Ok(Good::Bits { mask, values })
    }
}

impl Signature {
    /// What is wrong with it, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.checks.is_empty() {
            return Err("signature.checks is empty: a device of any kind would fit; list at least one, or leave `[signature]` out".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(check: &str) -> Result<Check, String> {
        let signature = toml::from_str::<Signature>(&format!("checks = [{{ register = 7, {check} }}]"));
        signature.map(|mut signature| signature.checks.remove(0)).map_err(|error| error.to_string())
    }

    #[test]
    fn checks_are_ranges_values_bits_and_texts() {
        let range = parsed("function = 'input', type = 'f32', min = 45, max = 65").unwrap();
        assert_eq!((range.function, range.register, range.count), (Function::Input, 7, 2));
        let good = Good::Between { scale: 1.0, min: 45.0, max: 65.0 };
        let (kind, order) = (RegisterType::F32, WordOrder::Big);
        assert_eq!(range.expect, Expect::Number { kind, order, good });
        let good_of = |check: &str| match parsed(check).unwrap().expect {
            Expect::Number { good, .. } => good,
            Expect::Text(_) => panic!("a number"),
        };
        let open = good_of("type = 'i32', order = 'little', scale = 0.1, min = 1");
        assert_eq!(open, Good::Between { scale: 0.1, min: 1.0, max: f64::MAX });
        let values = good_of("type = 'u16', equals = [3, 4]");
        assert_eq!(values, Good::OneOf { scale: 1.0, values: vec![3.0, 4.0] });
        let bits = good_of("type = 'u16', mask = 0xFF00, equals = 0x1200");
        assert_eq!(bits, Good::Bits { mask: 0xFF00, values: vec![0x1200] });
        let text = parsed("text = 'SH1'").unwrap();
        assert_eq!((text.count, text.expect), (2, Expect::Text("SH1".to_owned())));
        assert_eq!(parsed("text = 'SH1', registers = 8").unwrap().count, 8);
    }

    #[test]
    fn a_mistake_says_where_and_what_to_write() {
        for (check, words) in [
            ("type = 'u16'", "says nothing: give min, max, equals or text"),
            ("min = 1", "needs `type`, or `text`"),
            ("type = 'u16', min = 2, max = 1", "needs min below max"),
            ("type = 'u16', min = nan", "needs min below max"),
            ("type = 'u16', min = 2, equals = 1", "keep one of the two"),
            ("type = 'u16', equals = []", "at least one number"),
            ("type = 'u16', equals = 1, scale = 0", "other than 0"),
            ("type = 'u16', mask = 1, min = 1", "without `equals`"),
            ("type = 'f32', mask = 1, equals = 1", "goes with type u16 or u32"),
            ("type = 'u16', mask = 0x00FF, equals = 0x0100", "can never be"),
            ("type = 'u16', equals = 1, registers = 1", "belongs to `text`"),
            ("text = 'SH', type = 'u16'", "leave out type"),
            ("text = ' '", "ASCII letters"),
            ("text = 'SH10RT', registers = 2", "that hold its text"),
            ("type = 'u16', is = 3", "unknown field `is`"),
        ] {
            let error = parsed(check).unwrap_err();
            assert!(error.contains(words), "{check}: {error}");
        }
        let error = parsed("type = 'u16'").unwrap_err();
        assert!(error.contains("the check of register 7"), "{error}");
        let end = "checks = [{ register = 65535, type = 'u32', equals = 1 }]";
        assert!(toml::from_str::<Signature>(end).unwrap_err().to_string().contains("above register 65535"));
    }
}
