//! What goes wrong, as an answer; and who asks, from the request.

use adapter_api::CommandSource;
use axum::{
    Json,
    extract::{FromRequestParts, Query},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Api;
use crate::command::{
    Refusal, RefusalCode, Request,
    wire::{self, Door},
};

/// An error with its words.
pub(super) fn problem(status: StatusCode, code: &str, message: impl std::fmt::Display) -> Response {
    (status, Json(json!({"error": {"code": code, "message": message.to_string()}}))).into_response()
}

pub(super) fn journal_problem(error: &crate::journal::JournalError) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "journal", error)
}

pub(super) fn malformed(message: impl std::fmt::Display) -> Response {
    problem(StatusCode::BAD_REQUEST, "malformed", message)
}

pub(super) fn unknown_device(api: &Api, id: &str) -> Response {
    let ids: Vec<_> = api.devices.all().into_iter().map(|row| row.info.id.to_string()).collect();
    let message = format!("there is no device `{id}`; there are {}", ids.join(", "));
    problem(StatusCode::NOT_FOUND, "unknown_device", message)
}

pub(super) fn unknown_command(id: &str) -> Response {
    problem(StatusCode::NOT_FOUND, "unknown_command", format!("there is no command with the id `{id}`"))
}

/// A refused command.
pub(super) fn refused(refusal: &Refusal, request: Option<&Request>) -> Response {
    (status(refusal.code), Json(wire::refusal(refusal, request))).into_response()
}

/// The status that fits a refusal.
pub(super) const fn status(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::Malformed
        | RefusalCode::InvalidParameter
        | RefusalCode::UnknownCommand
        | RefusalCode::NoRevert
        | RefusalCode::OutOfBounds => StatusCode::BAD_REQUEST,
        RefusalCode::UnknownDevice | RefusalCode::UnknownId => StatusCode::NOT_FOUND,
        RefusalCode::ControlDisabled | RefusalCode::SocketOnly => StatusCode::FORBIDDEN,
        RefusalCode::Expired => StatusCode::GONE,
        RefusalCode::IdReused | RefusalCode::Held => StatusCode::CONFLICT,
        RefusalCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        RefusalCode::NotKept | RefusalCode::Busy | RefusalCode::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Who asks: the client commands say who sits at the terminal.
pub(super) fn door<'a>(headers: &'a HeaderMap, device: Option<&'a str>) -> Door<'a> {
    let user = headers.get("x-maestro-cli").and_then(|value| value.to_str().ok());
    let (name, user) = match user {
        Some(user) => ("cli", user.get(..wire::MAX_TEXT).unwrap_or(user)),
        None => ("http", "local"),
    };
    Door { name, user, device, source: CommandSource::Api, local: true }
}

/// A query that is understood; one that is not is answered with what is wrong in it.
pub(super) struct Asked<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(error) => Err(malformed(error.body_text())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_status_that_a_client_expects() {
        let statuses = [
            (RefusalCode::Held, 409),
            (RefusalCode::RateLimited, 429),
            (RefusalCode::NoRevert, 400),
            (RefusalCode::OutOfBounds, 400),
            (RefusalCode::SocketOnly, 403),
            (RefusalCode::UnknownId, 404),
            (RefusalCode::UnknownDevice, 404),
            (RefusalCode::Stopping, 503),
        ];
        for (code, number) in statuses {
            assert_eq!(status(code).as_u16(), number, "{code:?}");
        }
    }

    #[test]
    fn who_sits_at_the_terminal_is_the_user_of_the_command_line() {
        let mut headers = HeaderMap::new();
        assert_eq!(door(&headers, None).owner(None), "http:local");
        headers.insert("x-maestro-cli", "anna".parse().unwrap());
        assert_eq!(door(&headers, None).owner(None), "cli:anna");
        assert!(door(&headers, Some("roof")).local);
    }
}
