//! An automation that knows to the microsecond when it asked and when it was answered.

use std::time::{Duration, Instant};

use rumqttc::{
    NetworkOptions,
    v5::{
        AsyncClient, Event, EventLoop, Incoming, MqttOptions,
        mqttbytes::{QoS, v5::PublishProperties},
    },
};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

pub const ANSWERS: &str = "bench/answers";
const PATIENCE: Duration = Duration::from_secs(30);
/// It asks one at a time.
const ROOM: usize = 64;

pub struct Asker {
    client: AsyncClient,
    answers: mpsc::Receiver<(Instant, Value)>,
    task: JoinHandle<()>,
}

impl Asker {
    pub async fn connect(port: u16) -> Self {
        let mut options = MqttOptions::new("bench-asker", "127.0.0.1", port);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_keep_alive(Duration::from_secs(30)).set_network_options(network);
        let (client, events) = AsyncClient::new(options, ROOM);
        let (told, answers) = mpsc::channel(ROOM);
        let (subscribed, mut is_subscribed) = mpsc::channel(1);
        let task = tokio::spawn(listen(events, told, subscribed));
        client.subscribe(ANSWERS, QoS::AtLeastOnce).await.unwrap();
        timeout(PATIENCE, is_subscribed.recv()).await.unwrap().unwrap();
        Self { client, answers, task }
    }

    /// Asks, and waits for the answer: when both were.
    pub async fn ask(&mut self, topic: &str, payload: &Value) -> (Instant, Instant, Value) {
        let properties =
            PublishProperties { response_topic: Some(ANSWERS.to_owned()), ..PublishProperties::default() };
        let payload = payload.to_string();
        let asked = Instant::now();
        self.client
            .publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties)
            .await
            .unwrap();
        let (answered, answer) = timeout(PATIENCE, self.answers.recv()).await.unwrap().unwrap();
        (asked, answered, answer)
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(mut events: EventLoop, told: mpsc::Sender<(Instant, Value)>, subscribed: mpsc::Sender<()>) {
    loop {
        match events.poll().await.unwrap() {
            Event::Incoming(Incoming::Publish(message)) => {
                let now = Instant::now();
                let answer = serde_json::from_slice(&message.payload).unwrap();
                let _ = told.send((now, answer)).await;
            }
            Event::Incoming(Incoming::SubAck(_)) => drop(subscribed.try_send(())),
            _ => {}
        }
    }
}
