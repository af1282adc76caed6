//! SunSpec's point types: how many registers one takes, and which words mean "not implemented". Pure;
//! knows no model and no scale.

use adapter_api::profile::{RegisterType, WordOrder};

use crate::codec;

/// The type of a point. All are high word first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Int16,
    Uint16,
    Acc16,
    Enum16,
    Bitfield16,
    Count,
    Sunssf,
    Pad,
    Int32,
    Uint32,
    Acc32,
    Enum32,
    Bitfield32,
    Float32,
    Ipaddr,
    Int64,
    Uint64,
    Acc64,
    Bitfield64,
    Eui48,
    /// With its registers.
    Text(u16),
}

/// An EUI-48 lies in the low bytes of its registers.
const EUI48: u64 = 0xFFFF_FFFF_FFFF;

impl Type {
    /// By the word of the models' table: `uint16`, `string*8`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "int16" => Self::Int16,
            "uint16" => Self::Uint16,
            "acc16" => Self::Acc16,
            "enum16" => Self::Enum16,
            "bitfield16" => Self::Bitfield16,
            "count" => Self::Count,
            "sunssf" => Self::Sunssf,
            "pad" => Self::Pad,
            "int32" => Self::Int32,
            "uint32" => Self::Uint32,
            "acc32" => Self::Acc32,
            "enum32" => Self::Enum32,
            "bitfield32" => Self::Bitfield32,
            "float32" => Self::Float32,
            "ipaddr" => Self::Ipaddr,
            "int64" => Self::Int64,
            "uint64" => Self::Uint64,
            "acc64" => Self::Acc64,
            "bitfield64" => Self::Bitfield64,
            "eui48" => Self::Eui48,
            text => {
                Self::Text(text.strip_prefix("string*")?.parse().ok().filter(|registers| *registers > 0)?)
            }
        })
    }

    /// How many registers it takes.
    pub const fn registers(self) -> u16 {
        match self {
            Self::Int16
            | Self::Uint16
            | Self::Acc16
            | Self::Enum16
            | Self::Bitfield16
            | Self::Count
            | Self::Sunssf
            | Self::Pad => 1,
            Self::Int32
            | Self::Uint32
            | Self::Acc32
            | Self::Enum32
            | Self::Bitfield32
            | Self::Float32
            | Self::Ipaddr => 2,
            Self::Int64 | Self::Uint64 | Self::Acc64 | Self::Bitfield64 | Self::Eui48 => 4,
            Self::Text(registers) => registers,
        }
    }

    /// Is it a set of flags?
    pub const fn is_bits(self) -> bool {
        matches!(self, Self::Bitfield16 | Self::Bitfield32 | Self::Bitfield64)
    }

    /// Its bits; none when it is not implemented, has too few words, or is no number at all. An
    /// accumulator's 0 is "not implemented" as well as "nothing counted yet": the caller decides.
    pub fn bits(self, words: &[u16]) -> Option<u64> {
        let words = words.get(..usize::from(self.registers()))?;
        let bits = words.iter().fold(0_u64, |bits, word| bits << 16 | u64::from(*word));
        let implemented = match self {
            Self::Int16 | Self::Sunssf => bits != 0x8000,
            Self::Uint16 | Self::Enum16 | Self::Bitfield16 => bits != 0xFFFF,
            Self::Int32 => bits != 0x8000_0000,
            Self::Uint32 | Self::Enum32 | Self::Bitfield32 => bits != 0xFFFF_FFFF,
            Self::Int64 => bits != 1 << 63,
            Self::Uint64 | Self::Bitfield64 => bits != u64::MAX,
            Self::Eui48 => bits & EUI48 != EUI48,
            Self::Ipaddr | Self::Count => bits != 0,
            Self::Float32 => !f32::from_bits(bits as u32).is_nan(),
            Self::Acc16 | Self::Acc32 | Self::Acc64 => true,
            Self::Pad | Self::Text(_) => false,
        };
        implemented.then_some(bits)
    }

    /// Its number, not scaled; none where there is none.
    pub fn number(self, words: &[u16]) -> Option<f64> {
        let bits = self.bits(words)?;
        let signed = match self {
            Self::Int16 | Self::Sunssf => RegisterType::I16,
            Self::Int32 => RegisterType::I32,
            Self::Int64 => RegisterType::I64,
            Self::Float32 => RegisterType::F32,
            Self::Ipaddr | Self::Eui48 => return None,
            _ => return Some(bits as f64),
        };
        codec::number(words, signed, WordOrder::Big)
    }

    /// What it says in words, for the types that are no numbers.
    pub fn text(self, words: &[u16]) -> Option<String> {
        match self {
            Self::Text(registers) => {
                let text = codec::text(words.get(..usize::from(registers))?);
                (!text.is_empty()).then_some(text)
            }
            Self::Ipaddr => {
                let bits = self.bits(words)? as u32;
                Some(std::net::Ipv4Addr::from_bits(bits).to_string())
            }
            Self::Eui48 => {
                let bytes = self.bits(words)?.to_be_bytes();
                Some(bytes[2..].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTEGERS: [&str; 16] = [
        "int16",
        "uint16",
        "acc16",
        "enum16",
        "bitfield16",
        "count",
        "sunssf",
        "int32",
        "uint32",
        "acc32",
        "enum32",
        "bitfield32",
        "int64",
        "uint64",
        "acc64",
        "bitfield64",
    ];

    fn words(bits: u64, registers: u16) -> Vec<u16> {
        (0..registers).rev().map(|place| (bits >> (16 * place)) as u16).collect()
    }

    /// The one bit pattern that is no value, by the specification's list; an accumulator has none.
    fn sentinel(name: &str, width: u32) -> Option<u64> {
        match name {
            "count" => Some(0),
            _ if name.starts_with("acc") => None,
            _ if name.starts_with("int") || name == "sunssf" => Some(1 << (width - 1)),
            _ => Some(u64::MAX >> (64 - width)),
        }
    }

    proptest! {
        #[test]
        fn every_integer_but_its_sentinel_is_the_number_that_was_meant(
            name in proptest::sample::select(&INTEGERS[..]),
            any in any::<u64>(),
            special in 0..4_u8,
        ) {
            let kind = Type::parse(name).unwrap();
            let width = u32::from(kind.registers()) * 16;
            let mask = u64::MAX >> (64 - width);
            // Sentinels and their neighbours are met often enough.
            let bits = match special {
                0 => any,
                1 => sentinel(name, width).unwrap_or(0),
                2 => sentinel(name, width).unwrap_or(0).wrapping_add(1),
                _ => sentinel(name, width).unwrap_or(0).wrapping_sub(1),
            } & mask;
            let signed = name.starts_with("int") || name == "sunssf";
            let meant = if signed { ((bits << (64 - width)) as i64 >> (64 - width)) as f64 } else { bits as f64 };
            let wanted = (Some(bits) != sentinel(name, width)).then_some(meant);
            prop_assert_eq!(kind.number(&words(bits, kind.registers())), wanted);
            prop_assert_eq!(kind.number(&words(bits, kind.registers())[1..]), None, "a word is missing");
        }

        #[test]
        fn every_float_is_itself_and_whatever_is_no_number_is_none(bits in any::<u32>(), exponent in any::<bool>()) {
            let bits = if exponent { bits | 0x7F80_0000 } else { bits };
            let value = f32::from_bits(bits);
            let wanted = value.is_finite().then(|| f64::from(value));
            prop_assert_eq!(Type::Float32.number(&words(u64::from(bits), 2)), wanted);
        }

        #[test]
        fn a_scaled_integer_is_the_decimal_that_the_device_means(raw in any::<i32>(), shift in -10..=10_i16) {
            let decimal: f64 = format!("{raw}e{shift}").parse().unwrap();
            prop_assert_eq!(codec::scaled(f64::from(raw), shift), decimal);
        }

        #[test]
        fn text_of_any_words_has_no_padding_and_no_control_characters(words in proptest::collection::vec(any::<u16>(), 8)) {
            if let Some(text) = Type::Text(8).text(&words) {
                prop_assert!(!text.is_empty() && text.trim() == text && !text.contains(char::is_control));
            }
            prop_assert_eq!(Type::Text(9).text(&words), None, "too few words");
        }
    }

    #[test]
    fn the_nan_of_fronius_is_no_value() {
        assert_eq!(Type::Float32.number(&[0x7FBF, 0xFF80]), None);
        assert_eq!(Type::Float32.number(&[0x7FC0, 0x0000]), None);
    }

    #[test]
    fn addresses_are_texts_and_missing_ones_are_none() {
        assert_eq!(Type::Ipaddr.text(&[0xC0A8, 0x0132]).as_deref(), Some("192.168.1.50"));
        assert_eq!(Type::Ipaddr.text(&[0, 0]), None);
        assert_eq!(Type::Eui48.text(&[0, 0x0003, 0xAC12, 0x34FF]).as_deref(), Some("00:03:ac:12:34:ff"));
        assert_eq!(Type::Eui48.text(&[0, 0xFFFF, 0xFFFF, 0xFFFF]), None);
        assert_eq!((Type::Ipaddr.number(&[1, 1]), Type::Pad.number(&[7])), (None, None));
    }

    #[test]
    fn strings_end_at_the_first_nul_and_an_empty_one_is_none() {
        assert_eq!(Type::Text(2).text(&[0x4142, 0x2000]).as_deref(), Some("AB"));
        assert_eq!((Type::Text(2).text(&[0, 0x4142]), Type::parse("string*0")), (None, None));
    }
}
