//! A request and its stream last no longer than the key that signed their token: when a rotation cuts the key off, they end.
//!
//! Owns: the last words of a stream whose token has ended, and the answer to a request that was still waiting. A request of a
//! user is let through to its end, since it may have changed something; it is a visitor's answer that can take minutes.
//! Never checks a signature; the guard has.

use super::Client;
use super::guard::refuse_session;
use crate::app::App;
use crate::error::{self, ApiError};
use axum::body::{Body, BodyDataStream, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::watch;

/// A token that must go on holding, and the news of rotations from before it was checked.
pub(super) struct Held {
    token: Arc<str>,
    news: watch::Receiver<u64>,
}

impl Held {
    /// `news` was subscribed to before the check, so that no rotation falls between the two.
    pub(super) fn new(token: &str, news: watch::Receiver<u64>) -> Self {
        Self { token: token.into(), news }
    }
}

/// Waits for a visitor's answer, unless their token ends before it is there.
pub(super) async fn while_signed(
    app: &App,
    client: &Client,
    held: &mut Held,
    work: impl Future<Output = Response>,
) -> Response {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            // The sender lives as long as the app.
            _ = held.news.changed() => if !app.tokens.still_signed(&held.token, app.clock.now()) {
                return ApiError::from(refuse_session(app, client)).into_response();
            },
            done = &mut work => return done,
        }
    }
}

struct Watched {
    app: App,
    client: Client,
    held: Held,
    pieces: BodyDataStream,
}

/// Ends a stream of events when its token's key is cut off: with an error as its last event, never as if it were whole.
pub(super) fn watch_stream(app: &App, client: &Client, held: Held, response: Response) -> Response {
    let streams =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !streams {
        return response;
    }
    let (parts, body) = response.into_parts();
    let watched = Watched { app: app.clone(), client: client.clone(), held, pieces: body.into_data_stream() };
    let pieces = stream::unfold(Some(watched), |watched| async move {
        let mut watched = watched?;
        loop {
            tokio::select! {
                biased;
                _ = watched.held.news.changed() => {
                    let Watched { app, client, held, .. } = &watched;
                    if !app.tokens.still_signed(&held.token, app.clock.now()) {
                        let text = error::body_text(&refuse_session(app, client), &client.request_id);
                        return Some((Ok(Bytes::from(format!("event: error\ndata: {text}\n\n"))), None));
                    }
                }
                piece = watched.pieces.next() => return piece.map(|piece| (piece, Some(watched))),
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}
