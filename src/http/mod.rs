//! The API on the Unix socket `<runtime_dir>/maestro.sock`, for the client commands. Who may open
//! the socket may use it: the gateway's user and group.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /v1/health` | the journal, the uplink, how many devices |
//! | `GET /v1/devices`, `/v1/devices/{id}` | devices with their latest points, availability, problem |
//! | `GET /v1/devices/{id}/history?from&to&limit` | readings, oldest first; times in ms since 1970 |
//! | `GET /v1/devices/{id}/hours?from&to` | hourly average, least and greatest of every point |
//! | `POST /v1/devices/{id}/commands` | 202 after the commit, 200 when it was there already; `Idempotency-Key` is an id as well |
//! | `POST /v1/commands` | the same for a command with `deviceId`; an array: 202 with `batchId` and `commands`, each a result or a refusal |
//! | `DELETE /v1/commands/{id}` | takes it back: 200 when it waited and is cancelled now, 409 when an adapter has it or it has ended; the command as it stands, with `cancel` |
//! | `GET /v1/commands?device&status&source&owner&correlationId&batchId&command&outcome&since&until&limit` | commands, newest first; times RFC 3339 or ms since 1970 |
//! | `GET /v1/commands/stats?…` | of all that fit the same filters: `stats` by `source` and `device`, and `total`, each with `total` `completed` `failed` `timeout` `cancelled` `open` `successRate` (completed / completed, failed or timeout) `meanResponseMs` |
//! | `GET /v1/commands/{id}?wait=seconds` | one; with `wait` it answers when it has ended |
//! | `GET /v1/commands/{id}/events`, `/v1/commands/events?device` | what happens, as server-sent events ([`events`]) |
//! | `GET /v1/batches/{id}` | the summary of a batch, and how many are `waiting` |
//! | `GET /v1/leases` | every setpoint: who holds it until when, what comes after, who wrote it, who was refused |
//!
//! Commands, results and refusals are those of [`wire`](crate::command::wire). Another error is
//! `{"error": {"code", "message"}}` with a fitting status.

mod answer;
mod commands;
mod devices;
mod events;
mod filter;
mod history;
mod leases;
mod send;

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use self::answer::{journal_problem, problem};
use crate::{command::Commands, devices::Devices, journal::Journal, live::Live};

/// What the API serves.
#[derive(Clone)]
pub struct Api {
    /// Commands in.
    pub commands: Commands,
    /// Devices out.
    pub devices: Devices,
    /// Values out.
    pub live: Live,
    /// History out.
    pub journal: Journal,
    /// This gateway's id.
    pub gateway: String,
    /// Cancelled when requests that wait shall answer with what they have.
    pub stopping: CancellationToken,
    /// How the copy in MongoDB stands; null without one.
    pub uplink: Arc<dyn Fn() -> Value + Send + Sync>,
}

/// Opens the socket; what an earlier process left there is taken away.
///
/// # Errors
/// When the folder cannot be written.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Serves until shutdown.
///
/// # Errors
/// When the socket fails.
pub async fn serve(listener: UnixListener, api: Api, shutdown: CancellationToken) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/v1/health", get(health))
        .route("/v1/devices", get(devices::list))
        .route("/v1/devices/{id}", get(devices::one))
        .route("/v1/devices/{id}/history", get(history::readings))
        .route("/v1/devices/{id}/hours", get(history::hours))
        .route("/v1/devices/{id}/commands", post(send::to_device))
        .route("/v1/commands", get(commands::list).post(send::to_any))
        .route("/v1/commands/stats", get(commands::stats))
        .route("/v1/commands/events", get(events::of_all))
        .route("/v1/commands/{id}", get(commands::one).delete(send::cancel))
        .route("/v1/commands/{id}/events", get(events::of_command))
        .route("/v1/batches/{id}", get(leases::batch))
        .route("/v1/leases", get(leases::list))
        .fallback(|| async {
            problem(StatusCode::NOT_FOUND, "not_found", "there is no such address; see GET /v1/devices")
        })
        .with_state(api);
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn health(State(api): State<Api>) -> Response {
    let devices = api.devices.all();
    let online = devices.iter().filter(|row| api.devices.is_online(row.info.id.as_str())).count();
    let stats = match api.journal.reader().stats().await {
        Ok(stats) => stats,
        Err(error) => return journal_problem(&error),
    };
    Json(json!({
        "gateway": api.gateway,
        "version": env!("CARGO_PKG_VERSION"),
        "devices": {"total": devices.len(), "online": online},
        "journal": {
            "bytes": stats.bytes,
            "readings": stats.readings,
            "droppedUndelivered": stats.dropped_undelivered,
        },
        "uplink": (api.uplink)(),
    }))
    .into_response()
}
