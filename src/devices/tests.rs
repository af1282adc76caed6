//! What is counted of devices, and for how long.

use std::time::Duration;

use adapter_api::{
    Bounds, Capability, CapabilityInfo, DeviceType, EnergyRole, MeasurementSource, Moment, Outlet, Protocol,
    Quality, Reading,
};
use tempfile::TempDir;

use super::*;
use crate::{clock, journal};

fn meter(id: &str) -> DeviceInfo {
    DeviceInfo {
        id: DeviceId::new(id).unwrap(),
        unit: "bus/1".into(),
        name: "Meter".into(),
        device_type: DeviceType::EnergyMeter,
        protocol: Protocol::Modbus,
        role: EnergyRole::Monitor,
        usage: None,
        profile: "meter".into(),
        manufacturer: String::new(),
        model: String::new(),
        serial: None,
        firmware: None,
        max_power: None,
        capacity: None,
        phases: 1,
        room: None,
        location: None,
        capabilities: vec![CapabilityInfo {
            kind: Capability::EnergyMeter,
            commands: Vec::new(),
            range: None,
        }],
        commands: Vec::new(),
        control: false,
        interval: Duration::from_secs(1),
        bounds: Bounds::default(),
    }
}

struct House {
    _folder: TempDir,
    journal: Journal,
    devices: Devices,
}

impl House {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let settings = journal::Settings {
            data_dir: folder.path().join("data"),
            runtime_dir: folder.path().join("run"),
            group: Duration::from_secs(10),
            retention: Duration::from_secs(86_400),
            max_size: 1_000_000_000,
        };
        let journal = Journal::open(&settings, clock::system(), |_| {}).unwrap().journal;
        let devices = Devices::new(journal.clone(), clock::system());
        Self { _folder: folder, journal, devices }
    }

    async fn configure(&self, ids: &[&str]) {
        let declared = ids.iter().map(|id| meter(id)).collect();
        self.devices.configure("modbus.bus", declared, &[], &[]).await;
    }

    fn count(&self, id: &str, what: Counter, times: u64) {
        let outlet = Outlet::new(DevicesOutlet::new("modbus.bus", self.devices.clone()));
        outlet.count(&DeviceId::new(id).unwrap(), what, times);
    }
}

#[tokio::test]
async fn what_is_counted_of_a_device_adds_up_and_outlives_a_reload() {
    let house = House::new();
    house.configure(&["one", "two"]).await;
    house.count("one", Counter::FailedPolls, 1);
    house.count("one", Counter::FailedPolls, 2);
    house.count("one", Counter::MissedPolls, 5);
    let counted = [(Counter::FailedPolls, 3), (Counter::MissedPolls, 5)].into();
    assert_eq!(house.devices.counts("one"), counted);
    assert_eq!(house.devices.counts("two"), BTreeMap::new());
    house.configure(&["one"]).await;
    assert_eq!(house.devices.counts("one"), counted, "it is still the same device");
    house.journal.close().await.unwrap();
}

#[tokio::test]
async fn counters_that_fell_or_leapt_are_counted_beside_what_adapters_say() {
    let house = House::new();
    house.configure(&["one", "two"]).await;
    house.count("one", Counter::Sentinels, 4);
    let reading = |mono_ms, kwh: f64| Reading {
        device: DeviceId::new("one").unwrap(),
        points: vec![("energyConsumedTotal".into(), kwh.into())],
        quality: Quality::Good,
        source: MeasurementSource::Device,
        measured_at: Moment { wall_ms: 1_700_000_000_000 + mono_ms as i64, mono_ms },
    };
    let counters = [10.0, 0.0, 0.0, 10.0, 900.0];
    let readings = (1..).zip(counters).map(|(second, kwh)| reading(second * 1000, kwh)).collect();
    house.journal.publish_durable(readings).await.unwrap();
    let counted = [(Counter::Sentinels, 4), (Counter::FallingCounters, 2), (Counter::Leaps, 1)].into();
    assert_eq!(house.devices.counts("one"), counted);
    assert_eq!(house.devices.counts("two"), BTreeMap::new());
    house.configure(&["two"]).await;
    assert_eq!(house.devices.counts("one"), BTreeMap::new());
    house.configure(&["one", "two"]).await;
    assert_eq!(house.devices.counts("one"), BTreeMap::new(), "a new device by an old name starts anew");
    house.journal.close().await.unwrap();
}

#[tokio::test]
async fn what_was_counted_of_a_device_goes_with_it() {
    let house = House::new();
    house.configure(&["one", "two"]).await;
    house.count("one", Counter::FailedPolls, 1);
    house.count("two", Counter::FailedPolls, 1);
    house.configure(&["two"]).await;
    // Its adapter may say one last thing when it ends.
    house.count("one", Counter::FailedPolls, 1);
    house.configure(&["one", "two"]).await;
    assert_eq!(house.devices.counts("one"), BTreeMap::new(), "a new device by an old name starts anew");
    assert_eq!(house.devices.counts("two"), [(Counter::FailedPolls, 1)].into());
    house.devices.remove_adapter("modbus.bus");
    assert_eq!(house.devices.counts("two"), BTreeMap::new());
    house.journal.close().await.unwrap();
}
