use std::{future::Future, process::Output, sync::Weak};

use rumqttc::{Event as Event3, Packet as Packet3, v5};
use tokio::process::Command;
use v5::mqttbytes::{
    QoS,
    v5::{Filter, LastWill, LastWillProperties, Packet, Publish, PublishProperties, RetainForwardRule},
};

use super::*;
use rmqtt::types::TopicName;

const DEADLINE: Duration = Duration::from_secs(10);

/// What must happen, before the deadline.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

struct Home {
    port: u16,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<Result<(), BrokerError>>,
}

fn open_home() -> Settings {
    Settings { listen: ([127, 0, 0, 1], 0).into(), username: None, password: None }
}

fn locked_home() -> Settings {
    Settings {
        username: Some("maestro".into()),
        password: Some(Password::from("s3cret".to_owned())),
        ..open_home()
    }
}

impl Home {
    async fn start(settings: &Settings) -> Self {
        let broker = Broker::start(settings).await.unwrap();
        let (port, stop) = (broker.local_addr().port(), CancellationToken::new());
        let running = tokio::spawn(broker.run(stop.clone()));
        Self { port, stop, running }
    }

    async fn end(self) {
        self.stop.cancel();
        soon("the broker stops", self.running).await.unwrap().unwrap();
    }

    fn options(&self, id: &str) -> v5::MqttOptions {
        let mut options = v5::MqttOptions::new(id, "127.0.0.1", self.port);
        options.set_max_packet_size(Some(MAX_PACKET)).set_receive_maximum(Some(u16::MAX));
        options
    }

    async fn client(&self, id: &str) -> Client {
        Client::connect(self.options(id)).await
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(arguments).kill_on_drop(true);
        command
    }

    async fn tool(&self, program: &str, arguments: &[&str]) -> Output {
        soon(program, self.command(program, arguments).output())
            .await
            .expect("mosquitto-clients are installed: scripts/test")
    }
}

/// A client of MQTT 5 that turns its event loop while it waits.
struct Client {
    client: v5::AsyncClient,
    events: v5::EventLoop,
    session_present: bool,
}

impl Client {
    async fn connect(options: v5::MqttOptions) -> Self {
        let (client, events) = v5::AsyncClient::new(options, 100);
        let mut client = Self { client, events, session_present: false };
        let answer = client.until("CONNACK", |packet| match packet {
            Packet::ConnAck(answer) => Some(answer),
            _ => None,
        });
        client.session_present = answer.await.session_present;
        client
    }

    async fn until<T>(&mut self, what: &str, wanted: impl Fn(Packet) -> Option<T>) -> T {
        let search = async {
            loop {
                if let v5::Event::Incoming(packet) = self.events.poll().await.unwrap()
                    && let Some(found) = wanted(packet)
                {
                    return found;
                }
            }
        };
        soon(what, search).await
    }

    async fn message(&mut self) -> Publish {
        self.until("a message", |packet| match packet {
            Packet::Publish(message) => Some(message),
            _ => None,
        })
        .await
    }

    async fn subscribe(&mut self, filter: Filter) {
        self.client.subscribe_many([filter]).await.unwrap();
        self.until("SUBACK", |packet| matches!(packet, Packet::SubAck(_)).then_some(())).await;
    }

    /// Publishes at QoS 1 and waits for the broker's PUBACK.
    async fn publish(&mut self, topic: &str, retain: bool, payload: &[u8], properties: PublishProperties) {
        let qos = QoS::AtLeastOnce;
        self.client.publish_with_properties(topic, qos, retain, payload.to_vec(), properties).await.unwrap();
        self.until("PUBACK", |packet| matches!(packet, Packet::PubAck(_)).then_some(())).await;
    }

    /// Proves that nothing else comes before an own message does.
    async fn next_is_mine(&mut self, topic: &str) {
        self.client.publish(topic, QoS::AtLeastOnce, false, "mine").await.unwrap();
        assert_eq!(self.message().await.payload, "mine");
    }
}

fn text(message: &Publish) -> (&str, &str) {
    (std::str::from_utf8(&message.topic).unwrap(), std::str::from_utf8(&message.payload).unwrap())
}

