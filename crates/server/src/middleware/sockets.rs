//! WebSockets on the way in: the row's policy, at the upgrade and once more for a first frame that proves itself.
//!
//! The order: no query (an address ends up in logs, so nothing secret may stand there, and filters go in frames), the
//! origin, the credential. A credential is the Authorization field, a user's cookie, or the first frame. A browser sends a
//! cookie along with whoever's page opens the socket, and lets that page read what comes: so a cookie counts only where our
//! own pages may open one, and only from an origin that is exactly ours, by the same judgement as for whatever changes
//! something. Never waits for a frame; `realtime` does.

use super::cors::{self, Origin};
use super::guard::bearer;
use super::{Client, cookies, devices, people};
use crate::app::App;
use crate::error::ApiError;
use crate::realtime::{Admission, Caller};
use crate::routes::{SocketAuth, SocketCaller, SocketOrigin, SocketPolicy};
use chatward_types::{Error, Kind};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
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
    if takes_cookie(policy) {
        // An upgrade is a GET, which a page of anybody may send; what it opens goes on. So it counts as a change.
        cookies::refuse_foreign_page(app, client, &Method::POST, headers)?;
    }
    let caller = match proof(policy, headers) {
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

/// Whether a user may prove themselves by cookie.
fn takes_cookie(policy: SocketPolicy) -> bool {
    matches!((policy.origin, policy.caller), (SocketOrigin::Ours, SocketCaller::User(_)))
}

fn proof(policy: SocketPolicy, headers: &HeaderMap) -> Proof<'_> {
    match policy.auth {
        _ if takes_cookie(policy) && cookies::is_by_cookie(headers) => Proof::Now(cookies::access(headers)),
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
    use chatward_types::Role;
    use http::HeaderValue;

    fn of_users(auth: SocketAuth) -> SocketPolicy {
        SocketPolicy { auth, caller: SocketCaller::User(Role::Admin), origin: SocketOrigin::Ours }
    }

    #[test]
    fn a_row_that_wants_its_proof_at_the_upgrade_waits_for_no_frame() {
        let mut headers = HeaderMap::new();
        assert_eq!(proof(of_users(SocketAuth::Upgrade), &headers), Proof::Now(None));
        assert_eq!(proof(of_users(SocketAuth::FirstFrame), &headers), Proof::Later);
        headers.insert(http::header::COOKIE, HeaderValue::from_static("session=x"));
        assert_eq!(proof(of_users(SocketAuth::Upgrade), &headers), Proof::Now(None));
        assert_eq!(proof(of_users(SocketAuth::FirstFrame), &headers), Proof::Later);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic x"));
        assert_eq!(
            proof(of_users(SocketAuth::FirstFrame), &headers),
            Proof::Now(None),
            "another scheme is no credential"
        );
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert_eq!(proof(of_users(SocketAuth::FirstFrame), &headers), Proof::Now(Some("x")));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer y"));
        assert_eq!(proof(of_users(SocketAuth::FirstFrame), &headers), Proof::Now(None), "two are none");
    }

    #[test]
    fn a_cookie_is_a_proof_where_our_pages_may_open_the_socket_and_nothing_else_is_beside_it() {
        let mut headers = HeaderMap::new();
        let policy = of_users(SocketAuth::FirstFrame);
        let cookie = |value: &str| HeaderValue::from_str(&format!("{}={value}", cookies::ACCESS)).expect("a field");
        headers.insert(http::header::COOKIE, cookie("a.b.c"));
        assert_eq!(proof(policy, &headers), Proof::Now(Some("a.b.c")));
        for other in [
            SocketPolicy { origin: SocketOrigin::Programs, ..policy },
            SocketPolicy { caller: SocketCaller::Device, ..policy },
        ] {
            assert_eq!(proof(other, &headers), Proof::Later, "{other:?}");
        }
        headers.append(http::header::COOKIE, cookie("d.e.f"));
        assert_eq!(proof(policy, &headers), Proof::Now(None), "two are none, and no frame mends it");
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert_eq!(proof(policy, &headers), Proof::Now(Some("x")), "the cookie beside it does not count");
    }
}
