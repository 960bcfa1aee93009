//! Secret keys on the way in: recognised for programs, refused from browsers.
//!
//! A secret key in a page is a leak, whoever looks at it first: a request that has one and shows that a browser sent it
//! is refused wherever it goes, and told as an event, so that its owner revokes it. Owns these two answers.

use super::guard::bearer;
use super::{Client, people};
use crate::app::App;
use crate::error::ApiError;
use crate::ops::issued_keys::{self, Holder};
use chatward_types::{Error, EventName, KeyScope, Kind, Outcome, Severity};
use chatward_vault::SecretKey;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, ORIGIN};

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
    let detail = match issued_keys::recognise(app, text).await {
        Ok(Some(holder)) => format!("key {} came from a browser; revoke it", holder.id),
        _ => "what begins like a secret key came from a browser".to_owned(),
    };
    app.event(EventName::SecretKeyExposed, Severity::Error, Outcome::Refused).of(client).detail(detail).emit();
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
) -> Result<Holder, ApiError> {
    let holder = match bearer(headers) {
        Some(text) => issued_keys::recognise(app, text).await?,
        None => None,
    };
    match &holder {
        Some(holder) => {
            let event = app.event(EventName::ApiKeyValidation, Severity::Info, Outcome::Success).of(client);
            event.owner(holder.owner).detail(format!("key {}", holder.id)).emit();
        }
        None if !headers.contains_key(AUTHORIZATION) => people::tell_missing(app, client),
        // A key's id is no secret: that of one which does not hold would let anybody write of another's.
        None => app
            .event(EventName::ApiKeyValidation, Severity::Warning, Outcome::Refused)
            .of(client)
            .detail("a secret key")
            .emit(),
    }
    let Some(holder) = holder else {
        return Err(Error::new(
            Kind::Unauthenticated,
            "key_invalid",
            "Send a secret key that holds, as Authorization: Bearer. `chatward key create --scope manage` makes one.",
        )
        .into());
    };
    if holder.scope != scope {
        return Err(
            Error::new(Kind::Forbidden, "key_scope", "This key may not do this. Use one of the right scope.").into()
        );
    }
    Ok(holder)
}
