//! May this request become a command? Pure. Every refusal names what is allowed.

mod bounds;
mod lease;

use adapter_api::{CommandSpec, DeviceInfo, ParameterKind, Parameters, Value};

pub use self::lease::terms;
use super::{Refusal, RefusalCode, Request};
use crate::journal::{CommandRow, DeviceRow};

/// Most retries that can be asked for.
pub const MAX_RETRIES: u32 = 10;

/// Checks command, parameters and permission.
///
/// # Errors
/// A [`Refusal`] that names what is allowed.
pub fn check<'a>(
    request: &Request,
    device: Option<&'a DeviceRow>,
    known: impl FnOnce() -> Vec<String>,
) -> Result<&'a CommandSpec, Refusal> {
    let Some(device) = device else {
        return Err(Refusal::new(
            RefusalCode::UnknownDevice,
            format!(
                "there is no device `{}`; there are {}",
                request.device,
                list(known().iter().map(String::as_str))
            ),
        ));
    };
    let info = &device.info;
    let spec = spec(info, &request.command)?;
    if !info.control && !spec.harmless {
        return Err(Refusal::new(
            RefusalCode::ControlDisabled,
            format!(
                "`{}` may only be read; set `control = true` in its table to let it be commanded",
                info.id
            ),
        ));
    }
    if spec.local && !request.local {
        let message = format!("`{}` is taken on this machine's socket only: use `maestro send`", spec.name);
        return Err(Refusal::new(RefusalCode::SocketOnly, message));
    }
    step(info, spec, &request.parameters)?;
    if request.max_retries.is_some_and(|retries| retries > MAX_RETRIES) {
        return Err(Refusal::new(
            RefusalCode::InvalidParameter,
            format!("maxRetries may be 0 to {MAX_RETRIES}"),
        ));
    }
    Ok(spec)
}

/// Checks a command that waits against what its device is and may do now.
///
/// # Errors
/// A [`Refusal`] that names what is allowed.
pub fn check_again(info: &DeviceInfo, row: &CommandRow) -> Result<(), Refusal> {
    let spec = spec(info, &row.command)?;
    if !info.control && !spec.harmless {
        let message = "`control` was switched off for the device while the command waited";
        return Err(Refusal::new(RefusalCode::ControlDisabled, message));
    }
    step(info, spec, &row.parameters)
}

/// Checks what a command asks for: its parameters, and that it stays within the device's bounds.
fn step(info: &DeviceInfo, spec: &CommandSpec, given: &Parameters) -> Result<(), Refusal> {
    parameters(spec, given)?;
    bounds::check(info, &spec.name, given)
}

fn spec<'a>(info: &'a DeviceInfo, command: &str) -> Result<&'a CommandSpec, Refusal> {
    info.commands.iter().find(|spec| &*spec.name == command).ok_or_else(|| {
        let names = info.commands.iter().map(|spec| &*spec.name);
        Refusal::new(
            RefusalCode::UnknownCommand,
            format!("`{}` does not take `{command}`; it takes {}", info.id, list(names)),
        )
    })
}

fn parameters(spec: &CommandSpec, given: &Parameters) -> Result<(), Refusal> {
    let wrong = |message: String| Err(Refusal::new(RefusalCode::InvalidParameter, message));
    for (name, value) in &given.0 {
        let Some(parameter) = spec.parameters.iter().find(|parameter| parameter.name == *name) else {
            let names = spec.parameters.iter().map(|parameter| &*parameter.name);
            return wrong(format!("`{}` has no parameter `{name}`; it has {}", spec.name, list(names)));
        };
        if let Some(allowed) = violated(&parameter.kind, value) {
            return wrong(format!("`{name}` of `{}` is {value}; allowed is {allowed}", spec.name));
        }
    }
    for parameter in &spec.parameters {
        if parameter.required && given.get(&parameter.name).is_none() {
            let allowed = allowed(&parameter.kind);
            return wrong(format!("`{}` needs the parameter `{}`: {allowed}", spec.name, parameter.name));
        }
    }
    if !spec.exactly_one.is_empty() {
        let count = spec.exactly_one.iter().filter(|name| given.get(name).is_some()).count();
        if count != 1 {
            let names = spec.exactly_one.iter().map(|name| &**name);
            return wrong(format!("`{}` needs exactly one of {}", spec.name, list(names)));
        }
    }
    Ok(())
}

