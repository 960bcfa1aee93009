//! The handshake: from a request that passed its policy to a connection that speaks frames.
//!
//! Owns: what RFC 6455 demands of the request, and the answer. No extension and no subprotocol is agreed on. The answer is
//! made after a place was found for the socket, so that a full house says 429 or 503 before the upgrade.

use super::registry::Seat;
use super::{Admission, Front, run};
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::listen::Place;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::Response;
use base64::Engine as _;
use chatward_types::{Error, Kind};
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::request::Parts;
use http::{StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A request that may become a socket.
#[derive(Debug)]
pub struct Upgrade {
    accept: String,
    on_upgrade: OnUpgrade,
    /// The connection's place among all; it is held as long as the socket.
    place: Option<Place>,
    admission: Admission,
}

/// What the socket's task holds.
pub(super) struct Opened {
    pub(super) on_upgrade: OnUpgrade,
    pub(super) admission: Admission,
    pub(super) seat: Seat,
    pub(super) _place: Option<Place>,
}

impl FromRequestParts<App> for Upgrade {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let Some(admission) = parts.extensions.remove::<Admission>() else {
            return Err(Error::internal("a socket's row has another policy").into());
        };
        let key = key_of(parts.version, &parts.headers);
        let (Some(key), Some(on_upgrade)) = (key, parts.extensions.remove::<OnUpgrade>()) else {
            let mut version = HeaderMap::new();
            version.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return Err(ApiError::from(Error::new(
                Kind::Malformed,
                "not_a_websocket",
                "Open this address as a WebSocket (version 13, over HTTP/1.1).",
            ))
            .with_headers(version));
        };
        let place = parts.extensions.remove::<Place>();
        Ok(Self { accept: derive_accept_key(key.as_bytes()), on_upgrade, place, admission })
    }
}

impl Upgrade {
    /// Answers the handshake and lets the front talk, in a task of its own.
    ///
    /// # Errors
    /// [`Kind::Limited`] or [`Kind::Unavailable`] when there is no place.
    pub fn serve(self, app: &App, front: impl Front) -> ApiResult<Response> {
        let Self { accept, on_upgrade, place, admission } = self;
        let seat = app.sockets.seat(admission.client.address, admission.caller.is_some())?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).map_err(Error::internal)?);
        let opened = Opened { on_upgrade, admission, seat, _place: place };
        app.tasks.spawn(run::run(app.clone(), opened, front));
        Ok(response)
    }
}

/// The client's key, if the request is a handshake.
fn key_of(version: Version, headers: &HeaderMap) -> Option<String> {
    let one = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    };
    let wants = headers.get_all(CONNECTION).iter().any(|value| {
        value.to_str().is_ok_and(|text| text.split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade")))
    });
    let is_websocket = one(UPGRADE)?.eq_ignore_ascii_case("websocket") && one(SEC_WEBSOCKET_VERSION)? == "13";
    let key = one(SEC_WEBSOCKET_KEY)?;
    let is_key = base64::engine::general_purpose::STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16);
    (version == Version::HTTP_11 && wants && is_websocket && is_key).then(|| key.to_owned())
}
