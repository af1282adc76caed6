//! What a battery command wants, whichever command said it and whichever registers carry it. Pure.

use adapter_api::Parameters;

/// A power is a magnitude.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wanted {
    Auto,
    Hold,
    HoldCharge,
    Idle,
    Charge(Option<f64>),
    Discharge(Option<f64>),
}

impl Wanted {
    pub fn of(command: &str, parameters: &Parameters) -> Result<Self, String> {
        let power = parameters.number("power");
        if command == "set_battery_power" {
            return match power.ok_or("say `power`")? {
                0.0 => Ok(Self::Idle),
                power if power > 0.0 => Ok(Self::Discharge(Some(power))),
                power if power < 0.0 => Ok(Self::Charge(Some(-power))),
                _ => Err("`power` must be a number".to_owned()),
            };
        }
        match parameters.word("mode").ok_or("say `mode`")? {
            "auto" => Ok(Self::Auto),
            "hold" => Ok(Self::Hold),
            "hold_charge" => Ok(Self::HoldCharge),
            "charge" => Ok(Self::Charge(power)),
            "discharge" => Ok(Self::Discharge(power)),
            other => {
                Err(format!("`{other}` is no mode; allowed are auto, hold, hold_charge, charge, discharge"))
            }
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Hold => "hold",
            Self::HoldCharge => "hold_charge",
            Self::Idle => "idle",
            Self::Charge(_) => "charge",
            Self::Discharge(_) => "discharge",
        }
    }
}

/// The power that forces a direction, W: what was asked, else what the device's key says. `most` is the
/// device's own rating, `limit` the key; neither is exceeded.
///
/// # Errors
/// In words, when it is out of range, or when nothing says how much.
pub(crate) fn bounded(word: &str, power: Option<f64>, most: f64, limit: Option<f64>) -> Result<f64, String> {
    let most = limit.map_or(most, |limit| limit.min(most));
    match power {
        Some(power) if power > 0.0 && power <= most => Ok(power),
        Some(power) if most.is_infinite() => Err(format!("`power` must be above 0 to {word}, not {power}")),
        Some(power) => Err(format!("`power` must be above 0 and at most {most} W to {word}, not {power}")),
        None if limit.is_some() => Ok(most),
        None => Err(format!("say `power`, or set `{word}_power` for the device in the configuration")),
    }
}
