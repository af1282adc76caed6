//! The played adapter and its devices.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use adapter_api::{
    Bounds, Capability, CommandPort, CommandSpec, DeviceId, DeviceInfo, DeviceType, EnergyRole,
    ParameterKind, ParameterSpec, Parameters, Protocol, WriteOutcome,
};
use maestro_gateway::command::Port;
use tokio::sync::watch;

/// Takes commands while the gate is open, and does all of them.
pub async fn adapter(
    mut port: Port,
    mut gate: watch::Receiver<bool>,
    taken: Arc<AtomicUsize>,
    executed: Arc<AtomicUsize>,
) {
    loop {
        port.ready().await;
        while let Some(job) = port.take().await {
            taken.fetch_add(1, Ordering::SeqCst);
            gate.wait_for(|open| *open).await.unwrap();
            executed.fetch_add(1, Ordering::SeqCst);
            job.settle(WriteOutcome::Done { observed: Parameters::default(), verified: true, written: true });
        }
    }
}

/// A device that takes `set_power_limit` and `refresh`.
pub fn info(id: &str, control: bool) -> DeviceInfo {
    let limit = CommandSpec {
        parameters: vec![ParameterSpec {
            name: "power".into(),
            kind: ParameterKind::Number { min: 0.0, max: 6000.0, step: 0.0, unit: "W".into() },
            required: true,
        }],
        group: Some("power".into()),
        idempotent: true,
        verify_for: Duration::from_secs(1),
        ..CommandSpec::plain("set_power_limit", Capability::PowerControl)
    };
    DeviceInfo {
        id: DeviceId::new(id).unwrap(),
        unit: format!("{id}/1").into(),
        name: id.into(),
        device_type: DeviceType::SolarInverter,
        protocol: Protocol::Sunspec,
        role: EnergyRole::Producer,
        usage: None,
        profile: "sunspec".into(),
        manufacturer: "M".into(),
        model: "H".into(),
        serial: None,
        firmware: None,
        max_power: None,
        capacity: None,
        phases: 3,
        room: None,
        location: None,
        capabilities: vec![],
        commands: vec![limit, CommandSpec::refresh(Capability::PowerControl)],
        control,
        interval: Duration::from_secs(5),
        bounds: Bounds::default(),
    }
}
