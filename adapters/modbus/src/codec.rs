//! Registers ↔ values. Pure.
//!
//! `None` always means "the device has no such value": a sentinel, a NaN, or a scale factor that is
//! missing itself. A value without its scale factor is no value.

use adapter_api::profile::{RegisterType, WordOrder};

/// The most that a SunSpec scale factor shifts.
const MAX_SHIFT: i16 = 10;

/// The raw bits of registers in the order of the table.
pub fn bits(words: &[u16], order: WordOrder) -> u64 {
    let push = |bits: u64, word: &u16| bits << 16 | u64::from(*word);
    match order {
        WordOrder::Big => words.iter().fold(0, push),
        WordOrder::Little => words.iter().rev().fold(0, push),
    }
}

/// The number that raw bits are, of so many as the type takes; `None` for a NaN.
pub fn of_bits(bits: u64, kind: RegisterType) -> Option<f64> {
    // The casts cut `bits` to the width of the type.
    let value = match kind {
        RegisterType::U16 | RegisterType::U32 | RegisterType::U64 => bits as f64,
        RegisterType::I16 => f64::from(bits as u16 as i16),
        RegisterType::I32 => f64::from(bits as u32 as i32),
        RegisterType::I64 => bits as i64 as f64,
        RegisterType::F32 => f64::from(f32::from_bits(bits as u32)),
    };
    value.is_finite().then_some(value)
}

/// The raw number in the registers of a profile's point; `None` when they are too few, or a NaN.
pub fn number(words: &[u16], kind: RegisterType, order: WordOrder) -> Option<f64> {
    of_bits(bits(words.get(..usize::from(kind.registers()))?, order), kind)
}

/// The registers of a whole raw number, which must fit into its type; of a float, the float of that number.
pub fn registers(raw: i64, kind: RegisterType, order: WordOrder) -> Vec<u16> {
    let bits = if kind == RegisterType::F32 { u64::from((raw as f32).to_bits()) } else { raw as u64 };
    let count = kind.registers();
    let words = (0..count).map(|place| (bits >> (16 * place)) as u16);
    match order {
        WordOrder::Big => words.rev().collect(),
        WordOrder::Little => words.collect(),
    }
}

/// raw × scale, as the decimal that is meant: 7 × 0.1 is 0.7.
pub fn times(raw: f64, scale: f64) -> f64 {
    let parts = (1.0 / scale).round();
    if (parts * scale - 1.0).abs() < 1e-12 { raw / parts } else { raw * scale }
}

/// A SunSpec uint16, enum16 or bitfield16.
pub fn unsigned(word: u16) -> Option<u16> {
    (word != 0xFFFF).then_some(word)
}

/// A SunSpec int16.
pub fn signed(word: u16) -> Option<i16> {
    (word != 0x8000).then_some(word as i16)
}

/// A SunSpec scale factor: −10 to 10.
pub fn shift(word: u16) -> Option<i16> {
    signed(word).filter(|shift| shift.abs() <= MAX_SHIFT)
}

/// raw × 10^shift. Divides by a power of ten where the shift is negative, so that 2301 with −1 is 230.1.
pub fn scaled(raw: f64, shift: i16) -> f64 {
    let factor = 10_f64.powi(i32::from(shift.abs()));
    if shift < 0 { raw / factor } else { raw * factor }
}

/// The raw magnitude for a value, rounded towards zero so that no limit is exceeded by rounding;
/// `None` when it does not fit into `max`.
pub fn unscaled(value: f64, shift: i16, max: u16) -> Option<u16> {
    // 2000 W of 5000 W in steps of 0.01 % may be 3999.9999999999995.
    const ROUNDING: f64 = 1e-6;
    let raw = (scaled(value, -shift) + ROUNDING).floor();
    (0.0..=f64::from(max)).contains(&raw).then_some(raw as u16)
}

