//! What is known of a unit after its discovery: its models, who it is, its ratings, and which of its
//! counters count. Pure.

use super::{
    control::Controls,
    discovery::{At, Common, Group},
    models::{Model, Role, basic, nameplate, phases_of, storage},
    snapshot::Snapshot,
};

/// A discovered unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    /// The inverter's models, and one meter.
    pub models: Vec<At>,
    /// The inverter; a unit that is a meter alone has none.
    pub inverter: Option<Common>,
    /// The meter, if it has one.
    pub meter: Option<Common>,
    pub ratings: Ratings,
    /// What carries its commands.
    pub controls: Controls,
    /// Is there a battery?
    pub battery: bool,
    /// Do the PV inputs count their energy? Fixed here, because changing to another counter between
    /// two polls would look like a leap.
    pub pv_counters: bool,
}

/// What the unit is built for or set to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Ratings {
    /// Output, W.
    pub power: Option<f64>,
    /// The power that a limit in percent refers to (121.WMax), W.
    pub limit_base: Option<f64>,
    /// Battery, kWh.
    pub capacity: Option<f64>,
    /// Battery power that rates in percent refer to, W.
    pub battery: Option<f64>,
}

/// The models that are used: those of the first sub device with an inverter, and the first meter.
/// More meters in one unit (SolarEdge takes three) are left alone.
pub(crate) fn choose(groups: &[Group]) -> (Vec<At>, Option<Common>, Option<Common>) {
    let has = |group: &&Group, model| group.models.iter().any(|at| at.model == model);
    let inverter = groups.iter().find(|group| has(group, Model::Inverter));
    let meter = groups.iter().find(|group| has(group, Model::Meter));
    let mut models: Vec<At> = Vec::new();
    let own = inverter.into_iter().flat_map(|group| &group.models).filter(|at| at.model != Model::Meter);
    let metered = meter.into_iter().flat_map(|group| &group.models).filter(|at| at.model == Model::Meter);
    for at in own.chain(metered) {
        if models.iter().all(|taken| taken.model != at.model) {
            models.push(*at);
        }
    }
    let common = |group: Option<&Group>| group.map(|group| group.common.clone());
    (models, common(inverter), common(meter))
}

impl Known {
    /// Puts together what the first full read of the chosen models shows.
    pub fn new(
        (models, inverter, meter): (Vec<At>, Option<Common>, Option<Common>),
        first: &Snapshot,
    ) -> Self {
        let ratings = ratings(first);
        let modules = first.block(Model::Mppt).map(|block| block.modules()).unwrap_or_default();
        let level = first.block(Model::Storage).and_then(|block| block.number(storage::LEVEL));
        let named = modules.iter().any(|module| module.role != Role::Pv);
        let counts = |energy: Option<f64>| energy.is_some_and(|energy| energy > 0.0);
        Self {
            battery: inverter.is_some() && (named || level.is_some() || ratings.battery.is_some()),
            pv_counters: modules.iter().any(|module| module.role == Role::Pv && counts(module.energy)),
            models,
            inverter,
            meter,
            ratings,
            controls: Controls::of(|model| first.block(model)),
        }
    }

    /// Where a model lies.
    pub fn at(&self, model: Model) -> Option<At> {
        self.models.iter().copied().find(|at| at.model == model)
    }

    /// The models that every poll reads.
    pub fn polled(&self) -> Vec<At> {
        self.models.iter().copied().filter(|at| at.model.polled()).collect()
    }

    /// Phases of a model 10x or 20x.
    pub fn phases(&self, model: Model) -> u8 {
        self.at(model).map_or(1, |at| phases_of(at.id))
    }
}

/// The ratings that a snapshot shows.
pub(crate) fn ratings(snapshot: &Snapshot) -> Ratings {
    let above_zero = |value: Option<f64>| value.filter(|value| *value > 0.0);
    let number = |model, field| above_zero(snapshot.block(model).and_then(|block| block.number(field)));
    let limit_base = number(Model::Basic, basic::MAX_POWER);
    Ratings {
        power: limit_base.or(number(Model::Nameplate, nameplate::POWER)),
        limit_base,
        capacity: number(Model::Nameplate, nameplate::CAPACITY).map(|wh| wh / 1000.0),
        battery: number(Model::Storage, storage::MAX_CHARGE)
            .or(snapshot.block(Model::Storage).and(number(Model::Nameplate, nameplate::DISCHARGE))),
    }
}
