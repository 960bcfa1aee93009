//! `GET /api/v1/sites/{id}/refused-origins` and `POST /api/v1/sites/{id}/origins`: who asked in vain, and the one line
//! that lets them in.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::acting::Acting;
use crate::ops::refusals;
use crate::ops::site_changes::{self, SiteChange};
use crate::path::Path;
use axum::Extension;
use axum::extract::State;
use chatward_types::{Error, EventName, Outcome, SECOND, Scope, Severity, SiteId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An origin to allow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOrigin {
    /// The origin: a scheme and a host, such as `https://www.example.com`.
    pub origin: String,
}

/// The origins of a site.
#[derive(Debug, Serialize, ToSchema)]
pub struct OriginList {
    /// Those that may show the chat.
    pub origins: Vec<String>,
}

/// Origins that asked for a site's chat and were refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedList {
    /// The last seen first; at most 50.
    pub refused: Vec<RefusedView>,
}

/// An origin that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedView {
    /// The origin.
    pub origin: String,
    /// How many requests.
    pub count: i64,
    /// The first of them, in seconds since 1970 (UTC).
    pub first_at: i64,
    /// The last of them, in seconds since 1970 (UTC).
    pub last_at: i64,
}

/// Allows an origin to show the site's chat; one that is allowed already stays.
#[utoipa::path(post, path = "/api/v1/sites/{id}/origins", tag = "sites", security(("key" = []), ("user" = [])), request_body = CreateOrigin,
    params(("id" = String, Path, description = "The site's id.")),
    responses(
        (status = 200, description = "The site's origins now.", body = OriginList),
        (status = 400, description = "Not JSON, or not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 422, description = "Not an origin that a site can have.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_origin(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
    Json(body): Json<CreateOrigin>,
) -> ApiResult<axum::Json<OriginList>> {
    let change = SiteChange { add_origins: vec![body.origin], ..SiteChange::default() };
    let row = site_changes::change(&app, &Scope::of(acting.owner), id, change, &acting.actor).await?;
    app.event(EventName::ConfigurationChanged, Severity::Info, Outcome::Success)
        .of(&client)
        .site(acting.owner, id)
        .detail(format!("an origin was allowed {}", acting.how))
        .emit();
    Ok(axum::Json(OriginList { origins: row.origins }))
}

/// Lists the origins that asked for the site's chat and were refused, without those that are allowed by now.
#[utoipa::path(get, path = "/api/v1/sites/{id}/refused-origins", tag = "sites", security(("key" = []), ("user" = [])),
    params(("id" = String, Path, description = "The site's id.")),
    responses(
        (status = 200, description = "The refused origins.", body = RefusedList),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_refused(
    State(app): State<App>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
) -> ApiResult<axum::Json<RefusedList>> {
    let scope = Scope::of(acting.owner);
    let site = app.store.get_site(&scope, id).await?.ok_or_else(Error::not_found)?;
    let refused = refusals::list(&app, &scope, &site).await?.into_iter().map(|refused| RefusedView {
        origin: refused.origin,
        count: refused.count,
        first_at: refused.first_at / SECOND,
        last_at: refused.last_at / SECOND,
    });
    Ok(axum::Json(RefusedList { refused: refused.collect() }))
}
