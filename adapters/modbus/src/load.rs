//! How much of a line's time its units take, from the lengths of their frames. Pure.
//!
//! Only what can be computed counts: the bytes on a serial line, the silence between frames and the
//! pauses that are configured. A device's own time comes on top.

use std::time::Duration;

use adapter_api::{
    Schedule, Span,
    profile::{Class, known},
};

use crate::{
    client::{Form, Pace},
    config::{Address, Settings},
    plan::{Extent, plan},
    registers,
    units::{UnitConfig, resolve},
};

/// One round of these extents on the link.
pub(crate) fn round(address: &Address, unit: &UnitConfig, extents: &[Extent]) -> Duration {
    let requests = plan(extents, unit.rules(&unit.barred));
    requests.iter().map(|request| exchange(address, unit.pace, request.function.code(), request.count)).sum()
}

/// One request, its answer, and the pause before.
fn exchange(address: &Address, pace: Pace, function: u8, count: u16) -> Duration {
    match address.serial() {
        Some(line) => {
            line.time_of(Form::Registers(function, count).bytes()) + pace.spacing.max(line.silence())
        }
        None => pace.spacing,
    }
}

/// What a profiled unit takes of the link between two of its intervals, on average: each class in its own rhythm.
pub(crate) fn of_profile(address: &Address, unit: &UnitConfig) -> Duration {
    let shares = Class::ALL.into_iter().filter_map(|class| {
        let period = class.period(unit.interval)?;
        let extents = registers::extents(unit, |point| point.class == class);
        Some(round(address, unit, &extents).mul_f64(unit.interval.as_secs_f64() / period.as_secs_f64()))
    });
    shares.sum()
}

impl Settings {
    /// What the link cannot do: more than its whole time is asked for. Key and words.
    pub fn overload(&self) -> Option<(String, String)> {
        let address: Address = self.address.parse().ok()?;
        let units = resolve("", self);
        let share = |unit: &UnitConfig| {
            of_profile(&address, unit).as_secs_f64() / unit.interval.as_secs_f64().max(f64::MIN_POSITIVE)
        };
        let load: f64 = units.iter().map(share).sum();
        if load <= Schedule::ROOM {
            return None;
        }
        let longest = units.iter().map(|unit| unit.interval).max()?;
        let possible = longest.mul_f64(load / Schedule::ROOM);
        let tenths = (possible.as_secs_f64() * 10.0).ceil() as u64;
        let words = format!(
            "{} units need {:.0} % of the time of {address}: polls will be missed. Set interval = \"{}\" or longer{}",
            units.len(),
            load * 100.0,
            Span(Duration::from_millis(tenths * 100)),
            if address.serial().is_some() { ", or a higher baud rate in the units and here" } else { "" },
        );
        Some(("interval".to_owned(), words))
    }

    /// Has one of its devices room for one client alone?
    fn is_one_client(&self) -> bool {
        let profiles = self.device.values().filter_map(|table| known().get(table.profile.as_deref()?));
        profiles.into_iter().any(|profile| profile.limits.one_client)
    }

    /// What the connection holds, and whether nobody else can have it: a serial line is one client's, and some
    /// devices take no second one.
    pub fn holds(&self) -> Option<(String, bool)> {
        match self.address.parse().ok()? {
            Address::Tcp(host) => Some((host.to_string(), self.is_one_client())),
            // Two clients of one line take each other's answers, whatever lies between.
            Address::RtuOverTcp(host) => Some((host.to_string(), true)),
            Address::Rtu(line) => Some((line.path, true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str, meters: u8, interval: &str) -> Settings {
        let head = format!("address = '{address}'\ninterval = '{interval}'\n");
        let meter = |unit| format!("[device.m{unit}]\nprofile = 'eastron-sdm630'\nunit = {unit}\n");
        toml::from_str(&(head + &(1..=meters).map(meter).collect::<String>())).unwrap()
    }

    #[test]
    fn the_time_of_a_round_is_that_of_its_frames() {
        let settings = settings("rtu:///dev/x?baud=9600", 1, "1s");
        let unit = resolve("", &settings).remove(0);
        let address: Address = settings.address.parse().unwrap();
        // 76 registers: 8 bytes out, 157 back, and the profile's pause of 10 ms.
        let wanted = Duration::from_secs(165 * 10) / 9600 + Duration::from_millis(10);
        let took = of_profile(&address, &unit);
        assert!(took.abs_diff(wanted) < Duration::from_micros(10), "{took:?} {wanted:?}");
    }

    #[test]
    fn a_line_that_cannot_keep_its_interval_is_said_with_one_that_it_can() {
        assert_eq!(settings("rtu:///dev/x?baud=9600", 4, "1s").overload(), None);
        let (key, words) = settings("rtu:///dev/x?baud=9600", 10, "1s").overload().unwrap();
        assert_eq!(key, "interval");
        assert!(words.contains("interval = \"2100ms\"") && words.contains("182 %"), "{words}");
        assert_eq!(settings("rtu:///dev/x?baud=9600", 10, "2100ms").overload(), None);
        assert_eq!(settings("tcp://x", 50, "1s").overload(), None);
    }

    #[test]
    fn a_serial_line_belongs_to_one_connection() {
        assert_eq!(settings("rtu+tcp://x:23", 1, "1s").holds(), Some(("x:23".into(), true)));
        assert_eq!(settings("rtu:///dev/x", 1, "1s").holds(), Some(("/dev/x".into(), true)));
        assert_eq!(settings("tcp://x", 1, "1s").holds(), Some(("x:502".into(), false)));
    }
}
