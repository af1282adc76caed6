//! Every profile that is compiled in can be served: it answers each of its points, and what its states write is
//! what it does.

use std::time::Duration;

use adapter_api::{
    DeviceType,
    profile::{
        Discovery, Expect, Function, Good, Point, Profile, Quantity, Rating, RegisterType, Setpoint, Term,
        Timer, WordOrder, Write, builtin,
    },
};

use super::product::still;
use crate::{Product, Table};

/// As an adapter would, in its own words: raw words of a write, for half of what goes.
fn words(write: &Write, state: &str, before: u16) -> Vec<u16> {
    let quantity = match write.from {
        Some(Quantity::Power) => 1_000.0,
        // The battery is half full.
        Some(Quantity::Soc) if state == "charge" => 90.0,
        Some(Quantity::Soc) if state == "discharge" => 10.0,
        Some(Quantity::Percent | Quantity::Soc) => 40.0,
        Some(Quantity::Current) => 10.0,
        Some(Quantity::Timer) => 60.0,
        Some(Quantity::Most) => match write.of {
            Rating::Power => 6_000.0,
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
    let bits = if write.kind == RegisterType::F32 { u64::from((raw as f32).to_bits()) } else { raw as u64 };
    let mut words: Vec<u16> = (0..write.kind.registers()).map(|word| (bits >> (16 * word)) as u16).collect();
    if write.order == WordOrder::Big {
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
            values.extend(words(&writes[at], state, before.map_or(0, |read| read[0])));
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

/// A point's value as a reader works it out from the raw words.
fn decoded(product: &Product, point: &Point) -> f64 {
    let value = |term: &Term| {
        let of = if term.function == Function::Input { Table::Input } else { Table::Holding };
        let read = |at: u16| product.port().peek(product.unit(), of, at, 1).unwrap()[0];
        let mut words: Vec<u16> = term.registers.iter().map(|at| read(*at)).collect();
        if term.order == WordOrder::Little {
            words.reverse();
        }
        let bits = words.iter().fold(0_u64, |bits, word| bits << 16 | u64::from(*word));
        let raw = match (term.mask, term.kind) {
            (Some(mask), _) => ((bits & u64::from(mask)) >> mask.trailing_zeros()) as f64,
            (_, RegisterType::I16) => f64::from(bits as u16 as i16),
            (_, RegisterType::I32) => f64::from(bits as u32 as i32),
            (_, RegisterType::I64) => bits as i64 as f64,
            (_, RegisterType::F32) => f64::from(f32::from_bits(bits as u32)),
            _ => bits as f64,
        };
        let turned = term.negative_when.as_ref().is_some_and(|check| {
            let of = if check.function == Function::Input { Table::Input } else { Table::Holding };
            let word = product.port().peek(product.unit(), of, check.register, 1).unwrap()[0];
            match &check.expect {
                Expect::Number { good: Good::OneOf { values, .. }, .. } => values.contains(&f64::from(word)),
                Expect::Number { good: Good::Bits { mask, values }, .. } => {
                    values.contains(&(u32::from(word) & mask))
                }
                other => panic!("{other:?}"),
            }
        });
        raw * term.scale * if turned { -1.0 } else { 1.0 }
    };
    point.terms.iter().map(value).sum::<f64>() + point.offset
}

#[tokio::test]
async fn the_powers_of_every_profile_are_those_of_the_plant() {
    let mut wrong = Vec::new();
    for (name, profile) in builtin() {
        let product = start(profile).await;
        for (sun, load) in [(9_000.0, 500.0), (0.0, 8_000.0), (1_000.0, 1_000.0)] {
            product.hold(Some(sun), Some(load));
            let now = product.now();
            for (part, point, table) in profile.all_points().filter(|(_, point, _)| *point == "activePower") {
                let wanted = match (part, profile.device_type) {
                    ("battery", _) | ("", DeviceType::BatteryPack) => now.battery,
                    ("grid", _) | ("", DeviceType::EnergyMeter) => now.grid,
                    ("", _) if profile.dc_includes_battery => now.pv + now.battery,
                    ("", _) => now.pv,
                    _ => continue,
                };
                let shown = decoded(&product, table);
                let room: f64 = 1.0 + table.terms.iter().map(|term| term.scale.abs()).sum::<f64>();
                if (shown - wanted).abs() > room {
                    wrong.push(format!("{name}: {part} {point} shows {shown}, is {wanted}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
                product.hold(Some(2_000.0), Some(500.0));
                let told = tell(&product, setpoint, state).await;
                let is = product.told(group);
                // Some devices have one thing for two states.
                let of = |state: &str| setpoint.states.get(state).map(|state| &state.writes);
                let same = |other: &str| of(other) == of(state);
                if told.is_err() || !is.as_ref().is_some_and(|is| same(&is.0)) {
                    wrong.push(format!("{name}: {group} told {state} ({told:?}) is {is:?}"));
                }
                let now = product.now();
                let watts = is.and_then(|is| is.1).unwrap_or(5_000.0).min(5_000.0).round();
                let does = match (group.as_str(), state.as_str()) {
                    ("battery", "charge") => now.battery == -watts && watts > 0.0,
                    ("battery", "discharge") => now.battery == watts && watts > 0.0,
                    ("battery", "hold_charge") => now.battery == 0.0,
                    ("battery", "idle") => now.battery == 0.0 || same("auto"),
                    ("battery", _) => now.battery == -1_500.0,
                    ("power_limit", "limit") => now.limit.is_some(),
                    ("export_limit", "limit") => now.export_limit.is_some(),
                    ("reserve", _) => now.reserve == 40.0,
                    _ => now.limit.is_none() && now.export_limit.is_none(),
                };
                if !does {
                    wrong.push(format!("{name}: {group} told {state} ({watts} W) does {now:?}"));
                }
                let timed = |timer: Timer| {
                    let mut writes = setpoint.states[state].writes.iter();
                    timer.fixed || writes.any(|write| write.from == Some(Quantity::Timer))
                };
                let holds = setpoint.timer.is_some_and(timed) && !["auto", "off"].contains(&state.as_str());
                product.skip(Duration::from_secs(2 * 3600));
                if product.fallbacks() != u64::from(holds && !same("auto")) {
                    wrong.push(format!("{name}: {group} {state} fell back {} times", product.fallbacks()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
