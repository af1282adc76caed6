//! A device of a profile at work: what it was told, its timers, and what its registers show. The clock is the plant's.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use adapter_api::profile::{Function, Profile};

use super::{
    ProductSettings, accept, check,
    face::Face,
    factory,
    map::Map,
    registers::Registers,
    scene::{Side, battery_volts},
    states::{self, Memory, SAFE},
};
use crate::{
    Exception, PlantState,
    live::LivePlant,
    plant::{BATTERY_W, Controls, Counters, EMPTY_PERCENT, Orders, RATED_W},
};

/// What a setpoint was told and is in force.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub state: String,
    /// W, a magnitude; none where the state says no power.
    pub watts: Option<f64>,
    /// %.
    soc: Option<f64>,
    holds_for: Option<Duration>,
    ends: Option<Duration>,
}

pub(super) struct Machine {
    profile: Profile,
    map: Map,
    plant: LivePlant,
    absent: Vec<String>,
    lone: Side,
    strict: bool,
    clamps: bool,
    ready: bool,
    memory: Memory,
    factory: Memory,
    told: BTreeMap<String, Told>,
    /// Lifetime counters count from here.
    counted_from: Option<Counters>,
    /// So many reads of a counter show 0.
    pub bounce: u32,
    /// Until then every read of a counter does.
    bounces_until: Option<Duration>,
    pub shift: i16,
    pub fallbacks: u64,
}

impl Machine {
    pub fn new(profile: Profile, settings: &ProductSettings, plant: LivePlant) -> Self {
        let memory = factory::memory(&profile, !settings.unready);
        let told = profile.setpoints.iter().filter_map(|(group, setpoint)| {
            let state = states::meant(setpoint, &memory, &memory)?.to_owned();
            Some((group.clone(), Told { state, watts: None, soc: None, holds_for: None, ends: None }))
        });
        Self {
            told: told.collect(),
            map: Map::new(&profile, &memory),
            lone: if settings.loads { Side::Loads } else { Side::Grid },
            absent: settings.absent.clone(),
            strict: settings.strict,
            clamps: settings.clamps,
            ready: !settings.unready,
            factory: memory.clone(),
            memory,
            counted_from: None,
            bounce: 0,
            bounces_until: None,
            shift: 0,
            fallbacks: 0,
            profile,
            plant,
        }
    }

    /// The home now, as far as the device's timers have let it come.
    pub fn now(&mut self) -> PlantState {
        self.settle();
        self.plant.now()
    }

    /// Time leaps ahead, from one end of a timer to the next.
    pub fn skip(&mut self, by: Duration) {
        let target = self.plant.time() + by;
        loop {
            self.settle();
            let now = self.plant.time();
            let end = self.next_end().filter(|end| *end < target);
            self.plant.skip(end.unwrap_or(target).saturating_sub(now));
            if end.is_none() {
                return self.settle();
            }
        }
    }

    /// Lifetime counters begin again at 0.
    pub fn reset_counters(&mut self) {
        self.counted_from = Some(self.now().counters);
    }

    /// Lifetime counters show 0 for so long.
    pub fn bounce_for(&mut self, time: Duration) {
        self.bounces_until = Some(self.plant.time() + time);
    }

    /// Does this read of a counter show 0? It is one of them.
    pub fn bounces(&mut self) -> bool {
        let for_now = self.bounces_until.is_some_and(|until| self.plant.time() < until);
        let counted = !for_now && self.bounce > 0;
        self.bounce -= u32::from(counted);
        for_now || counted
    }

    /// Lifetime counters as the device has them.
    pub fn counted(&self, counters: Counters) -> Counters {
        self.counted_from.as_ref().map_or(counters, |from| counters.since(from))
    }

    /// What a setpoint is told.
    pub fn told(&mut self, group: &str) -> Option<Told> {
        self.settle();
        self.told.get(group).cloned()
    }

    /// `count` registers from `first`, as they are numbered in the profile.
    pub fn read(&mut self, function: Function, first: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.map.readable(&self.profile, function, first, count)?;
        let zero = self.map.counts(function, first, count) && self.bounces();
        let registers = self.image(zero);
        Ok((first..=u16::MAX).take(count.into()).map(|at| registers.get(function, at)).collect())
    }

    /// Is this a register that can be written?
    pub fn owns(&self, at: u16) -> bool {
        self.memory.contains_key(&at)
    }

    pub fn write(&mut self, function: u8, first: u16, values: &[u16]) -> Result<(), Exception> {
        self.settle();
        let written: Vec<u16> = (first..=u16::MAX).take(values.len()).collect();
        if written.len() < values.len() || !written.iter().all(|at| self.owns(*at)) {
            return Err(Exception::IllegalAddress);
        }
        if self.strict && self.map.is_single(first) != (function == 6) {
            return Err(Exception::IllegalFunction);
        }
        let mut memory = self.memory.clone();
        memory.extend(written.iter().copied().zip(values.iter().copied()));
        accept::take(&self.profile, &mut memory, &self.factory, &written, self.clamps)?;
        self.memory = memory;
        let written: BTreeSet<u16> = written.into_iter().collect();
        self.obey(&written);
        Ok(())
    }

