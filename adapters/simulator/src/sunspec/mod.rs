//! The hybrid inverter as SunSpec sees it: a chain of models for the inverter and its battery, then
//! a second chain for its own grid meter, in one unit. It never decides a power; the plant does.
//!
//! | model | what |
//! |---|---|
//! | 1 | Maestro, Hybrid 6.0 |
//! | 101–103 | AC side (battery included), int with scale factors |
//! | 120, 121 | ratings and settings |
//! | 123 | output limit |
//! | 124 | battery: state and controls |
//! | 160 | DC: String 1, String 2, StCha, StDisCha |
//! | 1 | Maestro, Grid Meter |
//! | 201–203 | grid, import positive |

mod control;
mod image;
mod inverter;
mod meter;
mod points;
mod storage;

use self::image::Image;
use crate::{
    Device, Exception, PlantState, Table,
    home::LivePlant,
    plant::{Controls, Electric},
};

/// How the inverter describes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SunSpecSettings {
    /// Where "SunS" stands: 0, 40000 or 50000.
    pub base: u16,
    /// Phases, and with them the models.
    pub wiring: Wiring,
    /// Length of the Common model: 66, or 65 as older devices have it.
    pub common_length: u16,
    /// Has it a grid meter of its own?
    pub grid_meter: bool,
    /// How the chain ends.
    pub end: EndModel,
}

impl Default for SunSpecSettings {
    fn default() -> Self {
        Self {
            base: 40_000,
            wiring: Wiring::Three,
            common_length: 66,
            grid_meter: true,
            end: EndModel::Whole,
        }
    }
}

/// Phases of the AC side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wiring {
    /// Models 101 and 201.
    Single,
    /// Models 102 and 202.
    Split,
    /// Models 103 and 203.
    Three,
}

impl Wiring {
    const fn phases(self) -> u16 {
        match self {
            Self::Single => 1,
            Self::Split => 2,
            Self::Three => 3,
        }
    }
}

/// How the chain of models ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndModel {
    /// 0xFFFF and length 0.
    Whole,
    /// 0xFFFF and nothing after it.
    WithoutLength,
    /// Nothing: the next register does not exist.
    Missing,
}

pub(crate) struct Hybrid {
    plant: LivePlant,
    settings: SunSpecSettings,
}

impl Hybrid {
    pub fn new(plant: LivePlant, settings: SunSpecSettings) -> Self {
        Self { plant, settings }
    }
}

impl Device for Hybrid {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        if table != Table::Holding {
            return Err(Exception::IllegalFunction);
        }
        let (state, controls) = self.plant.look();
        chain(self.settings, &state, &controls).read(address, count).ok_or(Exception::IllegalAddress)
    }

    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception> {
        let (state, controls) = self.plant.look();
        let image = chain(self.settings, &state, &controls);
        self.plant.control(|controls| control::write(&image, controls, address, values))
    }
}

/// The whole image of one instant.
fn chain(settings: SunSpecSettings, state: &PlantState, controls: &Controls) -> Image {
    let now = Electric::new(state, settings.wiring.phases().into());
    let mut image = Image::new(settings.base);
    image.push(inverter::common(settings.common_length, "Hybrid 6.0", "SIM-HYBRID-0001"));
    image.push(inverter::ac(state, &now));
    image.push(inverter::ratings());
    image.push(inverter::settings(controls));
    image.push(storage::limit(controls));
    image.push(storage::battery(state, controls));
    image.push(storage::modules(state));
    if settings.grid_meter {
        image.push(inverter::common(settings.common_length, "Grid Meter", "SIM-GRID-0001"));
        image.push(meter::grid(state, &now));
    }
    image.end(settings.end);
    image
}
