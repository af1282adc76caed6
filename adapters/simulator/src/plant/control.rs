//! What the inverter was told, in the units of its registers, and what that means in watts.
//!
//! The meaning follows Fronius: both rates bound the battery's power, each only while its bit of
//! the mode is set, and a negative rate moves the bound beyond zero, which forces the other direction.

use super::{BATTERY_W, EMPTY_PERCENT, Orders, RATED_W};

/// 100 % in the registers' hundredths of a percent.
pub const WHOLE: u16 = 10_000;
/// Mode bit: the charge rate holds.
const LIMIT_CHARGE: u16 = 1;
/// Mode bit: the discharge rate holds.
const LIMIT_DISCHARGE: u16 = 2;

/// All controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controls {
    /// Connected to the grid?
    pub connected: bool,
    /// Greatest AC output as set, W.
    pub max_output: u16,
    /// The output limit.
    pub limit: Limit,
    /// The battery.
    pub storage: Storage,
    /// The AC power that must be.
    pub set_point: SetPoint,
    /// What goes before all of them.
    pub orders: Orders,
}

/// The output limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Hundredths of a percent of `max_output`.
    pub percent: u16,
    /// Does it hold?
    pub enabled: bool,
    /// Random delay, s. Kept, without effect.
    pub window_s: u16,
    /// Real seconds without a write after which it reverts; 0 = never.
    pub revert_s: u32,
    /// Ramp, s. Kept, without effect.
    pub ramp_s: u16,
    /// Does it hold after the revert time?
    pub revert_enabled: bool,
    /// With what, then.
    pub revert_percent: u16,
}

/// AC power of the inverter that must be, battery and sun together; positive = giving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPoint {
    /// Does it hold?
    pub enabled: bool,
    /// Is it given in watts, or in percent of `max_output`?
    pub in_watts: bool,
    /// W.
    pub watts: i32,
    /// Hundredths of a percent.
    pub percent: i16,
    /// Real seconds without a write after which it reverts; 0 = never.
    pub revert_s: u32,
    /// Does it hold after the revert time?
    pub revert_enabled: bool,
    /// With what, then, W.
    pub revert_watts: i32,
    /// With what, then, hundredths of a percent.
    pub revert_percent: i16,
}

/// The battery's controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Greatest charge power, W: what the rates are percentages of.
    pub max_charge: u16,
    /// Bit 0: the charge rate holds. Bit 1: the discharge rate holds. 0: automatic.
    pub mode: u16,
    /// Hundredths of a percent; negative forces charging.
    pub discharge_rate: i16,
    /// Hundredths of a percent; negative forces discharging.
    pub charge_rate: i16,
    /// Random delay, s. Kept, without effect.
    pub window_s: u16,
    /// Real seconds without a write after which it is automatic again; 0 = never.
    pub revert_s: u16,
    /// Ramp, s. Kept, without effect.
    pub ramp_s: u16,
    /// May it charge from the grid?
    pub grid_charge: bool,
    /// Content that stays in reserve, hundredths of a percent.
    pub reserve: u16,
}

/// Which revert timers a write starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touched {
    /// That of the battery.
    pub storage: bool,
    /// That of the output limit.
    pub limit: bool,
    /// That of the set point.
    pub set_point: bool,
}

/// What the battery's controls amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatteryMode {
    /// Covers the difference of load and sun.
    Auto,
    /// Does not discharge.
    Hold,
    /// Does not charge.
    BlockCharge,
    /// Does neither.
    Idle,
    /// Must charge.
    Charge,
    /// Must discharge.
    Discharge,
    /// Automatic within narrower limits.
    Limited,
}

impl Default for Controls {
    fn default() -> Self {
        let limit = Limit {
            percent: WHOLE,
            enabled: false,
            window_s: 0,
            revert_s: 0,
            ramp_s: 0,
            revert_enabled: false,
            revert_percent: WHOLE,
        };
        let set_point = SetPoint {
            enabled: false,
            in_watts: true,
            watts: 0,
            percent: 0,
            revert_s: 0,
            revert_enabled: false,
            revert_watts: 0,
            revert_percent: 0,
        };
        let storage = Storage {
            max_charge: BATTERY_W,
            mode: 0,
            discharge_rate: WHOLE as i16,
            charge_rate: WHOLE as i16,
            window_s: 0,
            revert_s: 0,
            ramp_s: 0,
            grid_charge: true,
            reserve: (EMPTY_PERCENT * 100.0) as u16,
        };
        Self { connected: true, max_output: RATED_W, limit, storage, set_point, orders: Orders::default() }
    }
}

