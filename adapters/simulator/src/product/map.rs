//! Which registers a device has, and which requests it answers. Pure.
//!
//! There are the registers of all points, texts, ratings, checks, setpoints and settings; between two of them that are
//! no further apart than `limits.gap` lets a request bridge, all others as 0. Anything else is exception 2, and so is a
//! request that `limits.forbidden` or `limits.readable` rule out; one that is longer than `limits.block` is exception 3.

use std::collections::BTreeSet;

use adapter_api::profile::{Function, Profile, Term, Text};

use super::{
    check, factory,
    registers::Registers,
    states::{Memory, addresses},
};
use crate::Exception;

pub(super) struct Map {
    /// All registers, as 0.
    there: Registers,
    counters: BTreeSet<(Function, u16)>,
    /// Written by function 6.
    single: BTreeSet<u16>,
    blind: BTreeSet<u16>,
}

impl Map {
    pub fn new(profile: &Profile, memory: &Memory) -> Self {
        let mut there = Registers::default();
        let mut counters = BTreeSet::new();
        for (_, name, point) in profile.all_points() {
            for term in &point.terms {
                let (first, last) = term.span();
                if name.contains("nergy") && point.unit == "kWh" {
                    counters.extend((first..=last).map(|at| (term.function, at)));
                }
            }
        }
        let ratings = &profile.ratings;
        let ratings = [&ratings.power, &ratings.charge, &ratings.discharge, &ratings.capacity];
        let rated = ratings.into_iter().flatten().flat_map(|point| &point.terms);
        let terms: Vec<&Term> =
            rated.chain(profile.all_points().flat_map(|(.., point)| &point.terms)).collect();
        for term in &terms {
            let (first, last) = term.span();
            (first..=last).for_each(|at| there.have(term.function, at));
        }
        let turned = terms.iter().filter_map(|term| term.negative_when.as_ref());
        for check in factory::checks(profile).chain(factory::required(profile)).chain(turned) {
            check::addresses(check).into_iter().for_each(|at| there.have(check.function, at));
        }
        let identities =
            std::iter::once(&profile.identity).chain(profile.parts.values().map(|part| &part.identity));
        for text in identities.flat_map(|all| [all.serial, all.model, all.firmware]).flatten() {
            let Text { register, length, function, .. } = text;
            (register..=u16::MAX).take(length.into()).for_each(|at| there.have(function, at));
        }
        memory.keys().for_each(|at| there.have(Function::Holding, *at));
        let writes = || profile.setpoints.values().flat_map(adapter_api::profile::Setpoint::writes);
        let of = |blind: bool| -> BTreeSet<u16> {
            writes().filter(|write| write.blind == blind).flat_map(addresses).collect()
        };
        let settings =
            profile.settings.values().filter(|setting| setting.single).map(|setting| setting.register);
        let single =
            writes().filter(|write| write.single).map(|write| write.register).chain(settings).collect();
        bridge(profile, &mut there);
        Self { there, counters, single, blind: &of(true) - &of(false) }
    }

    /// All registers, as 0.
    pub fn blank(&self) -> Registers {
        self.there.clone()
    }

    /// May these be read in one request?
    pub fn readable(
        &self,
        profile: &Profile,
        function: Function,
        first: u16,
        count: u16,
    ) -> Result<(), Exception> {
        let limits = &profile.limits;
        let last = first.saturating_add(count.saturating_sub(1));
        if count > limits.block {
            return Err(Exception::IllegalValue);
        }
        let within = limits.readable.is_empty()
            || limits.readable.iter().any(|range| range.contains(function, first, last));
        let barred = limits.forbidden.iter().any(|range| range.touches(function, first, last));
        let table = self.there.table(function);
        let all = (first..=last).all(|at| table.contains_key(&at));
        if within && !barred && all { Ok(()) } else { Err(Exception::IllegalAddress) }
    }

    /// Has a request a lifetime counter?
    pub fn counts(&self, function: Function, first: u16, count: u16) -> bool {
        let last = first.saturating_add(count.saturating_sub(1));
        self.counters.range((function, first)..=(function, last)).next().is_some()
    }

    /// Is it written by function 6?
    pub fn is_single(&self, at: u16) -> bool {
        self.single.contains(&at)
    }

    /// Can what was written there not be read back?
    pub fn is_blind(&self, at: u16) -> bool {
        self.blind.contains(&at)
    }
}

/// Fills the gaps that a request may bridge.
fn bridge(profile: &Profile, there: &mut Registers) {
    for function in [Function::Holding, Function::Input] {
        let known: Vec<u16> = there.table(function).keys().copied().collect();
        for pair in known.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            if to - from - 1 <= profile.limits.gap {
                let free = |at: &u16| {
                    !profile.limits.forbidden.iter().any(|range| range.touches(function, *at, *at))
                };
                (from + 1..to).filter(free).for_each(|at| there.have(function, at));
            }
        }
    }
}
