//! What came by MQTT, sorted: answers by their correlation data, results by id, summaries by batch.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    doors::ANSWERS,
    plan::{Door, Order},
};
use crate::parts::Peer;

#[derive(Default)]
pub struct Answers {
    /// On the Response Topic.
    asked: BTreeMap<String, Vec<Value>>,
    /// On the common topic.
    results: BTreeMap<String, Vec<Value>>,
    /// On the common topic.
    summaries: BTreeMap<String, Value>,
    /// Ids that were told as accepted.
    pub accepted: BTreeSet<String>,
}

impl Answers {
    pub fn of(peer: &Peer) -> Self {
        let mut answers = Self::default();
        for message in peer.everything() {
            let Ok(json) = serde_json::from_slice::<Value>(&message.payload) else { continue };
            let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
            let topic = String::from_utf8_lossy(&message.topic).into_owned();
            match topic.as_str() {
                // It comes to the Response Topic of its holder too, and is no answer.
                _ if json["status"] == "lease_lost" || !json["cancel"].is_null() => {}
                ANSWERS => {
                    let correlation = message.properties.and_then(|given| given.correlation_data);
                    let correlation = correlation.unwrap_or_default();
                    let correlation = String::from_utf8_lossy(&correlation).into_owned();
                    answers.asked.entry(correlation).or_default().push(json);
                }
                "maestro/result" if json["total"].is_number() => {
                    answers.summaries.insert(text("batchId"), json);
                }
                "maestro/result" => answers.results.entry(text("id")).or_default().push(json),
                _ if json["status"] == "accepted" => drop(answers.accepted.insert(text("id"))),
                _ => {}
            }
        }
        answers
    }

    /// Orders by MQTT that nothing was said about yet.
    pub fn missing<'a>(&self, orders: &'a [Order]) -> Vec<&'a str> {
        let told = |order: &&Order| match (order.door, &order.batch) {
            (Door::Http | Door::Cli, _) => true,
            (_, Some(batch)) => {
                self.results.contains_key(&order.id)
                    && self.summaries.contains_key(batch)
                    && self.asked.contains_key(batch)
            }
            (_, None) => self.asked.contains_key(&order.id),
        };
        orders.iter().filter(|order| !told(order)).map(|order| order.id.as_str()).collect()
    }

    /// What is wrong with what the asker by MQTT was told, in words.
    pub fn wrong(&self, order: &Order, row: Option<&Value>) -> Option<String> {
        let answers = match order.batch {
            Some(_) => self.results.get(&order.id)?,
            None => self.asked.get(&order.id)?,
        };
        // A refusal that was told just before a kill is told again, or is no refusal any more: the
        // message was not taken yet, and its setpoint may be free now.
        let (results, refusals): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer["acceptedAt"].is_string());
        let Some(row) = row else {
            let Some(refusal) = refusals.first() else { return Some("told a result, and unknown".into()) };
            let (code, message) = (&refusal["error"]["code"], &refusal["error"]["message"]);
            return wrong_refusal("mqtt:storm", code.as_str()?, message.as_str()?);
        };
        match results.iter().find(|result| result["outcome"] != row["outcome"]) {
            Some(other) => Some(format!("told {}", other["outcome"])),
            None => results.is_empty().then(|| "told a refusal, and accepted".to_owned()),
        }
    }

    /// What is wrong with the summary of a batch, whose commands the journal has like this.
    pub fn wrong_summary(&self, batch: &str, rows: &[Option<&Value>]) -> Option<String> {
        let summary = self.summaries.get(batch)?;
        let status =
            |word: &str| rows.iter().filter(|row| row.is_some_and(|row| row["status"] == word)).count();
        let refused = rows.iter().filter(|row| row.is_none()).count();
        let expected = [
            ("total", rows.len()),
            ("completed", status("completed")),
            ("failed", status("failed") + refused),
            ("timeout", status("timeout")),
            ("cancelled", status("cancelled")),
        ];
        let differs = expected.iter().any(|(key, count)| summary[key] != *count);
        let same = self.asked.get(batch)?.iter().any(|answer| answer == summary);
        match (differs, same) {
            (true, _) => Some(format!("its summary is {summary}, and the journal says {expected:?}")),
            (_, false) => Some(format!("its summary {summary} did not come to the Response Topic")),
            _ => None,
        }
    }
}

/// A battery that somebody else holds is the only reason for a refusal here.
pub fn wrong_refusal(owner: &str, code: &str, message: &str) -> Option<String> {
    let fine = code == "held" && message.contains("held by") && !message.contains(&format!("by {owner} "));
    (!fine).then(|| format!("refused as {code}: {message}"))
}
