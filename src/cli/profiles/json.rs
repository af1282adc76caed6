//! Profiles as JSON. Pure.
//!
//! | key | meaning |
//! | --- | --- |
//! | `name`, `device`, `origin` | the profile; maker and models; `shipped`, or that it is the installer's |
//! | `reads` | `{what, points}`; `points` is null where the device says it itself |
//! | `takes` | `{what, modes, commands, needs, whenTheGatewayDies, wears}`; `needs` are texts, `whenTheGatewayDies` is one; `wears` is `nothing`, `partly` or `all` |
//! | `readOnly` | why it takes nothing, or not all; null: nothing to say |
//! | `sources`, `unverified` | texts |
//!
//! One profile in full has, beside them, `links`, `unit` (null where it says none), `limits`, `workarounds` (texts), `points`
//! (`{part, point, unit, read, registers}`) and `parameters` (command → texts like `power=1…rating W`).

use adapter_api::profile::Profile;
use serde_json::{Map, Value, json};

use super::{
    facts::{Facts, Wears, parameter, specs},
    sheet::{limits, often, registers, workarounds},
};

pub fn short(profile: &Profile, origin: &str) -> Value {
    let facts = Facts::of(profile);
    let reads: Vec<_> =
        facts.reads.iter().map(|(what, points)| json!({"what": what, "points": points})).collect();
    let takes: Vec<_> = facts
        .takes
        .iter()
        .map(|takes| {
            json!({
                "what": takes.what,
                "modes": takes.modes,
                "commands": takes.commands,
                "needs": takes.needs(),
                "whenTheGatewayDies": takes.fate(),
                "wears": match takes.wears {
                    Wears::Nothing => "nothing",
                    Wears::Partly => "partly",
                    Wears::All => "all",
                },
            })
        })
        .collect();
    json!({
        "name": facts.name,
        "device": facts.device,
        "origin": origin,
        "reads": reads,
        "takes": takes,
        "readOnly": facts.read_only,
        "sources": facts.sources,
        "unverified": facts.unverified,
    })
}

pub fn whole(profile: &Profile, origin: &str) -> Value {
    let points: Vec<_> = profile
        .all_points()
        .map(|(part, name, point)| {
            json!({
                "part": part,
                "point": name,
                "unit": point.unit,
                "read": often(point.class),
                "registers": registers(point),
            })
        })
        .collect();
    let parameters: Map<_, _> = specs(profile)
        .into_iter()
        .map(|(_, spec)| {
            let told: Vec<_> = spec.parameters.iter().map(parameter).collect();
            (spec.name.to_string(), json!(told))
        })
        .collect();
    let mut told = short(profile, origin);
    let more = json!({
        "links": profile.links,
        "unit": profile.says_unit.then_some(profile.unit),
        "limits": limits(&profile.limits),
        "workarounds": workarounds(profile),
        "points": points,
        "parameters": parameters,
    });
    if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
        told.extend(more);
    }
    told
}

#[cfg(test)]
mod tests {
    use adapter_api::profile::builtin;

    use super::*;

    #[test]
    fn a_profile_in_full_has_what_it_has_in_short() {
        let told = whole(&builtin()["sunspec"], "shipped");
        assert_eq!(told["name"], "sunspec");
        assert_eq!(told["takes"][0]["what"], "battery");
        assert_eq!(told["takes"][0]["whenTheGatewayDies"], "falls back after at most 120 s");
        assert_eq!(told["takes"][0]["needs"], json!([]));
        assert_eq!(told["unit"], Value::Null, "sunspec names no unit");
        assert_eq!(told["parameters"]["set_battery_mode"][1], "power=1…rating W");
        let meter = whole(&builtin()["eastron-sdm630"], "shipped");
        assert_eq!(meter["points"][0]["registers"], "input 52,53");
        assert_eq!(meter["unit"], 1);
    }
}
