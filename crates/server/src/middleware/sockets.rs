//! WebSockets on the way in: the row's policy, at the upgrade and once more for a first frame that proves itself.
//!
//! The order: no query (an address ends up in logs, so nothing secret may stand there, and filters go in frames), the
//! origin, the credential. A credential is the Authorization field or the first frame and nothing else: a browser sends a
//! cookie to whoever's page asks it to, so a cookie opens no socket. Never waits for a frame; `realtime` does.

use super::cors::{self, Origin};
use super::guard::bearer;
use super::{Client, devices, people};
use crate::app::App;
use crate::error::ApiError;
use crate::realtime::{Admission, Caller};
use crate::routes::{SocketAuth, SocketCaller, SocketOrigin, SocketPolicy};
use chatward_types::{Error, Kind};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::sync::Arc;

/// Runs the row's policy on an upgrade.
pub(super) async fn admit(
    app: &App,
    client: &Client,
    policy: SocketPolicy,
    has_query: bool,
    headers: &HeaderMap,
) -> Result<Admission, ApiError> {
    if has_query {
        return Err(Error::new(
            Kind::Malformed,
            "query_refused",
            "A WebSocket's address takes no query. Send the token as Authorization: Bearer or in the first frame.",
        )
        .into());
    }
    check_origin(app, client, policy.origin, headers)?;
    let caller = match proof(policy.auth, headers) {
        Proof::Later => None,
        Proof::Now(token) => Some(prove(app, client, policy.caller, token).await?),
    };
    Ok(Admission { policy, caller, client: client.clone() })
}

/// Whom a token speaks for, if they may open this socket: the same question at the upgrade and for a first frame.
///
/// # Errors
/// The refusal, which is told as an event.
pub async fn prove(app: &App, client: &Client, caller: SocketCaller, token: Option<&str>) -> Result<Caller, ApiError> {
    match caller {
        SocketCaller::User(least) => {
            let person = people::authenticate(app, client, token, least).await?;
            people::refuse_without_factor(&person)?;
            // What stays open must be ended by us, so it stands on a login of ours.
            person.own_login()?;
            Ok(Caller::User { person: Arc::new(person), least })
        }
        SocketCaller::Device => {
            devices::authenticate(app, client, token).await.map(|device| Caller::Device(Box::new(device)))
        }
    }
}

/// Whether the credential is there, or may still come.
#[derive(Debug, PartialEq, Eq)]
enum Proof<'a> {
    /// The one that the upgrade has; none where it has two or another scheme.
    Now(Option<&'a str>),
    /// The first frame must prove it.
    Later,
}

fn proof(auth: SocketAuth, headers: &HeaderMap) -> Proof<'_> {
    match auth {
        SocketAuth::FirstFrame if !headers.contains_key(AUTHORIZATION) => Proof::Later,
        SocketAuth::FirstFrame | SocketAuth::Upgrade => Proof::Now(bearer(headers)),
    }
}

fn check_origin(app: &App, client: &Client, pages: SocketOrigin, headers: &HeaderMap) -> Result<(), ApiError> {
    let ours = |headers: &HeaderMap| match headers.get("sec-fetch-site") {
        None => true,
        Some(value) => value == "same-origin",
    };
    match (pages, cors::of(headers)) {
        (SocketOrigin::Programs, _) => devices::refuse_page(app, client, headers),
        // A browser names the origin with every upgrade; what has none must not look like one either.
        (SocketOrigin::Ours, Origin::Absent) => devices::refuse_page(app, client, headers),
        (SocketOrigin::Ours, Origin::Named(name)) if app.origins.is_own(&name) && ours(headers) => Ok(()),
        (SocketOrigin::Ours, _) => Err(cors::refuse(app, client).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_row_that_wants_its_proof_at_the_upgrade_waits_for_no_frame() {
        let mut headers = HeaderMap::new();
        assert_eq!(proof(SocketAuth::Upgrade, &headers), Proof::Now(None));
        assert_eq!(proof(SocketAuth::FirstFrame, &headers), Proof::Later);
        headers.insert(http::header::COOKIE, HeaderValue::from_static("session=x"));
        assert_eq!(proof(SocketAuth::Upgrade, &headers), Proof::Now(None));
        assert_eq!(proof(SocketAuth::FirstFrame, &headers), Proof::Later);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic x"));
        assert_eq!(proof(SocketAuth::FirstFrame, &headers), Proof::Now(None), "another scheme is no credential");
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert_eq!(proof(SocketAuth::FirstFrame, &headers), Proof::Now(Some("x")));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer y"));
        assert_eq!(proof(SocketAuth::FirstFrame, &headers), Proof::Now(None), "two are none");
    }
}
