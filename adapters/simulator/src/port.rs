//! The handle of one served port: its fault dial, and what it has seen.

use std::{sync::Arc, time::Instant};

use crate::{Exception, Fault, Scope, Served, Table, Traffic, WriteSeen, modbus::Shared};

/// A handle of a server's port; all clones are the same port.
#[derive(Clone)]
pub struct Port {
    shared: Arc<Shared>,
}

impl Port {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Sets a fault beside those that are set already. It holds from the next request on;
    /// [`Fault::RefuseConnections`] as soon as the listening task sees it.
    pub fn fault(&self, fault: Fault, scope: Scope) {
        self.shared.desk().dial.set(fault, scope);
        self.shared.dial_changed();
    }

    /// No faults any more. Answers that are late already stay late.
    pub fn clear_faults(&self) {
        self.shared.desk().dial.clear();
        self.shared.dial_changed();
    }

    /// Closes all open connections; new ones are welcome.
    pub fn disconnect(&self) {
        self.shared.disconnect();
    }

    /// Shows these values from `address` on, whatever the device holds: sentinels, counters that
    /// fall, numbers that cannot be.
    pub fn pin(&self, unit: u8, address: u16, values: &[u16]) {
        self.shared.desk().pin(unit, address, values);
    }

    /// Shows what the device holds again, everywhere.
    pub fn unpin_all(&self) {
        self.shared.desk().unpin_all();
    }

    /// What the device itself holds now: no fault, no pin, no record.
    ///
    /// # Errors
    /// The exception that it answers; 11 for a unit that is not here.
    pub fn peek(&self, unit: u8, table: Table, address: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.shared.desk().peek(unit, table, address, count)
    }

    /// The writes that arrived, oldest first (the last 10,000).
    pub fn writes(&self) -> Vec<WriteSeen> {
        self.shared.desk().record.writes()
    }

    /// Those of them that the device took, a [`Fault::Clamp`] included.
    pub fn accepted_writes(&self) -> Vec<WriteSeen> {
        self.shared.desk().record.accepted()
    }

    /// Read requests that were answered without any fault and whose range covers this register,
    /// of either table.
    pub fn served(&self, unit: u8, register: u16) -> u64 {
        self.shared.desk().record.count(unit, register)
    }

    /// When each request to this unit was here whole, oldest first (the last 20,000); also to a unit
    /// that is not here and to one that stays silent.
    pub fn arrivals(&self, unit: u8) -> Vec<Instant> {
        self.shared.desk().record.arrivals(unit)
    }

    /// What went over the wire for this unit.
    pub fn traffic(&self, unit: u8) -> Traffic {
        self.shared.desk().record.traffic(unit)
    }

    /// From now on keeps what is served of `count` registers from `register` on.
    pub fn watch(&self, unit: u8, register: u16, count: u16) {
        self.shared.desk().record.watch(unit, register, count);
    }

    /// What was served since [`Port::watch`], by answers without any fault (the last 20,000).
    pub fn served_values(&self, unit: u8, register: u16) -> Vec<Served> {
        self.shared.desk().record.values(unit, register)
    }

    /// Requests that came sooner than the device's [`Manners`](crate::Manners) want, and so were told that it is busy.
    pub fn hurried(&self) -> u64 {
        self.shared.desk().hurried()
    }

    /// Connections that were ever accepted and kept.
    pub fn connections(&self) -> u64 {
        self.shared.accepted()
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open()
    }
}
