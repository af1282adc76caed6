//! What is known of a unit after its discovery: its models, who it is, its ratings, and which of its
//! counters count. Pure.

use adapter_api::profile::Profile;

use super::{
    choice::Choice,
    control::Controls,
    discovery::{At, Common},
    inputs::{Input, inputs},
    models::{Block, Field, Model, storage},
    past::{Past, of_battery},
    points::{ac, others},
    snapshot::Snapshot,
};

/// A discovered unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    /// The models of the inverter and its battery, each once.
    pub models: Vec<At>,
    /// The inverter; a unit that is a battery or a meter alone has none.
    pub inverter: Option<Common>,
    /// Who the battery says it is, where it is a sub device of its own or all that there is.
    pub bank: Option<Common>,
    /// Its meters, in the order of the map.
    pub meters: Vec<(At, Common)>,
    pub ratings: Ratings,
    /// Is there a battery?
    pub battery: bool,
    /// What it was seen to be, which says which of its counters are told.
    pub past: Past,
    /// Was a model left out that is listed, and refuses to be read?
    pub left_out: bool,
    /// When it was looked at as a whole, monotonic ms.
    pub looked: u64,
    /// Phases of its AC side.
    pub phases: u8,
    /// What carries its commands.
    pub controls: Controls,
}

/// What the unit is built for or set to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Ratings {
    /// Output, W.
    pub power: Option<f64>,
    /// The power that a limit in percent refers to (121.WMax, 702.WMax), W.
    pub limit_base: Option<f64>,
    /// Battery, kWh.
    pub capacity: Option<f64>,
    /// Battery power that rates in percent refer to, W.
    pub battery: Option<f64>,
    /// The most that the battery may move in either direction, W.
    pub battery_most: Option<f64>,
}

impl Known {
    /// Puts together what the first full read of the chosen models shows.
    pub fn new(choice: Choice, first: &Snapshot, profile: &Profile, mut past: Past) -> Self {
        let ratings = ratings(first);
        let inputs = inputs(profile, first);
        let battery = inputs.iter().any(|input| of_battery(input.role))
            || level(first).is_some()
            || ratings.battery.is_some();
        // A bank that is all there is stays one while it does not say how full it is.
        let battery = battery || choice.bank.is_some() && choice.inverter.is_none();
        past.grow(&inputs, battery, produced(first));
        let Choice { models, inverter, bank, meters, inverters: _ } = choice;
        Self {
            battery: past.battery,
            past,
            left_out: false,
            looked: 0,
            phases: phases(first),
            controls: Controls::of(|model| first.block(model)),
            models,
            inverter,
            bank,
            meters,
            ratings,
        }
    }

    /// May the unit be more than it showed when it was looked at?
    pub fn is_incomplete(&self) -> bool {
        let speaks = |at: &At| matches!(at.model, Model::Storage | Model::DerStorage);
        self.left_out || !self.battery && self.models.iter().any(speaks)
    }

    /// Goes on with its counters by another look. True when something is new.
    pub fn grow(&mut self, snapshot: &Snapshot, inputs: &[Input]) -> bool {
        self.past.grow(inputs, self.battery, produced(snapshot))
    }

    /// Where a model of the inverter or its battery lies.
    pub fn at(&self, model: Model) -> Option<At> {
        self.models.iter().copied().find(|at| at.model == model)
    }

    /// The models that every poll reads.
    pub fn polled(&self) -> Vec<At> {
        let meters = self.meters.iter().map(|(at, _)| *at);
        self.models.iter().copied().filter(|at| at.model.polled()).chain(meters).collect()
    }
}

/// Wh that the AC side gave in its life.
fn produced(snapshot: &Snapshot) -> Option<f64> {
    snapshot.of(Model::Inverter).and_then(|(at, block)| block.number(ac(at.id).produced))
}

/// Phases of the AC side; 701 says it by a register, the others by their number.
fn phases(first: &Snapshot) -> u8 {
    /// `ACType`.
    const WIRING_AT: u16 = 2;
    match first.of(Model::Inverter) {
        Some((at, block)) if at.id == 701 => match block.word(WIRING_AT) {
            Some(wiring @ 0..=1) => wiring as u8 + 1,
            _ => 3,
        },
        Some((at, _)) => phases_of(at.id),
        None => 1,
    }
}

/// Phases of a model 10x, 11x, 20x or 21x.
pub(crate) fn phases_of(id: u16) -> u8 {
    match id % 10 {
        1 => 1,
        2 => 2,
        _ => 3,
    }
}

/// State of charge, %.
pub(crate) fn level(snapshot: &Snapshot) -> Option<f64> {
    let points = others();
    let number = |model, field| snapshot.block(model).and_then(|block| block.number(field));
    number(Model::Storage, points.level)
        .or_else(|| number(Model::DerStorage, points.der_level))
        .or_else(|| number(Model::Bank, points.bank_level))
}

/// The ratings that a snapshot shows.
pub(crate) fn ratings(snapshot: &Snapshot) -> Ratings {
    let points = others();
    let above_zero = |value: Option<f64>| value.filter(|value| *value > 0.0);
    let number = |model, field: Field| {
        let block: Option<Block<'_>> = snapshot.block(model);
        above_zero(block.and_then(|block| block.number(field)))
    };
    let greater = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a.max(b)).or(a).or(b);
    let der = |fields: [Field; 2]| {
        let [set, rated] = fields.map(|field| number(Model::Capacity, field));
        set.or(rated)
    };
    let limit_base =
        number(Model::Basic, points.max_power).or(der([points.der_max_power, points.der_rated_power]));
    let kwh = [
        number(Model::Nameplate, points.rated_energy),
        number(Model::DerStorage, points.der_energy),
        number(Model::Bank, points.bank_energy),
    ];
    // What it could do with a battery is no rating of one that it does not have.
    let [charge, discharge] = points.bank_rates.map(|rate| number(Model::Bank, rate));
    let bank = greater(charge, discharge);
    let storage = snapshot.block(Model::Storage);
    let der_storage = snapshot.block(Model::DerStorage);
    let rated_discharge = storage.and(number(Model::Nameplate, points.rated_discharge));
    let battery = number(Model::Storage, storage::MAX_CHARGE)
        .or(rated_discharge)
        .or(der_storage.and(greater(der(points.der_charge), der(points.der_discharge))))
        .or(bank);
    Ratings {
        power: limit_base.or(number(Model::Nameplate, points.rated_power)),
        limit_base,
        capacity: kwh.into_iter().flatten().next().map(|wh| wh / 1000.0),
        battery,
        battery_most: greater(battery, rated_discharge),
    }
}
