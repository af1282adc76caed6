//! Commands in, and taken back.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Api,
    answer::{door, refused, status, unknown_command},
};
use crate::command::{
    Accepted, Cancelled, Refusal, RefusalCode, Request,
    wire::{self, Door},
};

/// To the device of the path.
pub(super) async fn to_device(
    State(api): State<Api>,
    Path(device): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let door = door(&headers, Some(&device));
    match wire::message(&body) {
        Ok(json) => one(&api, &headers, &json, door).await,
        Err(refusal) => refused(&refusal, None),
    }
}

/// To the device that the command names; or several commands at once.
pub(super) async fn to_any(State(api): State<Api>, headers: HeaderMap, body: Bytes) -> Response {
    let door = door(&headers, None);
    match wire::message(&body) {
        Ok(json @ Value::Array(_)) => several(&api, &headers, &json, door).await,
        Ok(json) => one(&api, &headers, &json, door).await,
        Err(refusal) => refused(&refusal, None),
    }
}

async fn one(api: &Api, headers: &HeaderMap, json: &Value, door: Door<'_>) -> Response {
    let request = wire::parse_object(json, door).and_then(|request| with_key(request, headers));
    let request = match request {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal, wire::understood(json, door).as_ref()),
    };
    match api.commands.submit(request.clone()).await {
        Ok(Accepted::New(row)) => (StatusCode::ACCEPTED, Json(wire::result(&row))).into_response(),
        Ok(Accepted::Known(row)) => Json(wire::result(&row)).into_response(),
        Err(refusal) => refused(&refusal, Some(&request)),
    }
}

/// `Idempotency-Key` is an id as well.
fn with_key(request: Request, headers: &HeaderMap) -> Result<Request, Refusal> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(request) };
    let malformed = |message: String| Refusal::new(RefusalCode::Malformed, message);
    let key = key.to_str().ok().filter(|key| (1..=wire::MAX_TEXT).contains(&key.len()));
    let key = key.ok_or_else(|| {
        malformed(format!("Idempotency-Key must be an ASCII text of 1 to {} bytes", wire::MAX_TEXT))
    })?;
    if request.id.as_deref().is_some_and(|id| id != key) {
        return Err(malformed("`id` and Idempotency-Key differ; send one of them".to_owned()));
    }
    Ok(Request { id: Some(key.to_owned()), ..request })
}

async fn several(api: &Api, headers: &HeaderMap, json: &Value, door: Door<'_>) -> Response {
    if headers.contains_key("idempotency-key") {
        let message = "Idempotency-Key is for one command: give each command of the array an `id`";
        return refused(&Refusal::new(RefusalCode::Malformed, message), None);
    }
    let batch = match wire::parse_batch(json, door) {
        Ok(batch) => batch,
        Err(refusal) => return refused(&refusal, None),
    };
    let items = json.as_array().map_or(&[][..], Vec::as_slice);
    let answer = api.commands.submit_batch(batch).await;
    let commands = items.iter().zip(&answer.answers).map(|(item, given)| match given {
        Ok(accepted) => wire::result(accepted.row()),
        Err(refusal) => {
            let request = wire::understood(item, door)
                .map(|request| Request { batch_id: Some(answer.id.clone()), ..request });
            wire::refusal(refusal, request.as_ref())
        }
    });
    let commands: Vec<_> = commands.collect();
    (StatusCode::ACCEPTED, Json(json!({"batchId": answer.id, "commands": commands}))).into_response()
}

pub(super) async fn cancel(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    match api.commands.cancel(&id, &door(&headers, None).owner(None)).await {
        Ok(cancelled) => {
            let status = match cancelled {
                Cancelled::Now(_) => StatusCode::OK,
                Cancelled::TooLate(_) | Cancelled::Ended(_) => StatusCode::CONFLICT,
            };
            (status, Json(wire::cancelled(&cancelled))).into_response()
        }
        Err(refusal) if refusal.code == RefusalCode::UnknownId => unknown_command(&id),
        Err(refusal) => (status(refusal.code), Json(wire::cancel_refusal(&refusal, &id))).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use adapter_api::Parameters;

    use super::*;

    fn keyed(id: Option<&str>, key: &str) -> Result<Option<String>, String> {
        let request = Request::new("roof", "refresh", Parameters::default(), "http:local");
        let request = Request { id: id.map(str::to_owned), ..request };
        let headers = HeaderMap::from_iter([("idempotency-key".parse().unwrap(), key.parse().unwrap())]);
        with_key(request, &headers).map(|request| request.id).map_err(|refusal| refusal.message)
    }

    #[test]
    fn an_idempotency_key_is_the_id_and_must_not_contradict_it() {
        assert_eq!(keyed(None, "k"), Ok(Some("k".into())));
        assert_eq!(keyed(Some("k"), "k"), Ok(Some("k".into())));
        assert!(keyed(Some("i"), "k").unwrap_err().contains("differ"));
        assert!(keyed(None, "").unwrap_err().contains("1 to 200"));
        assert!(keyed(None, &"k".repeat(201)).unwrap_err().contains("1 to 200"));
    }
}
