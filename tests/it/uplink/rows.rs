//! What the played home has: readings that follow from their number, devices, commands.

use std::time::Duration;

use adapter_api::{
    Availability, Bounds, Capability, CapabilityInfo, CommandSource, CommandStatus, DeviceId, DeviceInfo,
    DeviceType, EnergyRole, MeasurementSource, Moment, Parameters, PointId, Priority, Protocol, Quality,
    Reading, UnitId, Value,
};
use maestro_gateway::journal::{CommandRow, DeviceRow, Event};

/// Wall time at the start.
pub const START: i64 = 1_750_000_000_000;

/// The reading that gets this number: power 0.1 W and counter 1 Wh for each.
pub fn reading(number: u64) -> Reading {
    let device = ["roof", "grid", "battery"][number as usize % 3];
    let points = [
        ("activePower", Value::from(number as f64 / 10.0)),
        ("energyProducedTotal", Value::from((1_000 + number) as f64 / 1_000.0)),
        ("voltage", Value::from(230.1)),
        ("state.word", Value::from("running")),
    ];
    Reading {
        device: DeviceId::new(device).unwrap(),
        points: points.into_iter().map(|(name, value)| (PointId::from(name), value)).collect(),
        quality: Quality::Good,
        source: MeasurementSource::Device,
        measured_at: Moment { wall_ms: START + number as i64 * 100, mono_ms: number * 100 },
    }
}

pub fn device(id: &str) -> DeviceRow {
    DeviceRow {
        info: DeviceInfo {
            id: DeviceId::new(id).unwrap(),
            unit: UnitId::from("modbus.roof/1"),
            name: format!("The {id}"),
            device_type: DeviceType::SolarInverter,
            protocol: Protocol::Sunspec,
            role: EnergyRole::Producer,
            usage: None,
            profile: "sunspec".to_owned(),
            manufacturer: "Acme".to_owned(),
            model: "Nine".to_owned(),
            serial: None,
            firmware: None,
            max_power: Some(100_000.0),
            capacity: None,
            phases: 3,
            room: None,
            location: None,
            capabilities: vec![CapabilityInfo {
                kind: Capability::EnergyMeter,
                commands: Vec::new(),
                range: None,
            }],
            commands: Vec::new(),
            control: false,
            interval: Duration::from_secs(5),
            bounds: Bounds::default(),
        },
        adapter: "modbus.roof".to_owned(),
        availability: Some(Availability::Online),
        problem: None,
        seen_at: Some(START),
    }
}

pub fn command(number: u64) -> CommandRow {
    CommandRow {
        number: 0,
        id: format!("c-{number}"),
        device: DeviceId::new("roof").unwrap(),
        command: "set_power_limit".to_owned(),
        parameters: Parameters([("power".into(), Value::from(5.0))].into()),
        priority: Priority::High,
        source: CommandSource::Api,
        owner: "mqtt:x".to_owned(),
        status: CommandStatus::Pending,
        outcome: None,
        correlation_id: Some("k".to_owned()),
        batch_id: None,
        issued_at: None,
        accepted_at: START,
        scheduled_at: None,
        expires_at: START + 60_000,
        executed_at: None,
        completed_at: None,
        attempts: 0,
        max_retries: 3,
        verified: None,
        written: None,
        requested: None,
        observed: None,
        error: None,
        superseded_by: None,
        lease: None,
        effect: None,
        reverts: None,
        reply: None,
        redelivery: None,
        told: true,
        events: vec![Event {
            at: START,
            status: CommandStatus::Pending,
            by: "mqtt:x".to_owned(),
            reason: String::new(),
        }],
    }
}
