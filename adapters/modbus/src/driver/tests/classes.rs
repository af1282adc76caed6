//! How often the points of each class are read, in the turns that the loop gives.

use adapter_api::profile::{Profile, install};
use tokio::time::Instant;

use super::*;

/// One point of each class, too far apart to share a request.
const PROFILE: &str = "manufacturer = 'M'
models = ['with a point of each class']
protocol = 'modbus'
device_type = 'energy_meter'
energy_role = 'monitor'
sources = []
[points]
activePower = { register = 0, type = 'i16', class = 'fast' }
voltage = { register = 1000, type = 'u16' }
temperature = { register = 2000, type = 'i16', class = 'slow' }
frequency = { register = 3000, type = 'u16', class = 'once' }
";

const FAST: u16 = 0;
const NORMAL: u16 = 1000;
const SLOW: u16 = 2000;
const ONCE: u16 = 3000;

/// How long a condition may take; the slow class comes round after a minute at the earliest.
const PATIENCE: Duration = Duration::from_secs(45);

struct Watched {
    peer: Peer,
    driver: ModbusDriver,
    /// Requests by their first register.
    reads: BTreeMap<u16, usize>,
    /// The points of the last reading.
    last: usize,
}

impl Watched {
    async fn start() -> Self {
        install(BTreeMap::from([("classes".to_owned(), Profile::parse("classes", PROFILE).unwrap())]));
        let peer = Peer::start().await;
        [FAST, NORMAL, SLOW, ONCE].into_iter().for_each(|register| peer.holding(1, register, &[500]));
        let table = "interval = '100ms'\n[device.m]\nprofile = 'classes'\n";
        let driver = driver(&peer, table, &Notes::default());
        Self { peer, driver, reads: BTreeMap::new(), last: 0 }
    }

    /// Finds the unit; what that asked is not counted.
    async fn probe(&mut self) {
        self.driver.probe(&unit()).await.unwrap();
        self.peer.seen();
    }

    fn of(&self, register: u16) -> usize {
        self.reads.get(&register).copied().unwrap_or(0)
    }

    async fn read(&mut self, wanted: Wanted) {
        let readings = self.driver.read(&unit(), wanted).await.unwrap();
        self.last = readings[0].points.len();
        for seen in self.peer.seen() {
            *self.reads.entry(seen.start).or_default() += 1;
        }
    }

    /// Gives it the turns of a loop until they came to this.
    async fn turns_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let between = self.driver.units()[0].interval;
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "it did not come: {what}: {:?}", self.reads);
            // A turn before its time would be one for somebody who wants to see all of it.
            tokio::time::sleep(between).await;
            self.read(Wanted::Due).await;
        }
    }
}

#[tokio::test]
async fn fast_points_are_read_more_often_than_normal_ones_and_slow_and_single_ones_once_in_many_turns() {
    let mut unit = Watched::start().await;
    assert_eq!(unit.driver.units()[0].interval, Duration::from_millis(20), "that of the fast ones");
    unit.probe().await;
    unit.read(Wanted::Due).await;
    assert_eq!(unit.reads, [(FAST, 1), (NORMAL, 1), (SLOW, 1), (ONCE, 1)].into(), "all of them at first");
    assert_eq!(unit.last, 4);
    // Normal ones have turns of their own, and turns that pass them over.
    unit.turns_until("five normal reads and twice as many fast ones", |unit| {
        unit.of(NORMAL) >= 5 && unit.of(FAST) >= 2 * unit.of(NORMAL)
    })
    .await;
    assert_eq!((unit.of(SLOW), unit.of(ONCE)), (1, 1));
    unit.turns_until("a turn of the fast one alone", |unit| unit.last == 1).await;
}

#[tokio::test]
async fn what_is_read_once_is_read_again_when_the_unit_comes_back_and_when_somebody_asks() {
    let mut unit = Watched::start().await;
    unit.probe().await;
    unit.turns_until("some turns", |unit| unit.of(NORMAL) >= 3).await;
    assert_eq!((unit.of(SLOW), unit.of(ONCE)), (1, 1));
    unit.probe().await;
    unit.read(Wanted::Due).await;
    assert_eq!((unit.of(SLOW), unit.of(ONCE), unit.last), (2, 2, 4), "it may have changed while it was away");
    unit.turns_until("some turns more", |unit| unit.of(NORMAL) >= 6).await;
    assert_eq!((unit.of(SLOW), unit.of(ONCE)), (2, 2));
    unit.read(Wanted::All).await;
    assert_eq!((unit.of(SLOW), unit.of(ONCE), unit.last), (3, 3, 4));
}
