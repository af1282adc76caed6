//! The one place that creates collections and indexes. It creates what is missing and never changes
//! or converts what is there; migrations will take it over.

use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::{
    Collection, IndexModel,
    bson::{Document, doc},
    options::{CreateCollectionOptions, IndexOptions, TimeseriesGranularity, TimeseriesOptions},
    results::{CollectionSpecification, CollectionType},
};

use super::{
    Connection, Layout, MongoError, Server, ServerKind, Settings,
    connection::{deadline, within},
    error::code,
};

/// Measurements.
pub const MEASUREMENTS: &str = "energymeasurements";
/// Commands.
pub const COMMANDS: &str = "devicecommands";
/// Devices.
pub const DEVICES: &str = "devices";
/// One small document per gateway, for the fence of [`super::Inserter`].
pub const CHECKPOINTS: &str = "gatewaycheckpoints";

/// How measurements lie in this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionKind {
    /// In a time series: an `_id` is not unique there.
    TimeSeries,
    /// As documents: an `_id` is unique.
    Documents,
}

/// Somebody else created it meanwhile.
const NAMESPACE_EXISTS: i32 = 48;
/// The server's answers to an index that cannot be had beside what is there: bad kind, conflicting
/// options or name, duplicates under a unique one, not for this collection.
const INDEX_IMPOSSIBLE: [i32; 5] = [67, 72, 85, 86, 11000];

/// Creates what is missing, and says how measurements lie.
///
/// # Errors
/// [`MongoError::Unsuitable`] when measurements cannot be kept in what is there; else as any call.
pub async fn prepare(
    connection: &Connection,
    settings: &Settings,
    server: &Server,
) -> Result<CollectionKind, MongoError> {
    let kind = measurements(connection, settings, server).await?;
    let ttl = (kind == CollectionKind::Documents).then_some(settings.keep_measurements);
    indexes(&connection.collection(MEASUREMENTS), measurement_indexes(ttl)).await?;
    indexes(&connection.collection(COMMANDS), command_indexes(settings.keep_commands)).await?;
    indexes(&connection.collection(DEVICES), device_indexes()).await?;
    Ok(kind)
}

/// Finds or creates the collection of measurements.
async fn measurements(
    connection: &Connection,
    settings: &Settings,
    server: &Server,
) -> Result<CollectionKind, MongoError> {
    let wanted = wanted(settings.measurements, server);
    if let Some(found) = find(connection, MEASUREMENTS).await? {
        return usable(&found, wanted, server);
    }
    match deadline(create(connection, settings, wanted)).await? {
        Ok(()) => Ok(wanted),
        Err(e) if code(&e) == Some(NAMESPACE_EXISTS) => match find(connection, MEASUREMENTS).await? {
            Some(found) => usable(&found, wanted, server),
            None => Err(MongoError::Failed("the collection of measurements comes and goes".to_owned())),
        },
        Err(e) => Err(e.into()),
    }
}

fn wanted(layout: Layout, server: &Server) -> CollectionKind {
    match layout {
        Layout::Documents => CollectionKind::Documents,
        Layout::Auto | Layout::Timeseries if server.keeps_time_series() => CollectionKind::TimeSeries,
        Layout::Auto => CollectionKind::Documents,
        Layout::Timeseries => {
            tracing::warn!(
                kind = ?server.kind, version = ?server.version,
                "measurements are kept as documents: a time series needs a replica set of MongoDB 6.0 or later"
            );
            CollectionKind::Documents
        }
    }
}

async fn create(
    connection: &Connection,
    settings: &Settings,
    wanted: CollectionKind,
) -> mongodb::error::Result<()> {
    let create = connection.database().create_collection(MEASUREMENTS);
    if wanted == CollectionKind::Documents {
        return create.await;
    }
    let series = TimeseriesOptions::builder()
        .time_field("timestamp".to_owned())
        .meta_field("deviceId".to_owned())
        .granularity(TimeseriesGranularity::Seconds)
        .build();
    let options = CreateCollectionOptions::builder()
        .timeseries(series)
        .expire_after_seconds(settings.keep_measurements)
        .build();
    create.with_options(options).await
}

async fn find(connection: &Connection, name: &str) -> Result<Option<CollectionSpecification>, MongoError> {
    let cursor = within(connection.database().list_collections().filter(doc! { "name": name })).await?;
    let found: Vec<_> = within(cursor.try_collect()).await?;
    Ok(found.into_iter().next())
}

/// What is there is used as it is, as long as exactly once can be kept in it.
fn usable(
    found: &CollectionSpecification,
    wanted: CollectionKind,
    server: &Server,
) -> Result<CollectionKind, MongoError> {
    let no =
        |reason: &str| Err(MongoError::Unsuitable { collection: MEASUREMENTS, reason: reason.to_owned() });
    let there = match found.collection_type {
        CollectionType::Timeseries => CollectionKind::TimeSeries,
        CollectionType::Collection => CollectionKind::Documents,
        _ => return no("it is a view; set another database, or rename the view"),
    };
    if there == CollectionKind::TimeSeries {
        let time = found.options.timeseries.as_ref().map(|series| series.time_field.as_str());
        if time != Some("timestamp") {
            return no("it is a time series of another time field; set another database, or rename it");
        }
        if server.kind != ServerKind::ReplicaSet {
            return no("it is a time series, and only a replica set keeps each measurement exactly once in \
                       one; make the server a replica set (one node is enough), or set another database");
        }
    }
    if there != wanted {
        tracing::info!(
            ?there,
            ?wanted,
            "the collection of measurements exists as another kind and is used as it is"
        );
    }
    Ok(there)
}

