//! Increments of energy, computed once, in whole Wh and in the order of the journal. Pure: the
//! moments come with the readings. It never looks at daily counters and never lowers a reading's
//! quality; a counter that is not believed ([`super::counter`]) gives no increment, and that is how
//! others see it.

use adapter_api::{DeviceInfo, EnergyRole, MeasurementSource, Quality, Reading, Usage};

use super::{
    counter::{Counter, Since},
    disbelief::Doubted,
    record::{Energy, EnergyBasis, Flow, Stored},
};

/// Assumed where the device does not say its greatest power: more than any house has, W.
const ANY_POWER: f64 = 100_000.0;
/// How far above its greatest power a device may be believed.
const TOLERANCE: f64 = 1.2;
/// Power is not integrated across longer gaps, ms.
const GAP: u64 = 300_000;
const MS_PER_HOUR: f64 = 3_600_000.0;
/// A counter beyond this is no counter, kWh (a whole number of Wh in an f64).
const COUNTER_MAX: f64 = 9e12;

/// What of a device decides how its readings count.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Traits {
    max_power: Option<f64>,
    positive_is_produced: bool,
}

impl Traits {
    pub fn of(info: &DeviceInfo) -> Self {
        let positive_is_produced = match info.usage {
            Some(Usage::Pv | Usage::Battery) => true,
            Some(Usage::Grid | Usage::Load) => false,
            None => matches!(info.role, EnergyRole::Producer | EnergyRole::Storage),
        };
        Self { max_power: info.max_power.filter(|power| *power > 0.0), positive_is_produced }
    }

    /// The most that can have come in this time, Wh; one more for what rounding adds.
    pub fn plausible(self, elapsed_ms: u64) -> u64 {
        let power = self.max_power.unwrap_or(ANY_POWER);
        (power * TOLERANCE * elapsed_ms as f64 / MS_PER_HOUR).ceil() as u64 + 1
    }
}

/// What is known of a device's energy between two readings.
#[derive(Debug, Default)]
pub(super) struct Meter {
    consumed: Counter,
    produced: Counter,
    /// It has shown a counter once: then nothing is integrated, ever.
    counts: bool,
    /// The last power and its monotonic time.
    power: Option<(u64, f64)>,
    /// What was integrated and is less than one Wh: of positive and of negative power.
    rest: [f64; 2],
    /// What was not believed of the last reading.
    doubted: Doubted,
}

impl Meter {
    /// Goes on after a restart. Monotonic times of another boot mean nothing.
    pub fn recovered(latest: &Stored, same_boot: bool) -> Self {
        let at = Since { at: latest.reading.measured_at, same_boot };
        let counter =
            |flow: Flow| flow.total.map_or_else(Counter::default, |total| Counter::known(total, at));
        let (consumed, produced) = (counter(latest.energy.consumed), counter(latest.energy.produced));
        let counts = consumed.total().is_some()
            || produced.total().is_some()
            || latest.energy.basis == EnergyBasis::Counter;
        let power = power(&latest.reading).filter(|_| same_boot && is_measured(&latest.reading));
        Self {
            consumed,
            produced,
            counts,
            power: power.map(|power| (latest.reading.measured_at.mono_ms, power)),
            rest: [0.0; 2],
            doubted: Doubted::default(),
        }
    }

    /// What this reading adds.
    pub fn take(&mut self, traits: Traits, reading: &Reading) -> Energy {
        let consumed = counter(reading, "energyConsumedTotal");
        let produced = counter(reading, "energyProducedTotal");
        self.counts |= consumed.is_some() || produced.is_some();
        self.doubted = Doubted::default();
        let (now, believable) = (reading.measured_at, believable(reading));
        if !self.counts {
            return power(reading)
                .filter(|_| is_measured(reading))
                .and_then(|power| self.integrate(traits, power, now.mono_ms))
                .unwrap_or(Energy {
                    basis: EnergyBasis::None,
                    consumed: Flow::default(),
                    produced: Flow::default(),
                });
        }
        let doubted = &mut self.doubted;
        let mut flow = |counter: &mut Counter, value: Option<u64>| Flow {
            increment: value
                .filter(|_| believable)
                .and_then(|value| counter.take(traits, value, now, doubted)),
            total: counter.total(),
        };
        Energy {
            basis: EnergyBasis::Counter,
            consumed: flow(&mut self.consumed, consumed),
            produced: flow(&mut self.produced, produced),
        }
    }

    /// What was not believed of the reading that was taken last.
    pub fn doubted(&self) -> Doubted {
        self.doubted
    }

    fn integrate(&mut self, traits: Traits, power: f64, now: u64) -> Option<Energy> {
        let last = self.power;
        if last.is_some_and(|(at, _)| at >= now) {
            return None;
        }
        self.power = Some((now, power));
        let (at, before) = last.filter(|(at, _)| now - at <= GAP)?;
        let (plus, minus) = areas(before, power, (now - at) as f64 / MS_PER_HOUR);
        let plus = whole(&mut self.rest[0], plus);
        let minus = whole(&mut self.rest[1], minus);
        let main = Flow { total: None, increment: Some(plus) };
        // The other direction is only there when something went that way: most devices have none.
        let other = Flow { total: None, increment: Some(minus).filter(|minus| *minus > 0) };
        let (consumed, produced) = if traits.positive_is_produced { (other, main) } else { (main, other) };
        Some(Energy { basis: EnergyBasis::Integrated, consumed, produced })
    }
}

/// Takes the whole Wh out of what came and what was left; the rest stays.
fn whole(rest: &mut f64, came: f64) -> u64 {
    let sum = *rest + came;
    // What rounding took away from a whole Wh is given back.
    let whole = (sum + 1e-9).floor();
    *rest = sum - whole;
    whole as u64
}

/// The areas above and below zero of a straight line between two powers, Wh.
fn areas(before: f64, after: f64, hours: f64) -> (f64, f64) {
    if before >= 0.0 && after >= 0.0 {
        return ((before + after) / 2.0 * hours, 0.0);
    }
    if before <= 0.0 && after <= 0.0 {
        return (0.0, -(before + after) / 2.0 * hours);
    }
    let crossing = before.abs() / (before.abs() + after.abs()) * hours;
    let (first, second) = (before.abs() / 2.0 * crossing, after.abs() / 2.0 * (hours - crossing));
    if before > 0.0 { (first, second) } else { (second, first) }
}

/// An impossible power lowers the quality on the way to MongoDB, where such a document carries no
/// increment: what it would have added goes to the next one.
fn believable(reading: &Reading) -> bool {
    let possible = power(reading).is_none_or(|power| power.abs() <= ANY_POWER);
    possible && matches!(reading.quality, Quality::Good | Quality::Fair)
}

/// A power that was made up, because the device sleeps, moved nothing.
fn is_measured(reading: &Reading) -> bool {
    reading.source != MeasurementSource::Estimated && believable(reading)
}

fn power(reading: &Reading) -> Option<f64> {
    let power = reading.point("activePower")?.number()?;
    power.is_finite().then_some(power)
}

/// A lifetime counter in kWh as whole Wh.
fn counter(reading: &Reading, name: &str) -> Option<u64> {
    let kwh = reading.point(name)?.number()?;
    (0.0..=COUNTER_MAX).contains(&kwh).then(|| (kwh * 1000.0).round() as u64)
}

#[cfg(test)]
#[path = "energy_tests.rs"]
mod tests;