impl Controls {
    /// The greatest AC output now, W.
    pub fn output_limit(&self) -> i64 {
        let whole = i64::from(self.max_output);
        let limited =
            if self.limit.enabled { whole * i64::from(self.limit.percent) / i64::from(WHOLE) } else { whole };
        self.orders.output.map_or(limited, |watts| watts.clamp(0, limited))
    }

    /// Is the output limited at all?
    pub(super) fn is_limited(&self) -> bool {
        self.limit.enabled || self.orders.output.is_some()
    }

    /// Least and greatest battery power, W, positive = discharging. Where the two contradict each
    /// other (least above greatest) the charge rate wins.
    pub(super) fn window(&self) -> (i64, i64) {
        self.orders.battery.unwrap_or_else(|| self.storage.window())
    }

    /// The AC power that must be now, W, while one must be.
    pub(super) fn must_output(&self) -> Option<i64> {
        let told = &self.set_point;
        let watts = match told.in_watts {
            true => i64::from(told.watts),
            false => i64::from(self.max_output) * i64::from(told.percent) / i64::from(WHOLE),
        };
        told.enabled.then_some(watts)
    }

    /// What the battery is told, in one word.
    pub(super) fn battery_mode(&self) -> BatteryMode {
        match self.must_output() {
            Some(watts) if watts < 0 => BatteryMode::Charge,
            Some(0) => BatteryMode::Hold,
            Some(_) => BatteryMode::Discharge,
            None if self.orders.battery.is_none() && !self.storage.is_bound() => BatteryMode::Auto,
            None => mode_of(self.window(), self.whole()),
        }
    }

    /// The greatest battery power that the window is a part of.
    fn whole(&self) -> i64 {
        if self.orders.battery.is_some() { i64::from(BATTERY_W) } else { i64::from(self.storage.max_charge) }
    }
}

/// A window in one word.
fn mode_of(window: (i64, i64), whole: i64) -> BatteryMode {
    match window {
        (least, _) if least > 0 => BatteryMode::Discharge,
        (_, most) if most < 0 => BatteryMode::Charge,
        (0, 0) => BatteryMode::Idle,
        (_, 0) => BatteryMode::Hold,
        (0, _) => BatteryMode::BlockCharge,
        (least, most) if least == -whole && most == whole => BatteryMode::Auto,
        _ => BatteryMode::Limited,
    }
}

impl Limit {
    /// What it is after the revert time.
    pub(super) fn revert(&mut self) {
        self.enabled = self.revert_enabled;
        if self.enabled {
            self.percent = self.revert_percent;
        }
    }
}

impl SetPoint {
    /// What it is after the revert time.
    pub(super) fn revert(&mut self) {
        self.enabled = self.revert_enabled;
        if self.enabled {
            (self.watts, self.percent) = (self.revert_watts, self.revert_percent);
        }
    }
}

impl Storage {
    /// Back to automatic, as after the revert time.
    pub(super) fn revert(&mut self) {
        self.mode = 0;
        self.discharge_rate = WHOLE as i16;
        self.charge_rate = WHOLE as i16;
    }

    /// Its bounds by the rates.
    fn window(&self) -> (i64, i64) {
        let watts = |rate: i16| i64::from(self.max_charge) * i64::from(rate) / i64::from(WHOLE);
        let charge = if self.mode & LIMIT_CHARGE != 0 { self.charge_rate } else { WHOLE as i16 };
        let discharge = if self.mode & LIMIT_DISCHARGE != 0 { self.discharge_rate } else { WHOLE as i16 };
        (-watts(charge), watts(discharge))
    }

    /// The content below which it does not discharge, %.
    pub(super) fn floor_percent(&self) -> f64 {
        (f64::from(self.reserve) / 100.0).max(EMPTY_PERCENT)
    }

    /// Does any rate hold?
    fn is_bound(&self) -> bool {
        self.mode & (LIMIT_CHARGE | LIMIT_DISCHARGE) != 0
    }
}