/// One call for all; only when an index of the backend's stands in the way, each alone.
async fn indexes(collection: &Collection<Document>, models: Vec<IndexModel>) -> Result<(), MongoError> {
    match deadline(collection.create_indexes(models.clone())).await? {
        Ok(_) => return Ok(()),
        Err(e) if code(&e).is_some_and(|code| INDEX_IMPOSSIBLE.contains(&code)) => {}
        Err(e) => return Err(e.into()),
    }
    for model in models {
        let keys = model.keys.clone();
        match deadline(collection.create_index(model)).await? {
            Ok(_) => {}
            Err(e) if code(&e).is_some_and(|code| INDEX_IMPOSSIBLE.contains(&code)) => tracing::warn!(
                collection = collection.name(), %keys, error = %MongoError::from(e),
                "an index cannot be created beside what is there: queries may be slow, or a limit on age missing"
            ),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Latest first within a device or a user: that is how they are asked.
fn measurement_indexes(ttl: Option<Duration>) -> Vec<IndexModel> {
    let mut models = vec![
        plain(doc! { "deviceId": 1, "timestamp": -1 }),
        plain(doc! { "userId": 1, "timestamp": -1 }),
        plain(doc! { "timestamp": 1, "deviceId": 1 }),
        plain(doc! { "timestamp": 1, "source": 1 }),
        plain(doc! { "measurements.quality": 1 }),
        plain(doc! { "userId": 1, "deviceId": 1, "timestamp": -1 }),
        plain(doc! { "deviceId": 1, "timestamp": -1, "source": 1 }),
    ];
    // A time series refuses it: there it is an option of the collection.
    models.extend(ttl.map(|keep| expiring("timestamp", keep)));
    models
}

fn command_indexes(keep: Duration) -> Vec<IndexModel> {
    const SINGLE: [&str; 12] = [
        "userId",
        "deviceId",
        "command",
        "status",
        "source",
        "priority",
        "executedAt",
        "completedAt",
        "scheduledAt",
        "tags",
        "correlationId",
        "batchId",
    ];
    const PAIRS: [(&str, &str); 9] = [
        ("userId", "deviceId"),
        ("userId", "status"),
        ("userId", "createdAt"),
        ("deviceId", "status"),
        ("deviceId", "command"),
        ("status", "createdAt"),
        ("source", "status"),
        ("priority", "status"),
        ("createdAt", "status"),
    ];
    let mut models = ascending(&SINGLE, &PAIRS);
    models.push(expiring("createdAt", keep));
    models
}

fn device_indexes() -> Vec<IndexModel> {
    const SINGLE: [&str; 13] = [
        "userId",
        "protocol",
        "deviceType",
        "isOnline",
        "status",
        "lastSeenAt",
        "specifications.manufacturer",
        "specifications.model",
        "location",
        "room",
        "energyRole",
        "createdAt",
        "updatedAt",
    ];
    const PAIRS: [(&str, &str); 5] = [
        ("userId", "deviceType"),
        ("userId", "status"),
        ("userId", "isOnline"),
        ("userId", "protocol"),
        ("deviceType", "energyRole"),
    ];
    let mut models = ascending(&SINGLE, &PAIRS);
    let unique = IndexOptions::builder().unique(true).build();
    models.push(IndexModel::builder().keys(doc! { "deviceId": 1, "userId": 1 }).options(unique).build());
    models
}

fn ascending(single: &[&str], pairs: &[(&str, &str)]) -> Vec<IndexModel> {
    let single = single.iter().map(|field| plain(doc! { *field: 1 }));
    let pairs = pairs.iter().map(|(first, second)| plain(doc! { *first: 1, *second: 1 }));
    single.chain(pairs).collect()
}

fn plain(keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).build()
}

fn expiring(field: &str, keep: Duration) -> IndexModel {
    let options = IndexOptions::builder().expire_after(keep).build();
    IndexModel::builder().keys(doc! { field: 1 }).options(options).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(kind: ServerKind) -> Server {
        Server { kind, version: (6, 0) }
    }

    #[test]
    fn a_time_series_is_made_on_a_replica_set_and_documents_elsewhere_or_when_asked() {
        use CollectionKind::{Documents, TimeSeries};
        assert_eq!(wanted(Layout::Auto, &server(ServerKind::ReplicaSet)), TimeSeries);
        assert_eq!(wanted(Layout::Auto, &server(ServerKind::Standalone)), Documents);
        assert_eq!(wanted(Layout::Timeseries, &server(ServerKind::Sharded)), Documents);
        assert_eq!(wanted(Layout::Documents, &server(ServerKind::ReplicaSet)), Documents);
    }
}
