//! How a long loop says that it turns. Whoever watches the process sees a loop that hangs, and
//! leaves alone one that rightly waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Nothing is declared.
const RESTS: u64 = u64::MAX;

/// One loop's pulse. Rests until the first declaration.
#[derive(Debug, Clone)]
pub struct Pulse {
    start: Instant,
    due_ms: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { start: Instant::now(), due_ms: Arc::new(AtomicU64::new(RESTS)) }
    }
}

impl Pulse {
    /// The loop declares that it turns again within this time.
    pub fn within(&self, time: Duration) {
        let due = self.start.elapsed().saturating_add(time).as_millis();
        self.due_ms.store(u64::try_from(due).unwrap_or(RESTS), Ordering::Relaxed);
    }

    /// The loop waits for something that has no deadline, such as room in a journal whose disk is
    /// full.
    pub fn rest(&self) {
        self.due_ms.store(RESTS, Ordering::Relaxed);
    }

    /// Did it not turn within what it declared?
    pub fn is_late(&self) -> bool {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(RESTS);
        now > self.due_ms.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_is_late_only_when_it_declared_something_and_did_not_keep_it() {
        let pulse = Pulse::default();
        assert!(!pulse.is_late());
        pulse.within(Duration::from_secs(60));
        assert!(!pulse.is_late());
        let late = Pulse { start: Instant::now() - Duration::from_secs(5), ..Pulse::default() };
        late.due_ms.store(1_000, Ordering::Relaxed);
        assert!(late.is_late());
        late.rest();
        assert!(!late.is_late());
    }
}
