//! Every profile that is compiled in can be served: it answers each of its points, and what its states write is
//! what it does.

use adapter_api::profile::{Discovery, Function, Profile, Quantity, Setpoint, Write, builtin};

use super::product::still;
use crate::{Product, Table};

/// As an adapter would, in its own words: raw words of a write, for half of what goes.
fn words(write: &Write, before: u16) -> Vec<u16> {
    let quantity = match write.from {
        Some(Quantity::Power) => 1_000.0,
        Some(Quantity::Percent | Quantity::Soc) => 40.0,
        Some(Quantity::Current) => 10.0,
        Some(Quantity::Timer) => 60.0,
        Some(Quantity::Most) => match write.of {
            adapter_api::profile::Rating::Power => 6_000.0,
            _ => 5_000.0,
        },
        None => 0.0,
    };
    let raw = write.value.unwrap_or_else(|| (quantity / write.scale) as i64);
    let raw = match write.from {
        Some(Quantity::Timer) => raw.clamp(write.min.unwrap_or(raw), write.max.unwrap_or(raw)),
        Some(Quantity::Soc) => write.otherwise.unwrap_or(raw),
        _ => raw,
    };
    if let Some(mask) = write.mask {
        return vec![before & !mask | raw as u16 & mask];
    }
    let bits = if write.kind == adapter_api::profile::RegisterType::F32 {
        u64::from((raw as f32).to_bits())
    } else {
        raw as u64
    };
    let mut words: Vec<u16> = (0..write.kind.registers()).map(|word| (bits >> (16 * word)) as u16).collect();
    if write.order == adapter_api::profile::WordOrder::Big {
        words.reverse();
    }
    words
}

async fn start(profile: &Profile) -> Product {
    Product::serve(profile.clone(), still()).await.unwrap()
}

#[tokio::test]
async fn every_profile_answers_each_of_its_points() {
    for (name, profile) in builtin() {
        let product = start(profile).await;
        for (part, point, table) in profile.all_points() {
            for term in &table.terms {
                let (first, last) = term.span();
                let of = if term.function == Function::Input { Table::Input } else { Table::Holding };
                let answer = product.port().peek(product.unit(), of, first, last - first + 1);
                assert!(answer.is_ok(), "{name}: {part} {point} at {first}: {answer:?}");
            }
        }
        assert!(
            profile.discovery != Some(Discovery::Sunspec)
                || product.port().peek(product.unit(), Table::Holding, 40_000, 2).is_ok()
        );
    }
}

/// Writes a state as a gateway does; the exception where the device refuses.
async fn tell(product: &Product, setpoint: &Setpoint, state: &str) -> Result<(), String> {
    let mut wire = super::wire::Wire::to(product.addr()).await;
    let writes = &setpoint.states[state].writes;
    let mut at = 0;
    while at < writes.len() {
        let first = writes[at].register;
        let mut values = Vec::new();
        loop {
            let before = product.port().peek(product.unit(), Table::Holding, writes[at].register, 1);
            values.extend(words(&writes[at], before.map_or(0, |read| read[0])));
            at += 1;
            if !writes.get(at).is_some_and(|write| write.together) {
                break;
            }
        }
        let frame = wire.ask(product.unit(), &super::wire::write_many(first, &values)).await.unwrap();
        if frame.pdu[0] & 0x80 != 0 {
            return Err(format!("{values:?} at {first} is refused with {}", frame.pdu[1]));
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_state_of_every_profile_is_entered_by_its_own_writes() {
    let mut wrong = Vec::new();
    for (name, profile) in builtin() {
        for (group, setpoint) in &profile.setpoints {
            let product = start(profile).await;
            let first = product.told(group).map(|told| told.0);
            if !["auto", "off", "soc"].map(str::to_owned).iter().any(|safe| first.as_ref() == Some(safe)) {
                wrong.push(format!("{name}: {group} begins as {first:?}"));
            }
            for state in setpoint.states.keys().filter(|state| !setpoint.states[*state].writes.is_empty()) {
                let product = start(profile).await;
                let told = tell(&product, setpoint, state).await;
                let is = product.told(group);
                if told.is_err() || is.as_ref().map(|is| &is.0) != Some(state) {
                    wrong.push(format!("{name}: {group} told {state} ({told:?}) is {is:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
