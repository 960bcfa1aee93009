//! Coming back: what lets a visitor who has moved to another page of the site go on with the same session.
//!
//! A resume is opaque to the page that keeps it. Alone it is worth nothing: it counts only beside a fresh ticket in a call
//! from our own frame, for the same site and origin, and only from the network that began the session. Whoever cannot
//! show all of that gets a new session and learns nothing. Owns the claims; never begins or ends a session.

use crate::app::App;
use crate::ops::sessions::idle_limit;
use crate::ops::signing::{self, ISSUER};
use chatward_types::{OwnerId, Result, SECOND, SessionId};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    own: OwnerId,
    iat: i64,
    exp: i64,
}

/// A resume for a session; it holds as long as the session may idle.
///
/// # Errors
/// When signing fails.
pub fn mint(app: &App, owner: OwnerId, session: &SessionId) -> Result<String> {
    let now = app.clock.now();
    let ring = &app.tokens.resumes;
    ring.sign(&Claims {
        iss: ISSUER.to_owned(),
        aud: ring.audience(),
        sub: session.as_str().to_owned(),
        own: owner,
        iat: now / SECOND,
        exp: (now + idle_limit(app)) / SECOND,
    })
}

/// Whose session a resume names, if it is one of ours and has not run out.
pub fn verify(app: &App, resume: &str) -> Option<(OwnerId, SessionId)> {
    let claims: Claims = app.tokens.resumes.verify(resume)?;
    signing::end_of(claims.iat, claims.exp, app.clock.now())?;
    Some((claims.own, app.tokens.verify_session_id(&claims.sub)?))
}
