//! The one ordered stack that every request of every listener passes, outside in.
//!
//! 1 request id, 2 client address, 3 blocks and lockdown, 4 one log line and metrics, 5 catch-panic, 6 time to the
//! response's head, 7 security headers, 8 host name, 9 preflight; then the route's own [`guard`]: limit, origin, credential.
//! A step lives in a file of its own; the order lives here and nowhere else. Nothing here reads a body.

pub mod address;
pub mod cookies;
pub mod cors;
mod devices;
mod ending;
pub mod gate;
pub mod guard;
pub mod headers;
pub mod host;
mod key_sites;
mod keys;
mod people;
mod signed;
pub mod sockets;

pub use crate::client::Client;

use crate::app::App;
use crate::error::{self, ApiError};
use crate::limits::network_around;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chatward_types::{Error, Kind, RequestId};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

/// Which row answered; a response extension for the log line and the metrics.
#[derive(Debug, Clone, Copy)]
pub struct Answered(pub crate::routes::Row);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs the whole stack around the public router.
pub async fn run(State(app): State<App>, request: Request, next: Next) -> Response {
    run_stack(app, request, next, true).await
}

/// Runs the stack around the administrative router, which has a check of host names of its own.
pub async fn run_administrative(State(app): State<App>, request: Request, next: Next) -> Response {
    run_stack(app, request, next, false).await
}

async fn run_stack(app: App, mut request: Request, next: Next, public: bool) -> Response {
    let started = Instant::now();
    let client = match identify(&app, &request) {
        Ok(client) => client,
        Err(error) => {
            let mut response = error::finish(ApiError::from(error).into_response(), "none");
            headers::apply(&app, None, &mut response);
            return response;
        }
    };
    let in_flight = app.load.enter();
    let method = request.method().clone();
    let health = matches!(request.uri().path(), "/healthz" | "/readyz");
    request.extensions_mut().insert(client.clone());

    let shown = gate::Shown::of(&request, health);
    request.extensions_mut().insert(shown.clone());
    let shut = if public { gate::ask(&app, &client, &shown).await } else { None };
    let early = match shut {
        Some(shut) => Some(ApiError::from(gate::refuse(&app, &client, shut)).into_response()),
        None if public => refuse_or_preflight(&app, &request, health, &client),
        None => None,
    };
    let answered = match early {
        Some(response) => response,
        None => {
            let limit = app.config.server.request_timeout;
            // Pinned in place: passed on by value, there would be room for it twice while an answer is waited for.
            let work = pin!(tokio::time::timeout(limit, AssertUnwindSafe(next.run(request)).catch_unwind()));
            let done = if public { gate::while_served(&app, &client, &shown, work).await } else { Ok(work.await) };
            match done {
                Err(shut) => ApiError::from(gate::refuse(&app, &client, shut)).into_response(),
                Ok(Ok(Ok(response))) if public => gate::watch_stream(&app, &client, shown, response),
                Ok(Ok(Ok(response))) => response,
                Ok(Ok(Err(panic))) => ApiError::from(Error::internal(panic_text(&panic))).into_response(),
                Ok(Err(_)) => ApiError::from(too_slow()).into_response(),
            }
        }
    };

    let mut response = error::finish(answered, &client.request_id);
    let row = response.extensions_mut().remove::<Answered>().map(|Answered(row)| row);
    headers::apply(&app, row.map(|row| row.class), &mut response);
    if let Ok(value) = HeaderValue::from_str(&client.request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    drop(in_flight);
    if public && shut.is_none() && matches!(response.status().as_u16(), 403 | 429) {
        crate::ops::blocks::note(&app, client.address);
    }
    record(&app, &client, &method, row, &response, started);
    response
}

fn refuse_or_preflight(app: &App, request: &Request, health: bool, client: &Client) -> Option<Response> {
    match host::check(app, request, health, client) {
        Err(refusal) => Some(refusal.into_response()),
        Ok(()) => cors::preflight(app, request, client),
    }
}

fn identify(app: &App, request: &Request) -> Result<Client, Error> {
    let request_id = RequestId::generate(app.clock.as_ref(), app.entropy.as_ref())?;
    let user_agent = request
        .headers()
        .get(http::header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .map(|text| Arc::from(&text[..text.len().min(256)]));
    Ok(Client {
        request_id: Arc::from(request_id.to_string()),
        address: address::of(&app.config.server, request),
        user_agent,
        path: None,
    })
}

fn record(
    app: &App,
    client: &Client,
    method: &http::Method,
    row: Option<crate::routes::Row>,
    response: &Response,
    started: Instant,
) {
    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    app.metrics.record_request(row.map(|row| row.index), status, elapsed);
    tracing::info!(
        target: "chatward::access",
        request_id = &*client.request_id,
        // Whoever collects this log keeps it for as long as they like: the address stands in the security log alone.
        network = %network_around(client.address),
        method = method.as_str(),
        path = row.map_or("(none)", |row| row.path),
        status,
        microseconds = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        "request"
    );
}

fn too_slow() -> Error {
    Error::new(Kind::Unavailable, "timeout", "The answer took too long. Try again in a moment.").retry_after(5)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a handler panicked");
    format!("panic: {text}")
}