    /// Takes into force what the written registers mean now, and starts timers again.
    fn obey(&mut self, written: &BTreeSet<u16>) {
        let (now, volts) = (self.plant.time(), self.volts());
        let seen = self.image(false);
        let touches = |write: &adapter_api::profile::Write| {
            states::addresses(write).iter().any(|at| written.contains(at))
        };
        for (group, setpoint) in &self.profile.setpoints {
            if !setpoint.writes().any(touches) {
                continue;
            }
            if let Some(told) = self.told.get_mut(group) {
                told.ends = told.holds_for.map(|holds| now + holds);
            }
            let Some(name) = states::meant(setpoint, &self.memory, &self.factory) else { continue };
            let Some(state) = setpoint.states.get(name) else { continue };
            let mut triggers = state.writes.iter().filter(|write| write.trigger).peekable();
            if triggers.peek().is_some() && !triggers.any(touches) {
                continue;
            }
            let concerned = |states: &[String]| match states {
                [] => !SAFE.contains(&name),
                some => some.iter().any(|state| state == name),
            };
            let mut requires = setpoint.requires.iter().filter(|required| concerned(&required.states));
            if !requires.all(|required| check::holds(&required.check, &seen)) {
                continue;
            }
            let holds_for = states::holds_for(setpoint, name, &self.memory);
            let told = Told {
                state: name.to_owned(),
                watts: states::watts(state, &self.memory, volts),
                soc: states::soc(state, &self.memory),
                holds_for,
                ends: holds_for.map(|holds| now + holds),
            };
            self.told.insert(group.clone(), told);
        }
        self.drive(now);
    }

    /// Lets every timer that is over end.
    fn settle(&mut self) {
        while let Some(end) = self.next_end().filter(|end| *end <= self.plant.time()) {
            let over: Vec<String> = self
                .told
                .iter()
                .filter(|(_, told)| told.ends == Some(end))
                .map(|(group, _)| group.clone())
                .collect();
            for group in over {
                self.fall_back(&group);
            }
            self.drive(end);
        }
    }

    fn next_end(&self) -> Option<Duration> {
        self.told.values().filter_map(|told| told.ends).min()
    }

    /// The device does as it likes again, and its registers show it; what wears out stays.
    fn fall_back(&mut self, group: &str) {
        self.fallbacks += 1;
        let Some(setpoint) = self.profile.setpoints.get(group) else { return };
        for write in setpoint.writes().filter(|write| !setpoint.wears(write)) {
            for at in states::addresses(write) {
                self.memory.insert(at, self.factory.get(&at).copied().unwrap_or_default());
            }
        }
        let safe = SAFE.iter().find(|name| setpoint.states.contains_key(**name)).copied().unwrap_or_default();
        // What wears out may still hold it back.
        let state = states::meant(setpoint, &self.memory, &self.factory).unwrap_or(safe).to_owned();
        let told = Told { state, watts: None, soc: None, holds_for: None, ends: None };
        self.told.insert(group.to_owned(), told);
    }

    /// The plant does what is in force.
    fn drive(&self, at: Duration) {
        let mut orders = Orders::default();
        let mut reserve = None;
        for (group, told) in &self.told {
            let limit = || (told.state == "limit").then(|| whole(told.watts, RATED_W));
            match group.as_str() {
                "battery" => {
                    let until = told.soc.map(hundredths);
                    orders.battery = self.window(told);
                    orders.until = match told.state.as_str() {
                        "charge" => (None, until),
                        "discharge" => (until, None),
                        _ => (None, None),
                    };
                }
                "power_limit" => orders.output = limit(),
                "export_limit" => orders.export = limit(),
                _ => reserve = told.soc,
            }
        }
        let has_reserve = self.profile.setpoints.contains_key("reserve");
        self.plant.control_at(at, |controls: &mut Controls| {
            controls.orders = orders;
            if has_reserve {
                controls.storage.reserve = hundredths(reserve.unwrap_or(EMPTY_PERCENT));
            }
        });
    }

    /// Least and greatest battery power, W; none: as it likes. A state that says no power means all of it. What other
    /// states left behind narrows it.
    fn window(&self, told: &Told) -> Option<(i64, i64)> {
        let most = i64::from(BATTERY_W);
        let window = states::window(&told.state, whole(told.watts, BATTERY_W), most);
        let setpoint = self.profile.setpoints.get("battery")?;
        let left = states::left_behind(setpoint, &told.state, &self.memory);
        left.into_iter().filter_map(|state| states::window(state, most, most)).fold(
            window,
            |all, (low, high)| {
                let (least, greatest) = all.unwrap_or((-most, most));
                Some((least.clamp(low, high), greatest.clamp(low, high)))
            },
        )
    }

    fn volts(&self) -> f64 {
        battery_volts(&self.profile, self.plant.now().soc)
    }

    /// All registers of this instant.
    fn image(&mut self, zero_counters: bool) -> Registers {
        let mut state = self.now();
        let counters = state.counters;
        state.counters = if zero_counters { counters.since(&counters) } else { self.counted(counters) };
        let Self { profile, map, absent, lone, ready, memory, .. } = self;
        Face { profile, map, absent, lone: *lone, ready: *ready }.registers(state, memory)
    }
}

fn hundredths(percent: f64) -> u16 {
    (percent.clamp(0.0, 100.0) * 100.0).round() as u16
}

fn whole(watts: Option<f64>, most: u16) -> i64 {
    watts.map_or(i64::from(most), |watts| (watts.round() as i64).clamp(0, most.into()))
}
