//! How a device comes from the factory: what stands in the registers that can be written. Pure.
//!
//! Limits stand at the full rating, the reserve at the plant's least content, what wears out at its full value (so
//! that it bounds nothing), a battery's power at 0; then the constants of `auto` and `off`. Settings stand at their
//! greatest value, percentages at their least. What setpoints require of such registers is so, or is not. What a gateway sets a unit up with is not so yet.

use std::collections::BTreeSet;

use adapter_api::profile::{Check, Function, Profile, Quantity, Setpoint, Setting, Write};

use super::{
    check,
    registers::{Registers, encoded},
    scene::battery_volts,
    states::{self, Memory, SAFE, addresses, constant, masked},
};
use crate::plant::{BATTERY_W, EMPTY_PERCENT, RATED_W};

const HOLDING: Function = Function::Holding;
/// For the voltage that a full current is computed with.
const HALF: f64 = 50.0;

/// All registers that can be written, as they are at first.
pub(super) fn memory(profile: &Profile, ready: bool) -> Memory {
    let mut registers = Registers::default();
    for setting in profile.settings.values() {
        let value = if setting.unit == "%" { setting.min } else { setting.max };
        let bits = encoded(setting.kind, (value / setting.scale).trunc());
        registers.put(HOLDING, &of_setting(setting), setting.order, bits);
    }
    for setup in &profile.setup {
        registers.set(HOLDING, setup.register, u16::from(setup.value == 0));
    }
    for (group, setpoint) in &profile.setpoints {
        for write in setpoint.writes() {
            addresses(write).into_iter().for_each(|at| registers.have(HOLDING, at));
        }
        let mut told = BTreeSet::new();
        for write in setpoint.writes().filter(|write| constant(write).is_none()) {
            put(&mut registers, write, encoded(write.kind, quantity(profile, group, setpoint, write)));
            told.insert(write.register);
        }
        for write in setpoint.writes().filter(|write| setpoint.wears(write)) {
            if told.insert(write.register) {
                put(&mut registers, write, other(setpoint, write));
            }
        }
    }
    let known: BTreeSet<u16> = registers.table(HOLDING).keys().copied().collect();
    for check in checks(profile) {
        if lies_in(check, &known) {
            check::make(check, &mut registers, true);
        }
    }
    for setpoint in profile.setpoints.values() {
        let safe = SAFE.iter().filter_map(|name| setpoint.states.get(*name));
        for write in safe.flat_map(|state| &state.writes) {
            if let Some(bits) = constant(write) {
                put(&mut registers, write, bits);
            }
        }
    }
    for check in required(profile) {
        if lies_in(check, &known) {
            check::make(check, &mut registers, ready);
        }
    }
    registers.table(HOLDING).clone()
}

fn lies_in(check: &Check, known: &BTreeSet<u16>) -> bool {
    check.function == HOLDING && check::addresses(check).iter().all(|at| known.contains(at))
}

/// What its setpoints require.
pub(super) fn required(profile: &Profile) -> impl Iterator<Item = &Check> {
    let all = profile.setpoints.values().flat_map(|setpoint| &setpoint.requires);
    all.map(|requirement| &requirement.check)
}

/// What a profile recognises the device and its parts by.
pub(super) fn checks(profile: &Profile) -> impl Iterator<Item = &Check> {
    let signature = profile.signature.iter().flat_map(|signature| &signature.checks);
    signature.chain(profile.parts.values().filter_map(|part| part.present.as_ref()))
}

/// The registers of a setting.
pub(super) fn of_setting(setting: &Setting) -> Vec<u16> {
    (setting.register..=u16::MAX).take(setting.kind.registers().into()).collect()
}

/// Only the bits that the write changes.
fn put(registers: &mut Registers, write: &Write, bits: u64) {
    let at = addresses(write);
    let mask = masked(write);
    let old = registers.bits(HOLDING, &at, write.order);
    registers.put(HOLDING, &at, write.order, old & !mask | bits & mask);
}

/// The raw value of a quantity that nobody told yet.
fn quantity(profile: &Profile, group: &str, setpoint: &Setpoint, write: &Write) -> f64 {
    let bounds = setpoint.wears(write) || group != "battery";
    let volts = battery_volts(profile, HALF);
    let value = match write.from {
        Some(Quantity::Soc) if group == "reserve" => EMPTY_PERCENT,
        Some(Quantity::Soc) => return write.otherwise.map_or(100.0 / write.scale, |raw| raw as f64),
        Some(Quantity::Power | Quantity::Most) if bounds && group == "battery" => f64::from(BATTERY_W),
        Some(Quantity::Power | Quantity::Most) if bounds => f64::from(RATED_W),
        Some(Quantity::Percent) if bounds => 100.0,
        Some(Quantity::Current) if bounds => (f64::from(BATTERY_W) / volts).ceil(),
        _ => 0.0,
    };
    let (least, most) = write.kind.bounds();
    let (least, most) = (write.min.unwrap_or(least), write.max.unwrap_or(most));
    (value / write.scale).trunc().clamp(least as f64, most.max(least) as f64)
}

/// A value that is none of those that any state writes there.
fn other(setpoint: &Setpoint, write: &Write) -> u64 {
    let same = setpoint.writes().filter(|other| other.register == write.register && other.kind == write.kind);
    let taken: BTreeSet<u64> = same.filter_map(states::constant).collect();
    let full = write.max.map_or(100, |max| encoded(write.kind, max as f64));
    let mut candidates =
        [full, 0, 1, 2, 100, 5_000].into_iter().chain(3..100).map(|bits| bits & masked(write));
    candidates.find(|bits| !taken.contains(bits)).unwrap_or(full)
}
