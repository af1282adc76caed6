//! On which terms a command holds its setpoint. Pure.

use std::time::Duration;

use adapter_api::{CommandSpec, DeviceInfo};

use super::{list, spec, step};
use crate::{
    command::{Refusal, RefusalCode, Request},
    journal::{LeaseTerms, Step},
};

/// The terms of an admitted command: those that were asked for, or `default` for commands that
/// always hold. None for a command that holds nothing, and for one that gives its setpoint back.
///
/// # Errors
/// A [`Refusal`] when it cannot be held or given back.
pub fn terms(
    request: &Request,
    spec: &CommandSpec,
    info: &DeviceInfo,
    default: Duration,
) -> Result<Option<LeaseTerms>, Refusal> {
    let asked = Step { command: request.command.clone(), parameters: request.parameters.clone() };
    let Some(group) = spec.group.as_deref() else {
        return match &request.lease {
            Some(_) => {
                let message = format!("`{}` sets nothing that could be held; leave `lease` out", spec.name);
                Err(Refusal::new(RefusalCode::NoRevert, message))
            }
            None => Ok(None),
        };
    };
    let (lasts, revert) = match &request.lease {
        Some(lease) => (lease.lasts, lease.revert.clone().or_else(|| safe(info, group))),
        None if !spec.leased || safe(info, group).as_ref() == Some(&asked) => return Ok(None),
        None => (default, safe(info, group)),
    };
    let revert = revert.ok_or_else(|| {
        Refusal::new(
            RefusalCode::NoRevert,
            format!("`{}` knows no safe command for `{}`: say `lease.revert`", info.id, spec.name),
        )
    })?;
    let reverts = self::spec(info, &revert.command)
        .and_then(|reverts| step(info, reverts, &revert.parameters).map(|()| reverts))
        .map_err(|refusal| Refusal::new(refusal.code, format!("lease.revert: {}", refusal.message)))?;
    if reverts.group.as_deref() != Some(group) || reverts.relative {
        let group =
            info.commands.iter().filter(|spec| spec.group.as_deref() == Some(group) && !spec.relative);
        return Err(Refusal::new(
            RefusalCode::NoRevert,
            format!(
                "lease.revert: `{}` does not give back what `{}` sets; allowed are {}",
                revert.command,
                spec.name,
                list(group.map(|spec| &*spec.name))
            ),
        ));
    }
    let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    Ok(Some(LeaseTerms { lasts_ms, revert }))
}

/// What gives a group's setpoint back to the device, by its profile.
fn safe(info: &DeviceInfo, group: &str) -> Option<Step> {
    let of_group = info.commands.iter().filter(|spec| spec.group.as_deref() == Some(group));
    of_group
        .filter_map(|spec| Some(Step { command: spec.name.to_string(), parameters: spec.safe.clone()? }))
        .next()
}

#[cfg(test)]
mod tests {
    use adapter_api::{Capability, Parameters, Value};

    use super::*;
    use crate::command::{LeaseRequest, tests::roof};

    fn mode(word: &str) -> Parameters {
        Parameters([("mode".into(), Value::from(word))].into())
    }

    fn info() -> DeviceInfo {
        let words = ["auto", "hold"].map(std::sync::Arc::from).to_vec();
        let parameter = adapter_api::ParameterSpec {
            name: "mode".into(),
            kind: adapter_api::ParameterKind::Word(words),
            required: true,
        };
        let mode = CommandSpec {
            group: Some("battery".into()),
            parameters: vec![parameter],
            leased: true,
            safe: Some(mode("auto")),
            ..CommandSpec::plain("set_mode", Capability::EnergyStorage)
        };
        let free = CommandSpec { group: Some("limit".into()), leased: false, safe: None, ..mode.clone() };
        let free = CommandSpec { name: "set_limit".into(), ..free };
        DeviceInfo { commands: vec![mode, free, CommandSpec::refresh(Capability::EnergyStorage)], ..roof() }
    }

    fn ask(command: &str, word: &str, lease: Option<LeaseRequest>) -> Result<Option<LeaseTerms>, Refusal> {
        let info = info();
        let request = Request { lease, ..Request::new("roof", command, mode(word), "t:t") };
        let spec = info.commands.iter().find(|spec| *spec.name == *command).unwrap();
        terms(&request, spec, &info, Duration::from_secs(3600))
    }

    fn lease(revert: Option<(&str, &str)>) -> Option<LeaseRequest> {
        let revert =
            revert.map(|(command, word)| Step { command: command.to_owned(), parameters: mode(word) });
        Some(LeaseRequest { lasts: Duration::from_secs(60), revert })
    }

    #[test]
    fn a_battery_command_always_holds_and_reverts_to_the_safe_command() {
        let terms = ask("set_mode", "hold", None).unwrap().unwrap();
        assert_eq!(terms.lasts_ms, 3_600_000);
        assert_eq!(terms.revert, Step { command: "set_mode".into(), parameters: mode("auto") });
        assert_eq!(ask("set_mode", "auto", None).unwrap(), None, "giving back holds nothing");
        assert_eq!(
            ask("set_mode", "auto", lease(None)).unwrap().unwrap().lasts_ms,
            60_000,
            "unless asked for"
        );
        assert_eq!(ask("set_limit", "hold", None).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_given_back_cannot_be_held() {
        let said = |command: &str, lease| ask(command, "hold", lease).unwrap_err().message;
        assert!(said("set_limit", lease(None)).contains("say `lease.revert`"));
        assert!(said("set_limit", lease(Some(("set_mode", "auto")))).contains("allowed are set_limit"));
        assert!(said("set_limit", lease(Some(("set_limit", "fly")))).starts_with("lease.revert: `mode`"));
        assert!(said("set_limit", lease(Some(("jump", "auto")))).contains("does not take `jump`"));
        assert_eq!(
            ask("set_limit", "hold", lease(Some(("set_limit", "auto")))).unwrap().unwrap().lasts_ms,
            60_000
        );
        let refresh =
            Request { lease: lease(None), ..Request::new("roof", "refresh", Parameters::default(), "t") };
        let info = info();
        assert!(
            terms(&refresh, &info.commands[2], &info, Duration::ZERO)
                .unwrap_err()
                .message
                .contains("nothing")
        );
    }
}
