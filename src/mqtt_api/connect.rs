//! How the gateway connects: options of the MQTT client, and what a failed connection means.

use std::time::Duration;

use rumqttc::{
    NetworkOptions, TlsConfiguration, Transport,
    v5::{
        ConnectionError, MqttOptions, StateError,
        mqttbytes::{
            QoS,
            v5::{
                ConnectProperties, ConnectReturnCode, DisconnectReasonCode, Filter, LastWill,
                RetainForwardRule,
            },
        },
    },
};

use super::{
    link::WINDOW,
    settings::{self, Settings},
    topics::Topics,
};

const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The client pings at every keep-alive; a connection without any event for so many of them is
/// stuck in a write that the broker does not read.
pub(super) const STUCK: f32 = 2.5;
/// Without it mosquitto keeps 20 in flight, and 1,980 of 3,000 waiting commands were dropped.
const RECEIVE_MAXIMUM: u16 = 65_535;
/// The client's own limit is 10 kB, and a message beyond it comes again for ever.
const LARGEST: u32 = 1024 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("{0}")]
    Settings(String),
    #[error("the system's certificates cannot be read")]
    Certificates,
    #[error("the broker does not read what is sent")]
    Stuck,
    #[error("commands wait at the broker and are fetched")]
    Fetch,
    #[error("too many commands wait for the journal")]
    Full,
    #[error("{0}")]
    Client(Box<ConnectionError>),
}

impl Lost {
    /// What a person can do, if that is needed.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Settings(_) => "correct [mqtt_api] url",
            Self::Certificates => "install the package ca-certificates",
            Self::Stuck | Self::Full | Self::Fetch => "nothing to do, it connects again",
            Self::Client(error) => match &**error {
                ConnectionError::ConnectionRefused(
                    ConnectReturnCode::BadUserNamePassword
                    | ConnectReturnCode::NotAuthorized
                    | ConnectReturnCode::Banned,
                ) => "correct [mqtt_api] username and password_file, or let that user in at the broker",
                ConnectionError::ConnectionRefused(
                    ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::UnsupportedProtocolVersion,
                ) => "use a broker that speaks MQTT 5",
                ConnectionError::MqttState(StateError::ServerDisconnect {
                    reason_code: DisconnectReasonCode::SessionTakenOver,
                    ..
                }) => "another client has the same client id: give each gateway a [gateway] id of its own",
                ConnectionError::Tls(_) => {
                    "check that the broker's certificate is valid for the host name in [mqtt_api] url"
                }
                _ => "check that the broker runs at [mqtt_api] url; it connects by itself when it is there",
            },
        }
    }
}

/// The client's options. Reads the system's certificates when they are needed.
pub(super) async fn options(
    settings: &Settings,
    client_id: &str,
    expires_in: Duration,
    topics: &Topics,
) -> Result<MqttOptions, Lost> {
    let address = settings::address(&settings.url).map_err(Lost::Settings)?;
    let mut options = MqttOptions::new(client_id, address.host, address.port);
    if address.tls {
        options.set_transport(Transport::tls_with_config(certificates().await?));
    }
    if let Some(username) = &settings.username {
        options.set_credentials(username, settings.password.as_deref().unwrap_or_default());
    }
    let mut network = NetworkOptions::new();
    // Small answers leave at once.
    network.set_tcp_nodelay(true);
    let mut connect = ConnectProperties::new();
    // As long as a command may wait: yesterday's command is not executed today.
    connect.session_expiry_interval = Some(u32::try_from(expires_in.as_secs()).unwrap_or(u32::MAX));
    connect.receive_maximum = Some(RECEIVE_MAXIMUM);
    connect.max_packet_size = Some(LARGEST);
    options
        .set_keep_alive(KEEP_ALIVE)
        .set_clean_start(false)
        .set_connect_properties(connect)
        .set_manual_acks(true)
        .set_outgoing_inflight_upper_limit(WINDOW)
        .set_network_options(network)
        .set_last_will(LastWill::new(topics.status(), "offline", QoS::AtLeastOnce, true, None));
    Ok(options)
}

/// TLS that trusts what the system trusts.
async fn certificates() -> Result<TlsConfiguration, Lost> {
    // An error only says that somebody else was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // It reads files, and panics over one that cannot be read.
    tokio::task::spawn_blocking(TlsConfiguration::default).await.map_err(|_| Lost::Certificates)
}

/// The subscriptions: never what is retained, and with the flag that tells.
pub(super) fn filters(topics: &Topics) -> Vec<Filter> {
    topics
        .filters()
        .into_iter()
        .map(|path| Filter {
            path,
            qos: QoS::AtLeastOnce,
            nolocal: false,
            preserve_retain: true,
            retain_forward_rule: RetainForwardRule::Never,
        })
        .collect()
}
