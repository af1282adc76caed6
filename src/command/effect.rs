//! Did the battery follow a command? Registers can lie, power cannot. Pure.

use std::time::Duration;

use adapter_api::Parameters;

/// How long a battery has to follow.
pub(super) const WITHIN: Duration = Duration::from_secs(30);
/// Power below this is standing still, W: inverters and batteries draw some for themselves.
const STILL: f64 = 50.0;
/// A forced direction is followed when at least this part of the power flows: batteries ramp, and
/// near full or empty they take less.
const PART: f64 = 0.25;

/// What the battery's power must do, W, positive discharges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Expected {
    AtMost(f64),
    AtLeast(f64),
    Still,
}

impl Expected {
    /// What a command is to bring about; none for commands that leave the battery to itself.
    /// `observed` is what the device shows, for a power that the command did not say.
    pub fn of(command: &str, asked: &Parameters, observed: Option<&Parameters>) -> Option<Self> {
        let power = asked.number("power").or_else(|| observed?.number("power"));
        let forced = |power: f64| (power.abs() * PART).max(STILL.min(power.abs() / 2.0));
        match (command, asked.word("mode")) {
            ("set_battery_mode", Some("hold")) => Some(Self::AtMost(STILL)),
            ("set_battery_mode", Some("hold_charge")) => Some(Self::AtLeast(-STILL)),
            ("set_battery_mode", Some("charge")) => Some(Self::AtMost(-forced(power?))),
            ("set_battery_mode", Some("discharge")) => Some(Self::AtLeast(forced(power?))),
            ("set_battery_power", _) => match power? {
                power if power < 0.0 => Some(Self::AtMost(-forced(power))),
                power if power > 0.0 => Some(Self::AtLeast(forced(power))),
                _ => Some(Self::Still),
            },
            _ => None,
        }
    }

    /// Does this power show it?
    pub fn is_met(self, power: f64) -> bool {
        match self {
            Self::AtMost(most) => power <= most,
            Self::AtLeast(least) => power >= least,
            Self::Still => power.abs() <= STILL,
        }
    }
}

/// The state of charge at which a command is over: reached from below when it charges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct UntilSoc {
    soc: f64,
    charges: bool,
}

impl UntilSoc {
    /// None when the command has no such end.
    pub fn of(command: &str, asked: &Parameters) -> Option<Self> {
        let soc = asked.number("until_soc")?;
        let charges = match (command, asked.word("mode"), asked.number("power")) {
            ("set_battery_mode", Some("charge" | "hold"), _) => true,
            ("set_battery_mode", Some("discharge" | "hold_charge"), _) => false,
            ("set_battery_power", _, Some(power)) => power < 0.0,
            _ => return None,
        };
        Some(Self { soc, charges })
    }

    /// Why it is over, in words, once it is.
    pub fn reached(self, level: f64) -> Option<String> {
        let over = if self.charges { level >= self.soc } else { level <= self.soc };
        over.then(|| format!("the battery reached {} %", self.soc))
    }
}

#[cfg(test)]
mod tests {
    use adapter_api::Value;

    use super::*;

    fn asked(values: &[(&str, Value)]) -> Parameters {
        Parameters(values.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    fn mode(word: &str, power: f64) -> Option<Expected> {
        Expected::of("set_battery_mode", &asked(&[("mode", word.into()), ("power", power.into())]), None)
    }

    #[test]
    fn a_forced_direction_needs_power_in_that_direction() {
        let charge = mode("charge", 2000.0).unwrap();
        assert!(charge.is_met(-1900.0) && charge.is_met(-500.0));
        assert!(!charge.is_met(-100.0) && !charge.is_met(0.0) && !charge.is_met(300.0));
        let discharge = Expected::of("set_battery_power", &asked(&[("power", 1000.0.into())]), None).unwrap();
        assert!(discharge.is_met(1000.0) && !discharge.is_met(0.0));
        let little = Expected::of("set_battery_power", &asked(&[("power", (-20.0).into())]), None).unwrap();
        assert!(little.is_met(-20.0) && !little.is_met(0.0), "small powers count as well");
        let observed = asked(&[("power", 3000.0.into())]);
        let said = Expected::of("set_battery_mode", &asked(&[("mode", "charge".into())]), Some(&observed));
        assert_eq!(said, Some(Expected::AtMost(-750.0)), "the power that the device's key gave");
    }

    #[test]
    fn holding_forbids_one_direction_and_auto_expects_nothing() {
        let hold = mode("hold", 0.0).unwrap();
        assert!(hold.is_met(-3000.0) && hold.is_met(10.0) && !hold.is_met(500.0));
        let hold_charge = mode("hold_charge", 0.0).unwrap();
        assert!(hold_charge.is_met(3000.0) && !hold_charge.is_met(-500.0));
        assert_eq!(mode("auto", 0.0), None);
        assert_eq!(Expected::of("set_power_limit", &asked(&[("power", 5.0.into())]), None), None);
        let zero = Expected::of("set_battery_power", &asked(&[("power", 0.0.into())]), None).unwrap();
        assert!(zero.is_met(0.0) && !zero.is_met(-200.0) && !zero.is_met(200.0));
    }

    #[test]
    fn a_state_of_charge_ends_a_command_from_its_side() {
        let until = |values: &[(&str, Value)]| UntilSoc::of("set_battery_mode", &asked(values)).unwrap();
        let charge = until(&[("mode", "charge".into()), ("until_soc", 80.0.into())]);
        assert_eq!(charge.reached(79.9), None);
        assert!(charge.reached(80.0).unwrap().contains("80 %"));
        let discharge = until(&[("mode", "discharge".into()), ("until_soc", 20.0.into())]);
        assert!(discharge.reached(20.5).is_none() && discharge.reached(19.0).is_some());
        assert_eq!(UntilSoc::of("set_battery_mode", &asked(&[("mode", "charge".into())])), None);
    }
}
