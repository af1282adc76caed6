//! A unit that describes itself and whose profile adds registers: one device each, whoever brought it, and
//! what the sun gives where the DC side has the battery in it. Pure.

use adapter_api::{CommandSpec, DeviceInfo, PointId, Quality, Reading, Value};

use crate::{
    declare::with_commands,
    reading::{CONSUMED, IMPOSSIBLE, POWER, PRODUCED},
    registers::carries,
    units::UnitConfig,
};

/// What the AC side gave in its life, kWh.
const INVERTER_ENERGY: &str = "inverterEnergyTotal";

/// The devices of both. Of a part that both know the registers say more; the device itself is what it
/// describes, with the commands of its registers in place of its own of the same name.
pub(crate) fn devices(unit: &UnitConfig, own: Vec<DeviceInfo>, added: Vec<DeviceInfo>) -> Vec<DeviceInfo> {
    let mut devices = own;
    for added in added {
        match devices.iter_mut().find(|device| device.id == added.id) {
            Some(device) if device.id == unit.main.id => {
                let commands = merged(unit, device, &added);
                let main = device.capabilities.first().map(|capability| capability.kind);
                let info = DeviceInfo { commands: Vec::new(), ..device.clone() };
                *device = match main {
                    Some(main) => with_commands(info, main, commands),
                    None => info,
                };
            }
            Some(device) => {
                let commands = merged(unit, device, &added);
                let main = added.capabilities.first().map(|capability| capability.kind);
                let info = DeviceInfo {
                    manufacturer: device.manufacturer.clone(),
                    max_power: added.max_power.or(device.max_power),
                    capacity: added.capacity.or(device.capacity),
                    serial: added.serial.clone().or(device.serial.clone()),
                    firmware: added.firmware.clone().or(device.firmware.clone()),
                    commands: Vec::new(),
                    ..added
                };
                *device = match main {
                    Some(main) => with_commands(info, main, commands),
                    None => info,
                };
            }
            // Without what it describes there is nothing that the registers could add to.
            None if added.id == unit.main.id => {}
            None => devices.push(added),
        }
    }
    devices
}

/// The commands of both, those of the registers where both have them; `refresh` comes by itself.
fn merged(unit: &UnitConfig, own: &DeviceInfo, added: &DeviceInfo) -> Vec<CommandSpec> {
    let is_refresh = |spec: &&CommandSpec| spec.harmless;
    let own = own.commands.iter().filter(|spec| !carries(unit.profile, &spec.name));
    let added = added.commands.iter().filter(|spec| carries(unit.profile, &spec.name));
    own.chain(added).filter(|spec| !is_refresh(spec)).cloned().collect()
}

/// The readings of both, of one instant. `has_battery`: the registers have it.
pub(crate) fn readings(
    unit: &UnitConfig,
    own: Vec<Reading>,
    added: Vec<Reading>,
    has_battery: bool,
) -> Vec<Reading> {
    let mut readings = own;
    for added in added {
        match readings.iter_mut().find(|reading| reading.device == added.device) {
            Some(reading) if reading.device == unit.main.id => {
                reading.points.retain(|(name, _)| added.point(name.as_str()).is_none());
                reading.points.extend(added.points);
                reading.quality = reading.quality.max(added.quality);
            }
            Some(reading) => *reading = added,
            None => readings.push(added),
        }
    }
    if unit.profile.dc_includes_battery {
        let battery = readings.iter().find(|reading| reading.device == unit.battery.id);
        // What cannot be believed says nothing of the sun either.
        let battery = battery.filter(|reading| reading.quality != Quality::Poor);
        let battery = battery.and_then(|reading| reading.point(POWER)).and_then(Value::number);
        if let Some(main) = readings.iter_mut().find(|reading| reading.device == unit.main.id) {
            count_ac_alone(main);
            if has_battery {
                sun(main, battery);
            }
        }
    }
    let is_on =
        |reading: &Reading| unit.parts().iter().any(|part| part.id == reading.device && part.enabled());
    readings.retain(is_on);
    readings
}

/// The counter of the AC side has the battery in it: what the sun gave is integrated. Also as long as no battery
/// shows, for one counter cannot be now the sun's and then not.
fn count_ac_alone(main: &mut Reading) {
    for (name, _) in &mut main.points {
        if name.as_str() == PRODUCED {
            *name = PointId::from(INVERTER_ENERGY);
        }
    }
    main.points.retain(|(name, _)| name.as_str() != CONSUMED);
}

/// What the sun gives is the DC power without what the battery gives; unknown where the battery does not say.
fn sun(main: &mut Reading, battery: Option<f64>) {
    main.points.retain_mut(|(name, value)| match (name.as_str() == POWER, value.number(), battery) {
        (true, Some(dc), Some(battery)) => {
            *value = Value::Number((dc - battery).max(0.0));
            true
        }
        (true, ..) => false,
        (false, ..) => true,
    });
    let power = main.point(POWER).and_then(Value::number);
    if power.is_some_and(|power| power > IMPOSSIBLE) {
        main.quality = Quality::Poor;
    }
}
