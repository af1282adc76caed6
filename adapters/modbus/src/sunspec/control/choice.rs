//! Which model carries which command of a unit, and what of it the device can be told. Decided once, when
//! the unit is found, so that one night without values does not move a command. Pure.
//!
//! | command | model |
//! | --- | --- |
//! | `set_power_limit` | 123 where it is implemented, else 704 where it is, else 123 |
//! | `set_battery_mode`, `set_battery_power` | 124, else 704 where it has a set point |
//! | `set_reserve`, `write_point` | 124 |

use adapter_api::{CommandSpec, ParameterKind};

use super::{Capacity, limit, set_point};
use crate::{
    sunspec::{
        devices::Limits,
        models::{Block, Model},
    },
    units::WRITE_POINT,
};

/// The models that carry commands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Controls {
    limit: Option<Model>,
    battery: Option<Model>,
    settings: Option<Model>,
    /// What a device of the 700 series may do.
    capacity: Capacity,
}

impl Controls {
    /// By the blocks of a unit's first full read.
    pub fn of<'a>(first: impl Fn(Model) -> Option<Block<'a>>) -> Self {
        let is =
            |model, exists: fn(Block<'_>) -> bool| first(model).filter(|now| exists(*now)).map(|_| model);
        let any = |_: Block<'_>| true;
        Self {
            limit: is(Model::Immediate, limit::immediate::exists)
                .or(is(Model::DerControl, limit::der::exists))
                .or(is(Model::Immediate, any)),
            battery: is(Model::Storage, any).or(is(Model::DerControl, set_point::exists)),
            settings: is(Model::Storage, any),
            capacity: Capacity::of(first(Model::Capacity)),
        }
    }

    /// What the unit may do by its model 702, as it was when it was found.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// The model that carries a command, if the unit has one.
    pub fn model(&self, command: &str) -> Option<Model> {
        match command {
            "set_power_limit" => self.limit,
            "set_battery_mode" | "set_battery_power" => self.battery,
            "set_reserve" | WRITE_POINT => self.settings,
            _ => None,
        }
    }

    /// The commands that this unit takes, with the words that it knows.
    pub fn able(&self, mut specs: Vec<CommandSpec>) -> Vec<CommandSpec> {
        specs.retain(|spec| self.model(&spec.name).is_some());
        let modes = specs
            .iter_mut()
            .filter(|spec| &*spec.name == "set_battery_mode" && self.battery == Some(Model::DerControl));
        for parameter in modes.flat_map(|spec| &mut spec.parameters) {
            if let ParameterKind::Word(words) = &mut parameter.kind {
                words.retain(|word| set_point::MODES.contains(&&**word));
            }
        }
        specs
    }

    /// The battery's limits, where it is driven by model 704 no higher than 702 says.
    pub fn narrow(&self, limits: Limits) -> Limits {
        if self.battery == Some(Model::DerControl) { self.capacity.narrow(limits) } else { limits }
    }

    /// The greatest power that may be asked of a limit, W; `basic` is 121.WMax.
    pub fn limit_base(&self, basic: Option<f64>) -> Option<f64> {
        if self.limit == Some(Model::DerControl) { self.capacity.power } else { basic }
    }
}

#[cfg(test)]
mod tests {
    use adapter_api::profile::builtin;

    use super::*;

    /// 123 with or without a value, 704 with or without its limit and its set point, 124.
    fn controls(limit: Option<bool>, der: Option<(bool, bool)>, storage: bool) -> Controls {
        let missing = |is: bool| if is { 0 } else { 0xFFFF };
        let mut immediate = vec![0; 26];
        immediate[5] = missing(limit.unwrap_or_default());
        let mut control = vec![0; 67];
        let (limits, sets) = der.unwrap_or_default();
        (control[14], control[22]) = (missing(limits), missing(sets));
        let block = vec![0; 26];
        Controls::of(|model| {
            let words = match model {
                Model::Immediate => limit.map(|_| &immediate),
                Model::DerControl => der.map(|_| &control),
                Model::Storage => storage.then_some(&block),
                _ => None,
            };
            words.map(|words| Block(words))
        })
    }

    #[test]
    fn each_command_is_carried_by_the_row_of_the_table() {
        use Model::{DerControl, Immediate, Storage};
        let all = Some((true, true));
        for (has, limit, battery, reserve) in [
            (controls(Some(true), all, true), Some(Immediate), Some(Storage), Some(Storage)),
            (controls(Some(false), all, false), Some(DerControl), Some(DerControl), None),
            (controls(Some(false), Some((false, true)), false), Some(Immediate), Some(DerControl), None),
            (controls(None, all, true), Some(DerControl), Some(Storage), Some(Storage)),
            (controls(None, Some((true, false)), false), Some(DerControl), None, None),
            (controls(Some(false), None, false), Some(Immediate), None, None),
            (controls(None, None, false), None, None, None),
        ] {
            assert_eq!(has.model("set_power_limit"), limit, "{has:?}");
            assert_eq!(has.model("set_battery_mode"), battery, "{has:?}");
            assert_eq!(has.model("set_battery_power"), battery, "{has:?}");
            assert_eq!(has.model("set_reserve"), reserve, "{has:?}");
            assert_eq!(has.model("write_point"), reserve, "{has:?}");
            assert_eq!(has.model("turn_on"), None);
        }
    }

    #[test]
    fn a_device_offers_only_the_commands_and_words_that_it_can_be_told() {
        let offered = |controls: Controls| {
            let all = builtin()["sunspec"].commands.iter().map(|(name, table)| table.spec(name, |_, _| None));
            controls.able(all.collect())
        };
        let names =
            |specs: &[CommandSpec]| specs.iter().map(|spec| spec.name.to_string()).collect::<Vec<_>>();
        let modes = |specs: &[CommandSpec]| -> Vec<String> {
            let mode = specs.iter().find(|spec| &*spec.name == "set_battery_mode").unwrap();
            let mode = mode.parameters.iter().find(|parameter| &*parameter.name == "mode").unwrap();
            let ParameterKind::Word(words) = &mode.kind else { panic!("words") };
            words.iter().map(ToString::to_string).collect()
        };
        let der = offered(controls(None, Some((true, true)), false));
        assert_eq!(names(&der), ["set_battery_mode", "set_battery_power", "set_power_limit"]);
        assert_eq!(modes(&der), ["auto", "charge", "discharge"]);
        let storage = offered(controls(None, Some((false, true)), true));
        let all = ["set_battery_mode", "set_battery_power", "set_reserve", "write_point"];
        assert_eq!(names(&storage), all);
        assert_eq!(modes(&storage), ["auto", "hold", "hold_charge", "charge", "discharge"]);
        assert_eq!(offered(controls(None, Some((false, false)), false)), []);
    }

    #[test]
    fn a_limit_refers_to_what_its_own_family_says() {
        let of = |limit| Controls {
            limit,
            capacity: Capacity { power: Some(6000.0), ..Capacity::default() },
            ..Controls::default()
        };
        assert_eq!(of(Some(Model::Immediate)).limit_base(Some(5000.0)), Some(5000.0));
        assert_eq!(of(Some(Model::DerControl)).limit_base(Some(5000.0)), Some(6000.0));
    }
}
