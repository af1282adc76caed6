//! Faults that come and go, and when they did.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use simulator::{Fault, Port, Scope};
use tokio::time::sleep;

use super::chance::Chance;

/// What a fault leaves behind after it is cleared: old values that are still shown, a late answer.
const AFTER_MS: i64 = 3_000;

/// When something disturbed which home, wall ms; no home is all of them.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Disturbed>>>);

#[derive(Debug, Clone)]
struct Disturbed {
    home: Option<usize>,
    what: String,
    from: i64,
    until: i64,
}

impl Log {
    pub fn note(&self, home: Option<usize>, what: impl Into<String>, from: i64, until: i64) {
        self.0.lock().unwrap().push(Disturbed { home, what: what.into(), from, until });
    }

    /// What may explain a bad end of a command that was with this home from then to then.
    pub fn explains(&self, home: usize, from: i64, until: i64) -> Option<String> {
        let log = self.0.lock().unwrap();
        let fits = |noted: &&Disturbed| {
            noted.home.is_none_or(|other| other == home)
                && noted.from <= until
                && from <= noted.until + AFTER_MS
        };
        log.iter().find(fits).map(|noted| noted.what.clone())
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

pub fn wall_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Sets and clears faults on one device until `over`, one at a time, each for less time than the
/// device's own revert timer and than the proof of a write may take.
pub async fn faults(home: usize, port: Port, mut chance: Chance, log: Log, over: Arc<AtomicBool>) {
    while !over.load(Ordering::SeqCst) {
        sleep(chance.between(300, 4_000)).await;
        let (fault, mut scope) = chance.one(&[
            (Fault::Silence { executed: true }, Scope::WRITES),
            (Fault::Silence { executed: true }, Scope::ALL),
            (Fault::Silence { executed: false }, Scope::WRITES),
            (Fault::Silence { executed: false }, Scope::ALL),
            (Fault::Close { executed: true }, Scope::WRITES),
            (Fault::Close { executed: false }, Scope::WRITES),
            (Fault::Close { executed: false }, Scope::ALL),
            (Fault::Exception(6), Scope::WRITES),
            (Fault::Exception(4), Scope::WRITES),
            (Fault::Delay(Duration::from_millis(400)), Scope::ALL),
            (Fault::Delay(Duration::from_millis(150)), Scope::WRITES),
            (Fault::Stale(Duration::from_millis(1_500)), Scope::WRITES),
            (Fault::EchoOnly, Scope::WRITES),
        ]);
        if chance.percent(50) {
            scope = scope.times(1 + chance.below(3) as u32);
        }
        let from = wall_ms();
        port.fault(fault, scope);
        sleep(chance.between(100, 2_500)).await;
        port.clear_faults();
        log.note(Some(home), format!("{fault:?}"), from, wall_ms());
    }
}
