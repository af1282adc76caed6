//! Who holds which setpoint, and how batches ended.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    Api,
    answer::{journal_problem, problem},
};
use crate::command::wire;

pub(super) async fn list(State(api): State<Api>) -> Response {
    let leases = api.commands.leases();
    let leases = wire::leases(&leases.borrow());
    Json(json!({"leases": leases})).into_response()
}

pub(super) async fn batch(State(api): State<Api>, Path(id): Path<String>) -> Response {
    match api.journal.reader().batch(&id).await {
        Ok(Some(row)) => {
            let mut json = wire::batch(&row);
            json["waiting"] = json!(row.waiting);
            Json(json).into_response()
        }
        Ok(None) => {
            let message = format!("there is no batch with the id `{id}`; it may be older than the retention");
            problem(StatusCode::NOT_FOUND, "unknown_batch", message)
        }
        Err(error) => journal_problem(&error),
    }
}
