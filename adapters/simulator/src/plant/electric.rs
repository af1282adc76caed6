//! The plant's powers on its phases: voltages, currents, frequency. Pure; nothing here is stored.

use super::PlantState;

/// Load's part of each phase, by number of phases; the last phase takes the rest.
const LOAD_PARTS: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.6, 0.4, 0.0], [0.45, 0.3, 0.25]];
const VOLT_OFFSETS: [f64; 3] = [0.6, -0.4, 0.1];
/// Volts lost per imported kilowatt of a phase.
const VOLTS_PER_KW: f64 = 0.4;

/// One instant on one to three phases; phases that do not exist are 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Electric {
    pub phases: usize,
    /// W, whole, sum exactly the load.
    pub load: [f64; 3],
    /// W, whole, sum exactly the inverter's output.
    pub inverter: [f64; 3],
    /// W, whole, sum exactly the grid's power.
    pub grid: [f64; 3],
    /// Phase to neutral, V.
    pub volts: [f64; 3],
    /// Hz.
    pub hertz: f64,
}

impl Electric {
    pub fn new(state: &PlantState, phases: usize) -> Self {
        let phases = phases.clamp(1, 3);
        let nominal = if phases == 2 { 120.0 } else { 230.0 };
        let load = parts(state.load, phases, LOAD_PARTS[phases - 1]);
        let inverter = parts(state.inverter, phases, [1.0 / phases as f64; 3]);
        let mut grid = [0.0; 3];
        let mut volts = [0.0; 3];
        for phase in 0..phases {
            grid[phase] = load[phase] - inverter[phase];
            volts[phase] = nominal + VOLT_OFFSETS[phase] - grid[phase] / 1000.0 * VOLTS_PER_KW;
        }
        let hertz = 50.0 + 0.02 * (state.hour * 40.0).sin();
        Self { phases, load, inverter, grid, volts, hertz }
    }

    /// Mean phase-to-neutral voltage, V.
    pub fn mean_volts(&self) -> f64 {
        self.volts.iter().sum::<f64>() / self.phases as f64
    }

    /// Between a phase and the next one, V.
    pub fn volts_between(&self, phase: usize) -> f64 {
        let (a, b) = (self.volts[phase], self.volts[(phase + 1) % self.phases]);
        if self.phases == 2 { a + b } else { (a * a + b * b + a * b).sqrt() }
    }
}

fn parts(total: f64, phases: usize, parts: [f64; 3]) -> [f64; 3] {
    let mut split = [0.0; 3];
    for phase in 0..phases - 1 {
        split[phase] = (total * parts[phase]).floor();
    }
    split[phases - 1] = total - split[..phases - 1].iter().sum::<f64>();
    split
}
