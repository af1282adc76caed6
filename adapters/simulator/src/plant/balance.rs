//! Who gives and who takes at one instant. Pure.

use super::{BATTERY_W, Controls};

/// Powers at one instant, whole watts. `grid = load - pv - battery`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flow {
    /// What the sun offers.
    pub sun: i64,
    /// What the inverter takes of it.
    pub pv: i64,
    /// What the home draws.
    pub load: i64,
    /// Positive: discharging.
    pub battery: i64,
    /// Positive: importing.
    pub grid: i64,
}

impl Flow {
    /// The balance for this sun and load, when the battery can take `charge` and give `discharge`.
    ///
    /// The battery covers the difference of load and sun inside the window that the controls leave.
    /// The output limit holds for the AC side: sun beyond it still charges the battery, the rest is
    /// not harvested. A set point rules instead of both: the battery gives or takes what is missing, and
    /// sun that neither it nor the set point takes is not harvested. An export limit lowers the output to what the
    /// home draws and so much more.
    pub fn balance(sun: i64, load: i64, charge: i64, discharge: i64, controls: &Controls) -> Self {
        if !controls.connected {
            return Self { sun, pv: 0, load, battery: 0, grid: load };
        }
        let export = controls.orders.export.map_or(i64::MAX, |watts| load.saturating_add(watts.max(0)));
        let limit = controls.output_limit().min(export);
        if let Some(watts) = controls.must_output() {
            let (must, most) = (watts.min(limit), i64::from(BATTERY_W));
            let battery = (must - sun).clamp(-charge.min(most), discharge.min(most));
            let pv = sun.min(must - battery).max(0);
            return Self { sun, pv, load, battery, grid: load - pv - battery };
        }
        let (least, most) = controls.window();
        let wanted = (load.min(limit) - sun).min(most).max(least);
        let from_sun_only = if controls.storage.grid_charge { wanted } else { wanted.max(-sun) };
        let battery = from_sun_only.max(-charge).min(discharge).min(limit);
        let pv = sun.min(limit - battery);
        Self { sun, pv, load, battery, grid: load - pv - battery }
    }
}
