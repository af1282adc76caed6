//! The load meter: an Eastron SDM630 as its profile describes it. It never decides a register; the
//! profile does, and a test holds the well-known ones against it.

use adapter_api::profile::{self, Function, Point, RegisterType, WordOrder};

use crate::{Device, Exception, PlantState, Table, home::LivePlant, plant::Electric};

/// The profile that it follows.
pub(crate) const PROFILE: &str = "eastron-sdm630";
/// Registers 0..=400 answer, with zero where nothing is; real ones refuse what lies beyond.
const REGISTERS: usize = 401;
const POWER_FACTOR: f64 = 0.97;

pub(crate) struct LoadMeter {
    plant: LivePlant,
}

impl LoadMeter {
    pub fn new(plant: LivePlant) -> Self {
        Self { plant }
    }
}

impl Device for LoadMeter {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        let (first, count) = (usize::from(address), usize::from(count));
        if table != Table::Input {
            return Err(Exception::IllegalAddress);
        }
        let image = image(&self.plant.now());
        image.get(first..first + count).map(<[u16]>::to_vec).ok_or(Exception::IllegalAddress)
    }

    fn write(&mut self, _address: u16, _values: &[u16]) -> Result<(), Exception> {
        Err(Exception::IllegalAddress)
    }
}

fn image(state: &PlantState) -> Vec<u16> {
    let mut image = vec![0; REGISTERS];
    let points = profile::builtin().get(PROFILE).map(|profile| &profile.points);
    for (name, point) in points.into_iter().flatten() {
        let registers = value(name, state).map(|value| encode(point, value)).unwrap_or_default();
        let first = usize::from(point.first().span().0);
        let place = first..first + registers.len();
        if let (Function::Input, Some(place)) = (point.first().function, image.get_mut(place)) {
            place.copy_from_slice(&registers);
        }
    }
    image
}

/// What a point of the profile shows, in its unit; none for a name that this meter does not know.
fn value(name: &str, state: &PlantState) -> Option<f64> {
    let now = Electric::new(state, 3);
    let phase = name.strip_suffix("L1").map(|_| 0);
    let phase = phase.or(name.strip_suffix("L2").map(|_| 1)).or(name.strip_suffix("L3").map(|_| 2));
    let current = |phase: usize| now.load[phase] / POWER_FACTOR / now.volts[phase];
    let apparent = state.load / POWER_FACTOR;
    Some(match (name.trim_end_matches(char::is_numeric), phase) {
        ("voltageL", Some(phase)) => now.volts[phase],
        ("currentL", Some(phase)) => current(phase),
        ("powerL", Some(phase)) => now.load[phase],
        ("voltage", None) => now.mean_volts(),
        ("current", None) => (0..3).map(current).sum(),
        ("activePower", None) => state.load,
        ("apparentPower", None) => apparent,
        ("reactivePower", None) => (apparent * apparent - state.load * state.load).sqrt(),
        ("powerFactor", None) => POWER_FACTOR,
        ("frequency", None) => now.hertz,
        ("energyConsumedTotal", None) => state.counters.load_wh() / 1000.0,
        ("energyProducedTotal", None) => 0.0,
        _ => return None,
    })
}

fn encode(point: &Point, value: f64) -> Vec<u16> {
    let point = point.first();
    let raw = value / point.scale;
    let bits = match point.kind {
        RegisterType::U16 => u64::from(raw.round() as u16),
        RegisterType::I16 => u64::from(raw.round() as i16 as u16),
        RegisterType::U32 => u64::from(raw.round() as u32),
        RegisterType::I32 => u64::from(raw.round() as i32 as u32),
        RegisterType::U64 => raw.round() as u64,
        RegisterType::I64 => raw.round() as i64 as u64,
        RegisterType::F32 => u64::from((raw as f32).to_bits()),
    };
    let words = (0..point.kind.registers()).map(|word| (bits >> (16 * word)) as u16);
    match point.order {
        WordOrder::Big => words.rev().collect(),
        WordOrder::Little => words.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::{Plant, PlantSettings};

    #[test]
    fn every_point_of_the_profile_shows_something() {
        let state = Plant::new(PlantSettings::default()).state();
        for (name, point) in &profile::builtin()[PROFILE].points {
            assert!(value(name, &state).is_some(), "{name}");
            assert_eq!(point.first().function, Function::Input, "{name}");
        }
    }

    #[test]
    fn the_well_known_registers_hold_what_the_maker_says() {
        let state = Plant::new(PlantSettings::default()).state();
        let image = image(&state);
        let float = |at: usize| f32::from_bits(u32::from(image[at]) << 16 | u32::from(image[at + 1]));
        assert_eq!(float(52), state.load as f32);
        assert_eq!(float(12) + float(14) + float(16), state.load as f32);
        assert_eq!(float(72), (state.counters.load_wh() / 1000.0) as f32);
        assert!((225.0..235.0).contains(&float(0)) && (225.0..235.0).contains(&float(42)));
        assert!((49.9..50.1).contains(&float(70)) && float(48) > 1.0);
        assert_eq!(image[80], 0);
    }
}
