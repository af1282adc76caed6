//! The plant on the real clock, which may be moved ahead. It decides no power.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    PlantState,
    plant::{Controls, Plant, PlantSettings, RevertsIn, Touched},
};

/// A plant that lives; all clones are the same one, seen by several devices.
#[derive(Clone)]
pub(crate) struct LivePlant {
    start: Instant,
    timed: Arc<Mutex<Timed>>,
}

struct Timed {
    plant: Plant,
    /// How far its clock is ahead of the real one.
    skipped: Duration,
}

impl LivePlant {
    pub fn start(settings: PlantSettings) -> Self {
        let timed = Timed { plant: Plant::new(settings), skipped: Duration::ZERO };
        Self { start: Instant::now(), timed: Arc::new(Mutex::new(timed)) }
    }

    /// The state of this instant.
    pub fn now(&self) -> PlantState {
        self.lock().1.plant.state()
    }

    /// The plant's time, without living up to it.
    pub fn time(&self) -> Duration {
        self.start.elapsed() + self.timed().skipped
    }

    /// The state, the controls of one instant, and how long they hold.
    pub fn look(&self) -> (PlantState, Controls, RevertsIn) {
        let (_, timed) = self.lock();
        (timed.plant.state(), timed.plant.controls().clone(), timed.plant.reverts_in())
    }

    /// Changes the controls, all or nothing.
    pub fn control<E>(&self, change: impl FnOnce(&mut Controls) -> Result<Touched, E>) -> Result<(), E> {
        let (at, mut timed) = self.lock();
        let mut controls = timed.plant.controls().clone();
        let touched = change(&mut controls)?;
        timed.plant.control(at, controls, touched);
        Ok(())
    }

    /// Changes the controls as of an instant that may be over, as long as nobody looked at what came after it.
    pub fn control_at(&self, at: Duration, change: impl FnOnce(&mut Controls)) {
        let mut timed = self.timed();
        let mut controls = timed.plant.controls().clone();
        change(&mut controls);
        timed.plant.control(at, controls, Touched::default());
    }

    /// Sun and load stand at these watts; `None`: as the day has them.
    pub fn hold(&self, sun: Option<f64>, load: Option<f64>) {
        let (at, mut timed) = self.lock();
        timed.plant.hold(at, sun, load);
    }

    /// Its clock leaps ahead, and it has lived through all of it.
    pub fn skip(&self, by: Duration) {
        let (at, mut timed) = self.lock();
        timed.skipped += by;
        timed.plant.leap(at + by);
    }

    fn timed(&self) -> MutexGuard<'_, Timed> {
        self.timed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> (Duration, MutexGuard<'_, Timed>) {
        let mut timed = self.timed();
        let at = self.start.elapsed() + timed.skipped;
        timed.plant.advance(at);
        (at, timed)
    }
}
