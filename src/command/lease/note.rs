//! The ledger in the journal: one note for each setpoint, so that a crash or a reboot forgets
//! nobody's promise.
//!
//! Space `lease`, key `<device>/<setpoint group>`, value a JSON object:
//!
//! | key | meaning |
//! | --- | --- |
//! | `boot` | the kernel's id of the boot whose monotonic clock `mono_end` is on |
//! | `held` | `{owner, source, priority, id, step, revert, since, mono_since, mono_end, dropped, set_again, volatile, reply?}`; none when free. `step` and `revert` are `{command, parameters}`, `reply` is `{topic, correlation?: bytes as numbers}` |
//! | `reverting` | `{id, reason}` while the command with that id gives it back |
//! | `latest` | a list of `{scheduled?, accepted, number, priority, id}`: the newest command of each urgency that may have reached the device, at most four; one alone may stand without its list |
//! | `writers` | `[{at, owner, id, command, parameters, outcome}]`, the last five |
//! | `refusals` | `[{at, owner, command, reason}]`, the last five; they are kept with the next change, not by themselves |

use std::collections::HashSet;

use adapter_api::{DeviceId, Moment, Parameters};
use serde_json::{Value as Json, json};

use super::{
    ledger::{Account, Ledger},
    terms::{Age, Latest, Lease, Reverting, Setpoint},
    view::{Refused, Writer},
};
use crate::{
    command::wire,
    journal::{Change, Reply, Step},
};

/// The space in the journal's notes.
pub(in crate::command) const SPACE: &str = "lease";

impl Ledger {
    /// From the notes that were kept. In the same boot the remaining time goes on; after a reboot it
    /// is over: those setpoints are the second half.
    pub fn kept(notes: Vec<(String, Vec<u8>)>, boot: &str, now: Moment) -> (Self, HashSet<Setpoint>) {
        let (mut ledger, mut rebooted) = (Self::default(), HashSet::new());
        for (key, value) in notes {
            match one(&key, &value, boot, now) {
                Some((setpoint, account, same_boot)) => {
                    if !same_boot && account.held.is_some() && account.reverting.is_none() {
                        rebooted.insert(setpoint.clone());
                    }
                    ledger.accounts.insert(setpoint, account);
                }
                None => tracing::warn!(key, "a kept lease makes no sense and is left out"),
            }
        }
        ledger.clock_was_set(now.wall_ms);
        (ledger, rebooted)
    }

    /// The note of one setpoint as it is now.
    pub fn note(&self, setpoint: &Setpoint, boot: &str) -> Change {
        let (device, group) = setpoint;
        let value = self.accounts.get(setpoint).map(|account| {
            json!({
                "boot": boot,
                "held": account.held.as_ref().map(lease),
                "reverting": account.reverting.as_ref().map(reverting),
                "latest": account.latest.iter().map(latest).collect::<Vec<_>>(),
                "writers": account.writers.iter().map(writer).collect::<Vec<_>>(),
                "refusals": account.refusals.iter().map(refused).collect::<Vec<_>>(),
            })
        });
        let value = value.map(|value| value.to_string().into_bytes());
        Change::Note { space: SPACE, key: format!("{device}/{group}"), value }
    }
}

fn one(key: &str, value: &[u8], boot: &str, now: Moment) -> Option<(Setpoint, Account, bool)> {
    let (device, group) = key.split_once('/')?;
    let json: Json = serde_json::from_slice(value).ok()?;
    let same_boot = json["boot"].as_str()? == boot;
    let list = |name: &str| json[name].as_array().map_or(&[][..], Vec::as_slice);
    let held = match &json["held"] {
        Json::Null => None,
        held => {
            let mut lease = to_lease(held, now)?;
            if !same_boot {
                (lease.ends, lease.rewrite_at) = (now.mono_ms, None);
            }
            Some(lease)
        }
    };
    let reverting = &json["reverting"];
    let account = Account {
        held,
        // Whatever was in flight before this start does not end it.
        reverting: text(reverting, "id").zip(text(reverting, "reason")).map(|(id, reason)| Reverting {
            id,
            reason,
            decided: now.mono_ms,
        }),
        latest: match &json["latest"] {
            Json::Array(list) => list.iter().filter_map(to_latest).collect(),
            one => to_latest(one).into_iter().collect(),
        },
        writers: list("writers").iter().filter_map(to_writer).collect(),
        refusals: list("refusals").iter().filter_map(to_refused).collect(),
    };
    Some(((DeviceId::new(device).ok()?, group.to_owned()), account, same_boot))
}

