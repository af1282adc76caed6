//! What a point's name means in the plant, with the signs that all devices share. Pure.
//!
//! | side | `activePower` | `energyConsumedTotal`, `energyProducedTotal` |
//! | --- | --- | --- |
//! | inverter | what the sun gives; with `dc_includes_battery` what the battery gives as well | produced: the sun's yield |
//! | battery | positive = discharging | charged, discharged |
//! | grid | positive = importing | imported, exported |
//! | loads | what the home draws | drawn, and nothing |
//!
//! A name that nobody knows shows something plausible for its unit.

use std::collections::BTreeMap;

use adapter_api::{
    DeviceType,
    profile::{Point, Profile},
};

use crate::{
    PlantState,
    plant::{EMPTY_PERCENT, Electric},
};

const LOADS_POWER_FACTOR: f64 = 0.97;
const STRING_VOLTS: f64 = 380.0;
const BATTERY_TEMPERATURE: f64 = 25.0;
const BATTERY_HEALTH: f64 = 98.0;
/// Where a profile names no string there are two.
const STRINGS: usize = 2;

/// Which part of the home a device or a part of it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Inverter,
    Battery,
    Grid,
    Loads,
}

impl Side {
    /// Of a part of a profile; `lone` is what a meter alone measures.
    pub fn of(profile: &Profile, part: &str, lone: Self) -> Self {
        match (part, profile.device_type) {
            ("battery", _) | ("", DeviceType::BatteryPack) => Self::Battery,
            ("grid", _) => Self::Grid,
            ("", DeviceType::EnergyMeter) => lone,
            ("", _) => Self::Inverter,
            _ => Self::Loads,
        }
    }
}

/// One instant as a profile's points show it.
pub(super) struct Scene<'a> {
    profile: &'a Profile,
    state: PlantState,
    now: Electric,
    strings: usize,
    volts: f64,
}

impl<'a> Scene<'a> {
    pub fn new(profile: &'a Profile, state: PlantState) -> Self {
        let number = |name: &str| name.strip_prefix("pv")?.get(..1)?.parse::<usize>().ok();
        let strings = profile.points.keys().filter_map(|name| number(name)).max().unwrap_or(STRINGS);
        Self {
            profile,
            state,
            now: Electric::new(&state, profile.phases.into()),
            strings: strings.max(1),
            volts: battery_volts(profile, state.soc),
        }
    }

    /// In the point's unit; none for a name that means nothing in a home.
    pub fn value(&self, side: Side, name: &str) -> Option<f64> {
        match side {
            Side::Inverter => self.inverter(name),
            Side::Battery => self.battery(name),
            Side::Grid => {
                let counters = &self.state.counters;
                self.meter(name, self.now.grid, 1.0, [counters.imported_wh(), counters.exported_wh()])
            }
            Side::Loads => {
                self.meter(name, self.now.load, LOADS_POWER_FACTOR, [self.state.counters.load_wh(), 0.0])
            }
        }
    }

    fn inverter(&self, name: &str) -> Option<f64> {
        let PlantState { pv, battery, inverter, load, grid, soc, counters, .. } = &self.state;
        if let Some(value) = self.string(name) {
            return Some(value);
        }
        Some(match name {
            "activePower" if self.profile.dc_includes_battery => pv + battery,
            "activePower" => *pv,
            "energyProducedTotal" => counters.pv_wh() / 1000.0,
            "inverterPower" => *inverter,
            "inverterEnergyTotal" => counters.produced_wh() / 1000.0,
            "loadPower" => *load,
            "loadEnergyTotal" => counters.load_wh() / 1000.0,
            "gridPower" => *grid,
            "batteryPower" => *battery,
            "batteryLevel" => *soc,
            "batteryVoltage" => self.volts,
            "temperature" => 30.0 + inverter.abs() / 500.0,
            _ => return self.alternating(name, self.now.inverter, 1.0),
        })
    }

    /// `pv1Power`, `pv2Voltage`: every string has the same sun, the last one what is left of whole watts.
    fn string(&self, name: &str) -> Option<f64> {
        let rest = name.strip_prefix("pv")?;
        let number: usize = rest.get(..1)?.parse().ok().filter(|number| *number > 0)?;
        let each = (self.state.pv / self.strings as f64).floor();
        let watts = match number == self.strings {
            true => self.state.pv - each * (self.strings - 1) as f64,
            false => each,
        };
        Some(match rest.get(1..)? {
            "Power" => watts,
            "Voltage" if self.state.pv_available > 0.0 => STRING_VOLTS,
            "Voltage" => 0.0,
            "Current" => watts / STRING_VOLTS,
            _ => return None,
        })
    }

