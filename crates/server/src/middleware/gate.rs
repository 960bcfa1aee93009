//! The first question to every request: is this address served, is anybody? Asked again when the answer may have changed,
//! for as long as a request runs and its stream is open.
//!
//! Owns: the two constant refusals. Probes are served in a lockdown, and so is an
//! administrator whose access token holds; neither when they come from a blocked address. A token is looked at before
//! anything else of the request, counted first in windows of its own, and one that does not hold gets what everybody gets.
//! Never decides who is blocked; `limits::Gate` is told by ops.

use super::guard::bearer;
use super::{Client, cookies, ending, people};
use crate::app::App;
use crate::limits::Shut;
use crate::ops::lockdown;
use crate::routes;
use axum::extract::Request;
use axum::response::Response;
use chatward_types::{Error, EventName, Kind, Outcome, Severity};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What a client waits before it asks a locked server again, in seconds.
const COME_BACK: u32 = 300;

/// The group of windows that counts tokens in a lockdown; no route's.
const GROUP: u8 = u8::MAX;

/// What a request shows that may spare it a lockdown.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    health: bool,
    sign_in: bool,
    token: Option<Arc<str>>,
}

impl Shown {
    pub(super) fn of(request: &Request, health: bool) -> Self {
        let token = match bearer(request.headers()) {
            Some(text) => Some(text).filter(|text| people::is_signed(text)),
            None => cookies::access(request.headers()),
        };
        Self { health, sign_in: routes::IN_LOCKDOWN.contains(&request.uri().path()), token: token.map(Arc::from) }
    }

    /// `token` to keep, which is the copy that this keeps already where it is the same.
    pub(super) fn keep(&self, token: &str) -> Arc<str> {
        self.token.as_ref().filter(|own| ***own == *token).map_or_else(|| Arc::from(token), Arc::clone)
    }

    /// Whether a lockdown is not for it: a probe, an administrator, or a login where that is allowed.
    async fn is_spared(&self, app: &App, client: &Client) -> bool {
        if self.health || (self.sign_in && app.gate.allows_sign_in()) {
            return true;
        }
        let Some(token) = &self.token else { return false };
        // What a full window refuses is not looked at: in a lockdown least of all does a flood reach the store.
        let counted = app.limiter.check(GROUP, client.address, &app.rules.api, app.load.scale(), app.clock.now());
        if !counted.allowed {
            return false;
        }
        match lockdown::serves(app, token).await {
            Ok(serves) => serves,
            Err(error) => {
                tracing::error!(source = error.source_line(), "a token cannot be checked in the lockdown");
                false
            }
        }
    }
}

/// Whether a client is refused now.
pub(super) async fn ask(app: &App, client: &Client, shown: &Shown) -> Option<Shut> {
    let shut = app.gate.ask(client.address, app.clock.now())?;
    // In a box: it hardly ever happens, and every request would have room for it.
    if shut == Shut::Locked && Box::pin(shown.is_spared(app, client)).await { None } else { Some(shut) }
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
    shown: &Shown,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Shut> {
    let mut news = app.gate.changes();
    loop {
        tokio::select! {
            biased;
            done = work.as_mut() => return Ok(done),
            // The sender lives as long as the app.
            _ = news.changed() => if let Some(shut) = ask(app, client, shown).await {
                return Err(shut);
            }
        }
    }
}

/// Ends a stream when its client is served no more.
pub(super) fn watch_stream(app: &App, client: &Client, shown: Shown, response: Response) -> Response {
    let mut news = app.gate.changes();
    // What changed before we listened is looked at once.
    news.mark_changed();
    let (app, of) = (app.clone(), client.clone());
    ending::watch_stream(client, response, async move {
        loop {
            // The sender lives as long as the app.
            let _ = news.changed().await;
            if let Some(shut) = ask(&app, &of, &shown).await {
                return refuse(&app, &of, shut);
            }
        }
    })
}
