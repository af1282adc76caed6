//! What a command of a register unit sets, and the fresh registers that it needs for that. Never writes.

use adapter_api::{
    Bounds, Fault, Job, Problem,
    profile::{Function, Point, Profile, Quantity, Requirement, Setpoint, Setting},
};

use super::{
    decode::{Decoded, decode, needs, of_check},
    shown::Shown,
};
use crate::{
    client::LinkError,
    config::BATTERY,
    fetch::is_refusal,
    plan::Extent,
    port::Port,
    units::{UnitConfig, WRITE_POINT},
};

/// What a command sets.
#[derive(Clone, Copy)]
pub(super) enum Sets {
    Setpoint(&'static str, &'static Setpoint),
    Setting(&'static str, &'static Setting),
}

/// Is this a command of a profile's registers, and not of what the unit describes itself as?
pub(crate) fn carries(profile: &Profile, command: &str) -> bool {
    if command == WRITE_POINT {
        return !profile.settings.is_empty();
    }
    let group = profile.commands.get(command).and_then(|table| table.group.as_deref());
    group.is_some_and(|group| profile.setpoints.contains_key(group))
}

/// What a command of this device sets, if it is one.
pub(super) fn sets(unit: &UnitConfig, job: &Job) -> Option<Sets> {
    let profile = unit.profile;
    if !carries(profile, &job.command) {
        return None;
    }
    let table = profile.commands.get(&*job.command)?;
    let part = unit.part(&table.part).filter(|part| part.id == job.device)?;
    if &*job.command == WRITE_POINT {
        let point = job.parameters.word("point").filter(|_| part.write_points)?;
        return profile.settings.get_key_value(point).map(|(name, setting)| Sets::Setting(name, setting));
    }
    let group = table.group.as_deref()?;
    profile.setpoints.get_key_value(group).map(|(group, setpoint)| Sets::Setpoint(group, setpoint))
}

/// How far the configuration lets the unit be driven.
pub(super) fn bounds(unit: &UnitConfig) -> Bounds {
    let (main, battery) = (&unit.main.keys, &unit.battery_device().keys);
    Bounds {
        import: main.max_import,
        export: main.max_export,
        charge: battery.charge_power,
        discharge: battery.discharge_power,
    }
}

/// The registers that the command needs, fresh, with those of what must be so before it is written.
pub(super) async fn fresh(
    port: &mut Port<'_>,
    job: &Job,
    sets: Sets,
    required: &[&Requirement],
) -> Result<Shown, Fault> {
    let mut wanted = registers(port.unit, sets);
    wanted.extend(required.iter().map(|required| of_check(&required.check)));
    wanted.sort_unstable();
    wanted.dedup();
    match port.fetch(&wanted).await {
        Ok(read) => Ok(Shown::of(wanted.into_iter().zip(read.iter().map(|words| Some(&words[..]))))),
        Err(error @ LinkError::Exception(code)) if is_refusal(code) => {
            let mut places: Vec<_> = wanted.iter().map(|extent| extent.start.to_string()).collect();
            places.dedup();
            Err(Fault::Answered(Problem::new(
                format!(
                    "{}: `{}` needs to read the registers {} first, and the device refuses that: {error}",
                    port.place(),
                    job.command,
                    places.join(", ")
                ),
                "Check that the profile fits the device and its firmware, and that nothing is switched off in it",
            )))
        }
        Err(error) => Err(port.fault(&error)),
    }
}

/// All that says in which state the setpoint is, and what a mask leaves alone.
fn registers(unit: &UnitConfig, sets: Sets) -> Vec<Extent> {
    let held = |start, count| Extent { function: Function::Holding, start, count };
    match sets {
        Sets::Setting(_, setting) => vec![held(setting.register, setting.kind.registers())],
        Sets::Setpoint(_, setpoint) => {
            let readable = setpoint.writes().filter(|write| !write.blind || write.mask.is_some());
            let own = readable.map(|write| held(write.register, write.kind.registers()));
            let current = setpoint.writes().any(|write| write.from == Some(Quantity::Current));
            let voltage = voltage_point(unit).filter(|_| current);
            own.chain(voltage.into_iter().flat_map(needs)).collect()
        }
    }
}

fn voltage_point(unit: &UnitConfig) -> Option<&'static Point> {
    let profile = unit.profile;
    let points = profile.parts.get(BATTERY).map_or(&profile.points, |part| &part.points);
    points.get("voltage")
}

pub(super) fn voltage(unit: &UnitConfig, shown: &Shown) -> Option<f64> {
    match decode(voltage_point(unit)?, &unit.profile.sentinels, shown) {
        Decoded::Number(voltage) => Some(voltage),
        _ => None,
    }
}
