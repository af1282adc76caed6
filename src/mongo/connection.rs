//! The connection: options that the driver lacks by default, a deadline on every call, and what kind
//! of server answers. The URI holds a password: it is never printed, not even in `Debug`.

use std::{fmt, future::IntoFuture, time::Duration};

use mongodb::{
    Client, Collection, Database,
    bson::{Document, doc},
    options::{
        Acknowledgment, ClientOptions, Compressor, ConnectionString, DatabaseOptions, ReadConcern,
        SelectionCriteria, WriteConcern,
    },
};

use super::MongoError;

/// Longest wait for one answer. The driver has no socket timeout: a frozen server or a dead link
/// would hold a call for ever. After it nobody knows whether the call arrived.
const DEADLINE: Duration = Duration::from_secs(20);
/// Longest wait of the driver for a server, for a connection, and between two heartbeats. The
/// driver's own defaults (30 s, 10 s, 10 s) do not fit under the deadline.
const DRIVER_WAIT: Duration = Duration::from_secs(5);
/// Longest wait of the server for the majority's acknowledgement.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(10);
/// One worker uses the connection, one call at a time; the rest is for the heartbeat.
const POOL: u32 = 4;

/// How measurements are to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Time series where the server is a replica set of 6.0 or later, documents elsewhere.
    #[default]
    Auto,
    /// As `Auto`; a server that cannot do it is said in the log.
    Timeseries,
    /// Plain documents, everywhere.
    Documents,
}

/// Where the copy goes.
#[derive(Clone)]
pub struct Settings {
    /// `mongodb://` or `mongodb+srv://`; a secret.
    pub uri: String,
    /// The database, shared with the backend.
    pub database: String,
    /// How measurements are kept, if the collection is not there yet.
    pub measurements: Layout,
    /// How long measurements are kept.
    pub keep_measurements: Duration,
    /// How long commands are kept.
    pub keep_commands: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            uri: "mongodb://localhost:27017".to_owned(),
            database: "maestro".to_owned(),
            measurements: Layout::Auto,
            keep_measurements: 365 * DAY,
            keep_commands: 90 * DAY,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("uri", &"(secret)")
            .field("database", &self.database)
            .field("measurements", &self.measurements)
            .field("keep_measurements", &self.keep_measurements)
            .field("keep_commands", &self.keep_commands)
            .finish()
    }
}

/// What kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// Numbers its clients' writes, so that a late copy of one can be refused.
    ReplicaSet,
    /// Behind mongos. Treated as a standalone: the fence is proven on replica sets only.
    Sharded,
    /// One server without a log of operations: no numbered writes, no change streams.
    Standalone,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its kind.
    pub kind: ServerKind,
    /// Its version, major and minor.
    pub version: (u32, u32),
}

impl Server {
    /// May measurements be a time series here? Indexes on its fields need 6.0, and sending
    /// exactly once needs numbered writes.
    pub fn keeps_time_series(&self) -> bool {
        self.kind == ServerKind::ReplicaSet && self.version >= (6, 0)
    }
}

/// A client and its database. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    database: Database,
}

impl Connection {
    /// Prepares a client. Nothing is contacted, except the name server for `mongodb+srv://`: the
    /// server may be missing.
    ///
    /// # Errors
    /// When the URI is wrong or the name server does not answer.
    pub async fn open(settings: &Settings, gateway_id: &str) -> Result<Self, MongoError> {
        let (uri, stripped) = without_socket_timeout(&settings.uri);
        check_uri(&uri)?;
        if stripped {
            tracing::warn!(
                "socketTimeoutMS in the MongoDB URI is ignored: the driver has none, and every call ends after 20 s"
            );
        }
        let secret = uri.contains('@');
        let mut options = deadline(ClientOptions::parse(uri)).await?.map_err(|e| uri_error(&e, secret))?;
        complete(&mut options, gateway_id);
        let client = Client::with_options(options).map_err(|e| uri_error(&e, secret))?;
        let database = client.database_with_options(
            &settings.database,
            DatabaseOptions::builder()
                .write_concern(acknowledged())
                .read_concern(ReadConcern::majority())
                .selection_criteria(SelectionCriteria::ReadPreference(
                    mongodb::options::ReadPreference::Primary,
                ))
                .build(),
        );
        Ok(Self { client, database })
    }

    /// Asks who answers.
    ///
    /// # Errors
    /// When nobody does.
    pub async fn server(&self) -> Result<Server, MongoError> {
        let admin = self.client.database("admin");
        let hello = within(admin.run_command(doc! { "hello": 1 })).await?;
        let build = within(admin.run_command(doc! { "buildInfo": 1 })).await?;
        let kind = if hello.contains_key("setName") {
            ServerKind::ReplicaSet
        } else if hello.get_str("msg").is_ok_and(|text| text == "isdbgrid") {
            ServerKind::Sharded
        } else {
            ServerKind::Standalone
        };
        Ok(Server { kind, version: version(build.get_str("version").unwrap_or_default()) })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection(database {})", self.database.name())
    }
}

/// One call with its deadline.
pub(super) async fn within<T>(
    call: impl IntoFuture<Output = mongodb::error::Result<T>>,
) -> Result<T, MongoError> {
    Ok(deadline(call).await??)
}