fn once(topic: &str) -> Filter {
    Filter::new(topic, QoS::AtLeastOnce)
}

fn plain() -> PublishProperties {
    PublishProperties::default()
}

#[tokio::test]
async fn a_request_passes_with_every_property_and_its_answer_comes_back() {
    let home = Home::start(&open_home()).await;
    let (mut gateway, mut asker) = (home.client("gateway").await, home.client("asker").await);
    gateway.subscribe(once("maestro/command")).await;
    asker.subscribe(once("answers/asker")).await;

    let request = PublishProperties {
        response_topic: Some("answers/asker".into()),
        correlation_data: Some(vec![0, 159, 255].into()),
        user_properties: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
        content_type: Some("application/json".into()),
        message_expiry_interval: Some(60),
        ..plain()
    };
    asker.publish("maestro/command", false, b"{}", request.clone()).await;
    let got = gateway.message().await;
    assert_eq!((text(&got), got.qos), (("maestro/command", "{}"), QoS::AtLeastOnce));
    let properties = got.properties.unwrap();
    assert_eq!(properties.response_topic, request.response_topic);
    assert_eq!(properties.correlation_data, request.correlation_data);
    assert_eq!(properties.user_properties, request.user_properties);
    assert_eq!(properties.content_type, request.content_type);
    assert!((55..=60).contains(&properties.message_expiry_interval.unwrap()));

    let answer = PublishProperties { correlation_data: properties.correlation_data, ..plain() };
    gateway.publish(&properties.response_topic.unwrap(), false, b"done", answer).await;
    let got = asker.message().await;
    assert_eq!(text(&got), ("answers/asker", "done"));
    let properties = got.properties.unwrap();
    assert_eq!(properties.correlation_data, request.correlation_data);
    assert_eq!(properties.message_expiry_interval, None, "none was asked for, none is invented");
    home.end().await;
}

#[tokio::test]
async fn a_retained_message_is_kept_replaced_and_cleared_for_both_versions() {
    let home = Home::start(&open_home()).await;
    let mut five = home.client("five").await;
    five.publish("home/roof", true, b"old", plain()).await;
    five.publish("home/roof", true, b"new", plain()).await;
    assert_eq!(
        home.tool("mosquitto_pub", &["-V", "311", "-r", "-q", "1", "-t", "home/car", "-m", "away"])
            .await
            .status
            .code(),
        Some(0)
    );

    let read = ["-V", "311", "-t", "home/+", "-C", "2", "-W", "9", "-F", "%t %p %r"];
    let mut lines: Vec<String> = String::from_utf8(home.tool("mosquitto_sub", &read).await.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    assert_eq!(lines, ["home/car away 1", "home/roof new 1"]);

    let mut late = home.client("late").await;
    late.subscribe(once("home/roof")).await;
    let got = late.message().await;
    assert_eq!((text(&got), got.retain), (("home/roof", "new"), true));

    five.publish("home/roof", true, b"", plain()).await;
    home.tool("mosquitto_pub", &["-V", "311", "-r", "-n", "-q", "1", "-t", "home/car"]).await;
    let mut later = home.client("later").await;
    later.subscribe(once("home/#")).await;
    later.subscribe(once("home/mine")).await;
    later.next_is_mine("home/mine").await;
    home.end().await;
}

#[tokio::test]
async fn retain_as_published_and_retain_handling_are_obeyed() {
    let home = Home::start(&open_home()).await;
    let mut sender = home.client("sender").await;
    sender.publish("plug/set", true, b"before", plain()).await;

    let mut gateway = home.client("gateway").await;
    let mut commands = once("plug/set");
    (commands.preserve_retain, commands.retain_forward_rule) = (true, RetainForwardRule::Never);
    gateway.subscribe(commands).await;
    sender.publish("plug/set", true, b"retained", plain()).await;
    sender.publish("plug/set", false, b"plain", plain()).await;
    let (first, second) = (gateway.message().await, gateway.message().await);
    assert_eq!((text(&first).1, first.retain), ("retained", true), "and nothing from before");
    assert_eq!((text(&second).1, second.retain), ("plain", false));
    home.end().await;
}

#[tokio::test]
async fn a_retained_message_tells_what_is_left_of_its_expiry() {
    let retained = Retained::default();
    let (from, topic) =
        (rmqtt::types::From::from_custom(rmqtt::types::Id::from(1, "plug".into())), TopicName::from("t"));
    let publish = |payload: &'static str| {
        let properties = rmqtt::codec::v5::PublishProperties {
            message_expiry_interval: std::num::NonZeroU32::new(100),
            ..Default::default()
        };
        let inner = rmqtt::codec::types::Publish {
            dup: false,
            retain: true,
            qos: rmqtt::types::QoS::AtLeastOnce,
            topic: topic.clone(),
            packet_id: None,
            payload: payload.into(),
            properties: Some(properties),
        };
        let publish = rmqtt::types::Publish {
            inner: Box::new(inner),
            target_clientid: None,
            delay_interval: None,
            create_time: None,
        };
        rmqtt::types::Retain { msg_id: None, from: from.clone(), publish }
    };
    let left = |found: &[(TopicName, rmqtt::types::Retain)]| {
        found[0].1.publish.properties.as_ref().unwrap().message_expiry_interval.unwrap().get()
    };

    retained.set(&topic, publish("x"), Some(Duration::from_secs(50))).await.unwrap();
    assert!((45..50).contains(&left(&retained.get(&TopicName::from("#")).await.unwrap())));
    retained.set(&topic, publish("x"), Some(Duration::ZERO)).await.unwrap();
    assert_eq!(left(&retained.get(&topic).await.unwrap()), 100, "no expiry: kept for ever, told as it came");
    retained.set(&topic, publish("x"), Some(Duration::from_nanos(1))).await.unwrap();
    assert!(retained.get(&topic).await.unwrap().is_empty());

    let deep = TopicName::from("a/".repeat(MAX_TOPIC_LEVELS));
    retained.set(&deep, publish("x"), None).await.unwrap();
    assert!(retained.get(&TopicName::from("a/#")).await.unwrap().is_empty(), "too deep to be kept");
}

