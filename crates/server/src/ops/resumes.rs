//! Coming back: what lets a visitor who has moved to another page of the site go on with the same session.
//!
//! A resume is opaque to the page that keeps it, whose scripts can all read it. It counts only beside a fresh ticket, for
//! the same site and origin, and only from the very address (for IPv6 the /64) that it was given to: whoever carries it
//! elsewhere gets a new session and learns nothing. Owns the claims; never begins or ends a session.

use crate::app::App;
use crate::ops::sessions::idle_limit;
use crate::ops::signing::{self, ISSUER};
use chatward_types::{OwnerId, Result, SECOND, SessionId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    own: OwnerId,
    net: String,
    iat: i64,
    exp: i64,
}

/// A resume for a session; it holds as long as the session may idle.
///
/// # Errors
/// When signing fails.
pub fn mint(app: &App, owner: OwnerId, session: &SessionId, address: IpAddr) -> Result<String> {
    let now = app.clock.now();
    let ring = &app.tokens.resumes;
    ring.sign(&Claims {
        iss: ISSUER.to_owned(),
        aud: ring.audience(),
        sub: session.as_str().to_owned(),
        own: owner,
        net: place_of(address),
        iat: now / SECOND,
        exp: (now + idle_limit(app)) / SECOND,
    })
}

/// Whose session a resume names, if it is one of ours, has not run out and comes from where it was given to.
pub fn verify(app: &App, resume: &str, address: IpAddr) -> Option<(OwnerId, SessionId)> {
    let claims: Claims = app.tokens.resumes.verify(resume, app.clock.now())?;
    signing::end_of(claims.iat, claims.exp, app.clock.now())?;
    if claims.net != place_of(address) {
        return None;
    }
    Some((claims.own, app.tokens.verify_session_id(&claims.sub)?))
}

/// The address, or for IPv6 its /64, within which one device changes its own as it likes.
fn place_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}/64", u128::from(address) >> 64),
    }
}