/// One call with its deadline, for callers that look into the driver's error.
pub(super) async fn deadline<F: IntoFuture>(call: F) -> Result<F::Output, MongoError> {
    tokio::time::timeout(DEADLINE, call).await.map_err(|_| MongoError::TimedOut(DEADLINE))
}

/// Is the URI well formed? Looks nothing up.
///
/// # Errors
/// Says what is wrong, without the text of a URI that holds a password.
pub fn check_uri(uri: &str) -> Result<(), MongoError> {
    ConnectionString::parse(without_socket_timeout(uri).0)
        .map(|_| ())
        .map_err(|e| uri_error(&e, uri.contains('@')))
}

/// The driver quotes pieces of the URI, and with an unescaped `@` or `/` such a piece is a password.
fn uri_error(error: &mongodb::error::Error, secret: bool) -> MongoError {
    match &*error.kind {
        mongodb::error::ErrorKind::DnsResolve { message, .. } => {
            MongoError::Failed(super::error::short(message))
        }
        _ if secret => {
            MongoError::Uri("it is not well formed (not shown, it may hold a password)".to_owned())
        }
        other => MongoError::Uri(super::error::short(&other.to_string())),
    }
}

/// The driver makes an error of `socketTimeoutMS`, which many URIs carry.
fn without_socket_timeout(uri: &str) -> (String, bool) {
    let Some((head, options)) = uri.split_once('?') else { return (uri.to_owned(), false) };
    let all: Vec<&str> = options.split('&').collect();
    let is_it = |o: &&str| o.split('=').next().is_some_and(|key| key.eq_ignore_ascii_case("socketTimeoutMS"));
    let kept: Vec<&str> = all.iter().copied().filter(|o| !is_it(o)).collect();
    let uri = if kept.is_empty() { head.to_owned() } else { format!("{head}?{}", kept.join("&")) };
    (uri, kept.len() < all.len())
}

/// What the URI does not say. The write concern is not the URI's to choose: the cursor moves on
/// its word.
fn complete(options: &mut ClientOptions, gateway_id: &str) {
    options.server_selection_timeout.get_or_insert(DRIVER_WAIT);
    options.connect_timeout.get_or_insert(DRIVER_WAIT);
    options.heartbeat_freq.get_or_insert(DRIVER_WAIT);
    options.max_pool_size.get_or_insert(POOL);
    options.retry_writes.get_or_insert(true);
    options.compressors.get_or_insert_with(|| vec![Compressor::Zstd { level: None }]);
    options.app_name.get_or_insert_with(|| format!("maestro/{gateway_id}"));
    options.write_concern = Some(acknowledged());
}

/// On disk at the majority; on a standalone, on its disk.
pub(super) fn acknowledged() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(ACKNOWLEDGE_WITHIN).build()
}

fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_timeout_is_taken_out_of_the_uri() {
        for (given, wanted) in [
            ("mongodb://h/db?a=1&socketTimeoutMS=5&b=2", "mongodb://h/db?a=1&b=2"),
            ("mongodb://h/?SOCKETTIMEOUTms=5", "mongodb://h/"),
            ("mongodb://h/?a=1", "mongodb://h/?a=1"),
            ("mongodb://h", "mongodb://h"),
        ] {
            assert_eq!(without_socket_timeout(given), (wanted.to_owned(), given != wanted));
        }
    }

    #[test]
    fn a_wrong_uri_names_the_remedy_and_hides_the_password() {
        let wrong = check_uri("mongodb://me:s3cr@t/x@h:port").unwrap_err().to_string();
        assert!(wrong.contains("percent-encoded") && !wrong.contains("s3cr"), "{wrong}");
        assert!(check_uri("mysql://h").unwrap_err().to_string().contains("mysql"));
        check_uri("mongodb://me:s3cret@h1:27017,h2/db?replicaSet=rs0").unwrap();
    }

    #[tokio::test]
    async fn what_the_uri_leaves_open_is_filled_in_and_the_write_concern_is_ours() {
        let mut options = ClientOptions::parse("mongodb://h/?w=0&connectTimeoutMS=1000").await.unwrap();
        complete(&mut options, "home-1");
        assert_eq!(options.connect_timeout, Some(Duration::from_secs(1)));
        assert_eq!(options.server_selection_timeout, Some(DRIVER_WAIT));
        assert_eq!(options.app_name.as_deref(), Some("maestro/home-1"));
        assert_eq!(options.write_concern, Some(acknowledged()));
    }

    #[test]
    fn settings_never_print_the_uri() {
        let settings = Settings { uri: "mongodb://me:s3cret@h".to_owned(), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn only_a_replica_set_from_six_keeps_time_series() {
        let server = |kind, text| Server { kind, version: version(text) };
        assert!(server(ServerKind::ReplicaSet, "6.0.5").keeps_time_series());
        assert!(!server(ServerKind::ReplicaSet, "5.0.9").keeps_time_series());
        assert!(!server(ServerKind::Standalone, "8.0.1").keeps_time_series());
        assert_eq!(version("odd"), (0, 0));
    }
}