/// A SunSpec string: NUL or blank padded; what is no text is left out.
pub fn text(words: &[u16]) -> String {
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| word.to_be_bytes()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes)
        .chars()
        .filter(|c| !c.is_control() && *c != '\u{fffd}')
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The registers of some bits, high word first.
    fn words_of(bits: u64, count: usize) -> Vec<u16> {
        let words: Vec<u16> =
            bits.to_be_bytes().chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
        words[4 - count..].to_vec()
    }

    proptest! {
        #[test]
        fn whatever_the_type_the_number_in_the_registers_comes_back_in_either_order(raw: u64) {
            use RegisterType::{F32, I16, I32, I64, U16, U32, U64};
            let float = f64::from(f32::from_bits(raw as u32));
            let cases = [
                (U16, 1, Some(f64::from(raw as u16))),
                (I16, 1, Some(f64::from(raw as u16 as i16))),
                (U32, 2, Some(f64::from(raw as u32))),
                (I32, 2, Some(f64::from(raw as u32 as i32))),
                (U64, 4, Some(raw as f64)),
                (I64, 4, Some(raw as i64 as f64)),
                (F32, 2, Some(float).filter(|value| value.is_finite())),
            ];
            for (kind, count, wanted) in cases {
                let mut words = words_of(raw, count);
                prop_assert_eq!(number(&words, kind, WordOrder::Big), wanted);
                words.reverse();
                prop_assert_eq!(number(&words, kind, WordOrder::Little), wanted);
            }
        }

        #[test]
        fn a_value_is_never_written_greater_than_asked_and_comes_back_within_one_step(
            value in 0.0..60_000.0_f64,
            shift in -4..=4_i16,
        ) {
            if let Some(raw) = unscaled(value, shift, u16::MAX) {
                let back = scaled(f64::from(raw), shift);
                let step = scaled(1.0, shift);
                prop_assert!(back <= value + step * 1e-5, "{back} for {value}");
                prop_assert!(value - back < step * 1.000_01, "{back} for {value}");
            } else {
                prop_assert!(scaled(value, -shift) > f64::from(u16::MAX));
            }
        }
    }

    #[test]
    fn registers_make_numbers_in_either_order() {
        use RegisterType::{F32, I16, I32, I64, U16, U32, U64};
        let (big, little) = (WordOrder::Big, WordOrder::Little);
        assert_eq!(number(&[0xFFFF], U16, big), Some(65_535.0));
        assert_eq!(number(&[0xFFFF], I16, big), Some(-1.0));
        assert_eq!(number(&[0x0001, 0x0002], U32, big), Some(65_538.0));
        assert_eq!(number(&[0x0002, 0x0001], U32, little), Some(65_538.0));
        assert_eq!(number(&[0xFFFF, 0xFFFE], I32, big), Some(-2.0));
        assert_eq!(number(&[0, 0, 1, 0], U64, big), Some(65_536.0));
        assert_eq!(number(&[0xFFFD, 0xFFFF, 0xFFFF, 0xFFFF], I64, little), Some(-3.0));
        assert_eq!(number(&[0x4366, 0x4CCD], F32, big), Some(f64::from(230.3_f32)));
        assert_eq!(number(&[0x4CCD, 0x4366], F32, little), Some(f64::from(230.3_f32)));
    }

    #[test]
    fn whole_numbers_become_the_registers_that_they_come_from() {
        use RegisterType::{F32, I16, I32, I64, U16, U32, U64};
        for (raw, kind) in [
            (0xFFFF_i64, U16),
            (-1, I16),
            (0x0001_0002, U32),
            (-70_000, I32),
            (1 << 40, U64),
            (-3, I64),
            (-4_321, F32),
        ] {
            for order in [WordOrder::Big, WordOrder::Little] {
                let words = registers(raw, kind, order);
                assert_eq!(words.len(), usize::from(kind.registers()));
                assert_eq!(number(&words, kind, order), Some(raw as f64), "{kind:?} {order:?}");
            }
        }
        assert_eq!(registers(0x0001_0002, U32, WordOrder::Little), [2, 1]);
    }

    #[test]
    fn any_nan_infinity_and_too_few_registers_are_no_value() {
        for nan in [[0x7FC0, 0x0000], [0x7FBF, 0xFF80], [0xFFC0, 0x0001], [0x7F80, 0x0000]] {
            assert_eq!(number(&nan, RegisterType::F32, WordOrder::Big), None, "{nan:x?}");
        }
        assert_eq!(number(&[1], RegisterType::U32, WordOrder::Big), None);
    }

    #[test]
    fn sentinels_are_no_value_and_a_bad_scale_factor_neither() {
        assert_eq!((unsigned(0xFFFF), unsigned(0x8000)), (None, Some(0x8000)));
        assert_eq!((signed(0x8000), signed(0xFFFF)), (None, Some(-1)));
        assert_eq!((shift(0x8000), shift(11), shift(0xFFF6), shift(10)), (None, None, Some(-10), Some(10)));
    }

    #[test]
    fn scaling_gives_the_decimal_that_the_device_means() {
        assert_eq!(scaled(2301.0, -1), 230.1);
        assert_eq!((times(7.0, 0.1), times(-3.0, 0.01), times(3.0, -0.1)), (0.7, -0.03, -0.3));
        assert_eq!(
            (times(7.0, 10.0), times(7.0, 1.0), times(7.0, 0.3), times(7.0, 0.0)),
            (70.0, 7.0, 2.1, 0.0)
        );
        assert_eq!(scaled(5.0, 3), 5000.0);
        assert_eq!(unscaled(230.1, -1, u16::MAX), Some(2301));
        assert_eq!(unscaled(40.0, -2, 10_000), Some(4000));
        assert_eq!(unscaled(33.333_39, -2, 10_000), Some(3333), "never above what was asked");
        assert_eq!(unscaled(1000.0, -3, 32_767), None);
        assert_eq!(unscaled(-1.0, 0, 100), None);
    }

    #[test]
    fn strings_lose_their_padding() {
        let words = |text: &[u8]| -> Vec<u16> {
            text.chunks(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
                .collect()
        };
        assert_eq!(text(&words(b"SolarEdge \0\0junk")), "SolarEdge");
        assert_eq!(text(&words(b"\0\0\0\0")), "");
        assert_eq!(text(&words(b"  A\x01\xffB  ")), "AB");
    }
}
