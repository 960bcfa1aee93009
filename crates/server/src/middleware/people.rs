//! Users on the way in: recognised by their access token, or one of an outside issuer that is configured, and only from our
//! own pages or a program.
//!
//! The role is the store's of this moment, never the token's, and so is whether they must have a second factor first. Owns
//! the three answers: one for whatever token does not hold, one for a role that is not enough, one for a factor that is
//! missing.

use super::Client;
use super::cookies;
use super::cors::{self, Origin};
use super::guard::bearer;
use crate::app::App;
use crate::error::ApiError;
use crate::ops::issuers;
use crate::ops::logins::{self, Person};
use chatward_types::{Error, EventName, Kind, Outcome, Role, Severity};
use http::HeaderMap;

/// Whether what the request has is a signed token, or a cookie, rather than a key.
pub(super) fn is_access_token(headers: &HeaderMap) -> bool {
    cookies::is_by_cookie(headers) || bearer(headers).is_some_and(is_signed)
}

/// Whether a bearer credential has the form of a signed token.
pub(super) fn is_signed(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Whom an access token speaks for, if they may do this; without one, the refusal says so.
pub(super) async fn authenticate(
    app: &App,
    client: &Client,
    token: Option<&str>,
    least: Role,
) -> Result<Person, ApiError> {
    let Some(token) = token else {
        tell_missing(app, client);
        return Err(token_invalid());
    };
    let person = match logins::recognise(app, token).await? {
        Ok(person) => person,
        Err(whose) => match issuers::recognise(app, token, client).await? {
            Ok(person) => person,
            Err(refusal) => {
                tell_refused(app, client, issuers::Refusal { owner: whose.or(refusal.owner), ..refusal });
                return Err(token_invalid());
            }
        },
    };
    if person.role < least {
        return Err(Error::new(
            Kind::Forbidden,
            "role_insufficient",
            "Your role does not allow this. An owner can change it (`chatward user roles`).",
        )
        .into());
    }
    Ok(person)
}

/// Tells of a token that is neither one of ours that holds nor an outside issuer's; once, whoever looked at it.
fn tell_refused(app: &App, client: &Client, refusal: issuers::Refusal) {
    let event = app.event(EventName::TokenRefused, Severity::Warning, Outcome::Refused);
    let event = event.of(client).owner_if_known(refusal.owner);
    let what = "an access token that does not hold";
    match refusal.why {
        Some(why) => event.detail(format!("{what}; as an outside issuer's: {why}")).emit(),
        None => event.detail(what).emit(),
    }
}

fn token_invalid() -> ApiError {
    Error::new(
        Kind::Unauthenticated,
        "token_invalid",
        "Send an access token that holds, as Authorization: Bearer. POST /api/v1/auth/login or /api/v1/auth/refresh \
         returns one.",
    )
    .into()
}

/// Tells of a call that came without any credential to a route that needs one.
pub(super) fn tell_missing(app: &App, client: &Client) {
    app.event(EventName::CredentialMissing, Severity::Warning, Outcome::Refused).of(client).emit();
}

/// Refuses whoever must have a second factor and has none yet.
pub(super) fn refuse_without_factor(person: &Person) -> Result<(), ApiError> {
    if !person.must_enrol {
        return Ok(());
    }
    Err(Error::new(
        Kind::Forbidden,
        "second_factor_required",
        "Your role needs a second factor first. POST /api/v1/account/totp begins one, and \
         POST /api/v1/account/totp/confirm with its code activates it; then this login may go on.",
    )
    .into())
}

/// Refuses a call that another's page makes a browser send.
pub(super) fn refuse_foreign_page(
    app: &App,
    client: &Client,
    origin: &Origin,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let ours = match origin {
        Origin::Named(name) => app.origins.is_ours(name),
        Origin::Unusable => false,
        Origin::Absent => match headers.get("sec-fetch-site") {
            None => true,
            Some(value) => matches!(value.as_bytes(), b"same-origin" | b"none"),
        },
    };
    if ours { Ok(()) } else { Err(cors::refuse(app, client).into()) }
}
