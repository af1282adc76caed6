//! Checks of a profile: do registers hold what they must, and which values make them do so? Pure.

use adapter_api::profile::{Check, Expect, Good};

use super::registers::{Registers, decoded, encoded};

/// Does it hold?
pub(super) fn holds(check: &Check, registers: &Registers) -> bool {
    match &check.expect {
        Expect::Text(text) => {
            let words = addresses(check).into_iter().map(|at| registers.get(check.function, at));
            let bytes: Vec<u8> = words.flat_map(u16::to_be_bytes).collect();
            bytes.starts_with(text.as_bytes())
        }
        Expect::Number { kind, order, good } => {
            let bits = registers.bits(check.function, &addresses(check), *order);
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
            match good {
                Good::Between { scale, min, max } => (*min..=*max).contains(&(decoded(*kind, bits) * scale)),
                Good::OneOf { scale, values } => {
                    values.iter().any(|value| near(decoded(*kind, bits) * scale, *value))
                }
                Good::Bits { mask, values } => values.contains(&(bits as u32 & mask)),
            }
        }
    }
}

/// Makes it hold, or not, unless it is so already. Bits that do not count stay.
pub(super) fn make(check: &Check, registers: &mut Registers, wanted: bool) {
    if holds(check, registers) == wanted {
        return;
    }
    let Expect::Number { kind, order, good } = &check.expect else {
        let Expect::Text(text) = &check.expect else { return };
        let text = if wanted { text.as_str() } else { "" };
        return registers.put_text(check.function, check.register, check.count, text, false);
    };
    let at = addresses(check);
    let old = registers.bits(check.function, &at, *order);
    let candidates: Vec<u64> = match good {
        Good::Bits { mask, values } => {
            let others = [0, *mask].into_iter().chain((0..32).map(|bit| mask & 1 << bit));
            let kept = old & !u64::from(*mask);
            values.iter().copied().chain(others).map(|bits| kept | u64::from(bits)).collect()
        }
        Good::OneOf { scale, values } => {
            let raw = values.iter().map(|value| value / scale);
            raw.flat_map(|raw| [raw, raw + 1.0, raw - 1.0])
                .chain([0.0])
                .map(|raw| encoded(*kind, raw))
                .collect()
        }
        Good::Between { scale, min, max } => {
            let ends = [*min, *max].map(|end| end.clamp(-1e9, 1e9) / scale);
            let [first, last] = if ends[0] <= ends[1] { ends } else { [ends[1], ends[0]] };
            let middle = f64::midpoint(first, last);
            let raw = [middle, first.ceil(), last.floor(), first - 1.0, last + 1.0, 0.0];
            raw.map(|raw| encoded(*kind, raw)).to_vec()
        }
    };
    for bits in candidates {
        registers.put(check.function, &at, *order, bits);
        if holds(check, registers) == wanted {
            return;
        }
    }
    registers.put(check.function, &at, *order, old);
}

/// The registers that it looks at.
pub(super) fn addresses(check: &Check) -> Vec<u16> {
    (check.register..=u16::MAX).take(check.count.into()).collect()
}
