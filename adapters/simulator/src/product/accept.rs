//! Which values a device takes in its registers. Pure.
//!
//! A register takes what a state writes there, a quantity up to its ends and the device's rating, what a setting
//! allows, what the unit is set up with, and what it held from the factory.

use adapter_api::profile::{Profile, Quantity, Setpoint, Write};

use super::{
    factory::of_setting,
    registers::{Registers, encoded, split},
    states::{self, Memory, addresses, constant, full, masked},
};
use crate::{
    Exception,
    plant::{BATTERY_W, RATED_W},
};

/// Would the registers from `first` on be all right like this? `clamps`: a quantity beyond its ends is moved there.
pub(super) fn take(
    profile: &Profile,
    memory: &mut Memory,
    factory: &Memory,
    written: &[u16],
    clamps: bool,
) -> Result<(), Exception> {
    for at in written {
        if memory.get(at) == factory.get(at) || takes(profile, memory, *at) {
            continue;
        }
        if !clamps || !clamp(profile, memory, *at) {
            return Err(Exception::IllegalValue);
        }
    }
    Ok(())
}

fn takes(profile: &Profile, memory: &Memory, at: u16) -> bool {
    let by_setpoint = writes(profile, at).any(|(group, setpoint, write)| match constant(write) {
        Some(wanted) => {
            let found = split(wanted, addresses(write).len(), write.order);
            let mask = split(masked(write), found.len(), write.order);
            let mut each = addresses(write).into_iter().zip(found.into_iter().zip(mask));
            each.all(|(at, (wanted, mask))| {
                (memory.get(&at).copied().unwrap_or_default() ^ wanted) & mask == 0
            })
        }
        None => {
            let raw = states::raw(write, memory);
            let (least, most) = ends(group, setpoint, write);
            (least..=most).contains(&raw) || write.otherwise.is_some_and(|otherwise| raw == otherwise as f64)
        }
    });
    let by_setting =
        profile.settings.values().filter(|setting| of_setting(setting).contains(&at)).any(|setting| {
            let mut registers = Registers::default();
            *registers.table_mut(adapter_api::profile::Function::Holding) = memory.clone();
            let bits =
                registers.bits(adapter_api::profile::Function::Holding, &of_setting(setting), setting.order);
            let value = super::registers::decoded(setting.kind, bits) * setting.scale;
            (setting.min - 1e-9..=setting.max + 1e-9).contains(&value)
        });
    let by_setup =
        || profile.setup.iter().any(|setup| setup.register == at && memory.get(&at) == Some(&setup.value));
    by_setpoint || by_setting || by_setup()
}

/// Moves the quantity that has this register to its end; false where there is none.
fn clamp(profile: &Profile, memory: &mut Memory, at: u16) -> bool {
    let Some((group, setpoint, write)) = writes(profile, at).find(|(.., write)| constant(write).is_none())
    else {
        return false;
    };
    let (least, most) = ends(group, setpoint, write);
    let bits = encoded(write.kind, states::raw(write, memory).clamp(least, most));
    memory.extend(addresses(write).into_iter().zip(split(bits, addresses(write).len(), write.order)));
    true
}

/// The writes of all setpoints that have this register.
fn writes(profile: &Profile, at: u16) -> impl Iterator<Item = (&str, &Setpoint, &Write)> {
    let all = profile
        .setpoints
        .iter()
        .flat_map(|(group, setpoint)| setpoint.writes().map(move |write| (group.as_str(), setpoint, write)));
    all.filter(move |(.., write)| addresses(write).contains(&at))
}

/// Least and greatest raw value of a quantity.
fn ends(group: &str, setpoint: &Setpoint, write: &Write) -> (f64, f64) {
    let rating = f64::from(if group == "battery" { BATTERY_W } else { RATED_W });
    let most = match write.from {
        Some(Quantity::Power) => rating.max(setpoint.most.unwrap_or_default()),
        Some(Quantity::Most) => full(write.of),
        Some(Quantity::Percent | Quantity::Soc) => 100.0,
        _ => f64::MAX,
    };
    let (a, b) = (0.0 / write.scale, most / write.scale);
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let least = write.min.map_or(low, |min| (min as f64).max(low));
    let greatest = write.max.map_or(high, |max| (max as f64).min(high));
    (least - 1e-9, greatest + 1e-9)
}
