//! A request and its stream last no longer than the key that signed their token: when a rotation cuts the key off, they end.
//!
//! Owns: when that is, and the answer to a request that was still waiting. A request of a
//! user is let through to its end, since it may have changed something; it is a visitor's answer that can take minutes.
//! Never checks a signature; the guard has.

use super::guard::refuse_session;
use super::{Client, ending};
use crate::app::App;
use crate::error::ApiError;
use crate::ops::tokens::Visitor;
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;

/// A token that must go on holding, and the news of rotations from before it was checked.
pub(super) struct Held {
    token: Arc<str>,
    news: watch::Receiver<u64>,
    visitor: Arc<Visitor>,
}

impl Held {
    /// `news` was subscribed to before the check, so that no rotation falls between the two.
    pub(super) fn new(token: Arc<str>, news: watch::Receiver<u64>, visitor: Arc<Visitor>) -> Self {
        Self { token, news, visitor }
    }
}

/// Waits for a visitor's answer, unless their token ends before it is there.
pub(super) async fn while_signed(
    app: &App,
    client: &Client,
    held: &mut Held,
    mut work: Pin<&mut impl Future<Output = Response>>,
) -> Response {
    loop {
        tokio::select! {
            biased;
            // The sender lives as long as the app.
            _ = held.news.changed() => if !app.tokens.still_signed(&held.token, app.clock.now()) {
                return ApiError::from(refuse_session(app, client, Some(&held.visitor))).into_response();
            },
            done = work.as_mut() => return done,
        }
    }
}

/// Ends a stream when its token's key is cut off.
pub(super) fn watch_stream(app: &App, client: &Client, mut held: Held, response: Response) -> Response {
    let (app, of) = (app.clone(), client.clone());
    ending::watch_stream(client, response, async move {
        loop {
            let _ = held.news.changed().await;
            if !app.tokens.still_signed(&held.token, app.clock.now()) {
                return refuse_session(&app, &of, Some(&held.visitor));
            }
        }
    })
}
