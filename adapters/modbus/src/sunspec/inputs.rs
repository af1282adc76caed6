//! The DC side: the modules of model 160 and the ports of model 714, by what hangs on them. Pure.

use std::sync::LazyLock;

use adapter_api::profile::Profile;

use super::{
    models::{Block, Field, Model, Named},
    snapshot::Snapshot,
    table::Table,
};

/// One DC input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Input {
    pub role: Role,
    /// W. Of PV, charge and discharge a magnitude; a battery's is positive when it discharges.
    pub power: Option<f64>,
    /// Wh that it gave to the inverter in its life; 0 when it counts nothing, or has counted nothing yet.
    pub given: Option<f64>,
    /// Wh that it took.
    pub taken: Option<f64>,
}

/// What hangs on a DC input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Pv,
    /// The way into the battery, of a device whose inputs have no sign.
    Charge,
    /// The way out of it.
    Discharge,
    /// A battery, both ways.
    Battery,
    /// Neither.
    Other,
}

/// All DC inputs of a unit, of the one model that it has.
pub(crate) fn inputs(profile: &Profile, snapshot: &Snapshot) -> Vec<Input> {
    if let Some(block) = snapshot.block(Model::Ports) {
        return ports(block);
    }
    snapshot.block(Model::Mppt).map(|block| modules(profile, block)).unwrap_or_default()
}

/// Points of a model that repeats.
struct Repeated {
    count: u16,
    name: usize,
    kind: Option<Named>,
    power: Field,
    given: Field,
    taken: Option<Field>,
    state: Named,
}

static MODULES: LazyLock<Repeated> = LazyLock::new(|| Repeated {
    count: Named::of(160, "N").at,
    name: usize::from(Named::of(160, "IDStr").at),
    kind: None,
    power: Field::of(160, "DCW"),
    given: Field::of(160, "DCWH"),
    taken: None,
    state: Named::of(160, "DCSt"),
});

static PORTS: LazyLock<Repeated> = LazyLock::new(|| {
    // The model has the same names for all ports together, so these are those of the port.
    let group = Table::of(714).and_then(|table| table.group.as_ref()).map(|group| group.points.as_slice());
    let place = |name: &str| {
        let point = group.unwrap_or_default().iter().find(|point| point.name == name);
        point.unwrap_or_else(|| panic!("a port of model 714 has no {name}: see models.txt"))
    };
    Repeated {
        count: Named::of(714, "NPrt").at,
        name: usize::from(place("IDStr").at),
        kind: Some(Named::from(place("PrtTyp"))),
        power: Field::from(place("DCW")),
        given: Field::from(place("DCWhInj")),
        taken: Some(Field::from(place("DCWhAbs"))),
        state: Named::from(place("DCSta")),
    }
});

/// Where each repetition that a block has begins, after the first one. The device's own count may be
/// missing, and is never believed beyond the registers that there are.
fn places(id: u16, block: Block<'_>, count: u16) -> impl Iterator<Item = usize> {
    let table = Table::of(id);
    let registers = u16::try_from(block.0.len()).unwrap_or(u16::MAX);
    let there = table.map_or(0, |table| table.repeats(registers));
    let size = table.and_then(|table| table.group.as_ref()).map_or(0, |group| usize::from(group.size));
    let said = block.word(count).filter(|count| *count > 0).unwrap_or(there);
    (0..usize::from(there.min(said))).map(move |n| n * size)
}

fn modules(profile: &Profile, block: Block<'_>) -> Vec<Input> {
    let points = &*MODULES;
    let input = |offset: usize| {
        let role = role(profile, block.after(points.name + offset));
        let energy = block.repeated(points.given, offset);
        let asleep = matches!(block.raw(points.state.at + offset as u16), Some(1 | 2 | 8));
        let (given, taken) = if role == Role::Charge { (None, energy) } else { (energy, None) };
        Input { role, power: power(block.repeated(points.power, offset), asleep), given, taken }
    };
    places(160, block, points.count).map(input).collect()
}

