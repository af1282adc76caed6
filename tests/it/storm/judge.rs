//! Compares what the gateway says about a command with what its device was told.
//!
//! | the gateway says | the device's record must say |
//! | --- | --- |
//! | nothing: refused, or never came | nothing arrived |
//! | `done`, verified | it was executed |
//! | `done`, not verified | it arrived (the device said yes), and a fault explains why it was not read |
//! | `mismatch`, `unknown` | anything, and a fault or a kill explains it |
//! | everything else | it was not executed; after no attempt nothing arrived |
//!
//! And whatever it says, a command that must not be repeated was executed at most once.

use serde_json::Value;

use super::{
    plan::{Order, Sets},
    registers::Record,
    weather::Log,
};

/// What is wrong, in words; none when all is true. `row` is the command as the journal has it.
pub fn wrong(order: &Order, row: Option<&Value>, record: &Record, log: &Log) -> Option<String> {
    let executed = record.executed(order.sets);
    if matches!(order.sets, Sets::Point(_)) && executed > 1 {
        return Some(format!("executed {executed} times"));
    }
    let Some(row) = row else {
        return record.arrived(order.sets).then(|| "not in the journal, and its device was told".to_owned());
    };
    let sets = order.sets != Sets::Nothing;
    let explained = || {
        let from = time(row, "executedAt").or_else(|| time(row, "acceptedAt")).unwrap_or(0);
        log.explains(order.home, from, time(row, "completedAt").unwrap_or(i64::MAX))
    };
    match row["outcome"].as_str() {
        None => Some("it never ended".to_owned()),
        Some("done") => {
            let written_value = shown(order, row);
            match row["verified"].as_bool() {
                Some(true) if sets && executed == 0 => {
                    Some("completed and verified, and its device never did it".to_owned())
                }
                Some(true) if written_value == Some(false) => {
                    Some("completed and verified, and it shows something else".to_owned())
                }
                Some(true) => None,
                _ if !sets => None,
                _ if !record.arrived(order.sets) => {
                    Some("completed, and its device was never told".to_owned())
                }
                _ => explained().is_none().then(|| "not verified, and nothing explains it".to_owned()),
            }
        }
        Some(outcome @ ("mismatch" | "unknown")) => {
            explained().is_none().then(|| format!("{outcome}, and nothing explains it"))
        }
        Some(outcome) if executed > 0 => Some(format!("{outcome}, and its device did it")),
        Some(outcome) if row["attempts"] == 0 && record.arrived(order.sets) => {
            Some(format!("{outcome} without an attempt, and its device was told"))
        }
        Some(_) => None,
    }
}

/// Is the value that fresh reads showed the one that was asked for? One step is equal.
fn shown(order: &Order, row: &Value) -> Option<bool> {
    let (name, wanted, step) = match order.sets {
        Sets::Limit(raw) => ("percent", f64::from(raw) / 100.0, 0.01),
        Sets::Power(rate) => ("power", f64::from(rate) / 2.0, 0.5),
        Sets::Point(raw) => ("MinRsvPct", f64::from(raw) / 100.0, 0.01),
        Sets::Nothing => return None,
    };
    let observed = row["observed"][name].as_f64()?;
    // A mode shows a magnitude, a power its sign.
    Some((observed.abs() - wanted.abs()).abs() <= step * 1.5)
}

fn time(row: &Value, key: &str) -> Option<i64> {
    row[key].as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;
    use simulator::WriteSeen;

    use super::*;
    use crate::{
        parts::house::{LIMIT, STORAGE},
        storm::plan::Door,
    };

    const LIMITED: Sets = Sets::Limit(5_000);
    const POINT: Sets = Sets::Point(1_000);

    fn order(sets: Sets) -> Order {
        let (id, after) = ("c-1".to_owned(), Duration::ZERO);
        let (priority, owner, expires_in) = ("normal", "storm", 30);
        let (cancel_after, batch) = (None, None);
        Order { id, home: 0, sets, door: Door::Http, priority, owner, expires_in, after, cancel_after, batch }
    }

    fn record(writes: &[(u16, &[u16], bool)]) -> Record {
        let write = |&(address, values, accepted): &(u16, &[u16], bool)| {
            let values = values.to_vec();
            WriteSeen { at_ms: 0, at: Instant::now(), unit: 1, function: 16, address, values, accepted }
        };
        Record::of(&writes.iter().map(write).collect::<Vec<_>>())
    }

    /// Judges a command that ended like this, with these writes and nothing that explains anything.
    fn lie(sets: Sets, outcome: &str, verified: Option<bool>, writes: &[(u16, &[u16], bool)]) -> bool {
        let row = json!({"outcome": outcome, "verified": verified, "attempts": 1,
            "acceptedAt": "2026-01-31T12:00:00Z", "completedAt": "2026-01-31T12:00:01Z"});
        wrong(&order(sets), Some(&row), &record(writes), &Log::default()).is_some()
    }

    #[test]
    fn the_judge_sees_a_lie() {
        let limit: (u16, &[u16], bool) = (LIMIT + 5, &[5_000, 0, 0, 0, 1], true);
        assert!(!lie(LIMITED, "done", Some(true), &[limit]));
        assert!(lie(LIMITED, "done", Some(true), &[]), "it never came");
        assert!(lie(LIMITED, "done", Some(true), &[(limit.0, limit.1, false)]), "it was not taken");
        assert!(lie(LIMITED, "done", Some(false), &[limit]), "nothing explains why it was not read");
        for outcome in ["expired", "superseded", "cancelled", "rejected", "unreachable"] {
            assert!(!lie(LIMITED, outcome, None, &[]));
            assert!(lie(LIMITED, outcome, None, &[limit]), "{outcome}, and it was done");
        }
        assert!(lie(LIMITED, "mismatch", None, &[]) && lie(LIMITED, "unknown", None, &[]));
        let point: (u16, &[u16], bool) = (STORAGE + 7, &[1_000], true);
        assert!(!lie(POINT, "done", Some(true), &[point]));
        assert!(lie(POINT, "done", Some(true), &[point, point]), "it was repeated");
        assert!(wrong(&order(LIMITED), None, &record(&[limit]), &Log::default()).is_some());
        assert!(wrong(&order(LIMITED), None, &record(&[]), &Log::default()).is_none());
    }

    #[test]
    fn a_batterys_rate_counts_when_its_mode_does() {
        let (charge, mode) = (Sets::Power(-400), STORAGE + 5);
        let rates: (u16, &[u16], bool) = (STORAGE + 12, &[(-400_i16) as u16, 10_000], true);
        assert!(!lie(charge, "unreachable", None, &[rates]), "written, and the mode does not let it count");
        assert!(lie(charge, "unreachable", None, &[rates, (mode, &[2], true)]));
        assert!(lie(charge, "unreachable", None, &[(mode, &[2], true), rates]), "the mode was there before");
        assert!(lie(charge, "done", Some(true), &[rates, (mode, &[2], false)]));
        assert!(!lie(charge, "done", Some(true), &[rates, (mode, &[2], true)]));
    }
}