#[tokio::test]
async fn a_client_that_was_away_gets_what_came_meanwhile_in_order() {
    let home = Home::start(&open_home()).await;
    let options = |clean| {
        let mut options = home.options("gateway");
        options.set_clean_start(clean).set_session_expiry_interval(Some(3600));
        options
    };
    let mut gateway = Client::connect(options(true)).await;
    assert!(!gateway.session_present);
    gateway.subscribe(once("plug/#")).await;
    drop(gateway);

    let mut plug = home.client("plug").await;
    for number in 0..100 {
        plug.publish("plug/power", false, format!("{number}").as_bytes(), plain()).await;
    }
    let mut gateway = Client::connect(options(false)).await;
    assert!(gateway.session_present);
    for number in 0..100 {
        assert_eq!(text(&gateway.message().await), ("plug/power", &*format!("{number}")));
    }
    home.end().await;
}

#[tokio::test]
async fn a_client_of_3_1_1_keeps_its_session_too() {
    let home = Home::start(&open_home()).await;
    let connect = || {
        let mut options = rumqttc::MqttOptions::new("old", "127.0.0.1", home.port);
        options.set_clean_session(false);
        rumqttc::AsyncClient::new(options, 10)
    };
    async fn until<T>(events: &mut rumqttc::EventLoop, wanted: impl Fn(Packet3) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Event3::Incoming(packet) = events.poll().await.unwrap()
                    && let Some(found) = wanted(packet)
                {
                    return found;
                }
            }
        };
        soon("a packet of 3.1.1", search).await
    }
    let (client, mut events) = connect();
    client.subscribe("plug/+", rumqttc::QoS::AtLeastOnce).await.unwrap();
    until(&mut events, |packet| matches!(packet, Packet3::SubAck(_)).then_some(())).await;
    drop((client, events));

    home.client("plug").await.publish("plug/power", false, b"5", plain()).await;
    let (_client, mut events) = connect();
    let present =
        |packet| if let Packet3::ConnAck(answer) = packet { Some(answer.session_present) } else { None };
    assert!(until(&mut events, present).await);
    let message = |packet| if let Packet3::Publish(message) = packet { Some(message.payload) } else { None };
    assert_eq!(until(&mut events, message).await, "5");
    home.end().await;
}