    fn battery(&self, name: &str) -> Option<f64> {
        let PlantState { battery, soc, counters, .. } = &self.state;
        Some(match name {
            "activePower" => *battery,
            "batteryLevel" => *soc,
            "batteryHealth" => BATTERY_HEALTH,
            "voltage" => self.volts,
            "current" => battery / self.volts,
            "temperature" => BATTERY_TEMPERATURE,
            "energyConsumedTotal" => counters.charged_wh() / 1000.0,
            "energyProducedTotal" => counters.discharged_wh() / 1000.0,
            _ => return None,
        })
    }

    /// `wh` are what flows in the direction of positive power, and the other way.
    fn meter(&self, name: &str, watts: [f64; 3], factor: f64, wh: [f64; 2]) -> Option<f64> {
        Some(match name {
            "energyConsumedTotal" => wh[0] / 1000.0,
            "energyProducedTotal" => wh[1] / 1000.0,
            _ => return self.alternating(name, watts, factor),
        })
    }

    fn alternating(&self, name: &str, watts: [f64; 3], factor: f64) -> Option<f64> {
        let now = &self.now;
        let phase = ["L1", "L2", "L3"].iter().position(|phase| name.ends_with(phase));
        let plain = if phase.is_some() { &name[..name.len() - 2] } else { name };
        let phases = match phase {
            // A phase that is not there carries nothing.
            Some(phase) if phase >= now.phases => return Some(0.0),
            Some(phase) => phase..phase + 1,
            None => 0..now.phases,
        };
        let sum: f64 = watts[phases.clone()].iter().sum();
        let apparent = sum.abs() / factor;
        Some(match plain {
            "voltage" => now.volts[phases.clone()].iter().sum::<f64>() / phases.len() as f64,
            "current" => phases.map(|phase| watts[phase].abs() / factor / now.volts[phase]).sum(),
            "power" | "activePower" => sum,
            "apparentPower" => apparent,
            "reactivePower" => (apparent * apparent - sum * sum).max(0.0).sqrt(),
            "powerFactor" => factor,
            "frequency" => now.hertz,
            _ => return None,
        })
    }

    /// Which of a point's words fits; the first one where none does.
    pub fn word(&self, side: Side, name: &str, words: &BTreeMap<u32, String>) -> u32 {
        let battery = side == Side::Battery || name.contains("attery");
        let (wanted, not): (&[&str], &str) = match self.state.battery {
            _ if !battery && self.state.inverter == 0.0 => {
                (&["standby", "stand_by", "wait", "idle", "sleep"], "")
            }
            _ if !battery => {
                (&["normal", "running", "mppt", "generat", "on_grid", "grid", "operat", "on"], "")
            }
            watts if watts > 0.0 => (&["discharg"], ""),
            watts if watts < 0.0 => (&["charg"], "discharg"),
            _ => (&["idle", "standby", "stand_by", "static", "hold", "ready", "wait", "normal", "none"], ""),
        };
        let has = |part: &str| {
            let fits = |word: &&String| word.contains(part) && (not.is_empty() || !word.contains(not));
            words.iter().find(|(_, word)| fits(word)).map(|(raw, _)| *raw)
        };
        let found = wanted.iter().find_map(|part| has(part));
        found.or_else(|| words.keys().next().copied()).unwrap_or_default()
    }
}

/// What a name that means nothing shows.
pub(super) fn plausible(point: &Point) -> f64 {
    let value = match point.unit.as_str() {
        "V" => 230.0,
        "A" => 1.0,
        "Hz" => 50.0,
        "°C" => 30.0,
        "%" => EMPTY_PERCENT,
        "kWh" => 100.0,
        _ => 0.0,
    };
    point.range.map_or(value, |(least, most)| value.clamp(least, most))
}

/// A battery's voltage by its content; where the profile says what it can be, in there.
pub(super) fn battery_volts(profile: &Profile, soc: f64) -> f64 {
    let points = match profile.parts.get("battery") {
        Some(part) => &part.points,
        None => &profile.points,
    };
    let range = points.get("voltage").and_then(|point| point.range);
    match range {
        Some((least, most)) if !(least..=most).contains(&400.0) => {
            f64::midpoint(least, most) * (0.98 + soc * 0.0004)
        }
        _ => 380.0 + soc * 0.4,
    }
}
