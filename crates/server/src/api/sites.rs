//! `GET /api/v1/sites`, and `GET` and `PATCH /api/v1/sites/{id}`: an owner's program or user reads and changes sites.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::acting::Acting;
use crate::ops::site_changes::{self, SiteChange};
use crate::ops::site_settings::{Settings, SettingsChange};
use crate::path::Path;
use axum::Extension;
use axum::extract::State;
use chatward_store::SiteRow;
use chatward_types::{Error, EventName, Outcome, SECOND, Scope, Severity, SiteId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// A site.
#[derive(Debug, Serialize, ToSchema)]
pub struct SiteView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SiteId,
    /// The publishable key that its pages carry.
    pub site: String,
    /// Its name.
    pub name: String,
    /// Where the crawl starts.
    pub url: String,
    /// The origins that may show its chat.
    pub origins: Vec<String>,
    /// Whether it was crawled and answers.
    pub crawled: bool,
    /// What its owner has set.
    pub settings: Settings,
    /// When it was added, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// When it was last changed, in seconds since 1970 (UTC).
    pub updated_at: i64,
}

/// The sites of an owner.
#[derive(Debug, Serialize, ToSchema)]
pub struct SiteList {
    /// Oldest first.
    pub sites: Vec<SiteView>,
}

/// A partial change: an absent member stays as it is, `null` clears it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSite {
    /// Another name; it cannot be cleared.
    #[serde(default)]
    pub name: Option<String>,
    /// Other origins, in place of those before; `null` leaves none, and then no page can show the chat.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    pub origins: Option<Option<Vec<String>>>,
    /// Other settings.
    #[serde(default)]
    pub settings: SettingsChange,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Vec<String>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Lists the owner's sites; a key that is for some sites only sees those.
#[utoipa::path(get, path = "/api/v1/sites", tag = "sites", security(("key" = []), ("user" = [])),
    responses(
        (status = 200, description = "The sites.", body = SiteList),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_sites(
    State(app): State<App>,
    Extension(acting): Extension<Acting>,
) -> ApiResult<axum::Json<SiteList>> {
    let rows = app.store.list_sites(&Scope::of(acting.owner)).await?;
    let reached = rows.into_iter().filter(|row| acting.reaches(row.id));
    Ok(axum::Json(SiteList { sites: reached.map(view).collect() }))
}

/// Returns a site.
#[utoipa::path(get, path = "/api/v1/sites/{id}", tag = "sites", security(("key" = []), ("user" = [])),
    params(("id" = String, Path, description = "The site's id.")),
    responses(
        (status = 200, description = "The site.", body = SiteView),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn get_site(
    State(app): State<App>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
) -> ApiResult<axum::Json<SiteView>> {
    let row = app.store.get_site(&Scope::of(acting.owner), id).await?.ok_or_else(Error::not_found)?;
    Ok(axum::Json(view(row)))
}

/// Changes a site's name, origins or settings. Open pages see it within a second.
#[utoipa::path(patch, path = "/api/v1/sites/{id}", tag = "sites", security(("key" = []), ("user" = [])), request_body = UpdateSite,
    params(("id" = String, Path, description = "The site's id.")),
    responses(
        (status = 200, description = "The site as it is now.", body = SiteView),
        (status = 400, description = "Not JSON, or not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No key or access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "A browser sent the key, or the key or the user may not do this.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such site.", body = crate::error::ErrorBody),
        (status = 409, description = "Somebody else changed it meanwhile. Send it again.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is unknown, or its value out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn update_site(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(acting): Extension<Acting>,
    Path(id): Path<SiteId>,
    Json(body): Json<UpdateSite>,
) -> ApiResult<axum::Json<SiteView>> {
    let change = SiteChange {
        name: body.name,
        origins: body.origins.map(Option::unwrap_or_default),
        settings: body.settings,
        ..SiteChange::default()
    };
    let row = site_changes::change(&app, &Scope::of(acting.owner), id, change, &acting.actor).await?;
    app.event(EventName::ConfigurationChanged, Severity::Info, Outcome::Success)
        .of(&client)
        .site(id)
        .detail(acting.how)
        .emit();
    Ok(axum::Json(view(row)))
}

fn view(row: SiteRow) -> SiteView {
    SiteView {
        settings: Settings::read_known(&row.settings).unwrap_or_default(),
        id: row.id,
        site: row.publishable_key,
        name: row.name,
        url: row.url,
        origins: row.origins,
        crawled: row.index_generation > 0,
        created_at: row.created_at / SECOND,
        updated_at: row.updated_at / SECOND,
    }
}