#[tokio::test]
async fn a_message_that_was_not_confirmed_comes_again_after_a_reconnect_only() {
    let home = Home::start(&open_home()).await;
    let options = |clean| {
        let mut options = home.options("gateway");
        options.set_clean_start(clean).set_session_expiry_interval(Some(3600)).set_manual_acks(true);
        options
    };
    let mut gateway = Client::connect(options(true)).await;
    gateway.subscribe(once("plug/#")).await;
    let mut plug = home.client("plug").await;
    for payload in ["1", "2", "3"] {
        plug.publish("plug/power", false, payload.as_bytes(), plain()).await;
    }
    for _ in 0..3 {
        gateway.message().await;
    }
    drop(gateway);
    let mut gateway = Client::connect(options(false)).await;
    let mut again = Vec::new();
    for _ in 0..3 {
        let message = gateway.message().await;
        assert!(message.dup);
        again.push(text(&message).1.to_owned());
    }
    again.sort();
    assert_eq!(again, ["1", "2", "3"]);
    home.end().await;
}

#[tokio::test]
async fn the_last_will_is_sent_when_a_client_vanishes_and_not_when_it_says_goodbye() {
    let home = Home::start(&open_home()).await;
    let mut watcher = home.client("watcher").await;
    watcher.subscribe(once("+/status")).await;
    for (id, polite) in [("polite", true), ("lost", false)] {
        let will = LastWillProperties {
            delay_interval: None,
            payload_format_indicator: None,
            message_expiry_interval: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: vec![("why".into(), "lost".into())],
        };
        let mut options = home.options(id);
        options.set_last_will(LastWill::new(
            format!("{id}/status"),
            "offline",
            QoS::AtLeastOnce,
            true,
            Some(will),
        ));
        let mut client = Client::connect(options).await;
        if polite {
            client.client.disconnect().await.unwrap();
            let said = async {
                let goodbye = v5::Event::Outgoing(rumqttc::Outgoing::Disconnect);
                while client.events.poll().await.unwrap() != goodbye {}
            };
            soon("goodbye", said).await;
        }
    }
    let got = watcher.message().await;
    assert_eq!(text(&got), ("lost/status", "offline"), "the polite one left no will");
    assert_eq!(got.properties.unwrap().user_properties.len(), 1);
    let mut late = home.client("late").await;
    late.subscribe(once("lost/status")).await;
    assert_eq!(text(&late.message().await).1, "offline", "a retained will is kept");
    home.end().await;
}

#[tokio::test]
async fn a_burst_and_a_large_packet_arrive_whole() {
    let home = Home::start(&open_home()).await;
    let mut gateway = home.client("gateway").await;
    gateway.subscribe(once("#")).await;
    let mut plug = home.client("plug").await;
    let large = vec![b'x'; MAX_PACKET as usize - 1_000];
    plug.publish("bridge/devices", false, &large, plain()).await;
    assert_eq!(gateway.message().await.payload.len(), large.len());

    // The subscriber is not polled while these are sent: they wait in the broker.
    for number in 0..3_000 {
        plug.publish("burst", false, format!("{number}").as_bytes(), plain()).await;
    }
    for number in 0..3_000 {
        assert_eq!(text(&gateway.message().await).1, format!("{number}"));
    }
    home.end().await;
}

