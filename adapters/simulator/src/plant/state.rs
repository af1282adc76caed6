//! The plant's instant as others see it.

use std::time::Duration;

use super::{BatteryMode, balance::Flow};

/// Everything about one instant. Powers are whole watts and balance exactly:
/// `grid == load - pv - battery`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlantState {
    /// Real time since the start.
    pub at: Duration,
    /// Simulated hour of the day.
    pub hour: f64,
    /// What the sun offers, W.
    pub pv_available: f64,
    /// What the inverter harvests of it, W: less when a limit holds.
    pub pv: f64,
    /// What the home draws, W.
    pub load: f64,
    /// Battery power, W; positive = discharging.
    pub battery: f64,
    /// Grid power, W; positive = importing.
    pub grid: f64,
    /// AC output of the inverter, W: pv + battery; negative while it charges from the grid.
    pub inverter: f64,
    /// State of charge, %.
    pub soc: f64,
    /// What the battery is told.
    pub mode: BatteryMode,
    /// The output limit while one is enabled, W.
    pub limit: Option<f64>,
    /// The export limit while one holds, W.
    pub export_limit: Option<f64>,
    /// Below this content it does not discharge, %.
    pub reserve: f64,
    /// Lifetime counters.
    pub counters: Counters,
}

/// Watt-microseconds in a watt-hour.
const UNITS_PER_WH: u64 = 3_600_000_000;

/// Lifetime counters, integrated exactly over real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    pv: u64,
    load: u64,
    charged: u64,
    discharged: u64,
    imported: u64,
    exported: u64,
    produced: u64,
}

impl Default for Counters {
    /// A home that has lived for a while.
    fn default() -> Self {
        Self {
            pv: 8_412_300 * UNITS_PER_WH,
            load: 3_210_400 * UNITS_PER_WH,
            charged: 2_105_800 * UNITS_PER_WH,
            discharged: 1_998_100 * UNITS_PER_WH,
            imported: 1_204_700 * UNITS_PER_WH,
            exported: 4_807_200 * UNITS_PER_WH,
            produced: 8_120_900 * UNITS_PER_WH,
        }
    }
}

impl Counters {
    pub(super) fn add(&mut self, flow: &Flow, us: u64) {
        let grow = |counter: &mut u64, watts: i64| *counter += u64::try_from(watts).unwrap_or(0) * us;
        grow(&mut self.pv, flow.pv);
        grow(&mut self.load, flow.load);
        grow(&mut self.charged, -flow.battery);
        grow(&mut self.discharged, flow.battery);
        grow(&mut self.imported, flow.grid);
        grow(&mut self.exported, -flow.grid);
        grow(&mut self.produced, flow.pv + flow.battery);
    }

    /// What was counted since then; zero where that is later.
    #[must_use]
    pub fn since(&self, then: &Self) -> Self {
        Self {
            pv: self.pv.saturating_sub(then.pv),
            load: self.load.saturating_sub(then.load),
            charged: self.charged.saturating_sub(then.charged),
            discharged: self.discharged.saturating_sub(then.discharged),
            imported: self.imported.saturating_sub(then.imported),
            exported: self.exported.saturating_sub(then.exported),
            produced: self.produced.saturating_sub(then.produced),
        }
    }

    /// Harvested from the sun, Wh.
    pub fn pv_wh(&self) -> f64 {
        wh(self.pv)
    }

    /// Drawn by the home, Wh.
    pub fn load_wh(&self) -> f64 {
        wh(self.load)
    }

    /// Put into the battery, Wh.
    pub fn charged_wh(&self) -> f64 {
        wh(self.charged)
    }

    /// Taken out of the battery, Wh.
    pub fn discharged_wh(&self) -> f64 {
        wh(self.discharged)
    }

    /// Taken from the grid, Wh.
    pub fn imported_wh(&self) -> f64 {
        wh(self.imported)
    }

    /// Given to the grid, Wh.
    pub fn exported_wh(&self) -> f64 {
        wh(self.exported)
    }

    /// Given out by the inverter on its AC side, Wh.
    pub fn produced_wh(&self) -> f64 {
        wh(self.produced)
    }
}

fn wh(units: u64) -> f64 {
    units as f64 / UNITS_PER_WH as f64
}
