//! An automation on the other side of the broker.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rumqttc::v5::{
    AsyncClient, Event, EventLoop, Incoming, MqttOptions,
    mqttbytes::{
        QoS,
        v5::{Publish, PublishProperties},
    },
};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::until;

/// A connected MQTT 5 client that remembers what it got.
pub struct Peer {
    pub client: AsyncClient,
    got: Arc<Mutex<Vec<Publish>>>,
    task: JoinHandle<()>,
}

impl Peer {
    /// Connects and subscribes.
    pub async fn connect(port: u16, topics: &[&str]) -> Self {
        let mut options = MqttOptions::new(format!("peer-{}", uuid::Uuid::now_v7()), "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(30)).set_max_packet_size(Some(1_000_000));
        // What comes while the broker restarts waits for it there.
        options.set_clean_start(false).set_session_expiry_interval(Some(300));
        let (client, events) = AsyncClient::new(options, 1000);
        let got = Arc::new(Mutex::new(Vec::new()));
        let subscribed = Arc::new(Mutex::new(0));
        let task = tokio::spawn(listen(
            client.clone(),
            events,
            topics.iter().map(|t| (*t).to_owned()).collect(),
            got.clone(),
            subscribed.clone(),
        ));
        let wanted = topics.len();
        until("the peer is subscribed", || {
            std::future::ready((*subscribed.lock().unwrap() >= wanted).then_some(()))
        })
        .await;
        Self { client, got, task }
    }

    pub async fn send(&self, topic: &str, payload: impl Into<String>) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload.into()).await.unwrap();
    }

    /// A request with Response Topic and Correlation Data.
    pub async fn ask(&self, topic: &str, payload: &str, response: &str, correlation: &[u8]) {
        let properties = PublishProperties {
            response_topic: Some(response.to_owned()),
            correlation_data: Some(correlation.to_vec().into()),
            ..PublishProperties::default()
        };
        let payload = payload.to_owned();
        self.client
            .publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties)
            .await
            .unwrap();
    }

    /// All that came on a topic.
    pub fn messages(&self, topic: &str) -> Vec<Publish> {
        self.got.lock().unwrap().iter().filter(|message| message.topic == topic.as_bytes()).cloned().collect()
    }

    /// All that came, oldest first.
    pub fn everything(&self) -> Vec<Publish> {
        self.got.lock().unwrap().clone()
    }

    /// The newest message of every topic.
    pub fn newest(&self) -> BTreeMap<String, Publish> {
        let got = self.got.lock().unwrap();
        got.iter()
            .map(|message| (String::from_utf8_lossy(&message.topic).into_owned(), message.clone()))
            .collect()
    }

    /// Waits for a message on a topic that fits.
    pub async fn wait(&self, what: &str, topic: &str, fits: impl Fn(&Value) -> bool) -> (Publish, Value) {
        until(what, || {
            let found = self.messages(topic).into_iter().find_map(|message| {
                let value: Value = serde_json::from_slice(&message.payload).unwrap_or_else(|_| {
                    Value::String(String::from_utf8_lossy(&message.payload).into_owned())
                });
                fits(&value).then_some((message, value))
            });
            std::future::ready(found)
        })
        .await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    client: AsyncClient,
    mut events: EventLoop,
    topics: Vec<String>,
    got: Arc<Mutex<Vec<Publish>>>,
    subscribed: Arc<Mutex<usize>>,
) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                for topic in &topics {
                    client.try_subscribe(topic, QoS::AtLeastOnce).unwrap();
                }
            }
            Ok(Event::Incoming(Incoming::SubAck(_))) => *subscribed.lock().unwrap() += 1,
            Ok(Event::Incoming(Incoming::Publish(message))) => got.lock().unwrap().push(message),
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
