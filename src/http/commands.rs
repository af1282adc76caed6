//! Commands over HTTP.

use std::time::Duration;

use adapter_api::{CommandSource, CommandStatus, DeviceId};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, journal_problem, problem};
use crate::{
    command::{Accepted, Notice, Refusal, RefusalCode, wire},
    journal::CommandFilter,
};

/// Longest that a request may wait for a command's end.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// How often a waiting request looks by itself, should a notice have been missed.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn send(
    State(api): State<Api>,
    Path(device): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // The client commands say who sits at the terminal.
    let user = headers.get("x-maestro-cli").and_then(|value| value.to_str().ok());
    let (name, user) = match user {
        Some(user) => ("cli", user.get(..wire::MAX_TEXT).unwrap_or(user)),
        None => ("http", "local"),
    };
    let door = wire::Door { name, user, device: Some(&device), source: CommandSource::Api };
    let request = wire::parse(&body, door).and_then(|mut request| {
        if let Some(key) = headers.get("idempotency-key") {
            let key = key.to_str().ok().filter(|key| (1..=wire::MAX_TEXT).contains(&key.len())).ok_or_else(
                || {
                    let message =
                        format!("Idempotency-Key must be an ASCII text of 1 to {} bytes", wire::MAX_TEXT);
                    Refusal::new(RefusalCode::Malformed, message)
                },
            )?;
            if request.id.as_deref().is_some_and(|id| id != key) {
                let message = "`id` and Idempotency-Key differ; send one of them";
                return Err(Refusal::new(RefusalCode::Malformed, message));
            }
            request.id = Some(key.to_owned());
        }
        Ok(request)
    });
    let request = match request {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal, None),
    };
    match api.commands.submit(request.clone()).await {
        Ok(Accepted::New(row)) => (StatusCode::ACCEPTED, Json(wire::result(&row))).into_response(),
        Ok(Accepted::Known(row)) => Json(wire::result(&row)).into_response(),
        Err(refusal) => refused(&refusal, Some(&request)),
    }
}

fn refused(refusal: &Refusal, request: Option<&crate::command::Request>) -> Response {
    let status = match refusal.code {
        RefusalCode::Malformed | RefusalCode::InvalidParameter | RefusalCode::UnknownCommand => {
            StatusCode::BAD_REQUEST
        }
        RefusalCode::UnknownDevice => StatusCode::NOT_FOUND,
        RefusalCode::ControlDisabled => StatusCode::FORBIDDEN,
        RefusalCode::Expired => StatusCode::GONE,
        RefusalCode::IdReused => StatusCode::CONFLICT,
        RefusalCode::NotKept | RefusalCode::Busy | RefusalCode::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(wire::refusal(refusal, request))).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    wait: Option<f64>,
}

pub(super) async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(query): Query<Wait>,
) -> Response {
    let wait = Duration::try_from_secs_f64(query.wait.unwrap_or(0.0)).unwrap_or_default().min(MAX_WAIT);
    let deadline = tokio::time::Instant::now() + wait;
    let mut notices = api.commands.notices();
    loop {
        let Some(row) = api.commands.find(&id).await else {
            return problem(
                StatusCode::NOT_FOUND,
                "unknown_command",
                format!("there is no command with the id `{id}`"),
            );
        };
        if row.outcome.is_some() || tokio::time::Instant::now() >= deadline || api.stopping.is_cancelled() {
            return Json(wire::result(&row)).into_response();
        }
        let look_again = (tokio::time::Instant::now() + LOOK).min(deadline);
        let ended = async {
            loop {
                match notices.recv().await {
                    Ok(Notice::Result(row)) if row.id == id => break,
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        };
        tokio::select! {
            () = ended => {}
            () = tokio::time::sleep_until(look_again) => {}
            () = api.stopping.cancelled() => {}
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    device: Option<String>,
    status: Option<CommandStatus>,
    source: Option<CommandSource>,
    owner: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(State(api): State<Api>, Query(query): Query<ListQuery>) -> Response {
    let device = match query.device.as_deref().map(DeviceId::new).transpose() {
        Ok(device) => device,
        Err(error) => return problem(StatusCode::BAD_REQUEST, "unknown_device", error),
    };
    let filter = CommandFilter {
        device,
        status: query.status,
        source: query.source,
        owner: query.owner,
        limit: query.limit.unwrap_or(50).min(1000),
        ..CommandFilter::default()
    };
    match api.journal.reader().commands(filter).await {
        Ok(rows) => {
            let rows: Vec<Value> = rows.iter().map(wire::result).collect();
            Json(json!({"commands": rows})).into_response()
        }
        Err(error) => journal_problem(&error),
    }
}
