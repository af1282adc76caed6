//! The devices as they are known before anything answers: from the configuration and the profile.
//! Pure.

use adapter_api::{Capability, CapabilityInfo, CommandSpec, DeviceInfo, ParameterKind};

use crate::{config::Settings, driver::declared, units::resolve};

/// The enabled devices of a connection: each with the parts that have a table of their own. What else it has is
/// announced once it answers.
pub fn declare(connection: &str, settings: &Settings) -> Vec<DeviceInfo> {
    resolve(connection, settings).iter().flat_map(declared).collect()
}

/// Completes a description with the capabilities of its commands and with `refresh`, which every
/// device takes. `main` is the capability that a device has in any case.
pub(crate) fn with_commands(
    mut info: DeviceInfo,
    main: Capability,
    commands: Vec<CommandSpec>,
) -> DeviceInfo {
    info.commands = commands;
    info.commands.push(CommandSpec::refresh(main));
    let mut kinds = vec![main];
    kinds.extend(info.commands.iter().map(|command| command.capability));
    kinds.sort_unstable();
    kinds.dedup();
    info.capabilities = kinds.into_iter().map(|kind| capability(kind, &info.commands)).collect();
    info
}

fn capability(kind: Capability, commands: &[CommandSpec]) -> CapabilityInfo {
    let own = || commands.iter().filter(move |command| command.capability == kind);
    // Its first number is what it is about; others, like a state of charge to stop at, say nothing.
    let number = own().flat_map(|command| &command.parameters).find_map(|parameter| match parameter.kind {
        ParameterKind::Number { min, max, step, .. } => Some((min, max, step)),
        _ => None,
    });
    let range = number.filter(|(_, max, _)| *max < f64::MAX);
    CapabilityInfo { kind, commands: own().map(|command| command.name.clone()).collect(), range }
}

#[cfg(test)]
mod tests {
    use adapter_api::{Bounds, DeviceType, EnergyRole, Usage};

    use super::*;

    fn of(devices: &str) -> Vec<DeviceInfo> {
        declare("home", &toml::from_str(&format!("address = 'tcp://x'\n{devices}")).unwrap())
    }

    #[test]
    fn what_is_configured_is_known_before_it_answers() {
        let all = of(
            "[device.roof]\nprofile = 'sunspec'\nname = 'Roof'\nroom = 'attic'\ncontrol = true\nmax_power = 5000\n\
             max_import = 7000\nmax_export = 0\ncharge_power = 3000\n\
             [device.roof-battery]\ncontrol = false\ndischarge_power = 2000\n\
             [device.meter]\nprofile = 'eastron-sdm630'\nunit = 2\nusage = 'load'\ninterval = '1s'",
        );
        let ids: Vec<_> = all.iter().map(|device| device.id.as_str()).collect();
        assert_eq!(ids, ["meter", "roof", "roof-battery"]);
        let [meter, roof, battery] = &all[..] else { panic!("three devices") };
        assert_eq!((meter.role, meter.usage, meter.phases), (EnergyRole::Consumer, Some(Usage::Load), 3));
        assert_eq!((meter.unit.as_str(), meter.interval.as_secs(), meter.control), ("home/2", 1, false));
        assert_eq!(meter.commands.iter().map(|c| &*c.name).collect::<Vec<_>>(), ["refresh"]);
        assert_eq!((roof.unit.as_str(), roof.control, roof.max_power), ("home/1", true, Some(5000.0)));
        assert_eq!((battery.device_type, battery.role), (DeviceType::BatteryPack, EnergyRole::Storage));
        assert_eq!(
            (battery.name.as_str(), battery.control, battery.max_power),
            ("Roof battery", false, Some(3000.0))
        );
        assert_eq!(battery.room.as_deref(), Some("attic"));
        let bounds =
            Bounds { import: Some(7000.0), export: Some(0.0), charge: Some(3000.0), discharge: None };
        assert_eq!((roof.bounds, meter.bounds), (bounds, Bounds::default()));
        assert_eq!(battery.bounds, Bounds { discharge: Some(2000.0), ..bounds });
        assert!(all.iter().all(|device| !device.capabilities.is_empty()));
        assert!(all.iter().all(|device| device.commands.iter().any(|c| &*c.name == "refresh" && c.harmless)));
        assert!(roof.commands.iter().any(|c| &*c.name == "set_power_limit"));
        assert!(battery.commands.iter().any(|c| &*c.name == "set_battery_mode"));
    }

    #[test]
    fn disabled_devices_are_left_out() {
        let off = "[device.roof]\nprofile = 'sunspec'\nenabled = false\n";
        assert_eq!(of(off), []);
        let one = of(&format!("{off}[device.roof-battery]\nenabled = true"));
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].id.as_str(), "roof-battery");
    }
}
