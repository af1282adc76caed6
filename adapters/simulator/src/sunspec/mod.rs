//! The hybrid inverter as SunSpec sees it: a chain of models for the inverter and its battery, then
//! a chain for each of its meters, in one unit. It never decides a power; the plant does.
//!
//! | layout | inverter | each meter |
//! |---|---|---|
//! | `Integer` | 1, 101–103, 120, 121, 123, 124, 160 | 1, 201–204 |
//! | `Float` | 1, 111–113, 120, 121, 123, 124, 160 | 1, 211–214 |
//! | `Der` | 1, 701, 702, 703, 704, 713, 714 | 1, 201–204 |
//! | `DerWhole` | the same, and 705–712 and 715 with nothing in them | 1, 201–204 |
//! | `Bank` | 1, 101–103, 120–123, 802, 803 | 1, 201–204 |
//! | `Bare` | 1, 101–103: no battery to be seen | 1, 201–204 |
//! | `TwoMeters` | 1, 101–103: no battery to be seen | 1, 201–204 at the grid, and again at the loads |
//!
//! 120 and 121 are ratings and settings, 122 the status, 802 a battery, 803 its strings, 123 the output limit, 124 the battery, 160 the DC side as
//! String 1, String 2, StCha, StDisCha. A maker's own model may stand behind the first Common block.

mod bank;
mod control;
mod der;
mod float;
mod image;
mod inverter;
mod meter;
mod points;
mod status;
mod storage;

use std::sync::{Arc, Mutex, PoisonError};

use self::image::{Image, Model};
use crate::{
    Device, Exception, PlantState, Table,
    live::LivePlant,
    plant::{Controls, Counters, Electric, RevertsIn},
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
    /// Which models.
    pub layout: Layout,
    /// Registers of a maker's own model (64001) behind the first Common block, id and length included:
    /// all others stand so much further back. 0 and 1: none.
    pub vendor_registers: u16,
}

impl Default for SunSpecSettings {
    fn default() -> Self {
        Self {
            base: 40_000,
            wiring: Wiring::Three,
            common_length: 66,
            grid_meter: true,
            end: EndModel::Whole,
            layout: Layout::Integer,
            vendor_registers: 0,
        }
    }
}

/// Which models describe the inverter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Integers with scale factors.
    #[default]
    Integer,
    /// Floats for the AC side and the grid meter; the others are always integers.
    Float,
    /// The 700 series.
    Der,
    /// The 700 series as a whole: its curves and its remote control are there, and say nothing.
    DerWhole,
    /// A battery that describes itself (802) and its strings (803), and the status of the inverter (122).
    Bank,
    /// An inverter without anything but its AC side.
    Bare,
    /// The same with two meters: at the grid, and at the loads.
    TwoMeters,
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
    /// Three phases without neutral: models 103 and 204.
    Delta,
}

impl Wiring {
    const fn phases(self) -> u16 {
        match self {
            Self::Single => 1,
            Self::Split => 2,
            Self::Three | Self::Delta => 3,
        }
    }

    /// Which of a family of meters.
    const fn meter(self) -> u16 {
        match self {
            Self::Delta => 4,
            _ => self.phases(),
        }
    }

