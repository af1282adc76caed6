//! What becomes of a value when nobody sets it again: setpoint → fate of each state, and its words. Pure.

use std::time::Duration;

use adapter_api::profile::{Quantity, Setpoint, State};

use crate::command::TIMER_MOST;

/// The states that somebody can be left in, as he asked for them; `auto` and `off` are what a device does by itself.
const HELD: [(&str, &str); 7] = [
    ("hold", "hold"),
    ("hold_charge", "hold_charge"),
    ("charge", "charge"),
    ("discharge", "discharge"),
    ("idle", "0 W"),
    ("limit", "limit"),
    ("soc", "soc"),
];

/// What becomes of a value when nobody sets it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The device's timer ends, when in words; `stored`: but for what it has stored.
    FallsBack { after: String, stored: bool },
    /// It stays, also over a restart of the device.
    Stays,
    /// It stays; what a restart of the device does is not known.
    StaysUntilRestart,
}

impl Fate {
    /// Of a device that describes itself.
    pub fn described(falls_back: bool, wears: bool) -> Self {
        match falls_back {
            true => Self::FallsBack { after: at_most(TIMER_MOST), stored: wears },
            false => Self::kept(wears),
        }
    }

    /// What wears out is memory that lasts.
    fn kept(wears: bool) -> Self {
        if wears { Self::Stays } else { Self::StaysUntilRestart }
    }

    /// In words, of one thing or of many.
    pub fn told(&self, many: bool) -> String {
        let (falls, keeps) = if many { ("fall", "keep") } else { ("falls", "keeps") };
        match self {
            Self::FallsBack { after, stored: false } => format!("{falls} back {after}"),
            Self::FallsBack { after, stored: true } => {
                format!("{falls} back {after}, but what is stored stays")
            }
            Self::Stays => format!("{keeps} the last value"),
            Self::StaysUntilRestart => {
                format!("{keeps} the last value, and what a restart of the device does is unknown")
            }
        }
    }
}

fn at_most(time: Duration) -> String {
    format!("after at most {} s", time.as_secs())
}

/// The states of a setpoint by what becomes of them, those that fall back first; without names where all share one.
pub fn states(setpoint: &Setpoint) -> Vec<(Vec<String>, Fate)> {
    let both = ["charge", "discharge"].iter().all(|state| setpoint.states.contains_key(*state));
    let mut fates: Vec<(Vec<String>, Fate)> = Vec::new();
    for (state, shown) in HELD {
        let Some(table) = setpoint.states.get(state).filter(|_| state != "idle" || both) else { continue };
        let fate = of_state(setpoint, table);
        match fates.iter_mut().find(|(_, other)| *other == fate) {
            Some((all, _)) => all.push(shown.to_owned()),
            None => fates.push((vec![shown.to_owned()], fate)),
        }
    }
    fates.sort_by_key(|(_, fate)| !matches!(fate, Fate::FallsBack { .. }));
    match &mut fates[..] {
        [(all, _)] => all.clear(),
        [] => fates.push((Vec::new(), Fate::kept(setpoint.persistent))),
        _ => {}
    }
    fates
}

/// The timer counts only for what is written with it, or where the device has one for everything.
fn of_state(setpoint: &Setpoint, state: &State) -> Fate {
    let wears = state.writes.iter().any(|write| setpoint.wears(write));
    let takes_timer = || state.writes.iter().any(|write| write.from == Some(Quantity::Timer));
    let after = match setpoint.timer {
        Some(timer) if timer.fixed => {
            format!("after about {} s (the device's own time)", timer.longest.0.as_secs())
        }
        Some(timer) if takes_timer() => at_most(timer.longest.0.min(TIMER_MOST)),
        _ => return Fate::kept(wears),
    };
    Fate::FallsBack { after: setpoint.after.clone().unwrap_or(after), stored: wears }
}

#[cfg(test)]
mod tests {
    use adapter_api::profile::{Profile, builtin};

    use super::*;

    /// `MARK` stands in the write of each state that is held, and `CLOCK` where a state is given the timer.
    const BATTERY: &str = "extends = \"eastron-sdm630\"\n[setpoints.battery]\nTIMER\n[setpoints.battery.states]\n\
        auto.writes = [{ register = 9, value = 0 }]\nhold.writes = [{ register = 9, value = 3 MARK }]\n\
        charge.writes = [{ register = 9, value = 1 MARK }, CLOCK]\n";
    const CLOCK: &str = "{ register = 8, from = 'timer' }";

    fn of(timer: &str, mark: &str, clock: &str) -> String {
        let text = BATTERY.replace("TIMER", timer).replace(" MARK", mark).replace("CLOCK", clock);
        let profile = Profile::parse("mine", &text).unwrap();
        let told = states(&profile.setpoints["battery"])
            .into_iter()
            .map(|(states, fate)| format!("{}: {}", states.join(", "), fate.told(states.len() > 1)));
        told.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn only_a_state_that_is_given_the_timer_falls_back_by_it() {
        let kept = "keeps the last value, and what a restart of the device does is unknown";
        for (longest, seconds) in [("60s", 60), ("1h", 120)] {
            assert_eq!(
                of(&format!("timer = {{ longest = '{longest}' }}"), "", CLOCK),
                format!("charge: falls back after at most {seconds} s; hold: {kept}")
            );
        }
        assert_eq!(
            of("timer = { longest = '60s' }", ", persistent = true", CLOCK),
            "charge: falls back after at most 60 s, but what is stored stays; hold: keeps the last value"
        );
        let words = "timer = { longest = '60s' }\nafter = 'after 10 to 60 s'";
        assert!(of(words, "", CLOCK).starts_with("charge: falls back after 10 to 60 s; hold: keeps"));
    }

    #[test]
    fn a_time_of_the_devices_own_ends_every_state() {
        let fixed = "timer = { longest = '5m', fixed = true }";
        assert_eq!(of(fixed, "", ""), ": falls back after about 300 s (the device's own time)");
        assert_eq!(
            of(&format!("{fixed}\nafter = 'within a minute'"), "", ""),
            ": falls back within a minute"
        );
    }

    #[test]
    fn without_a_timer_memory_says_what_a_restart_does() {
        assert_eq!(of("persistent = true", "", ""), ": keeps the last value");
        assert_eq!(of("", ", persistent = true", ""), ": keeps the last value");
        assert_eq!(
            of("", "", ""),
            ": keeps the last value, and what a restart of the device does is unknown"
        );
    }

    #[test]
    fn every_setpoint_that_is_shipped_has_a_fate_for_each_mode() {
        for (name, profile) in builtin() {
            for (group, setpoint) in &profile.setpoints {
                let told = states(setpoint);
                assert!(told.len() == 1 || told.iter().all(|(modes, _)| !modes.is_empty()), "{name} {group}");
            }
        }
    }
}
