//! `POST /api/v1/widget/identity`: a page says who its visitor is, by the word of the site's own server.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::middleware::guard::refuse_session;
use crate::ops::tokens::Visitor;
use crate::ops::{identities, sessions, sites};
use axum::Extension;
use axum::extract::State;
use chatward_types::Scope;
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Who the visitor is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateIdentity {
    /// A JWT (HS256, header `alg` and perhaps `typ` alone) under the site's identity secret, with the claims `sub` (1 to
    /// 200 characters), `aud` (the site's key), `exp` (at most 24 hours ahead) and perhaps `iat`, `name`, `email`.
    pub token: String,
}

/// Keeps the visitor's identity with the session.
#[utoipa::path(post, path = "/api/v1/widget/identity", tag = "widget", request_body = CreateIdentity,
    security(("visitor" = [])),
    responses(
        (status = 204, description = "Kept."),
        (status = 401, description = "No such session, or no such token.", body = crate::error::ErrorBody),
        (status = 403, description = "The page's origin is not the token's.", body = crate::error::ErrorBody),
        (status = 422, description = "The identity does not hold, or the conversation is another person's.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_identity(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(visitor): Extension<Arc<Visitor>>,
    Json(body): Json<CreateIdentity>,
) -> ApiResult<StatusCode> {
    let live = sessions::find(&app, &visitor, &client).await?;
    let site = sites::by_id(&app, &Scope::of(visitor.owner), visitor.site).await?;
    let (Some(_), Some(site)) = (live, site) else {
        return Err(refuse_session(&app, &client, Some(&visitor)).into());
    };
    let identity = identities::verify(&app, &site, &body.token, &client).await?;
    identities::keep(&app, &site, &visitor.session, &identity, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}
