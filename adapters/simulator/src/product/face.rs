//! All registers of a device at one instant. Pure.
//!
//! From below: what recognises it (signature), texts, ratings, points, the checks of its parts, what setpoints require; above all of them what was
//! written and can be read back.

use adapter_api::profile::{Function, Profile, WordOrder};

use super::{
    check, encode, factory,
    map::Map,
    registers::Registers,
    scene::{Scene, Side},
    states::Memory,
};
use crate::{
    PlantState,
    plant::{BATTERY_W, CAPACITY_WH, RATED_W},
};

const SERIAL: &str = "SIM";
const FIRMWARE: &str = "1.0.0";

/// What of a device is to be seen.
pub(super) struct Face<'a> {
    pub profile: &'a Profile,
    pub map: &'a Map,
    /// Parts that it does not have.
    pub absent: &'a [String],
    /// What a meter alone measures.
    pub lone: Side,
    /// Is what its setpoints require so?
    pub ready: bool,
}

impl Face<'_> {
    pub fn registers(&self, state: PlantState, memory: &Memory) -> Registers {
        let profile = self.profile;
        let mut registers = self.map.blank();
        identity(profile, &mut registers);
        ratings(profile, &mut registers);
        for check in profile.signature.iter().flat_map(|signature| &signature.checks) {
            check::make(check, &mut registers, true);
        }
        encode::points(profile, &Scene::new(profile, state), self.lone, self.absent, &mut registers);
        for (name, part) in &profile.parts {
            if let Some(present) = &part.present {
                check::make(present, &mut registers, !self.absent.contains(name));
            }
        }
        for check in factory::required(profile) {
            check::make(check, &mut registers, self.ready);
        }
        for (&at, &value) in memory.iter().filter(|(at, _)| !self.map.is_blind(**at)) {
            registers.set(Function::Holding, at, value);
        }
        registers
    }
}

fn identity(profile: &Profile, registers: &mut Registers) {
    let model = profile.models.first().map_or("", String::as_str);
    let parts = profile.parts.values().map(|part| &part.identity);
    for (number, identity) in (1..).zip(std::iter::once(&profile.identity).chain(parts)) {
        for (text, what) in [
            (identity.serial, format!("{SERIAL}{number:07}")),
            (identity.model, model.to_owned()),
            (identity.firmware, FIRMWARE.to_owned()),
        ] {
            let Some(text) = text else { continue };
            if text.number {
                let at: Vec<u16> = (text.register..=u16::MAX).take(text.length.into()).collect();
                registers.put(text.function, &at, WordOrder::Big, number);
            } else {
                registers.put_text(text.function, text.register, text.length, &what, text.swapped);
            }
        }
    }
}

fn ratings(profile: &Profile, registers: &mut Registers) {
    let ratings = &profile.ratings;
    for (rating, value) in [
        (&ratings.power, f64::from(RATED_W)),
        (&ratings.charge, f64::from(BATTERY_W)),
        (&ratings.discharge, f64::from(BATTERY_W)),
        (&ratings.capacity, CAPACITY_WH / 1000.0),
    ] {
        if let Some(rating) = rating {
            encode::alone(profile, rating, value, registers);
        }
    }
}
