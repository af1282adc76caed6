//! Which of the models in a unit's map are used, and for which of its devices. Pure.

use super::{
    discovery::{At, Common, Group},
    models::Model,
};

/// Meters of one unit that have a name: more are left alone.
pub(crate) const METERS: usize = 3;

/// What is used of a map.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Choice {
    /// Of the inverter and its battery, each model once.
    pub models: Vec<At>,
    pub inverter: Option<Common>,
    /// The battery, where it is a sub device of its own or all that there is.
    pub bank: Option<Common>,
    pub meters: Vec<(At, Common)>,
    /// Sub devices with an inverter: all but one are left alone.
    pub inverters: usize,
}

impl Choice {
    /// The models of the first sub device with an inverter, else of the first with a battery; the
    /// battery that is a sub device of its own; and the meters. A second inverter in one unit is left
    /// alone, for it would need a name that tells which one it is.
    pub fn of(groups: &[Group]) -> Self {
        let inverter = groups.iter().position(has_inverter);
        let head = inverter.or_else(|| groups.iter().position(|group| storage(group).next().is_some()));
        let inverters = groups.iter().filter(|group| has_inverter(group)).count();
        let mut choice = Self { inverters, ..Self::default() };
        for at in head.into_iter().flat_map(|head| groups[head].models()) {
            choice.take(at);
        }
        if let Some(head) = head {
            let common = &groups[head].common;
            match inverter {
                Some(_) => choice.inverter = Some(common.clone()),
                None => choice.bank = Some(common.clone()),
            }
        }
        for group in groups.iter().filter(|group| !has_inverter(group)) {
            let took: Vec<bool> = storage(group).map(|at| choice.take(at)).collect();
            if took.contains(&true) && choice.bank.is_none() {
                choice.bank = Some(group.common.clone());
            }
        }
        let meters = groups.iter().enumerate().flat_map(|(n, group)| {
            // The number of an inverter is not that of the meter that it speaks for.
            let common = if head == Some(n) { group.common.anonymous() } else { group.common.clone() };
            let own = group.models().filter(|at| at.model == Model::Meter);
            own.map(move |at| (at, common.clone())).collect::<Vec<_>>()
        });
        choice.meters = meters.take(METERS).collect();
        choice
    }

    /// The models that are read when the unit is discovered.
    pub fn all(&self) -> Vec<At> {
        self.models.iter().copied().chain(self.meters.iter().map(|(at, _)| *at)).collect()
    }

    /// Is there anything to read?
    pub fn is_empty(&self) -> bool {
        self.inverter.is_none() && self.bank.is_none() && self.meters.is_empty()
    }

    /// Takes a model, unless there is one of its kind already.
    fn take(&mut self, at: At) -> bool {
        let new = at.model != Model::Meter && self.models.iter().all(|taken| taken.model != at.model);
        if new {
            self.models.push(at);
        }
        new
    }
}

fn has_inverter(group: &Group) -> bool {
    group.models().any(|at| at.model == Model::Inverter)
}

fn storage(group: &Group) -> impl Iterator<Item = At> {
    group.models().filter(|at| at.model.is_storage())
}

impl Common {
    /// Who made it, without a number and a firmware of its own.
    pub fn anonymous(&self) -> Self {
        Self { serial: String::new(), firmware: String::new(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::discovery::Place, *};

    /// Sub devices by their models, each of ten registers.
    fn groups(ids: &[&[u16]]) -> Vec<Group> {
        let mut start = 0;
        let mut place = |id: &u16| {
            start += 10;
            Place { id: *id, start, length: 8 }
        };
        let group = |(n, ids): (usize, &&[u16])| Group {
            common: Common { serial: n.to_string(), ..Common::default() },
            places: ids.iter().map(&mut place).collect(),
        };
        ids.iter().enumerate().map(group).collect()
    }

    fn ids(models: &[At]) -> Vec<u16> {
        models.iter().map(|at| at.id).collect()
    }

    #[test]
    fn the_first_model_of_a_kind_is_taken_and_every_meter_up_to_three() {
        let map = groups(&[&[1, 103, 160, 103, 113, 64_100], &[1, 203], &[1, 201], &[1, 213], &[1, 203]]);
        let choice = Choice::of(&map);
        assert_eq!(ids(&choice.models), [103, 160]);
        let meters: Vec<_> = choice.meters.iter().map(|(at, common)| (at.id, &*common.serial)).collect();
        assert_eq!(meters, [(203, "1"), (201, "2"), (213, "3")]);
    }

    #[test]
    fn a_battery_may_be_a_sub_device_of_its_own_but_another_inverters_inputs_are_not_ours() {
        let choice = Choice::of(&groups(&[&[1, 201], &[1, 103], &[1, 802], &[1, 103, 160, 124]]));
        assert_eq!((ids(&choice.models), choice.inverters), (vec![103, 802], 2));
        assert_eq!(choice.inverter.map(|common| common.serial).as_deref(), Some("1"));
        assert_eq!(choice.bank.map(|common| common.serial).as_deref(), Some("2"));
        assert_eq!(choice.meters[0].1.serial, "0");
    }

    #[test]
    fn a_meter_in_the_inverters_own_sub_device_has_no_number_of_its_own() {
        let choice = Choice::of(&groups(&[&[1, 103, 203, 203]]));
        assert_eq!(choice.meters.len(), 2);
        assert!(choice.meters.iter().all(|(_, common)| common.serial.is_empty()));
    }

    #[test]
    fn without_an_inverter_the_battery_is_the_head_and_a_meter_alone_has_its_number() {
        let bank = Choice::of(&groups(&[&[1, 802, 713]]));
        assert_eq!((ids(&bank.models), bank.inverter), (vec![802, 713], None));
        assert_eq!(bank.bank.map(|common| common.serial).as_deref(), Some("0"));
        let meter = Choice::of(&groups(&[&[1, 203]]));
        assert_eq!((meter.models.len(), &*meter.meters[0].1.serial), (0, "0"));
        assert!(Choice::of(&groups(&[&[1, 122, 64_001]])).is_empty());
    }
}
