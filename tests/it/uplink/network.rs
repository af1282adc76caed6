//! A network that delivers late: the client sees a cut, the server gets the bytes afterwards.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use super::{Mongod, Settings, until_true};
use crate::parts::{Framing, Proxy, Verdict, Way};

/// Messages longer than this are batches of measurements, compressed or not; all others are shorter.
const BATCH: usize = 6_000;
/// A batch is late by up to six of these.
const STEP: Duration = Duration::from_millis(200);

pub struct LateNetwork {
    proxy: Proxy,
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    /// Batches that came so far.
    seen: AtomicU32,
    /// Batches that shall still be late.
    left: AtomicU32,
}

impl LateNetwork {
    /// In front of the server; all is on time until it is told otherwise.
    pub async fn to(mongod: &Mongod) -> Self {
        let plan = Arc::<Plan>::default();
        let judge = plan.clone();
        let proxy =
            Proxy::start(mongod.port, Framing::Mongodb, move |way, message| judge.verdict(way, message));
        Self { proxy: proxy.await, plan }
    }

    /// Settings that go through it.
    pub fn settings(&self) -> Settings {
        let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", self.proxy.port);
        Settings { uri, ..Settings::default() }
    }

    /// So many batches shall arrive late, two of three.
    pub fn delay(&self, batches: u32) {
        self.plan.seen.store(0, SeqCst);
        self.plan.left.store(batches, SeqCst);
    }

    /// Batches that shall still be late.
    pub fn left(&self) -> u32 {
        self.plan.left.load(SeqCst)
    }

    /// The server has executed this many late batches.
    pub async fn arrived(&self, batches: u32) {
        let batches = usize::try_from(batches).unwrap();
        until_true("the late batches are executed", || self.proxy.late() == batches).await;
    }
}

impl Plan {
    fn verdict(&self, way: Way, message: &[u8]) -> Verdict {
        let batch = way == Way::ToServer && message.len() > BATCH;
        if batch && self.seen.fetch_add(1, SeqCst) % 3 != 2 {
            let before = self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
            if let Ok(before) = before {
                return Verdict::Late(STEP * (before % 7));
            }
        }
        Verdict::Pass
    }
}
