//! What adapters publish, on its way to the journal and the registry.

use adapter_api::{
    Availability, BoxFuture, Closed, Counter, DeviceId, DeviceInfo, OutletPort, Problem, Reading,
};

use super::Devices;

/// One adapter's outlet.
pub struct DevicesOutlet {
    adapter: String,
    devices: Devices,
}

impl DevicesOutlet {
    /// For the adapter with this worker's name.
    pub fn new(adapter: &str, devices: Devices) -> Self {
        Self { adapter: adapter.to_owned(), devices }
    }
}

impl OutletPort for DevicesOutlet {
    fn publish(&self, readings: Vec<Reading>, durable: bool) -> BoxFuture<'_, Result<(), Closed>> {
        let journal = &self.devices.journal;
        if durable {
            Box::pin(journal.publish_durable(readings))
        } else {
            Box::pin(journal.publish(readings))
        }
    }

    fn announce(&self, device: DeviceInfo) -> BoxFuture<'_, ()> {
        Box::pin(self.devices.announce(&self.adapter, device))
    }

    fn availability(&self, device: DeviceId, state: Availability) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.devices.availability(&device, state).await })
    }

    fn problem(&self, device: DeviceId, problem: Option<Problem>) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.devices.problem(&device, problem).await })
    }

    fn count(&self, device: DeviceId, what: Counter, times: u64) {
        self.devices.count(&device, what, times);
    }
}
