//! The API on the Unix socket `<runtime_dir>/maestro.sock`, for the client commands. Who may open
//! the socket may use it: the gateway's user and group.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /v1/health` | the journal, the uplink, how many devices |
//! | `GET /v1/devices`, `/v1/devices/{id}` | devices with their latest points, availability, problem |
//! | `GET /v1/devices/{id}/history?from&to&limit` | readings, oldest first; times in ms since 1970 |
//! | `GET /v1/devices/{id}/hours?from&to` | hourly average, least and greatest of every point |
//! | `POST /v1/devices/{id}/commands` | 202 after the commit; `Idempotency-Key` is an id as well |
//! | `GET /v1/commands?device&status&source&owner&limit` | commands, newest first |
//! | `GET /v1/commands/{id}?wait=seconds` | one; with `wait` it answers when it has ended |
//!
//! An error is `{"error": {"code", "message"}}` with a fitting status.

mod commands;
mod devices;

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
        .route("/v1/devices/{id}/history", get(devices::history))
        .route("/v1/devices/{id}/hours", get(devices::hours))
        .route("/v1/devices/{id}/commands", post(commands::send))
        .route("/v1/commands", get(commands::list))
        .route("/v1/commands/{id}", get(commands::one))
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

fn problem(status: StatusCode, code: &str, message: impl std::fmt::Display) -> Response {
    (status, Json(json!({"error": {"code": code, "message": message.to_string()}}))).into_response()
}

fn journal_problem(error: &crate::journal::JournalError) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "journal", error)
}

fn unknown_device(api: &Api, id: &str) -> Response {
    let ids: Vec<_> = api.devices.all().into_iter().map(|row| row.info.id.to_string()).collect();
    let message = format!("there is no device `{id}`; there are {}", ids.join(", "));
    problem(StatusCode::NOT_FOUND, "unknown_device", message)
}
