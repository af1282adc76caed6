//! The simulated home as numbers: sun, loads, battery, grid. Pure: the caller brings the time, which
//! is the real time since the start. It never reads a clock and knows no register.
//!
//! Two times meet here. The *simulated* hour runs `speed` times as fast as real time and decides the
//! sun and the loads. Energy counters integrate power over *real* time, so that a counter's growth
//! between two timestamps is the power between them. The battery's content lives in simulated time:
//! its 10 kWh fill within a simulated day, so that the state of charge moves visibly. At speed 1 both
//! agree; at speed 288 one percent of charge costs 100 Wh / 288 on the counters.
//!
//! Sun and load can be held at fixed watts; and the plant can leap ahead in long steps, for days that nobody waits for.
//!
//! Power is constant within a step and a whole number of watts, so the balance
//! `grid = load - pv - battery` and the integrals are exact.

mod balance;
mod control;
mod day;
mod electric;
mod orders;
mod revert;
mod state;

use std::time::Duration;

use self::{balance::Flow, day::Day, revert::Timers};
pub use self::{
    control::{BatteryMode, Controls, Limit, SetPoint, Storage, Touched, WHOLE},
    orders::Orders,
    revert::RevertsIn,
    state::{Counters, PlantState},
};
pub(crate) use electric::Electric;

/// The battery's usable content at 100 %, Wh.
pub const CAPACITY_WH: f64 = 10_000.0;
/// Greatest battery power in either direction, W.
pub const BATTERY_W: u16 = 5_000;
/// Rated AC output of the inverter, W.
pub const RATED_W: u16 = 6_000;
/// The battery is never emptied below this, %.
pub const EMPTY_PERCENT: f64 = 5.0;

/// Power is constant for so long. Short enough that a poller sees the day move at any speed.
const STEP_US: u64 = 100_000;
/// And for so long while it leaps ahead.
const LEAP_US: u64 = 10_000_000;
const US_PER_SECOND: u64 = 1_000_000;

/// Where a plant starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlantSettings {
    /// Simulated seconds per real second; 0, and whatever is no positive number, holds the sun and
    /// the battery's content still.
    pub speed: f64,
    /// Simulated hour at the start, 0 to 24.
    pub start_hour: f64,
    /// Decides clouds and loads.
    pub seed: u64,
    /// State of charge at the start, %.
    pub soc: f64,
}

impl Default for PlantSettings {
    fn default() -> Self {
        Self { speed: 1.0, start_hour: 12.0, seed: 1, soc: 50.0 }
    }
}

/// The home at one instant, and the way to the next.
#[derive(Debug, Clone)]
pub struct Plant {
    settings: PlantSettings,
    day: Day,
    controls: Controls,
    timers: Timers,
    now_us: u64,
    flow: Flow,
    content_wh: f64,
    counters: Counters,
    /// Sun and load that stand still, W.
    held: (Option<i64>, Option<i64>),
    step_us: u64,
}

impl Plant {
    /// A plant at its first instant.
    pub fn new(settings: PlantSettings) -> Self {
        let speed = if settings.speed.is_finite() { settings.speed.max(0.0) } else { 0.0 };
        let settings = PlantSettings { speed, ..settings };
        let mut plant = Self {
            settings,
            day: Day::new(settings.seed),
            controls: Controls::default(),
            timers: Timers::default(),
            now_us: 0,
            flow: Flow::default(),
            content_wh: CAPACITY_WH * settings.soc.clamp(0.0, 100.0) / 100.0,
            counters: Counters::default(),
            held: (None, None),
            step_us: STEP_US,
        };
        plant.flow = plant.flow_now();
        plant
    }

    /// Lives on until `to`, the real time since the start. An earlier time changes nothing.
    pub fn advance(&mut self, to: Duration) {
        let to_us = u64::try_from(to.as_micros()).unwrap_or(u64::MAX);
        while self.now_us < to_us {
            let step_end = (self.now_us / self.step_us + 1) * self.step_us;
            let next = self.timers.next(&self.controls).into_iter().fold(step_end.min(to_us), u64::min);
            self.spend(next.saturating_sub(self.now_us));
            let reverted = self.timers.run(&mut self.controls, self.now_us);
            if reverted || self.now_us == step_end {
                self.flow = self.flow_now();
            }
        }
    }

