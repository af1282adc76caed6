//! What answered over one and the same line, and under which of its settings it is to be used: a port has
//! one speed and one parity. Asks no device; follows links to a serial port.

use std::{cmp::Reverse, collections::BTreeMap, path::Path};

use super::{ask::settings, report::Found};
use crate::config::{Address, Parity, Serial, Settings};

/// One end of a line: a host's port, or a serial port.
pub(super) struct End<'a> {
    /// The setting to use: that under which most devices answered.
    pub address: &'a str,
    /// The connection that is configured for it.
    pub configured: Option<(&'a str, &'a Settings)>,
    /// What answered so.
    pub own: Vec<&'a Found>,
    /// What answered under another setting alone.
    pub others: Vec<&'a Found>,
}

/// The name of the connection that goes to the same end: the same host and port, however it is spoken
/// to, or the same serial port by whichever name. Nothing when the address cannot be read.
pub fn configured_at<'a>(address: &str, configured: &'a BTreeMap<String, Settings>) -> Option<&'a str> {
    at(address, configured).map(|(name, _)| name)
}

fn at<'a>(address: &str, configured: &'a BTreeMap<String, Settings>) -> Option<(&'a str, &'a Settings)> {
    let wanted = end(&settings(address))?;
    let same = |(_, settings): &(&String, &Settings)| end(settings).as_ref() == Some(&wanted);
    configured.iter().find(same).map(|(name, settings)| (name.as_str(), settings))
}

/// Where it ends, as the check of the configuration compares it; of a serial port, where links lead to.
fn end(settings: &Settings) -> Option<String> {
    let (end, alone) = settings.holds()?;
    let real = Path::new(&end).canonicalize().ok().filter(|_| alone);
    Some(real.map_or(end, |path| path.display().to_string()))
}

/// Everything that was found, end by end, in the order in which it was found.
pub(super) fn ends<'a>(found: &'a [Found], configured: &'a BTreeMap<String, Settings>) -> Vec<End<'a>> {
    let mut by_end: Vec<(Option<String>, Vec<&Found>)> = Vec::new();
    for one in found {
        let end = end(&settings(&one.address));
        match by_end.iter_mut().find(|(known, _)| *known == end) {
            Some((_, all)) => all.push(one),
            None => by_end.push((end, vec![one])),
        }
    }
    by_end.into_iter().filter_map(|(_, all)| choose(&all, configured)).collect()
}

fn choose<'a>(all: &[&'a Found], configured: &'a BTreeMap<String, Settings>) -> Option<End<'a>> {
    let configured = at(&all.first()?.address, configured);
    let key = |one: &&&'a Found| {
        let here = || all.iter().filter(|other| other.address == one.address);
        let usable = here().filter(|other| !other.profiles.is_empty()).count();
        let as_configured =
            configured.is_some_and(|(_, own)| readdressed(&own.address, &one.address).is_none());
        // The first of those that are equal.
        Reverse((usable, here().count(), as_configured))
    };
    let address = all.iter().min_by_key(key)?.address.as_str();
    let (own, rest): (Vec<&Found>, Vec<&Found>) = all.iter().partition(|one| one.address == address);
    let others = rest.into_iter().filter(|one| !own.iter().any(|known| twin(known, one))).collect();
    Some(End { address, configured, own, others })
}

/// Is it one device, which does not care for parity?
fn twin(a: &Found, b: &Found) -> bool {
    let baud = |found: &Found| serial(&found.address).map(|line| line.baud);
    a.unit == b.unit && a.identities == b.identities && a.profiles == b.profiles && baud(a) == baud(b)
}

fn serial(address: &str) -> Option<Serial> {
    address.parse::<Address>().ok()?.serial().cloned()
}

fn parity(parity: Parity) -> &'static str {
    match parity {
        Parity::None => "no",
        Parity::Even => "even",
        Parity::Odd => "odd",
    }
}

/// What the configured address must be to reach what answered at `found`; none when it does already.
pub(super) fn readdressed(configured: &str, found: &str) -> Option<String> {
    match (configured.parse().ok()?, found.parse().ok()?) {
        (Address::Rtu(own), Address::Rtu(new)) => {
            // The port keeps the name that the configuration gives it. Stop bits are not tried.
            let other = (own.baud, own.parity) != (new.baud, new.parity);
            other.then(|| Address::Rtu(Serial { path: own.path, ..new }).to_string())
        }
        (own, new) => (own != new).then(|| new.to_string()),
    }
}

impl End<'_> {
    /// What to do about each device that answers under another setting.
    pub fn remarks(&self) -> Vec<String> {
        let words = |address: &str| match serial(address) {
            Some(line) => format!("{} baud, {} parity", line.baud, parity(line.parity)),
            None => address.to_owned(),
        };
        let remark = |found: &&Found| {
            let product = match found.product() {
                product if product.is_empty() => "unknown".to_owned(),
                product => product,
            };
            let taken = self.own.iter().any(|own| own.unit == found.unit);
            let unit = if taken {
                format!(" and another unit id, for {} is taken", found.unit)
            } else {
                String::new()
            };
            format!(
                "Unit {} ({product}) answers at {}, but a line has one setting, and most answer at {}: set the same{unit} in its menu, and scan again",
                found.unit,
                words(&found.address),
                words(self.address)
            )
        };
        self.others.iter().map(remark).collect()
    }
}
