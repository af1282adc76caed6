//! Increments of energy, computed once, in whole Wh and in the order of the journal. Pure: the
//! moments come with the readings. It never looks at daily counters and never lowers a reading's
//! quality; a counter that is not believed gives no increment, and that is how others see it.

use adapter_api::{DeviceInfo, EnergyRole, Moment, Quality, Reading, Usage};

use super::record::{Energy, EnergyBasis, Flow, Stored};

/// Assumed where the device does not say its greatest power: more than any house has, W.
const ANY_POWER: f64 = 100_000.0;
/// How far above its greatest power a device may be believed.
const TOLERANCE: f64 = 1.2;
/// A value that is not believed must stay for so many readings …
const PROOF: u32 = 3;
/// … and a lower one also this long: devices bounce to zero for some readings, ms.
const LOWER_FOR: u64 = 60_000;
/// Power is not integrated across longer gaps, ms.
const GAP: u64 = 300_000;
/// Where counters of 32 bits wrap, Wh: those that count 1, 10, 100 and 1000 Wh.
const WRAPS: [u64; 4] = [1 << 32, 10 << 32, 100 << 32, 1000 << 32];
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
    fn plausible(self, elapsed_ms: u64) -> u64 {
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
}

impl Meter {
    /// Goes on after a restart. Monotonic times of another boot mean nothing.
    pub fn recovered(latest: &Stored, same_boot: bool) -> Self {
        let at = Since { at: latest.reading.measured_at, same_boot };
        let counter = |flow: Flow| Counter { believed: flow.total.map(|total| (total, at)), doubt: None };
        let (consumed, produced) = (counter(latest.energy.consumed), counter(latest.energy.produced));
        let counts = consumed.believed.is_some()
            || produced.believed.is_some()
            || latest.energy.basis == EnergyBasis::Counter;
        let power = power(&latest.reading).filter(|_| same_boot && believable(&latest.reading));
        Self {
            consumed,
            produced,
            counts,
            power: power.map(|power| (latest.reading.measured_at.mono_ms, power)),
            rest: [0.0; 2],
        }
    }

    /// What this reading adds.
    pub fn take(&mut self, traits: Traits, reading: &Reading) -> Energy {
        let consumed = counter(reading, "energyConsumedTotal");
        let produced = counter(reading, "energyProducedTotal");
        self.counts |= consumed.is_some() || produced.is_some();
        let (now, believable) = (reading.measured_at, believable(reading));
        if !self.counts {
            return power(reading)
                .filter(|_| believable)
                .and_then(|power| self.integrate(traits, power, now.mono_ms))
                .unwrap_or(Energy {
                    basis: EnergyBasis::None,
                    consumed: Flow::default(),
                    produced: Flow::default(),
                });
        }
        let flow = |counter: &mut Counter, value: Option<u64>| Flow {
            increment: value.filter(|_| believable).and_then(|value| counter.take(traits, value, now)),
            total: counter.believed.map(|(total, _)| total),
        };
        Energy {
            basis: EnergyBasis::Counter,
            consumed: flow(&mut self.consumed, consumed),
            produced: flow(&mut self.produced, produced),
        }
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

fn power(reading: &Reading) -> Option<f64> {
    let power = reading.point("activePower")?.number()?;
    power.is_finite().then_some(power)
}

/// A lifetime counter in kWh as whole Wh.
fn counter(reading: &Reading, name: &str) -> Option<u64> {
    let kwh = reading.point(name)?.number()?;
    (0.0..=COUNTER_MAX).contains(&kwh).then(|| (kwh * 1000.0).round() as u64)
}

/// When something was believed.
#[derive(Debug, Clone, Copy)]
struct Since {
    at: Moment,
    same_boot: bool,
}

impl Since {
    fn elapsed_ms(self, now: Moment) -> u64 {
        if self.same_boot {
            now.mono_ms.saturating_sub(self.at.mono_ms)
        } else {
            u64::try_from(now.wall_ms.saturating_sub(self.at.wall_ms)).unwrap_or(0)
        }
    }
}

/// A value that is waiting to be believed.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    lower: bool,
    first: u64,
    last: u64,
    last_at: u64,
    times: u32,
}

#[derive(Debug, Default)]
struct Counter {
    believed: Option<(u64, Since)>,
    doubt: Option<Doubt>,
}

impl Counter {
    /// What the counter adds, Wh; none for the first value and for one that is not (yet) believed.
    fn take(&mut self, traits: Traits, value: u64, now: Moment) -> Option<u64> {
        let Some((believed, since)) = self.believed else {
            self.believe(value, now);
            return None;
        };
        let limit = traits.plausible(since.elapsed_ms(now));
        if let Some(increment) = value.checked_sub(believed).filter(|increment| *increment <= limit) {
            self.believe(value, now);
            return Some(increment);
        }
        let lower = value < believed;
        if !self.doubted(traits, lower, value, now.mono_ms) {
            return None;
        }
        self.believe(value, now);
        if lower {
            // A wrap is what the device can have counted in that time; all else is a new counter.
            let wrapped = |end: &u64| end.checked_sub(believed).map(|rest| rest + value);
            return Some(WRAPS.iter().filter_map(wrapped).find(|increment| *increment <= limit).unwrap_or(0));
        }
        // Zero before a leap was a device that had not read its memory yet, not a house that used
        // a lifetime's energy in one moment.
        Some(if believed == 0 { 0 } else { value - believed })
    }

    fn believe(&mut self, value: u64, now: Moment) {
        self.believed = Some((value, Since { at: now, same_boot: true }));
        self.doubt = None;
    }

    /// Counts this value among the doubtful ones; true when it stayed long enough.
    fn doubted(&mut self, traits: Traits, lower: bool, value: u64, now: u64) -> bool {
        let stays = |doubt: &Doubt| {
            doubt.lower == lower
                && value
                    .checked_sub(doubt.last)
                    .is_some_and(|increment| increment <= traits.plausible(now.saturating_sub(doubt.last_at)))
        };
        let doubt = match self.doubt.filter(stays) {
            Some(doubt) => Doubt { last: value, last_at: now, times: doubt.times + 1, ..doubt },
            None => Doubt { lower, first: now, last: value, last_at: now, times: 1 },
        };
        self.doubt = Some(doubt);
        doubt.times >= PROOF && (!lower || now.saturating_sub(doubt.first) >= LOWER_FOR)
    }
}

#[cfg(test)]
#[path = "energy_tests.rs"]
mod tests;
