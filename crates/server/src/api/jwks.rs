//! `GET /.well-known/jwks.json`: the public keys with which others may check users' access tokens.

use crate::app::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

/// A public key of Ed25519 (RFC 8037).
#[derive(Debug, Serialize, ToSchema)]
pub struct JsonWebKey {
    /// `OKP`.
    pub kty: &'static str,
    /// `Ed25519`.
    pub crv: &'static str,
    /// `EdDSA`.
    pub alg: &'static str,
    /// `sig`.
    #[serde(rename = "use")]
    pub meant_for: &'static str,
    /// The name in the tokens' header.
    pub kid: String,
    /// The key, 32 bytes in base64url.
    pub x: String,
}

/// Every public key that checks now (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
pub struct JsonWebKeySet {
    /// The one that signs first; none while `tokens.algorithm` is HS256.
    pub keys: Vec<JsonWebKey>,
}

/// Returns the public keys of users' access tokens. A key that signs by a shared secret is never among them.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "accounts",
    responses((status = 200, description = "The keys.", body = JsonWebKeySet)))]
pub async fn get_jwks(State(app): State<App>) -> Response {
    let key = |(kid, public): (String, [u8; 32])| JsonWebKey {
        kty: "OKP",
        crv: "Ed25519",
        alg: "EdDSA",
        meant_for: "sig",
        kid,
        x: URL_SAFE_NO_PAD.encode(public),
    };
    let keys = app.tokens.users.public_keys(app.clock.now()).into_iter().map(key).collect();
    ([(CACHE_CONTROL, "no-cache")], axum::Json(JsonWebKeySet { keys })).into_response()
}