    /// The same in long steps: powers are constant for longer, and the integrals stay exact.
    pub fn leap(&mut self, to: Duration) {
        self.step_us = LEAP_US;
        self.flow = self.flow_now();
        self.advance(to);
        self.step_us = STEP_US;
        self.flow = self.flow_now();
    }

    /// From `at` on sun and load stand at these watts; `None`: as the day has them.
    pub fn hold(&mut self, at: Duration, sun: Option<f64>, load: Option<f64>) {
        self.advance(at);
        let watts = |held: f64| held.max(0.0).round() as i64;
        self.held = (sun.map(watts), load.map(watts));
        self.flow = self.flow_now();
    }

    /// The controls as they are at the plant's instant.
    pub fn controls(&self) -> &Controls {
        &self.controls
    }

    /// Takes new controls at `at`; the revert timers of what was touched start again.
    pub fn control(&mut self, at: Duration, controls: Controls, touched: Touched) {
        self.advance(at);
        self.controls = controls;
        self.timers.start(touched, self.now_us);
        self.flow = self.flow_now();
    }

    /// How long what was told still holds.
    pub fn reverts_in(&self) -> RevertsIn {
        self.timers.left(&self.controls, self.now_us)
    }

    /// Everything about the plant's instant.
    pub fn state(&self) -> PlantState {
        let Flow { sun, pv, load, battery, grid } = self.flow;
        PlantState {
            at: Duration::from_micros(self.now_us),
            hour: self.hour().rem_euclid(24.0),
            pv_available: sun as f64,
            pv: pv as f64,
            load: load as f64,
            battery: battery as f64,
            grid: grid as f64,
            inverter: (pv + battery) as f64,
            soc: self.content_wh / CAPACITY_WH * 100.0,
            mode: self.controls.battery_mode(),
            limit: self.controls.is_limited().then(|| self.controls.output_limit() as f64),
            export_limit: self.controls.orders.export.map(|watts| watts as f64),
            reserve: self.controls.storage.floor_percent(),
            counters: self.counters,
        }
    }

    fn spend(&mut self, us: u64) {
        self.counters.add(&self.flow, us);
        let simulated_hours = us as f64 / US_PER_SECOND as f64 * self.settings.speed / 3600.0;
        let content = self.content_wh - self.flow.battery as f64 * simulated_hours;
        self.content_wh = content.clamp(0.0, CAPACITY_WH);
        self.now_us += us;
    }

    fn flow_now(&self) -> Flow {
        let hour = self.hour();
        // What the battery can take or give within one step without leaving its limits.
        let room = |wh: f64| match self.settings.speed * self.step_us as f64 / US_PER_SECOND as f64 / 3600.0 {
            _ if wh <= 0.0 => 0,
            hours if hours > 0.0 => (wh / hours).min(f64::from(u16::MAX)).floor() as i64,
            _ => i64::from(u16::MAX),
        };
        let (least, most) = self.controls.orders.until;
        let content = |hundredths: u16| CAPACITY_WH * f64::from(hundredths) / 10_000.0;
        let floor_wh = CAPACITY_WH * self.controls.storage.floor_percent() / 100.0;
        let floor_wh = least.map_or(floor_wh, |least| content(least).max(floor_wh));
        let charge = room(most.map_or(CAPACITY_WH, content).min(CAPACITY_WH) - self.content_wh);
        let discharge = room(self.content_wh - floor_wh);
        let (sun, load) = self.held;
        let (sun, load) =
            (sun.unwrap_or_else(|| self.day.sun(hour)), load.unwrap_or_else(|| self.day.load(hour)));
        Flow::balance(sun, load, charge, discharge, &self.controls)
    }

    /// Simulated hours since midnight of the first day; grows without end.
    fn hour(&self) -> f64 {
        self.settings.start_hour + self.now_us as f64 / US_PER_SECOND as f64 * self.settings.speed / 3600.0
    }
}

#[cfg(test)]
mod tests;
