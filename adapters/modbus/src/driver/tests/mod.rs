//! The whole driver against a device on a socket.

mod classes;
mod commands;
mod der;
mod holes;
mod old_values;
mod past;
mod reads;
mod setup;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use adapter_api::{Asked, DeviceId, Moment, Parameters, Purpose, Value, Wear};

use super::*;
use crate::testing::{Hands, Move, Notes, Peer, hybrid};

const ROOF: &str = "[device.roof]\nprofile = 'sunspec'\ncharge_power = 3000\n";

/// The revert timer of all jobs that hold, s.
const TIMER: u64 = 120;

const NOW: Moment = Moment { wall_ms: 1_000, mono_ms: 1 };

fn driver(peer: &Peer, devices: &str, notes: &Notes) -> ModbusDriver {
    let clock = Clock::new("boot", || NOW);
    ModbusDriver::new("home", &peer.settings(devices), clock, Store::new(notes.clone())).unwrap()
}

/// The hybrid at 40000 on unit 1.
async fn home() -> Peer {
    let peer = Peer::start().await;
    peer.holding(1, 40_000, &hybrid::home_map());
    peer
}

fn unit() -> UnitId {
    UnitId::from("home/1")
}

fn job<const N: usize>(device: &str, command: &str, parameters: [(&str, Value); N]) -> Job {
    asked(device, command, parameters, Purpose::Execute, Some(TIMER))
}

fn asked<const N: usize>(
    device: &str,
    command: &str,
    parameters: [(&str, Value); N],
    purpose: Purpose,
    timer: Option<u64>,
) -> Job {
    let parameters = Parameters(parameters.map(|(name, value)| (Arc::from(name), value)).into());
    let device = DeviceId::new(device).unwrap();
    Job::new(
        Asked {
            number: 1,
            device,
            unit: unit(),
            command: Arc::from(command),
            parameters,
            purpose,
            verify_for: Duration::ZERO,
            timer: timer.map(Duration::from_secs),
            wear: Wear::None,
            relative: false,
        },
        Hands,
    )
}
