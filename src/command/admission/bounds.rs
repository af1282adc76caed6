//! What no command and no revert goes beyond: the installer's keys. Pure.
//!
//! | command | bounded by |
//! | --- | --- |
//! | `set_battery_mode {mode: charge}`, `set_battery_power` below 0 | `charge_power`, `max_import` |
//! | `set_battery_mode {mode: discharge}`, `set_battery_power` above 0 | `discharge_power`, `max_export` |
//! | `set_export_limit` | `max_export`; it cannot be lifted then |
//!
//! A forced charge may come from the grid, and a forced discharge may go there: that is why the
//! battery heeds the grid's bounds as well.

use adapter_api::{DeviceInfo, Parameters};

use crate::command::{Refusal, RefusalCode};

/// Checks one command.
///
/// # Errors
/// A [`Refusal`] that names the key and what it allows.
pub(super) fn check(info: &DeviceInfo, command: &str, given: &Parameters) -> Result<(), Refusal> {
    let bounds = &info.bounds;
    let charge = [("charge_power", bounds.charge), ("max_import", bounds.import)];
    let discharge = [("discharge_power", bounds.discharge), ("max_export", bounds.export)];
    let power = given.number("power");
    match (command, given.word("mode"), power) {
        ("set_battery_mode", Some("charge"), Some(power)) => within(info, power, charge),
        ("set_battery_mode", Some("discharge"), Some(power)) => within(info, power, discharge),
        // Without a power these go by the key of their direction, which the grid's key must allow.
        ("set_battery_mode", Some(mode @ ("charge" | "discharge")), None) => {
            let ((key, default), grid) =
                if mode == "charge" { (charge[0], charge[1]) } else { (discharge[0], discharge[1]) };
            match default {
                Some(power) => within(info, power, [grid]),
                None => Err(Refusal::new(
                    RefusalCode::InvalidParameter,
                    format!("say `power`, or set `{key}` for `{}` in the configuration", info.id),
                )),
            }
        }
        ("set_battery_power", _, Some(power)) if power < 0.0 => within(info, -power, charge),
        ("set_battery_power", _, Some(power)) => within(info, power, discharge),
        ("set_export_limit", _, Some(power)) => within(info, power, [("max_export", bounds.export)]),
        ("set_export_limit", _, None) if given.bool("enabled") == Some(false) => match bounds.export {
            Some(most) => Err(Refusal::new(
                RefusalCode::OutOfBounds,
                format!(
                    "`max_export = {most}` is set for `{}`: its export limit cannot be lifted; set a power up to {most} W",
                    info.id
                ),
            )),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn within<const N: usize>(
    info: &DeviceInfo,
    power: f64,
    keys: [(&str, Option<f64>); N],
) -> Result<(), Refusal> {
    let least =
        keys.into_iter().filter_map(|(key, most)| Some((key, most?))).min_by(|a, b| a.1.total_cmp(&b.1));
    match least {
        Some((key, most)) if power > most => Err(Refusal::new(
            RefusalCode::OutOfBounds,
            format!("{power} W is beyond `{key} = {most}` of `{}`; up to {most} W is allowed", info.id),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use adapter_api::{Bounds, Value};

    use super::*;
    use crate::command::tests::roof;

    fn said(bounds: Bounds, command: &str, given: &[(&str, Value)]) -> String {
        let info = DeviceInfo { bounds, ..roof() };
        let given = Parameters(given.iter().map(|(name, value)| ((*name).into(), value.clone())).collect());
        check(&info, command, &given).err().map(|refusal| refusal.message).unwrap_or_default()
    }

    #[test]
    fn no_battery_command_goes_beyond_the_keys_of_its_direction() {
        let bounds =
            Bounds { charge: Some(3000.0), discharge: Some(4000.0), import: None, export: Some(2000.0) };
        let mode = |mode: &str, power: f64| {
            said(bounds, "set_battery_mode", &[("mode", mode.into()), ("power", power.into())])
        };
        assert_eq!(mode("charge", 3000.0), "");
        assert_eq!(
            mode("charge", 3001.0),
            "3001 W is beyond `charge_power = 3000` of `roof`; up to 3000 W is allowed"
        );
        assert!(mode("discharge", 2001.0).contains("`max_export = 2000`"), "the narrower key counts");
        let power = |power: f64| said(bounds, "set_battery_power", &[("power", power.into())]);
        assert_eq!((power(-3000.0).as_str(), power(2000.0).as_str()), ("", ""));
        assert!(power(-3001.0).contains("charge_power") && power(2001.0).contains("max_export"));
        assert_eq!(mode("hold", 9000.0), "", "holding moves nothing");
    }

    #[test]
    fn a_mode_that_needs_a_power_and_has_none_is_refused() {
        let mode = |bounds| said(bounds, "set_battery_mode", &[("mode", "charge".into())]);
        assert!(mode(Bounds::default()).contains("set `charge_power`"));
        assert_eq!(mode(Bounds { charge: Some(3000.0), ..Bounds::default() }), "");
        let narrow = Bounds { charge: Some(3000.0), import: Some(2000.0), ..Bounds::default() };
        assert!(mode(narrow).contains("`max_import = 2000`"));
    }

    #[test]
    fn an_export_limit_stays_below_max_export_and_is_not_lifted() {
        let bounds = Bounds { export: Some(5000.0), ..Bounds::default() };
        let limit = |given: (&str, Value)| said(bounds, "set_export_limit", &[given]);
        assert_eq!(limit(("power", 5000.0.into())), "");
        assert!(limit(("power", 5001.0.into())).contains("`max_export = 5000`"));
        assert!(limit(("enabled", false.into())).contains("cannot be lifted"));
        assert_eq!(said(Bounds::default(), "set_export_limit", &[("enabled", false.into())]), "");
    }
}
