//! The first question to every request: is this address served, is anybody? Asked again when the answer may have changed,
//! for as long as a request runs and its stream is open.
//!
//! Owns: the two constant refusals, and the last words of a stream that is cut. Probes are served in a lockdown, not when
//! they come from a blocked address. Never decides who is blocked; `limits::Gate` is told by ops.

use super::Client;
use crate::app::App;
use crate::error;
use crate::limits::Shut;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::response::Response;
use chatward_types::{Error, EventName, Kind, Outcome, Severity};
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use std::future::Future;
use std::pin::pin;
use tokio::sync::watch;

/// What a client waits before it asks a locked server again, in seconds.
const COME_BACK: u32 = 300;

/// Whether a client is refused now.
pub fn ask(app: &App, client: &Client, health: bool) -> Option<Shut> {
    app.gate.ask(client.address, app.clock.now()).filter(|shut| !(health && *shut == Shut::Locked))
}

/// The refusal, counted and told.
pub fn refuse(app: &App, client: &Client, shut: Shut) -> Error {
    app.gate.count_refused();
    if shut == Shut::Blocked {
        app.event(EventName::AddressBlocked, Severity::Warning, Outcome::Refused).of(client).emit();
    }
    refusal(shut)
}

fn refusal(shut: Shut) -> Error {
    match shut {
        Shut::Blocked => {
            Error::new(Kind::Forbidden, "address_blocked", "Requests from this network address are not answered here.")
        }
        Shut::Locked => {
            Error::new(Kind::Unavailable, "lockdown", "This service is closed for a while. Please come back later.")
                .retry_after(COME_BACK)
        }
    }
}

/// Waits for the answer, unless the client is served no more before it is there.
pub(super) async fn while_served<T>(
    app: &App,
    client: &Client,
    health: bool,
    work: impl Future<Output = T>,
) -> Result<T, Shut> {
    let mut news = app.gate.changes();
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            // The sender lives as long as the app.
            _ = news.changed() => if let Some(shut) = ask(app, client, health) {
                return Err(shut);
            }
        }
    }
}

struct Watched {
    app: App,
    client: Client,
    news: watch::Receiver<u64>,
    pieces: BodyDataStream,
}

/// Ends a stream of events when its client is served no more: with an error as its last event, never as if it were whole.
pub(super) fn watch_stream(app: &App, client: &Client, response: Response) -> Response {
    let streams =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !streams {
        return response;
    }
    let mut news = app.gate.changes();
    // What changed before we listened is looked at once.
    news.mark_changed();
    let (parts, body) = response.into_parts();
    let watched = Watched { app: app.clone(), client: client.clone(), news, pieces: body.into_data_stream() };
    let pieces = stream::unfold(Some(watched), |watched| async move {
        let mut watched = watched?;
        loop {
            tokio::select! {
                biased;
                _ = watched.news.changed() => if let Some(shut) = ask(&watched.app, &watched.client, false) {
                    let text = error::body_text(&refuse(&watched.app, &watched.client, shut), &watched.client.request_id);
                    return Some((Ok(Bytes::from(format!("event: error\ndata: {text}\n\n"))), None));
                },
                piece = watched.pieces.next() => return piece.map(|piece| (piece, Some(watched))),
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}
