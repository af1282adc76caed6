//! What a scan found, and which answers are one and the same device. Pure.

/// Who a device says it is; empty where it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Who made it.
    pub manufacturer: String,
    /// What it is.
    pub model: String,
    /// Its firmware.
    pub firmware: String,
    /// Its serial number.
    pub serial: String,
}

/// A unit that answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// Its line's address as the configuration takes it; on serial with speed and parity.
    pub address: String,
    /// Its unit id.
    pub unit: u8,
    /// Further unit ids on which the same device answers.
    pub same: Vec<u8>,
    /// Who it is, by its SunSpec Common blocks (the first is the device itself), or else by the
    /// profile that fits best. Empty where neither says.
    pub identities: Vec<Identity>,
    /// Its SunSpec models in the order of its map.
    pub models: Vec<u16>,
    /// The profiles that fit, the best first; none: it answers, and no known profile fits.
    pub profiles: Vec<String>,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Units that answered, in the order in which they were found.
    pub found: Vec<Found>,
    /// What else is to be said, in whole sentences.
    pub remarks: Vec<String>,
    /// Was everything asked that the plan wanted?
    pub complete: bool,
}

/// The same serial number on so many unit ids leaves no doubt: the device ignores them.
const CERTAIN: usize = 3;

impl Report {
    /// Adds a unit. On TCP a serial number that was seen is the same device once more: many of them
    /// answer on any unit id. Tells whether it is a device that was not known yet.
    pub(super) fn take(&mut self, found: Found, tcp: bool) -> bool {
        let twin = |known: &&mut Found| {
            let same = known.identities.first().zip(found.identities.first());
            known.address == found.address && same.is_some_and(|(a, b)| !a.serial.is_empty() && a == b)
        };
        match self.found.iter_mut().find(twin).filter(|_| tcp) {
            Some(known) => {
                known.same.push(found.unit);
                false
            }
            None => {
                self.found.push(found);
                true
            }
        }
    }

    /// Does a device at this address answer on any unit id? By its serial number, or because all of
    /// the usual unit ids, which no home has in use at once, answer alike. What is the same becomes
    /// one.
    pub(super) fn ignores_units(&mut self, address: &str, usual: &[u8]) -> bool {
        let here = |found: &Found| found.address == address;
        if self.found.iter().any(|found| here(found) && found.same.len() + 1 >= CERTAIN) {
            return true;
        }
        let units: Vec<u8> = self.found.iter().filter(|found| here(found)).map(|found| found.unit).collect();
        let Some(first) = self.found.iter().find(|found| here(found)).cloned() else { return false };
        let alike = |found: &Found| {
            let serial = found.identities.first().is_some_and(|identity| !identity.serial.is_empty());
            !serial && found.profiles == first.profiles && found.identities == first.identities
        };
        let all = usual.iter().all(|unit| units.contains(unit));
        if !all || !self.found.iter().filter(|found| here(found)).all(alike) {
            return false;
        }
        self.found.retain(|found| !here(found) || found.unit == first.unit);
        for found in self.found.iter_mut().filter(|found| here(found)) {
            found.same = units.iter().copied().filter(|unit| *unit != first.unit).collect();
        }
        true
    }

    /// Did anything answer there?
    pub(super) fn alive_at(&self, address: &str) -> bool {
        self.found.iter().any(|found| found.address == address)
    }

    pub(super) fn remark(&mut self, sentence: String) {
        if !self.remarks.contains(&sentence) {
            self.remarks.push(sentence);
        }
    }
}

impl Found {
    /// Maker and model, or empty.
    pub fn product(&self) -> String {
        let Some(identity) = self.identities.first() else { return String::new() };
        [identity.manufacturer.as_str(), identity.model.as_str()].join(" ").trim().to_owned()
    }

    /// Its serial number, or empty.
    pub fn serial(&self) -> &str {
        self.identities.first().map_or("", |identity| identity.serial.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "tcp://x:502";

    fn found(unit: u8, serial: &str) -> Found {
        let identity = Identity { model: "Hybrid".into(), serial: serial.into(), ..Identity::default() };
        let profiles = vec!["sunspec".to_owned()];
        Found { address: HERE.into(), unit, identities: vec![identity], profiles, ..Found::default() }
    }

    #[test]
    fn one_serial_number_on_several_unit_ids_is_one_device_on_tcp_and_several_on_a_bus() {
        let mut report = Report::default();
        assert!(report.take(found(1, "A"), true));
        assert!(!report.take(found(2, "A"), true));
        assert!(report.take(found(3, "B"), true));
        assert!(!report.ignores_units(HERE, &[1, 2, 3]), "two unit ids may be meant so");
        assert!(!report.take(found(71, "A"), true));
        assert!(report.ignores_units(HERE, &[1, 2, 3]));
        let units: Vec<_> = report.found.iter().map(|found| (found.unit, found.same.clone())).collect();
        assert_eq!(units, [(1, vec![2, 71]), (3, vec![])]);
        let mut bus = Report::default();
        assert!(bus.take(found(1, "A"), false) && bus.take(found(2, "A"), false));
    }

    #[test]
    fn units_without_a_serial_number_are_one_device_only_when_all_usual_ids_answer_alike() {
        let usual = [1, 2, 3];
        let mut report = Report::default();
        for unit in [1, 2] {
            report.take(found(unit, ""), true);
        }
        assert!(!report.ignores_units(HERE, &usual), "two meters behind a gateway");
        report.take(found(3, ""), true);
        let mut other = report.clone();
        other.found[2].profiles.clear();
        assert!(!other.ignores_units(HERE, &usual), "they are not alike");
        assert!(report.ignores_units(HERE, &usual));
        assert_eq!((report.found.len(), &report.found[0].same), (1, &vec![2, 3]));
    }
}