fn ports(block: Block<'_>) -> Vec<Input> {
    let points = &*PORTS;
    let input = |offset: usize| {
        let word = |named: Named| block.word(named.at + offset as u16);
        let role = match points.kind.and_then(word) {
            Some(0) => Role::Pv,
            Some(1) => Role::Battery,
            _ => Role::Other,
        };
        Input {
            role,
            power: power(block.repeated(points.power, offset), word(points.state) == Some(0)),
            given: block.repeated(points.given, offset),
            taken: points.taken.and_then(|taken| block.repeated(taken, offset)),
        }
    };
    places(714, block, points.count).map(input).collect()
}

/// Off, sleeping and standby inputs often report no power at all: it is none.
fn power(watts: Option<f64>, asleep: bool) -> Option<f64> {
    watts.or(asleep.then_some(0.0))
}

/// By the names that makers give to the inputs of a battery. They are so much their own that they
/// mean the same on a device that is sold under another name.
fn role(profile: &Profile, words: &[u16]) -> Role {
    let starts = |names: &[String]| names.iter().any(|name| begins(words, name));
    if profile.maker.iter().any(|maker| starts(&maker.discharge_inputs)) {
        Role::Discharge
    } else if profile.maker.iter().any(|maker| starts(&maker.charge_inputs)) {
        Role::Charge
    } else {
        Role::Pv
    }
}

/// Does a string in registers begin so?
fn begins(words: &[u16], name: &str) -> bool {
    let mut bytes = words.iter().flat_map(|word| word.to_be_bytes());
    name.bytes().all(|wanted| bytes.next() == Some(wanted))
}

#[cfg(test)]
mod tests {
    use adapter_api::profile::builtin;

    use super::*;
    use crate::testing::hybrid::{MODULES, model, mppt};

    fn profile() -> &'static Profile {
        &builtin()["sunspec"]
    }

    #[test]
    fn names_tell_the_ways_of_the_battery_from_the_sun() {
        let words = mppt(&MODULES);
        let all = modules(profile(), Block(&words));
        let roles: Vec<Role> = all.iter().map(|input| input.role).collect();
        assert_eq!(roles, [Role::Pv, Role::Pv, Role::Charge, Role::Discharge]);
        assert_eq!((all[2].power, all[2].taken, all[2].given), (Some(600.0), Some(900_000.0), None));
        assert_eq!((all[3].given, all[3].taken), (Some(800_000.0), None));
    }

    #[test]
    fn the_devices_count_is_believed_as_far_as_there_are_registers() {
        let mut words = mppt(&MODULES);
        let mut count = |said: u16| {
            words[8] = said;
            modules(profile(), Block(&words)).len()
        };
        assert_eq!((count(4), count(2), count(9), count(0), count(0xFFFF)), (4, 2, 4, 4, 4));
        assert_eq!(modules(profile(), Block(&words[..69])).len(), 2, "a half module is none");
        assert_eq!(modules(profile(), Block(&words[..5])), []);
    }

    #[test]
    fn a_port_has_a_type_and_a_signed_power() {
        let mut words = model(714, 18 + 25 * 3, &[(4, &[3]), (15, &[0, 0, 1, 0, 0])]);
        for (n, (kind, watts)) in [(0, 310_i16), (1, -60), (2, 5)].into_iter().enumerate() {
            let port = 20 + 25 * n;
            (words[port], words[port + 12], words[port + 22]) = (kind, watts as u16, 1);
            words[port + 13..port + 21].copy_from_slice(&[0, 0, 1, 0, 0, 0, 0, 7]);
        }
        let all = ports(Block(&words));
        assert_eq!((all[0].role, all[0].power, all[0].given), (Role::Pv, Some(3100.0), Some(65_536.0)));
        assert_eq!((all[1].role, all[1].power, all[1].taken), (Role::Battery, Some(-600.0), Some(7.0)));
        words[20] = 5;
        assert_eq!(ports(Block(&words))[0].role, Role::Other);
    }
}