/// What is allowed, when the value is not.
fn violated(kind: &ParameterKind, value: &Value) -> Option<String> {
    let fits = match (kind, value) {
        (ParameterKind::Number { min, max, step, .. }, Value::Number(number)) => {
            let steps = if *step > 0.0 { (number - min) / step } else { 0.0 };
            let on_step = (steps - steps.round()).abs() < 1e-6;
            number.is_finite() && (*min..=*max).contains(number) && on_step
        }
        (ParameterKind::Word(words), Value::Text(text)) => words.contains(text),
        (ParameterKind::Bool, Value::Bool(_)) => true,
        _ => false,
    };
    (!fits).then(|| allowed(kind))
}

fn allowed(kind: &ParameterKind) -> String {
    match kind {
        ParameterKind::Number { min, max, step, unit } => range(*min, *max, *step, unit),
        ParameterKind::Word(words) => list(words.iter().map(|word| &**word)),
        ParameterKind::Bool => "true or false".to_owned(),
    }
}

fn range(min: f64, max: f64, step: f64, unit: &str) -> String {
    let upper = if max == f64::MAX { "any higher number".to_owned() } else { format!("{max}") };
    let step = if step > 0.0 { format!(" in steps of {step}") } else { String::new() };
    format!("{min} to {upper}{step} {unit}").trim_end().to_owned()
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use adapter_api::{Capability, ParameterSpec};

    use super::*;
    use crate::command::tests::roof;

    fn device(control: bool) -> DeviceRow {
        let number = |name: &str, max| ParameterSpec {
            name: Arc::from(name),
            kind: ParameterKind::Number { min: 0.0, max, step: 0.0, unit: Arc::from("W") },
            required: false,
        };
        let limit = CommandSpec {
            parameters: vec![number("power", 6000.0), number("percent", 100.0)],
            exactly_one: vec![Arc::from("power"), Arc::from("percent")],
            ..CommandSpec::plain("set_power_limit", Capability::PowerControl)
        };
        let point =
            CommandSpec { local: true, ..CommandSpec::plain("write_point", Capability::PowerControl) };
        let commands = vec![limit, CommandSpec::refresh(Capability::PowerControl), point];
        DeviceRow {
            info: DeviceInfo { commands, control, ..roof() },
            adapter: "modbus.roof".into(),
            availability: None,
            problem: None,
            seen_at: None,
        }
    }

    fn refused(device: Option<&DeviceRow>, command: &str, parameters: &[(&str, Value)]) -> String {
        let parameters = Parameters(parameters.iter().map(|(n, v)| (Arc::from(*n), v.clone())).collect());
        let request = Request::new("roof", command, parameters, "test:me");
        match check(&request, device, || vec!["roof".into(), "meter".into()]) {
            Ok(_) => "accepted".into(),
            Err(refusal) => refusal.message,
        }
    }

    #[test]
    fn every_refusal_names_what_is_allowed() {
        let roof = device(true);
        let one = |value: f64| [("power", Value::Number(value))];
        assert_eq!(refused(None, "refresh", &[]), "there is no device `roof`; there are roof, meter");
        assert_eq!(
            refused(Some(&roof), "fly", &[]),
            "`roof` does not take `fly`; it takes set_power_limit, refresh, write_point"
        );
        assert_eq!(refused(Some(&roof), "set_power_limit", &one(3000.0)), "accepted");
        assert_eq!(
            refused(Some(&roof), "set_power_limit", &one(6001.0)),
            "`power` of `set_power_limit` is 6001; allowed is 0 to 6000 W"
        );
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(refused(Some(&roof), "set_power_limit", &one(odd)).contains("allowed is 0 to 6000 W"));
        }
        assert!(refused(Some(&roof), "set_power_limit", &[]).contains("exactly one of power, percent"));
        assert!(
            refused(Some(&roof), "set_power_limit", &[("watt", 1.0.into())])
                .contains("has no parameter `watt`")
        );
        assert!(refused(Some(&roof), "set_power_limit", &[("power", "much".into())]).contains("is much"));
    }

    #[test]
    fn a_device_without_control_may_only_be_refreshed() {
        let roof = device(false);
        assert!(refused(Some(&roof), "set_power_limit", &[("power", 1.0.into())]).contains("control = true"));
        assert_eq!(refused(Some(&roof), "refresh", &[]), "accepted");
    }

    #[test]
    fn single_points_are_written_from_the_socket_only() {
        let roof = device(true);
        let request =
            |local| Request { local, ..Request::new("roof", "write_point", Parameters::default(), "t") };
        let check = |local| check(&request(local), Some(&roof), Vec::new).map(drop);
        assert_eq!(check(false).unwrap_err().code, RefusalCode::SocketOnly);
        assert_eq!(check(true), Ok(()));
    }
}