    const fn has_neutral(self) -> bool {
        !matches!(self, Self::Delta)
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

/// A maker's own model.
const VENDOR: u16 = 64_001;

/// How the inverter describes itself, which may change while it runs; all clones are the same.
#[derive(Clone)]
pub(crate) struct Description {
    settings: Arc<Mutex<SunSpecSettings>>,
    maker: Maker,
}

/// Who made it, and that maker's habits.
#[derive(Clone)]
struct Maker {
    name: String,
    export_is_positive: bool,
}

const MANUFACTURER: &str = "Maestro";

impl Description {
    pub fn new(settings: SunSpecSettings) -> Self {
        let maker = Maker { name: MANUFACTURER.to_owned(), export_is_positive: false };
        Self { settings: Arc::new(Mutex::new(settings)), maker }
    }

    /// Of another maker.
    pub fn made_by(self, name: &str, export_is_positive: bool) -> Self {
        Self { maker: Maker { name: name.to_owned(), export_is_positive }, ..self }
    }

    pub fn get(&self) -> SunSpecSettings {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, settings: SunSpecSettings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}

pub(crate) struct Hybrid {
    plant: LivePlant,
    description: Description,
}

impl Hybrid {
    pub fn new(plant: LivePlant, description: Description) -> Self {
        Self { plant, description }
    }

    /// Holding registers, with lifetime counters as somebody shows them.
    pub fn read_as(
        &self,
        address: u16,
        count: u16,
        counters: impl FnOnce(Counters) -> Counters,
    ) -> Option<Vec<u16>> {
        self.image(counters).read(address, count)
    }

    fn image(&self, counters: impl FnOnce(Counters) -> Counters) -> Image {
        let (state, controls, left) = self.plant.look();
        let state = PlantState { counters: counters(state.counters), ..state };
        chain(self.description.get(), &self.description.maker, &state, &controls, left)
    }
}

impl Device for Hybrid {
    fn read(&mut self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        if table != Table::Holding {
            return Err(Exception::IllegalFunction);
        }
        self.read_as(address, count, |counters| counters).ok_or(Exception::IllegalAddress)
    }

    fn write(&mut self, address: u16, values: &[u16]) -> Result<(), Exception> {
        let image = self.image(|counters| counters);
        self.plant.control(|controls| control::write(&image, controls, address, values))
    }
}

/// The whole image of one instant.
fn chain(
    settings: SunSpecSettings,
    maker: &Maker,
    state: &PlantState,
    controls: &Controls,
    left: RevertsIn,
) -> Image {
    let SunSpecSettings { layout, wiring, common_length, .. } = settings;
    let now = Electric::new(state, wiring.phases().into());
    let common = |model: &str, serial: &str| inverter::common(common_length, &maker.name, model, serial);
    let mut image = Image::new(settings.base);
    image.push(common("Hybrid 6.0", "SIM-HYBRID-0001"));
    if let Some(length) = settings.vendor_registers.checked_sub(2) {
        image.push(Model::new(VENDOR, length));
    }
    match layout {
        Layout::Integer | Layout::Bank | Layout::Bare | Layout::TwoMeters => {
            image.push(inverter::ac(state, &now))
        }
        Layout::Float => image.push(float::ac(state, &now)),
        Layout::Der | Layout::DerWhole => {
            image.push(der::ac(state, &now, controls));
            image.push(der::ratings(controls));
            image.push(der::enter_service(controls));
            image.push(der::der_controls(controls, left));
            if layout == Layout::DerWhole {
                der::curves().into_iter().for_each(|model| image.push(model));
            }
            image.push(der::capacity(state));
            image.push(der::ports(state));
            if layout == Layout::DerWhole {
                image.push(der::remote());
            }
        }
    }
    if matches!(layout, Layout::Integer | Layout::Float) {
        image.push(inverter::ratings());
        image.push(inverter::settings(controls));
        image.push(storage::limit(controls));
        image.push(storage::battery(state, controls));
        image.push(storage::modules(state));
    }
    if layout == Layout::Bank {
        image.push(inverter::ratings());
        image.push(inverter::settings(controls));
        image.push(status::status(state, controls));
        image.push(storage::limit(controls));
        image.push(bank::bank(state));
        image.push(bank::strings(state));
    }
    let meter = if layout == Layout::Float { float::meter } else { meter::meter };
    let counters = &state.counters;
    if settings.grid_meter {
        image.push(common("Grid Meter", "SIM-GRID-0001"));
        let grid = if maker.export_is_positive { now.grid.map(|watts| -watts) } else { now.grid };
        image.push(meter(wiring, &now, grid, counters.exported_wh(), counters.imported_wh()));
    }
    if layout == Layout::TwoMeters {
        image.push(common("Load Meter", "SIM-LOAD-0001"));
        image.push(meter(wiring, &now, now.load, 0.0, counters.load_wh()));
    }
    image.end(settings.end);
    image
}