fn reverting(reverting: &Reverting) -> Json {
    json!({"id": reverting.id, "reason": reverting.reason})
}

fn latest(latest: &Latest) -> Json {
    let Age { scheduled, accepted, number } = latest.age;
    json!({
        "scheduled": scheduled, "accepted": accepted, "number": number,
        "priority": latest.priority.as_str(), "id": latest.id,
    })
}

fn to_latest(json: &Json) -> Option<Latest> {
    Some(Latest {
        age: Age {
            scheduled: json["scheduled"].as_i64(),
            accepted: json["accepted"].as_i64()?,
            number: json["number"].as_u64()?,
        },
        priority: json["priority"].as_str()?.parse().ok()?,
        id: text(json, "id")?,
    })
}

fn lease(lease: &Lease) -> Json {
    json!({
        "owner": lease.owner,
        "source": lease.source.as_str(),
        "priority": lease.priority.as_str(),
        "id": lease.id,
        "step": step(&lease.step),
        "revert": step(&lease.revert),
        "since": lease.since,
        "mono_since": lease.from,
        "mono_end": lease.ends,
        "dropped": lease.dropped,
        "set_again": lease.set_again,
        "volatile": lease.rewrite_at.is_some(),
        "reply": lease.reply.as_ref().map(|reply| json!({"topic": reply.topic, "correlation": reply.correlation})),
    })
}

fn to_lease(json: &Json, now: Moment) -> Option<Lease> {
    let reply = &json["reply"];
    let bytes = |json: &Json| {
        let array = json.as_array()?;
        array.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect::<Option<Vec<u8>>>()
    };
    Some(Lease {
        owner: text(json, "owner")?,
        source: json["source"].as_str()?.parse().ok()?,
        priority: json["priority"].as_str()?.parse().ok()?,
        id: text(json, "id")?,
        step: to_step(&json["step"])?,
        revert: to_step(&json["revert"])?,
        since: json["since"].as_i64()?,
        from: json["mono_since"].as_u64()?,
        ends: json["mono_end"].as_u64()?,
        reply: text(reply, "topic").map(|topic| Reply { topic, correlation: bytes(&reply["correlation"]) }),
        dropped: u32::try_from(json["dropped"].as_u64()?).ok()?,
        // Nobody wrote it while the gateway was away: at once.
        rewrite_at: (json["volatile"] == true).then_some(now.mono_ms),
        set_again: json["set_again"] == true,
    })
}

fn step(step: &Step) -> Json {
    json!({"command": step.command, "parameters": wire::parameters_json(&step.parameters)})
}

fn to_step(json: &Json) -> Option<Step> {
    Some(Step { command: text(json, "command")?, parameters: to_parameters(&json["parameters"])? })
}

fn to_parameters(json: &Json) -> Option<Parameters> {
    let object = json.as_object()?;
    let values = object.iter().map(|(name, json)| Some((name.as_str().into(), wire::value(json)?)));
    values.collect::<Option<_>>().map(Parameters)
}

fn writer(writer: &Writer) -> Json {
    json!({
        "at": writer.at, "owner": writer.owner, "id": writer.id, "command": writer.command,
        "parameters": wire::parameters_json(&writer.parameters), "outcome": writer.outcome.as_str(),
    })
}

fn to_writer(json: &Json) -> Option<Writer> {
    Some(Writer {
        at: json["at"].as_i64()?,
        owner: text(json, "owner")?,
        id: text(json, "id")?,
        command: text(json, "command")?,
        parameters: to_parameters(&json["parameters"])?,
        outcome: json["outcome"].as_str()?.parse().ok()?,
    })
}

fn refused(refused: &Refused) -> Json {
    json!({"at": refused.at, "owner": refused.owner, "command": refused.command, "reason": refused.reason})
}

fn to_refused(json: &Json) -> Option<Refused> {
    Some(Refused {
        at: json["at"].as_i64()?,
        owner: text(json, "owner")?,
        command: text(json, "command")?,
        reason: text(json, "reason")?,
    })
}

fn text(json: &Json, name: &str) -> Option<String> {
    json.get(name)?.as_str().map(str::to_owned)
}
