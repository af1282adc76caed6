//! What the tasks of a server or a line and its [`Port`](crate::Port) share.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Instant, SystemTime},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, Now};
use crate::{Fault, Units};

pub(crate) struct Shared {
    desk: Mutex<Desk>,
    /// The listening task looks at the dial again.
    changed: Notify,
    accepted: AtomicU64,
    open: AtomicUsize,
    /// Ends the open connections; replaced when it is used.
    connections: Mutex<CancellationToken>,
    stop: CancellationToken,
}

impl Shared {
    pub(super) fn new(units: Units, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            desk: Mutex::new(Desk::new(units)),
            changed: Notify::new(),
            accepted: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            connections: Mutex::new(stop.child_token()),
            stop,
        })
    }

    pub fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn dial_changed(&self) {
        self.changed.notify_one();
    }

    pub fn disconnect(&self) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *connections, self.stop.child_token()).cancel();
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.desk().dial.has(fault)
    }

    /// Is there room for one client alone?
    pub(super) fn has_room_for_one(&self) -> bool {
        let desk = self.desk();
        desk.manners().one_client || desk.dial.has(Fault::OneClient)
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Counts a new connection until the value is dropped; the token ends it.
    pub(super) fn connected(self: &Arc<Self>) -> (Open, CancellationToken) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
        let token = self.connections.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (Open(self.clone()), token)
    }
}

/// An open connection, for as long as its task lives, panics included.
pub(super) struct Open(pub(super) Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Now {
    /// This instant; the monotonic one may be given.
    pub(super) fn at(mono: Instant) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let wall_ms = since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        Self { mono, wall_ms, connected: None }
    }

    /// On a connection that there is since then.
    pub(super) fn on(self, connected: Instant) -> Self {
        Self { connected: Some(connected), ..self }
    }
}
