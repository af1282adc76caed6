//! Whether batteries follow their commands, and whether they are full or empty enough.

use adapter_api::{DeviceId, Moment};

use super::{Engine, Phase};
use crate::{
    command::{
        effect::{Expected, UntilSoc, WITHIN},
        lease::Setpoint,
    },
    journal::{CommandRow, Stored},
};

/// A command that is done, and whose effect is to be seen.
pub(super) struct Watch {
    /// As it will end.
    row: CommandRow,
    setpoint: Setpoint,
    expected: Expected,
    /// Readings from here on count, monotonic ms.
    since: u64,
    until: u64,
    /// A reading came.
    seen: bool,
}

impl Watch {
    pub fn new(row: CommandRow, setpoint: Setpoint, expected: Expected, now: Moment) -> Self {
        let within = u64::try_from(WITHIN.as_millis()).unwrap_or(u64::MAX);
        let (since, until) = (now.mono_ms, now.mono_ms + within);
        Self { row, setpoint, expected, since, until, seen: false }
    }
}

impl Engine {
    /// Does anybody wait for readings?
    pub fn wants_readings(&self) -> bool {
        !self.watches.is_empty() || self.ledger.held().any(|(_, lease)| until_soc(lease).is_some())
    }

    /// Readings came; `latest` gives a device's.
    pub fn readings(&mut self, latest: impl Fn(&DeviceId) -> Option<Stored>, now: Moment) {
        let mut met = Vec::new();
        for (number, watch) in &mut self.watches {
            let Some(stored) = latest(&watch.row.device) else { continue };
            let power = point(&stored, "activePower");
            if stored.reading.measured_at.mono_ms >= watch.since
                && let Some(power) = power
            {
                watch.seen = true;
                met.extend(watch.expected.is_met(power).then_some(*number));
            }
        }
        for number in met {
            self.watched(number, Some(true));
        }
        let mut over = Vec::new();
        for (setpoint, lease) in self.ledger.held() {
            let Some(until) = until_soc(lease) else { continue };
            let fresh = latest(&setpoint.0).filter(|stored| stored.reading.measured_at.mono_ms >= lease.from);
            let level = fresh.and_then(|stored| point(&stored, "batteryLevel"));
            over.extend(
                level.and_then(|level| until.reached(level)).map(|reason| (setpoint.clone(), reason)),
            );
        }
        for (setpoint, reason) in over {
            self.revert(&setpoint, &reason, now);
        }
    }

    /// Watches whose time is over.
    pub(super) fn look_at_watches(&mut self, now: Moment) {
        let over = self.watches.iter().filter(|(_, watch)| watch.until <= now.mono_ms);
        let over: Vec<_> = over.map(|(number, watch)| (*number, watch.seen.then_some(false))).collect();
        for (number, effect) in over {
            self.watched(number, effect);
        }
    }

    /// Another command of the setpoint starts: what comes is no longer the effect of the older one.
    pub(super) fn stop_watching(&mut self, setpoint: &Setpoint) {
        let of = self.watches.iter().filter(|(_, watch)| watch.setpoint == *setpoint);
        let of: Vec<_> = of.map(|(number, _)| *number).collect();
        for number in of {
            self.watched(number, None);
        }
    }

    /// Nobody will see anything any more: results are told without it.
    pub fn stop_all_watches(&mut self) {
        let all: Vec<_> = self.watches.keys().copied().collect();
        for number in all {
            self.watched(number, None);
        }
    }

    pub(super) fn next_watch(&self) -> Option<u64> {
        self.watches.values().map(|watch| watch.until).min()
    }

    fn watched(&mut self, number: u64, effect: Option<bool>) {
        let Some(watch) = self.watches.remove(&number) else { return };
        if self.queue.get(number).is_some_and(|entry| entry.phase == Phase::Watching) {
            self.end(CommandRow { effect, ..watch.row }, &[]);
        }
    }
}

fn until_soc(lease: &crate::command::lease::Lease) -> Option<UntilSoc> {
    UntilSoc::of(&lease.step.command, &lease.step.parameters)
}

fn point(stored: &Stored, name: &str) -> Option<f64> {
    let points = &stored.reading.points;
    points.iter().find(|(point, _)| point.as_str() == name).and_then(|(_, value)| value.number())
}
