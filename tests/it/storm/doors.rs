//! Sends the orders by their doors and remembers what the askers were told.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::plan::{Door, Order};
use crate::parts::{Api, Peer, maestro};

pub const ANSWERS: &str = "storm/answers";
const AGAIN: Duration = Duration::from_millis(40);

/// What an asker on the socket was told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Accepted,
    /// Code and words.
    Refused(String, String),
    /// It was cut off and did not try again.
    Nothing,
}

#[derive(Clone)]
pub struct Doors {
    pub peer: Arc<Peer>,
    pub api: Api,
    pub socket: PathBuf,
    pub told: Arc<Mutex<HashMap<String, Told>>>,
    /// Ids whose cancellation was answered with "cancelled".
    pub cancelled: Arc<Mutex<Vec<String>>>,
}

impl Doors {
    /// Orders of one array together; all others alone. Returns when all are sent and, on the socket,
    /// answered.
    pub async fn send(self, orders: Vec<Order>) {
        let mut tasks = tokio::task::JoinSet::new();
        let mut arrays: HashMap<String, Vec<Order>> = HashMap::new();
        for order in orders {
            match &order.batch {
                Some(batch) => arrays.entry(batch.clone()).or_default().push(order),
                None => drop(tasks.spawn(self.clone().one(order))),
            }
        }
        for (batch, orders) in arrays {
            tasks.spawn(self.clone().array(batch, orders));
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    }

    async fn array(self, batch: String, orders: Vec<Order>) {
        sleep(orders[0].after).await;
        let messages: Vec<_> = orders
            .iter()
            .map(|order| {
                let mut body = order.body();
                body["deviceId"] = json!(order.device());
                body["batchId"] = json!(batch);
                body
            })
            .collect();
        let text = Value::from(messages).to_string();
        self.peer.ask("maestro/command", &text, ANSWERS, batch.as_bytes()).await;
    }

    async fn one(self, order: Order) {
        sleep(order.after).await;
        let mut body = order.body();
        match order.door {
            Door::Common | Door::Array => {
                body["deviceId"] = json!(order.device());
                self.peer.ask("maestro/command", &body.to_string(), ANSWERS, order.id.as_bytes()).await;
            }
            Door::Device => {
                let topic = format!("maestro/device/{}/set", order.device());
                self.peer.ask(&topic, &body.to_string(), ANSWERS, order.id.as_bytes()).await;
            }
            Door::Http => {
                let told = self.http(&order, &body).await;
                self.told.lock().unwrap().insert(order.id.clone(), told);
            }
            Door::Cli => {
                let told = self.cli(&order).await;
                self.told.lock().unwrap().insert(order.id.clone(), told);
            }
        }
        if let Some(after) = order.cancel_after {
            sleep(after).await;
            self.cancel(&order).await;
        }
    }

    /// Until it is told something, as a careful client does; the id makes that harmless. One in
    /// eight gives up when it was cut off.
    async fn http(&self, order: &Order, body: &Value) -> Told {
        let mut cut = false;
        let mut body = body.clone();
        let named = order.home.is_multiple_of(2);
        if named {
            body["deviceId"] = json!(order.device());
        }
        loop {
            let answer =
                if named { self.api.send(&body).await } else { self.api.post(&order.device(), &body).await };
            match answer {
                Some((200 | 202, _)) => return Told::Accepted,
                // It is going away, or not quite there.
                Some((503, _)) => {}
                Some((_, refusal)) => {
                    let text = |key: &str| refusal["error"][key].as_str().unwrap_or_default().to_owned();
                    return Told::Refused(text("code"), text("message"));
                }
                None if cut && order.id.ends_with('7') => return Told::Nothing,
                None => cut = true,
            }
            sleep(AGAIN).await;
        }
    }

    /// Once, whatever comes of it.
    async fn cli(&self, order: &Order) -> Told {
        let (command, parameters) = order.command();
        let parameters = parameters.as_object().unwrap().clone();
        let given = parameters.into_iter().map(|(key, value)| match value {
            Value::String(text) => format!("{key}={text}"),
            other => format!("{key}={other}"),
        });
        let mut program = tokio::process::Command::from(maestro());
        program.arg("--socket").arg(&self.socket).args(["send", &order.device(), command]).args(given);
        program.args(["--id", &order.id, "--priority", order.priority, "--no-wait"]);
        program.args(["--expires-in", &order.expires_in.to_string()]);
        let output = program.output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains(&format!("accepted as {}", order.id)) { Told::Accepted } else { Told::Nothing }
    }

    async fn cancel(&self, order: &Order) {
        if order.id.ends_with(['0', '2', '4', '6', '8']) {
            self.peer.send("maestro/command/cancel", json!({"id": order.id}).to_string()).await;
        } else if let Some((_, answer)) = self.api.delete(&format!("/v1/commands/{}", order.id)).await
            && answer["cancel"] == "cancelled"
        {
            self.cancelled.lock().unwrap().push(order.id.clone());
        }
    }
}
