//! Do registers hold what a profile's check wants? Pure.

use adapter_api::profile::{Check, Expect, Good};

use crate::codec;

/// Do the registers hold what the check wants?
pub(crate) fn holds(check: &Check, words: &[u16]) -> bool {
    match &check.expect {
        Expect::Text(beginning) => codec::text(words).starts_with(beginning.as_str()),
        Expect::Number { kind, order, good } => {
            let Some(raw) = codec::number(words, *kind, *order) else { return false };
            match good {
                Good::Between { scale, min, max } => (*min..=*max).contains(&(raw * scale)),
                Good::OneOf { scale, values } => values.iter().any(|value| close(raw * scale, *value)),
                // Masks go with types of 32 bits at most.
                Good::Bits { mask, values } => values.contains(&(raw as u32 & mask)),
            }
        }
    }
}

/// 123 × 0.1 is not quite 12.3.
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}
