//! The load meter: an Eastron SDM630 as its profile describes it. It never decides a register; the
//! profile does, and a test holds the well-known ones against it.

use adapter_api::profile::{self, Function};

use crate::{Device, Exception, PlantState, Table, live::LivePlant, product};

/// The profile that it follows.
pub(crate) const PROFILE: &str = "eastron-sdm630";
/// Registers 0..=400 answer, with zero where nothing is; real ones refuse what lies beyond.
const REGISTERS: u16 = 401;

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
        if table != Table::Input || u32::from(address) + u32::from(count) > REGISTERS.into() {
            return Err(Exception::IllegalAddress);
        }
        Ok(image(&self.plant.now())[usize::from(address)..][..usize::from(count)].to_vec())
    }

    fn write(&mut self, _address: u16, _values: &[u16]) -> Result<(), Exception> {
        Err(Exception::IllegalAddress)
    }
}

fn image(state: &PlantState) -> Vec<u16> {
    match profile::builtin().get(PROFILE) {
        Some(profile) => product::loads(profile, *state, Function::Input, REGISTERS),
        None => vec![0; REGISTERS.into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::{Plant, PlantSettings};

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
