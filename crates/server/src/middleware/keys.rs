//! Secret keys on the way in: recognised for programs, counted, refused from browsers, and let go when they end.
//!
//! A secret key in a page is a leak, whoever looks at it first: a request that has one and shows that a browser sent it
//! is refused wherever it goes, and told as an event, so that its owner revokes it. Owns these answers, and that a request
//! or a stream which runs on a key ends with it.

use super::guard::bearer;
use super::{Client, ending, people};
use crate::app::App;
use crate::error::ApiError;
use crate::ops::key_lookup::{self, Entered};
use axum::response::{IntoResponse, Response};
use chatward_types::{Error, EventName, KeyScope, Kind, Outcome, Severity};
use chatward_vault::SecretKey;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, ORIGIN};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What only browsers send, and always send on calls across pages.
const OF_BROWSERS: [HeaderName; 3] =
    [ORIGIN, HeaderName::from_static("sec-fetch-site"), HeaderName::from_static("sec-fetch-dest")];

/// Refuses a secret key that a browser sent.
pub(super) async fn refuse_in_browser(app: &App, client: &Client, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(text) = bearer(headers).filter(|text| SecretKey::is_like(text)) else { return Ok(()) };
    if !OF_BROWSERS.iter().any(|name| headers.contains_key(name)) {
        return Ok(());
    }
    // A name is told only of a key that holds: a key's id is no secret, and an alarm that anybody can ring is none.
    let event = app.event(EventName::SecretKeyExposed, Severity::Error, Outcome::Refused).of(client);
    // In a box: every request would have room for it.
    match Box::pin(key_lookup::recognise(app, text)).await {
        Ok(Some(holder)) => {
            event.owner(holder.owner).detail(format!("key {} came from a browser; revoke it", holder.id)).emit();
        }
        _ => event.detail("what begins like a secret key came from a browser").emit(),
    }
    Err(Error::new(
        Kind::Forbidden,
        "secret_key_exposed",
        "This is a secret key, and a browser sent it. Whoever sees the page has it: revoke it, and use it on servers only.",
    )
    .into())
}

/// Whom the request's key speaks for; one refusal for whatever is not a key that holds.
pub(super) async fn authenticate(
    app: &App,
    client: &Client,
    headers: &HeaderMap,
    scope: KeyScope,
) -> Result<Entered, ApiError> {
    let entered = match bearer(headers) {
        Some(text) => key_lookup::enter(app, text).await?,
        None => None,
    };
    let Some(entered) = entered else {
        if headers.contains_key(AUTHORIZATION) {
            // A key's id is no secret: that of one which does not hold would let anybody write of another's.
            let event = app.event(EventName::ApiKeyValidation, Severity::Warning, Outcome::Refused);
            event.of(client).detail("a secret key").emit();
        } else {
            people::tell_missing(app, client);
        }
        return Err(refusal().into());
    };
    let holder = &entered.holder;
    let event = app.event(EventName::ApiKeyValidation, Severity::Info, Outcome::Success);
    event.of(client).owner(holder.owner).detail(format!("key {}", holder.id)).emit();
    if let Err(seconds) = app.issued.count(holder, app.clock.now()) {
        app.metrics.count_limited();
        let event = app.event(EventName::RateLimitExceeded, Severity::Warning, Outcome::Refused);
        event.of(client).owner(holder.owner).detail(format!("key {}", holder.id)).emit();
        return Err(Error::new(
            Kind::Limited,
            "key_rate_limited",
            "Too many requests with this key. Wait as long as Retry-After says, then try again.",
        )
        .retry_after(seconds)
        .into());
    }
    if !holder.scopes.has(scope) {
        return Err(
            Error::new(Kind::Forbidden, "key_scope", "This key may not do this. Use one of the right scope.").into()
        );
    }
    Ok(entered)
}

fn refusal() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "key_invalid",
        "Send a secret key that holds, as Authorization: Bearer. `chatward key create --scope manage` makes one.",
    )
}

/// Runs a request on a key until it is done or the key has ended, and so its stream, where it leaves one open.
pub(super) async fn while_held(
    entered: Arc<Entered>,
    client: &Client,
    work: Pin<&mut impl Future<Output = Response>>,
) -> Response {
    tokio::select! {
        biased;
        () = entered.ended.cancelled() => ApiError::from(refusal()).into_response(),
        // The future keeps the key's place as long as the stream is open, so that whoever ends the key finds it.
        response = work => ending::watch_stream(client, response, async move {
            entered.ended.cancelled().await;
            refusal()
        }),
    }
}
