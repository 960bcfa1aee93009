//! The one place that turns an error into a response.
//!
//! A handler returns [`ApiError`]; it becomes an empty response that carries the error as an extension.
//! The outermost layer calls [`finish`], which writes the body with the request id and logs the source
//! once. Refusals that the router makes itself (404, 405) pass through the same function, so that every
//! error body has one shape. Nothing here ever writes a source, a path or a client's input into a body.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use chatward_types::{Error, Kind};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The one shape of every error.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong, for a program and for a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// A stable word for programs.
    #[schema(example = "rate_limited")]
    pub code: String,
    /// A sentence that says what to do next. It never repeats the request.
    pub message: String,
    /// The request's id, as in the `X-Request-Id` header; name it when you report a problem.
    #[schema(example = "req_019305d2c0a87b3c9e1f2a3b4c5d6e7f")]
    pub request_id: String,
}

/// What a handler fails with.
#[derive(Debug)]
pub struct ApiError {
    error: Error,
    headers: Option<Box<HeaderMap>>,
}

/// What a handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

/// The error that a response stands for, on its way to [`finish`].
#[derive(Debug, Clone)]
pub struct Carried(Arc<Error>);

impl Carried {
    /// Whether `response` stands for an error with this code.
    pub fn has_code(response: &Response, code: &str) -> bool {
        response.extensions().get::<Self>().is_some_and(|Self(error)| error.code() == code)
    }
}

impl ApiError {
    /// Adds header fields, such as `Allow` or the RateLimit fields.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = Some(Box::new(headers));
        self
    }

    /// The error itself.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self { error, headers: None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(self.error.kind());
        if let Some(headers) = self.headers {
            response.headers_mut().extend(*headers);
        }
        if let Some(seconds) = self.error.retry_after_seconds() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Carried(Arc::new(self.error)));
        response
    }
}

/// The status of a kind of error.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Precondition => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Limited => StatusCode::TOO_MANY_REQUESTS,
        Kind::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Kind::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Writes the body of an error response and logs its source; leaves every other response alone.
pub fn finish(response: Response, request_id: &str) -> Response {
    let code = response.status();
    if !code.is_client_error() && !code.is_server_error() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let carried = parts.extensions.remove::<Carried>();
    let error = match &carried {
        Some(Carried(error)) => error.as_ref(),
        // Whatever the router or an extractor wrote, such as which part of the path it could not decode, is dropped.
        None => &refusal_of_the_router(code),
    };
    if let Some(source) = error.source_line() {
        if code.is_server_error() {
            tracing::error!(request_id, code = error.code(), source, "request failed");
        } else {
            tracing::debug!(request_id, code = error.code(), source, "request refused");
        }
    }
    let text = body_text(error, request_id);
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(parts, Body::from(text))
}

/// The error object as JSON text, for a body or for the `error` event of a stream.
pub fn body_text(error: &Error, request_id: &str) -> String {
    let public = match error.kind() {
        // Whatever an Internal error was made with, strangers read one constant sentence.
        Kind::Internal => INTERNAL_TEXT,
        _ => error.public(),
    };
    serde_json::json!({
        "error": { "code": error.code(), "message": public, "request_id": request_id }
    })
    .to_string()
}

/// The error object as a frame of a WebSocket.
pub fn frame_text(error: &Error, request_id: &str) -> String {
    format!("{{\"type\":\"error\",{}", &body_text(error, request_id)[1..])
}

/// The only sentence that a 500 ever says.
pub const INTERNAL_TEXT: &str = "Something went wrong on our side. Try again; if it persists, report the request id.";

fn refusal_of_the_router(code: StatusCode) -> Error {
    match code {
        StatusCode::NOT_FOUND => Error::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => Error::new(
            Kind::Malformed,
            "method_not_allowed",
            "This address does not take that method. The Allow field names those it takes.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        code if code.is_server_error() => Error::internal("an error response without an error"),
        _ => Error::new(Kind::Malformed, "malformed", "The request could not be understood."),
    }
}

/// The body is over its cap.
pub fn too_large() -> Error {
    Error::new(Kind::TooLarge, "too_large", "The request body is too large. Send a shorter one.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_says_one_constant_sentence() {
        let error = Error::internal("password of the database");
        let text = body_text(&error, "req_1");
        assert!(text.contains(INTERNAL_TEXT) && !text.contains("password"));
        let odd = Error::new(Kind::Internal, "internal", "leaks /srv/path");
        assert!(!body_text(&odd, "req_1").contains("/srv"));
    }

    #[test]
    fn a_bare_404_gets_the_one_shape() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        let finished = finish(response, "req_2");
        assert_eq!(finished.headers()[CONTENT_TYPE], "application/json");
    }
}