#[tokio::test]
async fn with_credentials_only_who_knows_them_gets_in() {
    let home = Home::start(&locked_home()).await;
    let publish = ["-q", "1", "-t", "t", "-m", "x"];
    for version in ["311", "5"] {
        for (login, admitted) in [
            (vec!["-u", "maestro", "-P", "s3cret"], true),
            (vec!["-u", "maestro", "-P", "s3creT"], false),
            (vec!["-u", "maestro", "-P", "s3cret2"], false),
            (vec!["-u", "Maestro", "-P", "s3cret"], false),
            (vec!["-u", "maestro"], false),
            (vec![], false),
        ] {
            let arguments: Vec<&str> =
                ["-V", version].into_iter().chain(login.clone()).chain(publish).collect();
            let done = home.tool("mosquitto_pub", &arguments).await;
            assert_eq!(done.status.success(), admitted, "{version} {login:?} {done:?}");
        }
    }
    home.end().await;

    let open = Home::start(&open_home()).await;
    let arguments = ["-u", "anyone", "-P", "anything", "-q", "1", "-t", "t", "-m", "x"];
    assert!(
        open.tool("mosquitto_pub", &arguments).await.status.success(),
        "without credentials any are fine"
    );
    open.end().await;
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let error = Broker::start(&Settings { listen, ..open_home() }).await.unwrap_err();
    assert!(matches!(error, BrokerError::InUse(_)));
    let text = error.to_string();
    assert!(text.contains(&listen.to_string()) && text.contains("[mqtt_api] url"), "{text}");

    let foreign = Settings { listen: ([192, 0, 2, 1], 0).into(), ..locked_home() };
    assert!(matches!(Broker::start(&foreign).await.unwrap_err(), BrokerError::Bind { .. }));
}

#[tokio::test]
async fn a_stopped_broker_closes_its_clients_and_frees_port_and_memory() {
    let broker = Broker::start(&open_home()).await.unwrap();
    let (listen, stop) = (broker.local_addr(), CancellationToken::new());
    let running = tokio::spawn(broker.run(stop.clone()));
    let mut options = v5::MqttOptions::new("plug", "127.0.0.1", listen.port());
    options.set_session_expiry_interval(Some(3600));
    let mut client = Client::connect(options).await;
    client.subscribe(once("#")).await;
    stop.cancel();
    soon("the broker stops", running).await.unwrap().unwrap();
    soon("the connection ends", async { while client.events.poll().await.is_ok() {} }).await;
    let again = Broker::start(&Settings { listen, ..open_home() }).await.unwrap();
    assert_eq!(again.local_addr(), listen);
}

#[test]
fn the_thread_leaves_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let retained = Arc::new(Retained::default());
    let watched: Weak<Retained> = Arc::downgrade(&retained);
    let held = runtime.block_on(async {
        let (listener, local) = open(&open_home()).unwrap();
        let held = context(&open_home(), retained).await;
        let server = MqttServer::new(held.clone()).listener_by_id(listener, local.port()).build();
        tokio::spawn(server.run());
        for (id, stays) in [("there", true), ("away", false)] {
            let mut options = v5::MqttOptions::new(id, "127.0.0.1", local.port());
            options.set_session_expiry_interval(Some(3600));
            let mut client = Client::connect(options).await;
            client.subscribe(once("#")).await;
            client.publish("t", true, b"kept", plain()).await;
            if stays {
                std::mem::forget(client);
            }
        }
        held
    });
    assert!(watched.upgrade().is_some());
    let handle = runtime.handle().clone();
    drop(runtime);
    let_go(held, &handle);
    assert!(watched.upgrade().is_none(), "the ring of context and sessions is cut");
}

#[test]
fn every_bad_section_is_told_with_its_remedy() {
    let settings = |listen: &str, username: Option<&str>, password: Option<&str>| Settings {
        listen: listen.parse().unwrap(),
        username: username.map(str::to_owned),
        password: password.map(|text| Password::from(text.to_owned())),
    };
    for (listen, username, password, remedy) in [
        ("0.0.0.0:1883", None, None, "127.0.0.1:1883"),
        ("192.168.1.2:1883", None, None, "password_file"),
        ("[::]:1883", None, None, "username"),
        ("127.0.0.1:1883", Some("me"), None, "set password_file"),
        ("127.0.0.1:1883", None, Some("x"), "set username"),
        ("0.0.0.0:1883", Some(""), Some("x"), "write a name"),
        ("0.0.0.0:1883", Some("me"), Some(""), "password_file names"),
    ] {
        let said = settings(listen, username, password).check().unwrap_err();
        assert!(said.contains(remedy), "{said}");
    }
    for listen in ["127.0.0.1:1883", "127.8.8.8:1", "[::1]:1883"] {
        assert_eq!(settings(listen, None, None).check(), Ok(()));
    }
    let open = settings("0.0.0.0:1883", Some("me"), Some("s3cret"));
    assert_eq!(open.check(), Ok(()));
    assert!(!format!("{open:?}").contains("s3cret"), "a password is never printed");
}
